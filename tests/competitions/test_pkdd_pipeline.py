import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from common.checks import InputError
from competitions.pkdd_15_predict_taxi_service_trajectory_i.competition import METRIC, TINY, Config
from competitions.pkdd_15_predict_taxi_service_trajectory_i.features import PORTO, make_rows
from competitions.pkdd_15_predict_taxi_service_trajectory_i.fits import FITS
from competitions.pkdd_15_predict_taxi_service_trajectory_i.pipeline import (
    DAY_S,
    draw,
    make_folds,
    run,
    timed,
)
from competitions.pkdd_15_predict_taxi_service_trajectory_i.sample import write_sample
from competitions.pkdd_15_predict_taxi_service_trajectory_i.trips import load_test, load_train
from tests.helpers.taxis import START_S, make_test, make_trip, walk, write_train

CONFIG = replace(Config(), **TINY)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taxis") / "sample"
    folder.mkdir()
    write_sample(folder, 0)
    return folder


@pytest.fixture(scope="module")
def rows(made):
    return make_rows(load_train(made), load_test(made, start=PORTO), CONFIG, seed=0)


def make_year(folder, days):
    """A trip of 20 minutes every third hour, of nine taxis in turn."""
    lines = [
        make_trip(k, walk(81, seed=k), TAXI_ID=k % 9, TIMESTAMP=START_S + 3 * 3600 * k)
        for k in range(8 * days)
    ]
    train = load_train(write_train(folder, *lines))
    test = make_test(folder, make_trip(9999, walk(4)))
    return make_rows(train, test, replace(CONFIG, n_folds=3, held_s=600, held_days=5), seed=0)


def check_taxis_are_apart(rows, folds):
    for fold in folds:
        assert not set(rows.taxi[fold.fit_rows]) & set(rows.taxi[fold.held_rows])
        assert not set(rows.trip[fold.fit_rows]) & set(rows.trip[fold.held_rows])
        assert not rows.is_test[np.concatenate([fold.fit_rows, fold.held_rows])].any()


def test_a_fold_holds_all_trips_of_its_taxis(rows):
    folds = make_folds(rows, replace(CONFIG, n_folds=4), 0)

    check_taxis_are_apart(rows, folds)
    held = np.concatenate([fold.held_rows for fold in folds])
    np.testing.assert_array_equal(np.sort(held), np.flatnonzero(rows.can_hold))
    n_train = (~rows.is_test).sum()
    for fold in folds:
        n_of_taxis = np.isin(rows.taxi, rows.taxi[fold.held_rows])[~rows.is_test].sum()
        assert len(fold.fit_rows) == n_train - n_of_taxis


def test_in_a_long_train_only_its_last_days_are_held_and_fitted_is_before_them(tmp_path):
    rows = make_year(tmp_path, days=30)
    folds = make_folds(rows, replace(CONFIG, n_folds=3, held_days=5), 0)

    check_taxis_are_apart(rows, folds)
    held = np.concatenate([fold.held_rows for fold in folds])
    late_s = rows.start[~rows.is_test].max() - 5 * DAY_S
    np.testing.assert_array_equal(
        np.sort(held), np.flatnonzero(rows.can_hold & (rows.start >= late_s))
    )
    assert all(rows.end[fold.fit_rows].max() < late_s for fold in folds)
    assert rows.start[held].min() >= late_s
    assert all(len(fold.fit_rows) > len(held) for fold in folds)


def test_a_short_train_is_held_from_end_to_end(tmp_path):
    """19 days are less than four times five."""
    rows = make_year(tmp_path, days=19)
    folds = make_folds(rows, replace(CONFIG, n_folds=3, held_days=5), 0)

    held = np.concatenate([fold.held_rows for fold in folds])
    np.testing.assert_array_equal(np.sort(held), np.flatnonzero(rows.can_hold))


def test_last_point_says_that_the_trip_ends_where_it_is(rows):
    asked = np.array([3, 7, len(rows.ids) - 1])
    predicted = FITS["last_point"](rows, CONFIG, np.arange(9), 0).predict(asked)

    np.testing.assert_array_equal(predicted, rows.route[asked, -1])


def test_knn_of_one_neighbour_knows_its_own_rows(rows):
    fit_rows = np.flatnonzero(~rows.is_test)[::2]
    fitted = FITS["knn_prefix"](rows, replace(CONFIG, n_neighbors=1), fit_rows, 0)

    np.testing.assert_allclose(fitted.predict(fit_rows), rows.target[fit_rows])


@pytest.mark.parametrize("name", ["knn_prefix", "mean_shift_mlp"])
def test_predictions_of_clusters_and_neighbours_lie_among_the_fit_rows_ends(rows, name):
    fit_rows = np.flatnonzero(~rows.is_test)[:200]
    predicted = FITS[name](rows, CONFIG, fit_rows, 0).predict(np.flatnonzero(rows.is_test))

    ends = rows.target[fit_rows]
    assert (predicted >= ends.min(axis=0) - 1e-4).all()
    assert (predicted <= ends.max(axis=0) + 1e-4).all()


def test_a_net_takes_numbers_that_are_missing_in_some_rows(rows):
    """A column that lacks some has a flag beside it, so that a net reads one number more."""
    fit_rows = np.flatnonzero(~rows.is_test)[:100]
    gappy = replace(rows, table=rows.table.copy())
    gappy.table.iloc[::5, gappy.table.columns.get_loc("last0_x")] = np.nan

    whole, missing = (FITS["regression_mlp"](known, CONFIG, fit_rows, 0) for known in (rows, gappy))

    assert missing.n_parameters == whole.n_parameters + CONFIG.hidden
    assert np.isfinite(missing.predict(np.flatnonzero(rows.is_test))).all()


