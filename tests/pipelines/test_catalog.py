"""Competitions are folders; `--set` values are read as the type that the field has."""

import importlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import competitions
from common.checks import InputError
from pipelines.catalog import Competition, choose_config, load_competition, load_names

FACTS = '"""Toys for all: how many are sold.\n\nMore of it."""\nDEFAULT = "plain"\n'


@dataclass(frozen=True)
class Config:
    models: tuple[str, ...] = ("trees",)
    sizes: tuple[int, ...] = (32, 64)
    empty: tuple[str, ...] = ()
    name: str = "weeks"
    rounds: int = 700
    ridge: float = 3.0
    is_fast: bool = False


COMPETITION = Competition(
    "toys",
    SimpleNamespace(VARIANTS={"plain": Config(), "few": replace(Config(), rounds=7)}),  # type: ignore[arg-type]
)


@pytest.fixture
def more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A second folder of competitions, with two in it and one that is none."""
    for name in ("toys_for_all", "toys_for_some"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "competition.py").write_text(FACTS)
    (tmp_path / "toys_for_all" / "sample.py").write_text("WORD = 'hello'\n")
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "pipeline.py").write_text("")
    monkeypatch.setattr(competitions, "__path__", [*competitions.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("competitions.toys_")]:
        del sys.modules[name]


def test_a_folder_with_a_competition_file_is_one_and_no_other_is(more):
    assert load_names() == ("bike_sharing_demand", "toys_for_all", "toys_for_some")


def test_a_competition_is_found_by_folder_name_and_by_slug(more):
    for name in ("toys_for_all", "toys-for-all"):
        competition = load_competition(name)
        assert (competition.name, competition.folder) == ("toys_for_all", more / "toys_for_all")
    assert competition.title == "Toys for all: how many are sold"


def test_other_files_are_imported_when_asked_for_and_missing_ones_are_named(more):
    competition = load_competition("toys_for_all")
    assert competition.has("sample") and not competition.has("pipeline")
    assert competition.load("sample").WORD == "hello"
    with pytest.raises(InputError, match=r"^toys_for_all has no split\.py$"):
        competition.load("split")


def test_an_unknown_name_brings_near_ones_and_without_near_ones_all(more):
    with pytest.raises(InputError) as near:
        load_competition("toys-for-al")
    assert str(near.value) == (
        "no competition is named toys-for-al: there is toys_for_all, toys_for_some"
    )
    with pytest.raises(InputError, match="there is bike_sharing_demand, toys_for_all, toys_for_so"):
        load_competition("zzz")


def test_an_unknown_variant_or_field_lists_the_known_ones():
    with pytest.raises(InputError, match=r"^toys has no variant plan: there is plain, few$"):
        choose_config(COMPETITION, "plan", {})
    with pytest.raises(InputError) as unknown:
        choose_config(COMPETITION, "plain", {"rouns": "1"})
    assert str(unknown.value) == (
        "--set has no field rouns: there is models, sizes, empty, name, rounds, ridge, is_fast"
    )


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("models", "a,b", ("a", "b")),
        ("models", '["a", "b"]', ("a", "b")),
        ("models", "[]", ()),
        ("sizes", "[8]", (8,)),
        ("empty", "a", ("a",)),
        ("name", "late", "late"),
        ("name", "5", "5"),
        ("name", "a=b", "a=b"),
        ("rounds", "-3", -3),
        ("ridge", "1e-3", 0.001),
        ("ridge", "2", 2.0),
        ("is_fast", "true", True),
    ],
)
def test_a_setting_takes_the_type_of_its_field(field, text, value):
    config = choose_config(COMPETITION, "few", {field: text})
    assert config == replace(COMPETITION.facts.VARIANTS["few"], **{field: value})
    assert type(getattr(config, field)) is type(value)


@pytest.mark.parametrize(
    ("field", "text", "wanted"),
    [
        ("rounds", "many", "int"),
        ("rounds", "1.5", "int"),
        ("rounds", "true", "int"),
        ("rounds", "", "int"),
        ("ridge", "high", "float"),
        ("ridge", "NaN", "float"),
        ("ridge", "-Infinity", "float"),
        ("ridge", "true", "float"),
        ("is_fast", "1", "bool"),
        ("is_fast", "True", "bool"),
        ("models", "[1]", "a list of str"),
        ("sizes", "a", "a list of int"),
        ("sizes", "[1.5]", "a list of int"),
    ],
)
def test_another_type_is_refused_with_what_was_wanted(field, text, wanted):
    with pytest.raises(InputError) as refused:
        choose_config(COMPETITION, "plain", {field: text})
    assert str(refused.value) == f"--set {field} wants {wanted}, received {text}"
