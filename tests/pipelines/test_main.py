"""The commands: help, and how each sort of error ends."""

import errno
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from common.checks import InputError
from common.data.paths import Home
from pipelines import __main__ as front
from pipelines import doctor, fetch, reproduce, tables
from pipelines import run as pipeline
from pipelines.catalog import load_competition
from tests.helpers.homes import make_home

ROOT = Path(__file__).parents[2]
NAME = "bike_sharing_demand"
COMMANDS = (
    *("list", "doctor", "download", "import", "open", "holdout"),
    *("sample", "run", "bench", "growth", "reproduce", "submit", "speed", "tables"),
)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    monkeypatch.setenv("PIPELINES_HOME", str(tmp_path))
    return Home(tmp_path)


@pytest.fixture
def call(home, monkeypatch, capsys):
    """Call the front door: call(*words) -> (exit code, stdout, stderr)."""

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pipelines", *words])
        with pytest.raises(SystemExit) as end:
            front.main()
        return end.value.code or 0, *capsys.readouterr()

    return call


def test_the_commands_are_those_of_the_design_and_each_says_what_it_does():
    group = typer.main.get_command(front.app)
    assert tuple(group.commands) == COMMANDS
    for name, command in group.commands.items():
        shown = CliRunner().invoke(front.app, [name, "--help"], env={"COLUMNS": "200"})
        assert shown.exit_code == 0 and command.help
        assert command.help.splitlines()[0] in shown.output


def test_what_is_for_the_bench_alone_is_not_in_the_help():
    shown = CliRunner().invoke(front.app, ["run", "--help"], env={"COLUMNS": "200"})
    assert "--pictures" in shown.output and "--work" not in shown.output


def test_help_is_plain_text_with_its_brackets():
    """Rich would take [default: all] for a style and drop it."""
    shown = CliRunner().invoke(front.app, ["bench", "--help"], env={"COLUMNS": "200"})
    assert "[default: all]" in shown.output
    assert not set("\u2500\u2502\u256d") & set(shown.output)


def test_without_a_command_the_help_is_shown(call):
    code, out, err = call()
    assert code == 2 and all(f" {name} " in out + err for name in COMMANDS)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", NAME, "--nope"), "No such option: --nope"),
        (("run",), "Missing argument 'name'"),
        (("runn",), "No such command 'runn'. Did you mean 'run'?"),
        (("run", NAME, "--seed", "-1"), "Invalid value for '--seed'"),
        (("sample", NAME, "--seed", "-1"), "Invalid value for '--seed'"),
        (("sample", NAME, "--rows", "0"), "Invalid value for '--rows'"),
        (("run", NAME, "--jobs", "0"), "Invalid value for '--jobs'"),
        (("bench", NAME, "--seeds", "0"), "Invalid value for '--seeds'"),
    ],
)
def test_words_that_are_no_command_end_with_code_2_and_what_was_wrong(call, words, told):
    code, out, err = call(*words)
    assert (code, out) == (2, "") and told in " ".join(err.split())
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "bike-sharing"), f"no competition is named bike-sharing: there is {NAME}"),
        (("run", NAME), f"{NAME} has no real data here: get some with"),
        (
            ("run", NAME, "--data", "made"),
            "--data must be one of kaggle, holdout, open, sample, re",
        ),
        (("bench", NAME, "--data", "open"), f"{NAME} has no open data here"),
        (("reproduce", "x.json"), "x.json is no file: a manifest is the JSON that `run` writes"),
        (("submit", "x.json"), "x.json is no file: a manifest is the JSON that `run` writes"),
        (("import", NAME, "x.zip"), "x.zip"),
        (("holdout", NAME), "has none: run `download"),
    ],
)
def test_what_the_user_can_put_right_is_one_line_and_exit_code_2(call, words, told):
    code, out, err = call(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and told in err
    assert err.count("\n") == 1 and err.endswith("\n")


def test_settings_variants_and_types_are_told_in_one_line(call, home):
    make_home(home.root, load_competition(NAME))
    run = ("run", NAME, "baseline", "--data", "sample")
    for words, told in (
        (("--set", "rounds"), "--set wants field=value, received rounds"),
        (("--set", "round=1"), "--set has no field round: there is models, folds, n_folds"),
        (("--set", "rounds=x"), "--set rounds wants int, received x"),
    ):
        code, _, err = call(*run, *words)
        assert code == 2 and err.startswith(f"error: {told}") and err.count("\n") == 1
    code, _, err = call("run", NAME, "basline", "--data", "sample")
    assert code == 2 and "has no variant basline: there is baseline" in err


def test_a_run_takes_its_options_and_the_last_of_two_equal_settings(call, home, monkeypatch):
    make_home(home.root, load_competition(NAME))
    asked = []
    monkeypatch.setattr(
        pipeline, "run", lambda request, home, console, **more: asked.append((request, home, more))
    )
    words = ("--seed", "7", "--jobs", "3", "--set", "folds=a=b", "--set", "rounds=1")
    assert call("run", "bike-sharing-demand", "linear", "--data", "sample", *words)[0] == 0
    assert call("run", NAME, "--data", "sample", "--pictures", "--work", "/x")[0] == 0
    (first, at, more), (second, _, with_pictures) = asked
    assert (first.competition.name, first.variant, first.kind) == (NAME, "linear", "sample")
    assert (first.seed, first.jobs) == (7, 3)
    assert first.settings == (("folds", "a=b"), ("rounds", "1"))
    assert (at, more) == (home, {"work": None, "pictures": False})
    assert second.variant == load_competition(NAME).facts.DEFAULT and second.jobs is None
    assert (second.seed, second.settings) == (0, ())
    assert with_pictures == {"work": Path("/x"), "pictures": True}


def test_a_doctor_or_a_reproduction_that_finds_fault_exits_with_1(call, monkeypatch):
    for is_well, code in ((True, 0), (False, 1)):
        monkeypatch.setattr(doctor, "show", lambda home, console, is_well=is_well: is_well)
        monkeypatch.setattr(reproduce, "reproduce", lambda *a, is_well=is_well, **k: is_well)
        assert call("doctor") == (code, "", "")
        assert call("reproduce", "x.json") == (code, "", "")


def test_a_home_that_is_no_folder_is_told(call, monkeypatch, tmp_path):
    monkeypatch.setenv("PIPELINES_HOME", str(tmp_path / "nowhere"))
    code, _, err = call("list")
    assert code == 2 and err.startswith("error: PIPELINES_HOME must name a folder, received /")


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "the disk is full: free some space"),
        (errno.EDQUOT, "the disk quota is used up: free some space"),
        (errno.EROFS, "the folder is read-only: set PIPELINES_HOME"),
        (errno.EACCES, "no permission: set PIPELINES_HOME"),
        (errno.EPERM, "no permission: set PIPELINES_HOME"),
    ],
)
@pytest.mark.parametrize("file", ["/x/train.csv", None])
def test_a_disk_that_refuses_is_one_line_with_the_place(
    call, home, monkeypatch, number, told, file
):
    def fail(*arguments, **options):
        raise OSError(number, os.strerror(number), file)

    monkeypatch.setattr(fetch, "sample", fail)
    code, out, err = call("sample", NAME)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {file or home.root}: {told}") and err.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="/sys is where even root may not write")
