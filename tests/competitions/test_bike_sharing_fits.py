"""Bike Sharing Demand's fits: what they learn from, what they predict, what settings do."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from common.training.fitted import Fitted
from competitions.bike_sharing_demand import fits
from competitions.bike_sharing_demand.competition import COUNTS, Config
from competitions.bike_sharing_demand.features import load_hours, make_design, make_features

TINY = Config(n_folds=2, rounds=20, epochs=1, n_nets=1)


@pytest.fixture(scope="module")
def table(bike_sample):
    """(features, hours, fit rows, unseen rows): no fit row is of February, a Monday or 8:00."""
    hours, is_test = load_hours(bike_sample)
    features = make_features(hours)
    is_known = (features["month"] != 2) & (features["weekday"] > 0) & (features["hour"] != 8)
    fit_rows = np.flatnonzero(~is_test & is_known)
    return features, hours, fit_rows, np.setdiff1d(np.arange(len(hours)), fit_rows)


def fit(name: str, features: pd.DataFrame, hours: pd.DataFrame, table) -> np.ndarray:
    """Fit on the table's fit rows of these features and hours; predict its unseen rows."""
    _, _, fit_rows, unseen = table
    fitted = fits.FITS[name](features, hours, TINY, fit_rows, 0)
    assert fitted.n_parameters > 0
    return np.asarray(fitted.predict(unseen))


@pytest.fixture(scope="module", params=fits.FITS)
def fitted(request, table):
    """(a fit's name, its predictions of the unseen rows)."""
    return request.param, fit(request.param, *table[:2], table)


def test_fits_predict_rows_and_levels_that_they_never_saw(fitted, table):
    """February, Mondays and 8:00 are new, and yet the logs are where those of counts lie."""
    _, prediction = fitted
    assert prediction.shape == table[-1].shape and np.isfinite(prediction).all()
    known = np.log1p(table[1]["count"].iloc[table[2]])
    assert known.min() - 3 < prediction.min() <= prediction.max() < known.max() + 3


def test_fits_look_at_their_own_rows_only(fitted, table):
    """Other rows lose their counts, the last gets new levels: nothing moves.

    When the fit rows' own counts are tripled, much does.
    """
    name, prediction = fitted
    features, hours, fit_rows, unseen = table
    lost, strange, tripled = hours.copy(), features.copy(), hours.copy()
    lost.loc[unseen, list(COUNTS)] = np.nan
    strange.loc[unseen[-1], ["month", "hour", "temp", "humidity"]] = 12, 8, 99.0, 0.0
    again = fit(name, strange, lost, table)
    assert again[:-1].tobytes() == prediction[:-1].tobytes()
    tripled.loc[fit_rows, list(COUNTS)] = 3 * hours.loc[fit_rows, list(COUNTS)]
    assert np.abs(fit(name, features, tripled, table) - prediction).mean() > 0.1


def test_median_is_that_of_the_hour_and_sort_of_day(table):
    """Levels without a row take the median of the medians."""
    features, hours, fit_rows, unseen = table
    known = {}
    for row in fit_rows:
        kind = features["hour_kind"].iloc[row]
        known.setdefault(kind, []).append(np.log1p(hours["count"].iloc[row]))
    assert 8 not in known and 8 + 24 not in known
    medians = {kind: np.median(values) for kind, values in known.items()}
    middle = np.median(list(medians.values()))
    wanted = [medians.get(kind, middle) for kind in features["hour_kind"].iloc[unseen]]
    np.testing.assert_allclose(fit("median", features, hours, table), wanted)


def test_linear_is_a_ridge_on_the_design(table):
    """The normal equations in float64, centred so that the intercept is not penalised."""
    features, hours, fit_rows, unseen = table
    design = make_design(features).astype(np.float64)
    target = np.log1p(hours["count"].to_numpy()[fit_rows])
    middle = design[fit_rows].mean(axis=0)
    x, y = design[fit_rows] - middle, target - target.mean()
    weights = np.linalg.solve(x.T @ x + TINY.ridge * np.eye(x.shape[1]), x.T @ y)
    wanted = (design[unseen] - middle) @ weights + target.mean()
    np.testing.assert_allclose(fit("linear", features, hours, table), wanted, atol=2e-3)


def test_casual_registered_adds_the_parts_and_takes_the_log(table, monkeypatch):
    """3 casual and 6 registered riders are 9: log(1 + 9). A part below 0 counts as 0."""
    asked = {}

    def fit_part(features, counts, config, fit_rows, seed, *, column):
        asked[column] = seed
        low = {"casual": -2.0, "registered": np.log(5.0)}[column]
        high = np.log(4.0) if column == "casual" else np.log(7.0)
        return Fitted(lambda rows: np.where(rows % 2 == 0, low, high), 11)

    monkeypatch.setattr(fits, "fit_trees", fit_part)
    features, hours, fit_rows, _ = table
    fitted = fits.fit_casual_registered(features, hours, TINY, fit_rows, 5)
    np.testing.assert_allclose(fitted.predict(np.arange(4)), np.log([5, 10, 5, 10]))
    assert set(asked) == {"casual", "registered"} and len({5, *asked.values()}) == 3
    assert fitted.n_parameters == 22


def test_trees_take_the_config(table):
    """More rounds, other trees; another library, another answer."""
    features, hours, fit_rows, unseen = table

    def predict(library: str, rounds: int) -> np.ndarray:
        config = replace(TINY, rounds=rounds)
        fitted = fits.fit_trees(features, hours, config, fit_rows, 0, library=library)
        return fitted.predict(unseen)

    target = np.log1p(hours["count"].to_numpy())[unseen]
    for library in ("xgboost", "lightgbm"):
        few, many = (np.nanmean((predict(library, n) - target) ** 2) for n in (2, 100))
        assert many < 0.8 * few, library
    assert np.abs(predict("xgboost", 20) - predict("lightgbm", 20)).max() > 0.01
