from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from common.checks import InputError
from common.geo import project_km
from competitions.pkdd_15_predict_taxi_service_trajectory_i.competition import Config
from competitions.pkdd_15_predict_taxi_service_trajectory_i.features import (
    PORTO,
    Prefixes,
    cut_trips,
    draw_snapshots,
    make_route,
    make_rows,
    make_table,
)
from competitions.pkdd_15_predict_taxi_service_trajectory_i.trips import load_train
from tests.helpers.taxis import START_S, make_test, make_trip, make_trips, walk, write_train

CONFIG = Config(snapshot_s=60, held_s=120)


def draw(n_points, every_s=60.0, seed=0):
    return draw_snapshots(np.array(n_points), every_s=every_s, seed=seed)


def is_cut_as_the_test_is(prefixes, n_points):
    """Tell whether the share of a trip that is seen is uniform, as it is at a random moment
    (Kolmogorov and Smirnov, level 0.001); half a point is taken off, since time runs on after it.
    """
    shares = (prefixes.n_seen - 0.5) / (n_points[prefixes.trip] - 1)
    return stats.kstest(shares, "uniform").pvalue > 0.001


def test_snapshots_come_in_proportion_to_duration():
    """Trips of 100, 400 and 700 s are looked at every 200 s: 0.5, 2 and 3.5 times on average."""
    n_points = np.tile([100, 400, 700], 4000) // 15 + 1
    duration_s = 15 * (n_points - 1)

    drawn = np.bincount(draw(n_points, every_s=200).trip, minlength=len(n_points))

    assert np.abs(drawn - duration_s / 200).max() < 1
    for k in range(3):
        mean = duration_s[k] / 200
        assert drawn[k::3].mean() == pytest.approx(mean, abs=4 * 0.5 / np.sqrt(4000))


def test_snapshots_are_uniform_in_time_and_the_notebooks_cut_is_caught():
    """Kaggle's well-known notebook takes all points but the last for its input; its 0.03 km are the
    way of 15 s.
    """
    n_points = np.random.default_rng(0).integers(60, 200, 2000)
    drawn = draw(n_points, every_s=700)

    assert is_cut_as_the_test_is(drawn, n_points)
    assert not is_cut_as_the_test_is(Prefixes(np.arange(2000), n_points - 1), n_points)


def test_snapshots_leave_the_last_point_unseen_and_never_come_twice():
    n_points = np.random.default_rng(1).integers(1, 50, 500)
    for every_s in (15.0, 60.0, 333.3, 1e5):
        trip, n_seen = draw(n_points, every_s=every_s)
        assert (n_seen >= 1).all() and (n_seen < n_points[trip]).all()
        assert len(set(zip(trip.tolist(), n_seen.tolist(), strict=True))) == len(trip)


def test_a_trip_of_one_point_is_never_under_way():
    assert len(draw([1, 1, 1], every_s=15).trip) == 0


def test_held_rows_are_as_far_apart_as_they_are_asked_to_be(tmp_path):
    """50 trips of 1,200 s: 1,000 prefixes a minute apart, of which one in ten can be held."""
    trips = make_trips(tmp_path, [81] * 50)
    cut, can_hold = cut_trips(trips, replace(CONFIG, held_s=600), seed=0)

    assert len(cut.trip) == 1000 and can_hold.sum() == 100
    assert (np.bincount(cut.trip[can_hold]) == 2).all()


def test_there_are_never_more_prefixes_than_memory_is_given_to(tmp_path):
    """The 1,000 prefixes of before, thinned out: every 600 s in place of every 60."""
    trips = make_trips(tmp_path, [81] * 50)
    cut, can_hold = cut_trips(trips, replace(CONFIG, max_snapshots=100), seed=0)

    assert len(cut.trip) == 100 and can_hold.all()
    assert (np.bincount(cut.trip) == 2).all()


def test_cuts_that_cannot_be_made_are_refused(tmp_path):
    trips = make_trips(tmp_path, [1, 1])
    with pytest.raises(InputError, match="cuts must be snapshots or end, received middle"):
        cut_trips(trips, replace(CONFIG, cuts="middle"), seed=0)
    with pytest.raises(InputError, match="snapshot_s must be >= 15, received 5"):
        cut_trips(trips, replace(CONFIG, snapshot_s=5), seed=0)
    with pytest.raises(InputError, match="two points or more, received none to cut"):
        cut_trips(trips, CONFIG, seed=0)


def test_ends_of_a_prefix_by_hand(tmp_path):
    """Of 7 points seen: the first five, 0 to 4, and the last five, 2 to 6; of 2: 0, 1, 1, 1, 1 and
    0, 0, 0, 0, 1.
    """
    trips = make_trips(tmp_path, [9, 3])
    table = make_table(trips, Prefixes(np.array([0, 1]), np.array([7, 2])))

    for row, begin, places in (
        (0, 0, [0, 1, 2, 3, 4, 2, 3, 4, 5, 6]),
        (1, 9, [0, 1, 1, 1, 1, 0, 0, 0, 0, 1]),
    ):
        expected = project_km(trips.points[begin + np.array(places)], PORTO)
        names = [f"{side}{k}" for side in ("first", "last") for k in range(5)]
        received = table.loc[row, [f"{name}_{axis}" for name in names for axis in "xy"]]
        np.testing.assert_allclose(received.to_numpy(float).reshape(10, 2), expected, atol=1e-5)
    np.testing.assert_allclose(table["log_seen"], np.log([7, 2]), rtol=1e-6)