def test_a_home_that_cannot_be_written_is_told(call, monkeypatch):
    monkeypatch.setenv("PIPELINES_HOME", "/sys")
    code, out, err = call("sample", NAME)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: /sys/data: ") and "set PIPELINES_HOME to" in err


def test_several_lines_of_an_error_become_one(call, monkeypatch):
    def fail(home, console):
        raise InputError("first\n  second\n")

    monkeypatch.setattr(tables, "show_list", fail)
    assert call("list") == (2, "", "error: first second\n")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        OSError(errno.ENOENT, "gone", "/x"),
        KeyError("k"),
        ModuleNotFoundError("No module named 'common.gone'", name="common.gone"),
    ],
)
def test_a_bug_keeps_its_traceback(home, monkeypatch, error):
    def fail(home, console):
        raise error

    monkeypatch.setattr(tables, "show_list", fail)
    monkeypatch.setattr(sys, "argv", ["pipelines", "list"])
    with pytest.raises(type(error)) as raised:
        front.main()
    assert raised.value is error


def test_a_package_that_a_command_lacks_is_told(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "pipelines.tables", None)
    monkeypatch.setattr(tables, "show_list", lambda home, console: __import__("no_such_package"))
    monkeypatch.setitem(sys.modules, "pipelines.tables", tables)
    assert call("list") == (
        2,
        "",
        "error: the package no_such_package is missing: "
        "run `make setup`, then use .venv/bin/python\n",
    )


# Before anything else is imported.


def start(capsys) -> tuple[int, str]:
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "pipelines" / "__main__.py"), run_name="__main__")
    return end.value.code, capsys.readouterr().err


def test_another_python_is_told_in_one_line(monkeypatch, capsys):
    for found in ((3, 10, 14, "final", 0), (3, 12, 1, "final", 0)):
        monkeypatch.setattr(sys, "version_info", found)
        assert start(capsys) == (
            2,
            f"error: Python 3.11 is wanted, this is {found[0]}.{found[1]}.{found[2]}: "
            "use .venv/bin/python, which `make setup` makes\n",
        )


@pytest.mark.parametrize("package", ["typer", "rich.console"])
def test_a_missing_package_is_told_in_one_line(monkeypatch, capsys, package):
    monkeypatch.setitem(sys.modules, package, None)
    assert start(capsys) == (
        2,
        f"error: the package {package} is missing: run `make setup`, then use .venv/bin/python\n",
    )


# Ctrl-C.

STOPPED = "error: stopped; finished fits are kept, the same command goes on from there\n"


def test_ctrl_c_is_one_line_and_130_wherever_it_falls(call, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tables, "show_list", stop)
        assert call("list") == (130, "", STOPPED)
    monkeypatch.setattr(front, "app", stop)
    assert call("list") == (130, "", STOPPED)


def test_ctrl_c_ends_a_run_with_one_line_and_finished_fits_are_kept(tmp_path):
    """As a terminal sends it, to the whole group, as soon as the first fit is kept."""
    home = make_home(tmp_path, load_competition(NAME))
    boot = (
        "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "runpy.run_module('pipelines', run_name='__main__', alter_sys=True)"
    )
    words = ("run", NAME, "xgboost", "--data", "sample", "--jobs", "1", "--set", "rounds=4000")
    child = subprocess.Popen(
        [sys.executable, "-c", boot, *words],
        cwd=ROOT,
        env=os.environ | {"PIPELINES_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    folds = home.work(NAME) / "folds"
    while not list(folds.glob("*.npz")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (130, STOPPED)
    assert "/5 fits" in out and "Traceback" not in out and 1 <= len(list(folds.iterdir())) < 5
    assert not (home.root / "submissions").exists()
    assert not list(home.root.rglob("*.partial"))
