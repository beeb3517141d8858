"""What a bench stores, prints and draws, and its child process, once, on made-up hours."""

import io
import json
import shutil

import pytest
from rich.console import Console

from common.checks import InputError
from common.data.paths import Home
from pipelines import bench as benchmark
from pipelines import tables
from pipelines.bench import COLUMNS, bench, make_cells, print_bench
from pipelines.catalog import load_competition
from pipelines.manifests import FORMAT
from pipelines.run import Request
from tests.helpers.benches import (
    FAMILY,
    NAME,
    compare,
    put_family,
)
from tests.helpers.homes import QUIET, load_told, make_console, make_home, rewrite

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path)


def test_the_table_is_printed_stored_drawn_and_read_again(runs, home, monkeypatch):
    put_family(runs)
    for seed in (0, 1):
        runs.made["b", seed].true = 1.25
    console = make_console()
    rows = compare(FAMILY, home, console=console)
    path = home.submissions(NAME, "open") / "bench.json"
    table = json.loads(path.read_text())
    assert table["rows"] == list(rows.values())
    assert {key: value for key, value in table.items() if key != "rows"} == {
        "format": FORMAT, "competition": NAME, "kind": "open", "metric": "MAE", "seeds": 2,
        "git": {"commit": "abc", "dirty": False}, "code": "c0de", "raw": "d1ge57",
        "machine": {"cores": 2},
    }  # fmt: skip
    cells = make_cells(rows["b"])
    value, low, high = rows["b"]["difference"]
    assert cells[:5] == [
        "b", "8", "1.5000", "1.2500", f"{value:+.4f} ({low:+.4f} to {high:+.4f}) against a"
    ]  # fmt: skip
    assert cells[7:] == ["2 of 2", "10", "1,001", "7"] and len(cells) == len(COLUMNS)
    told = load_told(console)
    assert all(cell in told for cell in cells) and all(head in told for _, head in COLUMNS)
    assert "a seed 1: MAE 5.00000, 11 s of fits" in told and "toys · MAE · open · 2 seeds" in told
    picture = home.work(NAME) / "pictures" / "open" / "bench.png"
    assert picture.read_bytes()[:8] == PNG
    assert f"stored in {path}\ndrawn in {picture}" in told

    bike = "bike_sharing_demand"
    page = home.root / "competitions" / bike / "README.md"
    page.parent.mkdir(parents=True)
    page.write_text("<!-- table: open-bench -->\n<!-- /table -->\n")
    (home.root / "README.md").write_text("")
    quoted = home.submissions(bike, "open") / "bench.json"
    quoted.parent.mkdir(parents=True)
    quoted.write_text(
        path.read_text().replace(f'"competition": "{NAME}"', f'"competition": "{bike}"')
    )
    monkeypatch.setattr(tables, "CODE", home.root)
    assert f"| {' | '.join(cells)} |\n" in tables.make_pages()[page]


@pytest.mark.parametrize("fact", ["code", "raw"])
def test_runs_of_other_code_or_data_are_not_compared(runs, home, monkeypatch, fact):
    """Also where the first runs are alike, and the same variant's seeds are not."""

    def run_child(request, home):
        made = runs.run_child(request, home)
        is_last = (request.variant, request.seed) == ("c", 1)
        return made | ({fact: {"digest": "d1ge57", "files": {}}} if is_last else {})

    put_family(runs)
    monkeypatch.setattr(benchmark, "_run_child", run_child)
    with pytest.raises(InputError) as refused:
        compare(FAMILY, home)
    assert str(refused.value) == f"{fact} changed between two runs of the bench: run it again"
    assert not (home.submissions(NAME, "open") / "bench.json").exists()


def test_a_narrow_screen_gets_fewer_columns_with_nothing_cut(runs, home):
    put_family(runs)
    table = bench(FAMILY, home, QUIET, variants=(), kind="open", n_seeds=2)
    shown, told = ("variant", "score", "difference", "p_groups", "seconds"), {}
    for width in (benchmark.WIDE - 1, benchmark.WIDE):
        console = Console(file=io.StringIO(), width=width)
        print_bench(table, console)
        told[width] = load_told(console)
    narrow, wide = told.values()
    assert narrow.splitlines()[1].count("┳") == len(shown) - 1
    assert wide.splitlines()[1].count("┳") == len(COLUMNS) - 1
    for key, heading in COLUMNS:
        assert (f" {heading} " in narrow) == (key in shown)
    for row in table["rows"]:
        cells = dict(zip((key for key, _ in COLUMNS), make_cells(row), strict=True))
        assert all(f" {cells[key]} " in narrow for key in shown)


def test_each_run_is_announced(runs, home, monkeypatch):
    """Minutes pass in which a child says nothing."""
    said, status = [], Console.status
    monkeypatch.setattr(
        Console,
        "status",
        lambda self, text: said.append((text, len(runs.asked))) or status(self, text),
    )
    put_family(runs)
    compare(FAMILY, home, variants=("a", "b"))
    assert said == [
        ("running a seed 0", 0),
        ("running a seed 1", 1),
        ("running b seed 0", 2),
        ("running b seed 1", 3),
    ]


def test_an_unknown_variant_is_told_before_anything_runs(runs, home):
    with pytest.raises(InputError, match="toys has no variant z: there is a, b, c"):
        compare(FAMILY, home, variants=("a", "z"))
    assert runs.asked == []


# The child process.


@pytest.fixture(scope="module")
def bikes(tmp_path_factory) -> Home:
    return make_home(tmp_path_factory.mktemp("home"), load_competition("bike_sharing_demand"))


def test_a_child_runs_in_the_given_home_with_one_job(bikes):
    request = Request(load_competition("bike_sharing_demand"), "baseline", "sample", seed=2)
    manifest = benchmark._run_child(request, bikes)
    assert (manifest["variant"], manifest["seed"], manifest["run"]["jobs"]) == ("baseline", 2, 1)
    folder = bikes.submissions("bike_sharing_demand", "sample")
    assert {p.name for p in folder.iterdir()} == {"baseline-seed2.csv", "baseline-seed2.json"}
    assert bikes.oof("bike_sharing_demand", "sample", "baseline-seed2").is_file()
    work = bikes.work("bike_sharing_demand")
    assert any((work / "bench" / "folds").iterdir()) and not (work / "folds").exists()


def test_the_last_line_of_a_failed_child_is_passed_on(bikes, tmp_path):
    shutil.copytree(bikes.root / "data", tmp_path / "data")
    home = Home(tmp_path)
    rewrite(home.raw("bike_sharing_demand", "sample") / "test.csv", lambda data: b"")
    request = Request(load_competition("bike_sharing_demand"), "baseline", "sample", seed=1)
    with pytest.raises(InputError) as failed:
        benchmark._run_child(request, home)
    assert str(failed.value).startswith(
        "`run bike_sharing_demand baseline --data sample --seed 1 --jobs 1 "
        f"--work {home.work('bike_sharing_demand') / 'bench'}` failed: error: "
    )
    assert str(failed.value).endswith("test.csv is empty") and "\n" not in str(failed.value)
