import io
import json
import time
from functools import partial

import numpy as np
import pytest
from rich.console import Console

from common.checks import InputError
from common.data.paths import Home
from pipelines import speed, speed_neighbors, speed_pictures
from pipelines.manifests import FORMAT
from pipelines.speed import OURS, SUITES, Race, make_cells, race, race_suites

MIB = 2**20
calls: list[str] = []


def differ(ours, theirs):
    return "" if ours == theirs else f"{theirs} is not {ours}"


def make_runs(results):
    """Libraries that note their calls; each holds as many MiB as its name is long, times 20."""

    def run(library):
        calls.append(library)
        held = np.ones(20 * len(library) * MIB, np.uint8)
        time.sleep(0.05 * held[0])
        return results[library]

    return {library: partial(run, library) for library in results}


def make_race(rows=1000, slow=(), **results):
    return Race("sums", f"{rows} rows", rows, partial(make_runs, results), differ, slow=slow)


@pytest.fixture
def run_races(tmp_path):
    """Races in silence: their table, and what was said."""
    calls.clear()

    def run(*races, **options):
        told = io.StringIO()
        table = race(
            races,
            Console(file=told, width=200),
            path=tmp_path / "stored" / "speed.json",
            picture=tmp_path / "drawn" / "speed.png",
            **{"n_rounds": 3, **options},
        )
        return table, told.getvalue()

    return run


def test_results_are_compared_before_rounds_are_interleaved(run_races):
    run_races(make_race(ours=1, other=1))

    assert calls == [OURS, "other"] + [OURS, "other"] * 3


def test_a_slow_library_runs_once(run_races):
    table, _ = run_races(make_race(ours=1, other=1, slow=("other",)))

    assert calls == [OURS, "other"] + [OURS] * 3
    assert [len(row["all_seconds"]) for row in table["rows"]] == [3, 1]


def test_ours_may_be_slow_too(run_races):
    table, _ = run_races(make_race(ours=1, slow=(OURS,)))

    assert calls == [OURS]
    assert table["rows"][0]["seconds"] == table["rows"][0]["all_seconds"][0] > 0.04


def test_other_results_are_refused_before_anything_is_stored(run_races, tmp_path):
    with pytest.raises(InputError, match="sums, 1000 rows: other gives another result: 2 is not 1"):
        run_races(make_race(ours=1, other=2))

    assert calls == [OURS, "other"] and not list(tmp_path.iterdir())


def test_the_table_is_stored_told_and_drawn(run_races, tmp_path):
    table, told = run_races(make_race(ours=1, other=1), make_race(rows=9, ours=3), n_rounds=2)

    assert json.loads((tmp_path / "stored" / "speed.json").read_text()) == table
    assert table["format"] == FORMAT and table["rounds"] == 2 and "numpy" in table["versions"]
    assert [(row["work"], row["library"]) for row in table["rows"]] == [
        ("sums, 1000 rows", OURS),
        ("sums, 1000 rows", "other"),
        ("sums, 9 rows", OURS),
    ]
    for row in table["rows"]:
        assert row["seconds"] == np.median(row["all_seconds"]) > 0
    ours, other = table["rows"][:2]
    assert ours["times_ours"] == 1 and other["times_ours"] == other["seconds"] / ours["seconds"]
    assert "sums, 1000 rows: other" in told and "median of 2 rounds" in told
    assert (tmp_path / "drawn" / "speed.png").read_bytes().startswith(b"\x89PNG")


def test_memory_is_what_a_run_adds_in_a_process_of_its_own(run_races):
    table, _ = run_races(make_race(ours=1, other_one=1))

    ours, other = (row["memory_mib"] for row in table["rows"])
    assert 50 < ours < 90 and 170 < other < 220


def test_cells_by_hand():
    row = {"work": "w", "library": "l", "seconds": 0.123456, "times_ours": 2, "memory_mib": 1234.5}

    assert make_cells(row) == ["w", "l", "0.123", "2.00", "1,234"]
    row |= {"unit": "pictures", "size": 500}
    assert make_cells(row)[2] == "0.123 (4,050 pictures/s)"


@pytest.mark.parametrize(("names", "run"), [((), SUITES), (("pictures",), ("pictures",))])
def test_suites_are_chosen_and_stored_apart(monkeypatch, tmp_path, names, run):
    """All rows go beside the submissions; a quick look does not touch what stands there."""
    for suite in (speed_neighbors, speed_pictures):
        monkeypatch.setattr(suite, "make_races", lambda share: [make_race(ours=share)])
    home, console = Home(tmp_path), Console(quiet=True)
    calls.clear()

    race_suites(names, home, console, n_rounds=1, share=1.0)
    stored = sorted(tmp_path.glob("submissions/speed/*/speed.json"))
    race_suites(names, home, console, n_rounds=1, share=0.5)

    assert [path.parent.name for path in stored] == list(run)
    assert sorted(tmp_path.glob("submissions/speed/*/speed.json")) == stored
    looks = sorted((tmp_path / "data" / "work" / "speed").glob("*/speed.json"))
    assert [path.parent.name for path in looks] == list(run) and len(calls) == 4 * len(run)


def test_an_unknown_suite_is_told(tmp_path):
    with pytest.raises(InputError, match="speed must be some of neighbors, pictures, received p"):
        race_suites(["p"], Home(tmp_path), Console(quiet=True), n_rounds=1, share=1.0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("one", speed_neighbors.make_races(share=0.01), ids=lambda one: one.name)
def test_neighbours_and_clusters_are_those_of_other_libraries(one):
    """Small races of the real ones: all libraries that are here agree."""
    runs = one.make()
    ours = runs[OURS]()

    for run in runs.values():
        assert one.differ(ours, run()) == ""
    assert {*one.slow} <= {speed_neighbors.SKLEARN}


def test_differences_are_found():
    Modes, differ_in_modes = speed_neighbors.Modes, speed_neighbors._differ_in_modes
    distances = np.ones((4, 3))
    assert "apart" in speed_neighbors._differ_in_distances(distances, distances * 1.01)
    assert "apart" in speed_neighbors._differ_in_inertia(1.0, 1.002)
    places = np.arange(6.0).reshape(3, 2)
    ours, others = Modes(places, has_all=True), Modes(places[:2], has_all=True)
    assert differ_in_modes(ours, Modes(places[::-1], has_all=True)) == ""
    assert "2 modes, ours are 3" in differ_in_modes(ours, others)
    assert differ_in_modes(ours, others._replace(has_all=False)) == ""
    assert "apart" in differ_in_modes(ours, Modes(places + 0.2, has_all=False))


def test_less_than_all_rows_is_smaller():
    small, whole = (speed_neighbors.make_races(share=share) for share in (0.5, 1.0))

    assert [one.rows * 2 for one in small] == [one.rows for one in whole]
    assert speed.COLUMNS[0] == "work" and len({one.name for one in whole}) == len(whole)
