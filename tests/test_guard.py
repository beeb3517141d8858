"""The laws of the house, read off the source: arrows, floors, tests, documents."""

import ast
import json
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest
import typer

from common.checks import InputError
from common.data.packages import Wheel
from pipelines.__main__ import app
from pipelines.catalog import choose_config, load_competition, load_names
from pipelines.manifests import load_tracked_manifests
from pipelines.tables import make_pages

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    p for room in ("common", "competitions", "pipelines") for p in (ROOT / room).rglob("*.py")
)
READMES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("competitions/*/README.md")),
]
FLOORS = {
    **dict.fromkeys(("contract", "checks", "settings", "stages", "seeds", "geo"), 0),
    **dict.fromkeys(("features", "neighbors", "losses", "metrics", "validation", "ensemble"), 1),
    **dict.fromkeys(("inputs", "nets"), 2),
    **dict.fromkeys(("training", "inference", "rl"), 3),
}


def load_imports(path: Path) -> set[str]:
    """List the modules that a file imports, wherever in the file; those for type checkers only do
    not count.
    """
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_point_from_pipelines_to_competitions_to_common(path):
    room, *inner = path.relative_to(ROOT).with_suffix("").parts
    imports = {
        name
        for name in load_imports(path)
        if name.split(".")[0] in ("common", "competitions", "pipelines")
    }
    for name in imports:
        parts = name.split(".")
        if room == "common":
            assert parts[0] == "common", f"common must not know {name}"
            check_floor(inner, parts)
        if (
            room == "competitions"
            and parts[0] == "competitions"
            and len(inner) > 1
            and len(parts) > 1
        ):
            assert parts[1] == inner[0], f"one home must not import another: {name}"
        if room == "competitions":
            assert parts[0] != "pipelines", f"a home must not know {name}"
        if room == "pipelines" and parts[0] == "competitions":
            assert parts == ["competitions"], "competitions are found by a glob, never named"


def check_floor(inner: list[str], parts: list[str]) -> None:
    """A file of `common` imports lower floors, its own room, and `data` only from within `data`."""
    if len(parts) < 2 or parts[1] == inner[0]:
        return
    if inner[0] == "data":
        assert FLOORS[parts[1]] == 0, f"common.data may know floor 0 only, not {parts[1]}"
        return
    assert parts[1] != "data", (
        f"common/{'/'.join(inner)} must not touch files through {'.'.join(parts)}"
    )
    assert FLOORS[parts[1]] < FLOORS[inner[0]] or FLOORS[inner[0]] == FLOORS[parts[1]] == 0


@pytest.mark.parametrize("name", load_names())
def test_facts_of_a_competition_import_next_to_nothing(name):
    allowed = {*sys.stdlib_module_names, "common", "competitions"}
    imports = load_imports(ROOT / "competitions" / name / "competition.py")
    assert {module.split(".")[0] for module in imports} <= allowed
    rooms = {tuple(module.split(".")[:2]) for module in imports if module.startswith("common.")}
    assert rooms <= {("common", "contract"), ("common", "metrics")}


def test_metrics_do_not_know_tensorflow():
    for path in (ROOT / "common" / "metrics").glob("*.py"):
        assert not {"tensorflow", "keras"} & {name.split(".")[0] for name in load_imports(path)}


def test_list_starts_without_tensorflow_and_pandas():
    """What makes `list` slow is what it imports, so that is what is tested."""
    code = (
        "import sys; sys.argv = ['pipelines', 'list']\n"
        "import runpy\n"
        "try: runpy.run_module('pipelines', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'tensorflow', 'keras', 'pandas', 'sklearn', 'scipy', 'xgboost', 'lightgbm', "
        "'kaggle', 'matplotlib'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_every_file_of_common_has_its_test():
    wanted = {
        ROOT / "tests" / path.relative_to(ROOT).parent / f"test_{path.name}"
        for path in SOURCES
        if path.parts[len(ROOT.parts)] == "common" and path.name != "__init__.py"
    }
    assert not {str(path.relative_to(ROOT)) for path in wanted if not path.is_file()}


def test_packages_hold_no_code_in_init():
    for path in (path for path in SOURCES if path.name == "__init__.py"):
        body = ast.parse(path.read_text()).body
        assert all(
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body
        ), path


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_in_a_document_parses(path):
    blocks = re.findall(r"```(?:sh|console)\n(.*?)```", path.read_text(), re.DOTALL)
    lines = [line.removeprefix("$ ").strip() for block in blocks for line in block.splitlines()]
    group = typer.main.get_command(app)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[:1] == ["make"]:
            assert set(words[1:]) <= set(targets), line
        if "pipelines" in words:
            command, *arguments = words[words.index("pipelines") + 1 :]
            group.commands[command].make_context(command, arguments)


@pytest.mark.parametrize("name", load_names())
def test_every_variant_stands_in_its_readme(name):
    text = (ROOT / "competitions" / name / "README.md").read_text()
    missing = [v for v in load_competition(name).facts.VARIANTS if f"`{v}`" not in text]
    assert not missing


def test_readme_tables_are_those_of_the_tracked_manifests():
    for path, text in make_pages().items():
        assert path.read_text() == text, f"{path.name}: `python -m pipelines tables` writes it anew"


def test_tracked_manifests_are_of_the_variants_as_they_are():
    """Else a table's line speaks of something that cannot be run any more."""
    stale = []
    for path, manifest in load_tracked_manifests(ROOT).items():
        if "score" not in manifest:  # of a bench, a race or growth
            continue
        competition, variant = load_competition(manifest["competition"]), manifest["variant"]
        is_there = variant in competition.facts.VARIANTS
        config = None
        if is_there:
            with suppress(InputError):  # A setting that is gone.
                config = asdict(choose_config(competition, variant, manifest["settings"]))
        if manifest["config"] != json.loads(json.dumps(config)):
            stale.append(str(path))
    assert not stale


def test_data_wheels_are_pinned_alike_in_code_and_requirements():
    pins = dict(
        re.findall(
            r"^(\S+==\S+) --hash=sha256:(\w+)", (ROOT / "requirements-data.txt").read_text(), re.M
        )
    )
    for name in load_names():
        competition = load_competition(name)
        if not competition.has("open_data"):
            continue
        wheel = competition.load("open_data").WHEEL
        assert isinstance(wheel, Wheel)
        project, version = wheel.file.split("-")[:2]
        assert pins[f"{project}=={version}"] == wheel.sha256


def test_every_direct_dependency_is_imported():
    """What no file imports does not belong into pyproject.toml; the fixed package set of the
    project may.
    """
    fixed = {"opencv-python", "kaggle", "tensorflow"}
    names = {"scikit-learn": "sklearn"}
    text = (ROOT / "pyproject.toml").read_text()
    listed = re.findall(
        r'"([a-z-]+)', re.search(r"^dependencies = \[(.*?)\]", text, re.M | re.S)[1]
    )
    used = {name.split(".")[0] for path in SOURCES for name in load_imports(path)}
    assert {name for name in listed if names.get(name, name) not in used} <= fixed
