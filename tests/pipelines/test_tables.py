"""The tables of the READMEs and `list`, from manifests by hand."""

import json
from pathlib import Path

import pytest

from common.checks import InputError
from common.data.paths import Home
from pipelines import tables
from pipelines.catalog import load_competition
from pipelines.manifests import FORMAT
from tests.helpers.homes import load_told, make_console, make_home

NAME = "bike_sharing_demand"
BIKES = load_competition(NAME)
NOTHING = "No tracked run yet.\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository without git, with two pages."""
    monkeypatch.setattr(tables, "CODE", tmp_path)
    (tmp_path / "competitions" / NAME).mkdir(parents=True)
    write_pages(tmp_path)
    return tmp_path


def write_pages(root: Path, front: str = "", bikes: str = "") -> None:
    (root / "README.md").write_text(front)
    (root / "competitions" / NAME / "README.md").write_text(bikes)


def mark(table: str, text: str = "") -> str:
    return f"<!-- table: {table} -->\n{text}<!-- /table -->"


def write_manifest(root: Path, kind: str, stem: str, score: float, true=None) -> None:
    path = root / "submissions" / NAME / kind / f"{stem}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    made = {"metric": "RMSLE", "out_of_fold": score, "true": true}
    made |= {"expected": score + 0.01, "interval": [score - 0.03, score + 0.03]}
    cost = {"fit_seconds": 61.7, "peak_memory_mib": 1234, "n_parameters": 56789}
    path.write_text(json.dumps({"format": FORMAT, "score": made, "run": cost}))


def load_page(root: Path, name: str = f"competitions/{NAME}/README.md") -> str:
    return tables.make_pages()[root / name]


def test_markers_are_filled_and_all_around_them_stays(root):
    write_manifest(root, "kaggle", "xgboost-seed0", 0.38, true=0.37654)
    front, bikes = mark("competitions", "old\n"), mark("kaggle-variants")
    write_pages(root, f"# A\n{front}\nend <!-- note -->\n", f"one\n{bikes}\n\n{bikes}two")
    assert (
        load_page(root, "README.md") == f"# A\n{mark('competitions', NOTHING)}\nend <!-- note -->\n"
    )
    table = (
        "| variant | RMSLE, out of fold | expected on the test (95 %) | true score "
        "| fit seconds | peak MiB | parameters |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
        "| `xgboost` | 0.3800 | 0.390 (0.350 to 0.410) | 0.3765 "
        "| 62 | 1,234 | 56,789 |\n"
    )
    filled = mark("kaggle-variants", table)
    assert load_page(root) == f"one\n{filled}\n\n{filled}two"


def test_variants_stand_in_the_order_of_the_facts_plain_and_of_seed_0_only(root):
    for stem in ("causal-seed0", "baseline-seed0", "late_days-seed0", "linear-seed1"):
        write_manifest(root, "kaggle", stem, 0.4)
    write_manifest(root, "kaggle", "linear+01234567-seed0", 0.4)
    write_manifest(root, "open", "linear-seed0", 0.4)
    write_pages(root, bikes=mark("kaggle-variants"))
    lines = load_page(root).splitlines()[3:-1]
    cells = [line.split(" | ") for line in lines]
    assert [line[0] for line in cells] == [
        "| `baseline`",
        "| `causal`",
        "| `late_days` (diagnostic)",
    ]
    assert [line[3] for line in cells] == ["–"] * 3


def test_made_up_data_have_no_table(root):
    write_pages(root, bikes=mark("sample-variants"))
    with pytest.raises(InputError, match="received sample-variants"):
        tables.make_pages()


def test_the_front_page_has_a_line_for_each_kind_of_the_default_variant(root):
    write_manifest(root, "open", f"{BIKES.facts.DEFAULT}-seed0", 0.41, true=0.42)
    write_manifest(root, "kaggle", f"{BIKES.facts.DEFAULT}-seed0", 0.38)
    write_manifest(root, "sample", f"{BIKES.facts.DEFAULT}-seed0", 0.1)
    write_manifest(root, "holdout", "linear-seed0", 0.2)
    write_pages(root, mark("competitions"))
    kaggle, open_ = load_page(root, "README.md").splitlines()[3:-1]
    assert kaggle.startswith(f"| [{BIKES.title}](competitions/{NAME}) | entity embeddings, XGBoost")
    assert kaggle.endswith(
        "| `blend` | kaggle | RMSLE 0.3800 | 0.390 (0.350 to 0.410) | – "
        "| 0.36367 / 0.3901 / 0.40856 |"
    )
    assert "| open | RMSLE 0.4100 | 0.420 (0.380 to 0.440) | 0.4200 |" in open_