def test_route_runs_from_the_first_point_to_the_last_seen(tmp_path):
    trips = make_trips(tmp_path, [60, 3])
    route = make_route(trips, Prefixes(np.array([0, 1]), np.array([39, 1])))

    expected = project_km(trips.points[np.arange(0, 39, 2)], PORTO)
    np.testing.assert_allclose(route[0], expected, atol=1e-5)
    np.testing.assert_allclose(
        route[1], np.tile(project_km(trips.points[60], PORTO), (20, 1)), atol=1e-5
    )


def test_time_is_porto_s_and_missing_codes_are_missing(tmp_path):
    """Midnight UTC of Monday, 1 July 2013, is 01:00 in summer: quarter 4, week 27."""
    lines = [
        make_trip(0, walk(3), ORIGIN_CALL=2002, TIMESTAMP=START_S),
        make_trip(1, walk(3), ORIGIN_STAND=7, TIMESTAMP=START_S + 46 * 60),
    ]
    trips = load_train(write_train(tmp_path, *lines))
    table = make_table(trips, Prefixes(np.array([0, 1]), np.array([2, 2])))

    assert table["quarter"].tolist() == [4, 7] and table["weekday"].tolist() == [0, 0]
    assert table["week"].tolist() == [27, 27] and table["taxi"].tolist() == [20000000, 20000001]
    assert table["client"].fillna(-1).tolist() == [2002, -1]
    assert table["stand"].fillna(-1).tolist() == [-1, 7]


def make_all(folder, n_points, config=CONFIG, seed=0):
    train = make_trips(folder, n_points)
    test = make_test(folder, make_trip(90, walk(4, seed=90)), make_trip(91, walk(1)))
    return train, make_rows(train, test, config, seed=seed), test


def test_rows_are_train_prefixes_and_then_the_test(tmp_path):
    train, rows, test = make_all(tmp_path, [30, 2, 50, 1, 70])

    n_train = len(rows.ids) - 2
    assert rows.is_test.tolist() == [False] * n_train + [True] * 2
    assert rows.ids[-2:].tolist() == ["id90", "id91"] and len(set(rows.ids)) == len(rows.ids)
    assert not rows.can_hold[-2:].any() and np.isnan(rows.target[-2:]).all()
    assert {name.split("@")[0] for name in rows.ids[:-2]} <= {"id0", "id1", "id2", "id4"}
    last = project_km(train.points[train.offsets[1:] - 1], PORTO)
    np.testing.assert_allclose(rows.target[:-2], last[rows.trip[:-2]])
    np.testing.assert_allclose(
        rows.route[-1], project_km(test.points[-1], PORTO)[None].repeat(20, 0), atol=1e-5
    )
    assert (rows.end - rows.start)[-2:].tolist() == [45, 0]


def alter_behind(trips, prefixes):
    """Move every point behind the cuts: another continent."""
    points = trips.points.copy()
    for begin, end, n_seen in zip(
        trips.offsets[:-1], trips.offsets[1:], prefixes.n_seen, strict=True
    ):
        points[begin + n_seen : end] = [-33.0, 151.0]
    return replace(trips, points=points)


def make_features(trips, prefixes):
    return np.hstack(
        [
            make_table(trips, prefixes).fillna(-1).to_numpy(float),
            make_route(trips, prefixes)[:, :, 0],
        ]
    )


def test_what_lies_behind_the_cut_moves_no_feature(tmp_path):
    """The leak test: points behind a cut are altered, and the notebook's input, the end of the
    whole trip but for a point, gives itself away.
    """
    trips = make_trips(tmp_path, list(range(30, 60)))
    cut = Prefixes(np.arange(30), np.random.default_rng(0).integers(1, 29, 30))
    altered = alter_behind(trips, cut)

    np.testing.assert_array_equal(make_features(altered, cut), make_features(trips, cut))
    leaky = Prefixes(cut.trip, trips.n_points - 1)
    moved = (make_features(altered, leaky) != make_features(trips, leaky)).any(axis=1)
    assert moved.all()


def test_another_order_of_trips_gives_the_same_features(tmp_path):
    trips = make_trips(tmp_path, [20, 30, 40])
    cut = Prefixes(np.array([0, 1, 2]), np.array([5, 6, 7]))
    turned = Prefixes(cut.trip[::-1], cut.n_seen[::-1])

    pd.testing.assert_frame_equal(
        make_table(trips, turned)[::-1].reset_index(drop=True), make_table(trips, cut)
    )


def test_another_seed_cuts_elsewhere(tmp_path):
    first, again, other = (make_all(tmp_path, [80] * 9, seed=seed)[1] for seed in (0, 0, 1))

    assert first.ids.tolist() == again.ids.tolist() != other.ids.tolist()
