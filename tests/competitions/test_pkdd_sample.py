import numpy as np
import pytest

from competitions.pkdd_15_predict_taxi_service_trajectory_i.competition import Config
from competitions.pkdd_15_predict_taxi_service_trajectory_i.features import make_rows
from competitions.pkdd_15_predict_taxi_service_trajectory_i.sample import (
    N_TEST,
    TRIPS_A_DAY,
    write_sample,
)
from competitions.pkdd_15_predict_taxi_service_trajectory_i.trips import load_test, load_train

START = np.array([41.15, -8.6])


def make_sample(folder, **options):
    write_sample(folder, 0, **options)
    return load_train(folder), load_test(folder, start=START)


def make_prefixes(folder, **options):
    train, test = make_sample(folder, **options)
    return make_rows(train, test, Config(snapshot_s=200, held_s=200), seed=0)


def test_trips_go_along_axes_with_a_point_every_15_seconds(tmp_path):
    """Steps of 80 to 200 m, and noise of 10 m on both ends of each: nearly all of a step lies on
    one axis, but at the corner.
    """
    rows = make_prefixes(tmp_path)
    columns = [[f"last{k}_{axis}" for k in range(5)] for axis in "xy"]
    steps = np.stack([np.diff(rows.table[names].to_numpy(), axis=1) for names in columns], axis=-1)
    moved = np.abs(steps[rows.table["log_seen"] > np.log(5)]).reshape(-1, 2)

    assert np.percentile(np.linalg.norm(moved, axis=1), [1, 99]) == pytest.approx(
        [0.1, 0.2], abs=0.1
    )
    assert np.median(moved.min(axis=1)) < 0.02


def test_trips_come_at_the_rate_of_kaggle_s(tmp_path):
    train, test = make_sample(tmp_path, n_rows=2 * TRIPS_A_DAY)

    assert len(train.ids) == pytest.approx(2 * TRIPS_A_DAY, abs=10)
    assert (np.diff(train.start) >= 0).all()
    assert train.start[-1] - train.start[0] == pytest.approx(2 * 86400, rel=0.01)
    assert len(test.ids) == N_TEST and len(np.unique(test.end)) == 1
    assert test.start.min() > train.end.max()


def explain(rows):
    """What share of the way that is left, squared, a ridge on the way behind explains."""
    seen = ~rows.is_test
    left = (rows.target - rows.route[:, -1])[seen]
    behind = (rows.route[:, -1:] - rows.route[:, :-1]).reshape(len(seen), -1)[seen]
    half = np.arange(seen.sum()) % 2 == 0
    weights = np.linalg.lstsq(behind[half], left[half], rcond=1e-3)[0]
    errors = left[~half] - behind[~half] @ weights
    return 1 - (errors**2).sum() / (left[~half] ** 2).sum()


def test_with_a_goal_the_way_behind_tells_of_the_way_ahead_and_without_it_does_not(tmp_path):
    for folder in ("with", "without"):
        (tmp_path / folder).mkdir()

    assert explain(make_prefixes(tmp_path / "with", n_rows=3000)) > 0.1
    assert explain(make_prefixes(tmp_path / "without", n_rows=3000, signal=False)) < 0.01