@pytest.mark.parametrize("name", ["last_point", "knn_prefix", "mean_shift_rnn"])
def test_held_targets_are_not_looked_at(rows, name):
    """What a fit is not given may be anything."""
    fit_rows = np.flatnonzero(~rows.is_test)[:300]
    asked = np.flatnonzero(~rows.is_test)[300:330]
    blind = np.full_like(rows.target, np.nan)
    blind[fit_rows] = rows.target[fit_rows]
    predicted, again = (
        FITS[name](known, CONFIG, fit_rows, 0).predict(asked)
        for known in (rows, replace(rows, target=blind))
    )

    np.testing.assert_array_equal(predicted, again)


def test_last_point_scores_as_by_hand(made, tmp_path):
    outcome = run(replace(CONFIG, models=("last_point",)), made, tmp_path, 0)

    train = load_train(made)
    trip = {name: k for k, name in enumerate(train.ids)}
    for k in range(0, len(outcome.oof.ids), 20):
        name, n_seen = outcome.oof.ids[k].split("@")
        begin, end = train.offsets[trip[name] : trip[name] + 2]
        np.testing.assert_allclose(
            outcome.oof.prediction[k], train.points[begin + int(n_seen) - 1], atol=1e-5
        )
        np.testing.assert_allclose(outcome.oof.target[k], train.points[end - 1], atol=1e-5)
    assert outcome.score == METRIC(outcome.oof.target, outcome.oof.prediction)
    test = load_test(made, start=PORTO)
    last = test.points[test.offsets[1:] - 1]
    received = outcome.submission[["LATITUDE", "LONGITUDE"]].to_numpy()
    np.testing.assert_allclose(received, last, atol=1e-5)


def test_the_leak_scores_the_way_of_15_seconds(made, tmp_path):
    """A point every 15 s lies 80 to 200 m from the next, and the last is often nearer."""
    config = replace(CONFIG, models=("last_point",))
    honest = run(config, made, tmp_path, 0)
    leaky = run(replace(config, cuts="end"), made, tmp_path, 0)

    assert leaky.score < 0.15 < 1 < honest.score


def test_a_blend_is_no_worse_than_the_last_point(made, tmp_path):
    alone = run(replace(CONFIG, models=("last_point",)), made, tmp_path, 0)
    blend = run(replace(CONFIG, models=("last_point", "knn_prefix")), made, tmp_path, 0)

    assert blend.score < alone.score


def test_stages_tell_their_time_and_memory(caplog):
    with caplog.at_level(logging.INFO), timed("read"):
        pass
    assert caplog.messages[0].startswith("read: 0.0 s, ") and "GiB" in caplog.messages[0]


def test_settings_that_name_nothing_are_refused(made, tmp_path):
    for config, told in (
        (replace(CONFIG, models=()), "models must be some of last_point, .*received none"),
        (replace(CONFIG, models=("knn",)), "models must be some of .*, received knn"),
        (replace(CONFIG, cuts="x"), "cuts must be snapshots or end, received x"),
    ):
        with pytest.raises(InputError, match=told):
            run(config, made, tmp_path, 0)


def test_trips_without_points_go_the_whole_road(tmp_path):
    """Flagged, empty and repeated train trips, and a test trip without a point."""
    raw = tmp_path / "sample"
    raw.mkdir()
    lines = [make_trip(k, walk(60, seed=k)) for k in range(30)]
    lines += [make_trip(31, []), make_trip(32, walk(9), MISSING_DATA="True"), lines[3]]
    write_train(raw, *lines)
    make_test(raw, make_trip(40, []), make_trip(41, walk(5)))
    pd.DataFrame({"TRIP_ID": ["id40", "id41"], "LATITUDE": 41.1, "LONGITUDE": -8.6}).to_csv(
        raw / "sampleSubmission.csv", index=False
    )

    outcome = run(replace(CONFIG, models=("last_point", "knn_prefix")), raw, tmp_path / "work", 0)

    found = outcome.submission
    assert found["TRIP_ID"].tolist() == ["id40", "id41"]
    assert np.isfinite(found[["LATITUDE", "LONGITUDE"]].to_numpy()).all()


def test_the_map_is_drawn(made, tmp_path):
    outcome = run(replace(CONFIG, models=("last_point",)), made, tmp_path / "work", 0)
    draw(outcome, made, tmp_path)

    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.glob("*.png")] == ["map.png"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nets_with_clusters_learn_where_clients_go(tmp_path):
    """Four in five trips of a client end at the client's own place: who knows the client beats who
    knows the last point only.
    """
    raw = tmp_path / "sample"
    raw.mkdir()
    write_sample(raw, 0, n_rows=3000)
    rows = make_rows(load_train(raw), load_test(raw, start=PORTO), Config(), seed=0)
    fold = make_folds(rows, Config(), 0)[0]
    scores = {
        name: np.linalg.norm(
            FITS[name](rows, Config(), fold.fit_rows, 0).predict(fold.held_rows)
            - rows.target[fold.held_rows],
            axis=1,
        ).mean()
        for name in FITS
    }

    assert all(scores[name] < 0.8 * scores["last_point"] for name in FITS if "mean" in name), scores


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_where_no_trip_has_a_goal_nothing_beats_the_last_point(tmp_path):
    raw = tmp_path / "sample"
    raw.mkdir()
    write_sample(raw, 0, n_rows=3000, signal=False)
    models = ("last_point", "knn_prefix", "mean_shift_mlp")
    config = replace(Config(), snapshot_s=300, n_folds=3, epochs=3)
    alone, blend = (
        run(replace(config, models=names), raw, tmp_path / "work", 0)
        for names in (models[:1], models)
    )

    assert blend.score > 0.99 * alone.score
