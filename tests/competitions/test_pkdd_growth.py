"""How reading and cutting grow with the trips: seconds and memory of a process of its own."""

from pathlib import Path

import pytest

from competitions.pkdd_15_predict_taxi_service_trajectory_i.sample import write_sample
from tests.helpers.growth import measure

FOLDER = "competitions.pkdd_15_predict_taxi_service_trajectory_i"
MEASURE = f"""
from {FOLDER}.competition import Config
from {FOLDER}.features import PORTO, make_rows
from {FOLDER}.trips import load_test, load_train

raw, before, start = Path(sys.argv[1]), load_peak_gib(), time.perf_counter()
train = load_train(raw)
rows = make_rows(train, load_test(raw, start=PORTO), Config(max_snapshots=20_000), seed=0)
seconds = time.perf_counter() - start
print(json.dumps({{"seconds": seconds, "added_gib": load_peak_gib() - before, "n": len(rows.ids)}}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads Linux's /proc")
def test_reading_grows_with_the_trips_and_what_is_kept_does_not(tmp_path):
    """Ten times the trips take about ten times as long: a slack of two for a busy machine. 200,000
    add less than 0.7 GiB, so Kaggle's 1.7 million less than 6.
    """
    small, large = (
        measure(MEASURE, write_sample, tmp_path / str(n_rows), n_rows)
        for n_rows in (20_000, 200_000)
    )

    assert large["seconds"] < 20 * small["seconds"]
    assert large["added_gib"] < 0.7
    assert abs(large["n"] - small["n"]) < 1000