def test_a_race_is_a_line_in_the_table_of_its_suite(root):
    ours = {"library": "ours", "seconds": 0.25, "times_ours": 1.0, "memory_mib": 40.4}
    other = ours | {"library": "faiss", "times_ours": 1.9312, "memory_mib": 1234.5}
    suites = {
        "neighbors": [
            ours | {"work": "kNN"},
            other | {"work": "kNN"},
            other | {"work": "kNN", "library": "sklearn"},
            ours | {"work": "k-means", "seconds": 12.345},
        ],
        "pictures": [ours | {"work": "read", "unit": "pictures", "size": 500}],
    }
    for suite, rows in suites.items():
        path = root / "submissions" / "speed" / suite / "speed.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"format": FORMAT, "rows": rows}))
    write_pages(root, mark("speed-neighbors"), mark("speed-pictures"))
    assert load_page(root, "README.md").splitlines()[1:-1] == [
        "| work | ours: seconds | MiB | others: times our seconds (MiB) |",
        "| --- | --- | --- | --- |",
        "| kNN | 0.25 | 40 | faiss 1.93 (1,234); sklearn 1.93 (1,234) |",
        "| k-means | 12.3 | 40 | – |",
    ]
    assert load_page(root).splitlines()[3:-1] == ["| read | 0.25 (2,000 pictures/s) | 40 | – |"]


@pytest.mark.parametrize(
    "table", ["kaggle-variants", "open-bench", "holdout-bench", "speed-neighbors", "growth"]
)
def test_where_no_run_is_tracked_the_table_says_so(root, table):
    write_manifest(root, "sample", "blend-seed0", 0.4)
    write_pages(root, bikes=mark(table, "| old |\n"))
    assert load_page(root) == mark(table, NOTHING)


@pytest.mark.parametrize("table", ["speed", "variants", "kaggle-scores", "real-bench", "kaggle"])
def test_an_unknown_marker_is_told_with_its_page(root, table):
    write_pages(root, bikes=mark(table))
    with pytest.raises(InputError) as told:
        tables.make_pages()
    page = root / "competitions" / NAME / "README.md"
    assert str(told.value) == (
        f"{page}: a marker must be competitions, speed-SUITE, growth, KIND-variants or "
        f"KIND-bench, received {table}"
    )


def test_only_pages_that_changed_are_written(root):
    write_manifest(root, "open", "linear-seed0", 0.3)
    write_pages(root, "no marker", mark("open-variants"))
    page = root / "competitions" / NAME / "README.md"
    first, second = make_console(), make_console()
    tables.write_tables(first)
    assert load_told(first) == f"README.md: up to date\ncompetitions/{NAME}/README.md: written\n"
    assert page.read_text() == load_page(root) and "`linear`" in page.read_text()
    before = page.stat().st_mtime_ns, page.stat().st_ino
    tables.write_tables(second)
    assert load_told(second).count("up to date") == 2
    assert (page.stat().st_mtime_ns, page.stat().st_ino) == before


def test_an_unknown_marker_leaves_every_page_as_it_is(root):
    write_manifest(root, "open", "linear-seed0", 0.3)
    write_pages(root, mark("competitions", "old\n"), mark("open-variants") + mark("nonsense"))
    with pytest.raises(InputError, match="received nonsense"):
        tables.write_tables(make_console())
    assert (root / "README.md").read_text() == mark("competitions", "old\n")


def test_list_shows_data_at_hand_the_defaults_tracked_score_and_the_cuts(root):
    home = make_home(root / "home", BIKES)
    console = make_console()
    tables.show_list(home, console)
    lines = load_told(console).splitlines()
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    at = next(k for k, line in enumerate(lines) if NAME in line)
    assert cells[at : at + 3] == [
        [NAME, "sample", "blend", "gold 0.36367"],
        [", ".join(BIKES.facts.TECHNIQUES), "", "none", "silver 0.3901"],
        ["", "", "", "bronze 0.40856"],
    ]

    write_manifest(root, "kaggle", "blend-seed0", 0.38012)
    write_manifest(root, "open", "blend-seed0", 0.41, true=0.43)
    write_manifest(root, "kaggle", "xgboost-seed0", 0.36)
    console = make_console()
    tables.show_list(Home(root / "nowhere"), console)
    told = load_told(console)
    assert "│ kaggle 0.3901 expected " in told and "│ open 0.4300 true " in told
    assert "0.36 " not in told and "0.3600" not in told
    assert [line.split("│")[2].strip() for line in told.splitlines() if NAME in line] == ["none"]
