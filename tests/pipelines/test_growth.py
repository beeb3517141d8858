"""Growth: what is kept of runs on made-up data of several sizes."""

import json

import pytest
from rich.console import Console

from common.checks import InputError
from common.data.paths import Home
from pipelines import growth
from pipelines.catalog import load_competition
from pipelines.manifests import FORMAT

NAME = "bike_sharing_demand"
FACTS = {"git": {}, "code": "c", "config": {}, "machine": {}, "versions": {}}


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def calls(monkeypatch):
    """Stand in for children: `sample` writes a KiB a row, `run` takes a second for ten rows."""
    calls = []

    def run_child(words, own):
        calls.append((list(words), own))
        raw = own.raw(NAME, "sample")
        if words[0] == "sample":
            raw.mkdir(parents=True)
            (raw / "train.csv").write_bytes(bytes(1024 * int(words[3])))
            return
        n_rows = (raw / "train.csv").stat().st_size // 1024
        if n_rows > 5000:
            raise InputError("`run` failed: too large")
        run = {"stages": {"read": n_rows / 10}, "seconds": n_rows / 10, "peak_memory_mib": 99}
        path = own.submissions(NAME, "sample") / "linear-seed0.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"format": FORMAT, "run": run, **FACTS}))

    monkeypatch.setattr(growth, "run_child", run_child)
    return calls


def grow(home, sizes, **options):
    competition, quiet = load_competition(NAME), Console(quiet=True)
    return growth.grow(competition, home, quiet, variant="linear", sizes=sizes, **options)


def test_settings_are_those_of_the_run(home, calls):
    grow(home, [1024], settings=(("n_folds", "3"), ("models", '["ridge"]')))
    words = calls[1][0]
    assert words[-4:] == ["--set", "n_folds=3", "--set", 'models=["ridge"]']
    with pytest.raises(InputError, match="--set has no field x"):
        grow(home, [1024], settings=(("x", "3"),))


def test_each_size_is_a_row_least_first(home, calls):
    """4,096 rows of a KiB each are 4 MiB."""
    table = grow(home, [4096, 1024, 1024])
    assert [row["rows"] for row in table["rows"]] == [1024, 4096]
    assert [row["raw_mib"] for row in table["rows"]] == [1.0, 4.0]
    assert table["rows"][1]["stages"] == {"read": 409.6}
    stored = home.submissions(NAME, "sample") / growth.FILE
    assert json.loads(stored.read_text()) == table
    assert [words[0] for words, _ in calls] == ["sample", "run"] * 2


def test_the_users_own_files_are_not_touched(home, calls):
    mine = home.raw(NAME, "sample") / "train.csv"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    grow(home, [10])
    assert mine.read_text() == "mine"
    assert all(own.root != home.root and not own.root.exists() for _, own in calls)


def test_a_failed_size_leaves_nothing(home, calls):
    with pytest.raises(InputError, match="too large"):
        grow(home, [10, 6000])
    assert not (home.submissions(NAME, "sample") / growth.FILE).exists()
    assert not any(own.root.exists() for _, own in calls)


@pytest.mark.parametrize("sizes", [[], [0], [10, -1]])
def test_bad_sizes_are_refused(home, calls, sizes):
    with pytest.raises(InputError, match="--rows must be numbers > 0, received"):
        grow(home, sizes)
    assert not calls


def test_a_stage_that_one_size_lacks_is_0_there():
    rows = [
        {"rows": 1000, "raw_mib": 0.5, "stages": {}, "seconds": 1.0, "peak_memory_mib": 1200},
        {"rows": 20, "raw_mib": 0, "stages": {"fit": 2.25}, "seconds": 3, "peak_memory_mib": 9},
    ]
    columns, cells = growth.make_cells({"rows": rows})
    assert columns == ["rows", "raw MiB", "fit, s", "all, s", "peak MiB"]
    assert cells == [
        ["1,000", "0.5", "0.0", "1.0", "1,200"],
        ["20", "0.0", "2.2", "3.0", "9"],
    ]


@pytest.mark.slow
def test_a_real_run_grows(home):
    table = grow(home, [500, 20_000])
    small, large = table["rows"]
    assert small["raw_mib"] < large["raw_mib"]
    assert small["seconds"] > 0 and small["peak_memory_mib"] > 50
