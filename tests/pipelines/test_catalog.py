"""Competitions are folders; `--set` values are read as the type that the field has."""

import importlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import competitions
from common.checks import InputError
from common.contract import Table
from pipelines.catalog import FACTS, Competition, choose_config, load_competition, load_names

HEAD = '"""Toys for all: how many are sold.\n\nMore of it."""\n'


def write_facts(*, without: str = "") -> str:
    """A `competition.py` that states every fact, or all but one."""
    return HEAD + "".join(f"{fact} = None\n" for fact in FACTS if fact != without)


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
        (tmp_path / name / "competition.py").write_text(write_facts())
    (tmp_path / "toys_for_all" / "sample.py").write_text("WORD = 'hello'\n")
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "pipeline.py").write_text("")
    monkeypatch.setattr(competitions, "__path__", [*competitions.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("competitions.toys_")]:
        del sys.modules[name]


def test_a_folder_with_a_competition_file_is_one_and_no_other_is(more):
    real = (
        "bike_sharing_demand",
        "pkdd_15_predict_taxi_service_trajectory_i",
        "plant_seedlings_classification",
        "rossmann_store_sales",
        "state_farm_distracted_driver_detection",
    )
    assert load_names() == (*real, "toys_for_all", "toys_for_some")


def test_a_competition_is_found_by_folder_name_and_by_slug(more):
    for name in ("toys_for_all", "toys-for-all"):
        competition = load_competition(name)
        assert (competition.name, competition.folder) == ("toys_for_all", more / "toys_for_all")
    assert competition.title == "Toys for all"


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_that_is_missing_is_named_with_its_file(more, fact):
    file = more / "toys_for_all" / "competition.py"
    file.write_text(write_facts(without=fact))
    with pytest.raises(InputError) as refused:
        load_competition("toys_for_all")
    assert str(refused.value) == (f"{file} must state {', '.join(FACTS)}, {fact} is missing")


def test_optional_files_need_not_be_there_and_all_others_must(tmp_path):
    files = (
        Table("a.csv", columns=()),
        Table("days/*.csv", columns=()),
        Table("more.csv", columns=(), optional="on the forum"),
    )
    toys = Competition("toys", SimpleNamespace(FILES=files))  # type: ignore[arg-type]
    assert not toys.has_files(tmp_path / "nowhere")
    (tmp_path / "days").mkdir()
    (tmp_path / "a.csv").touch()
    assert not toys.has_files(tmp_path)
    (tmp_path / "days" / "1.csv").touch()
    assert toys.has_files(tmp_path)
    (tmp_path / "a.csv").unlink()
    (tmp_path / "more.csv").touch()
    assert not toys.has_files(tmp_path)


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
    with pytest.raises(InputError, match=r"there is bike_sharing_demand, .*, toys_for_all, toys"):
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
