"""Rossmann's fits: what they predict, on whatever rows."""

from dataclasses import replace

import cloudpickle
import numpy as np
import pandas as pd
import pytest

from common.checks import InputError
from competitions.rossmann_store_sales import fits
from competitions.rossmann_store_sales.features import make_features
from competitions.rossmann_store_sales.fits import FITS, R_FITS
from tests.helpers.programs import skip_without_r
from tests.helpers.rossmann import make_tables
from tests.helpers.rossmann_known import (
    HORIZON,
    NEW,
    TINY,
    find_fit_rows,
    find_held_rows,
    load_known,
)

SLOW = ("tabm", "xgboost_on_embeddings")  # nets, which take seconds to trace
IN_PYTHON = [
    pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
    for name in FITS
    if name != "r_ranger"
]


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return load_known(tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="module")
def fit_rows(known):
    return find_fit_rows(known)


@pytest.fixture(scope="module")
def held(known):
    return find_held_rows(known)


@pytest.mark.parametrize("name", IN_PYTHON)
def test_fits_predict_held_rows_and_are_the_same_again_from_a_worker(name, known, fit_rows, held):
    """The second fit comes out of a pickle, as in a worker. Another seed moves what is drawn."""
    first = FITS[name](known, TINY, fit_rows, 0)
    prediction = np.asarray(first.predict(held))
    again, there = cloudpickle.loads(cloudpickle.dumps((FITS[name], known)))
    second = again(there, TINY, fit_rows, 0)
    assert np.asarray(second.predict(held)).tobytes() == prediction.tobytes()
    assert first.n_parameters == second.n_parameters > 0
    assert prediction.shape == held.shape and np.isfinite(prediction).all()
    # Untrained as they are, they know the stores: no open day is forecast by half or by double.
    sales = known.days["Sales"].to_numpy()[held]
    error = (prediction - np.log(np.where(sales > 0, sales, np.nan)))[sales > 0]
    assert np.sqrt(np.mean(error**2)) < np.log(2)


@pytest.mark.parametrize("name", ["median", "linear", "xgboost", "lightgbm"])
def test_fits_predict_test_rows_also_of_a_store_that_is_new(name, known):
    """It lies between the other stores; nothing is warned of."""
    train, test = np.flatnonzero(~known.is_test), np.flatnonzero(known.is_test)
    is_new = (known.days["Store"].iloc[test] == NEW).to_numpy()
    prediction = FITS[name](known, TINY, train, 0).predict(test)
    logs = np.log(known.days["Sales"][known.days["Sales"] > 0])
    assert is_new.sum() == HORIZON and np.isfinite(prediction).all()
    assert logs.quantile(0.02) < prediction[is_new].mean() < logs.quantile(0.98)


@pytest.mark.parametrize("name", ["xgboost", "xgboost_summer", "lightgbm"])
def test_another_seed_draws_other_trees(name, known, fit_rows, held):
    one, two = (FITS[name](known, TINY, fit_rows, seed).predict(held) for seed in (0, 1))
    assert np.abs(one - two).max() > 1e-4


@pytest.mark.parametrize("name", ["median", "linear", "xgboost", "lightgbm"])
def test_fits_look_at_their_own_rows_only(name, known, fit_rows, held):
    """Sales and customers of held rows are lost: nothing moves. Fit rows' are doubled: all do."""
    first = FITS[name](known, TINY, fit_rows, 0).predict(held)
    days = known.days.copy()
    days.loc[held, ["Sales", "Customers"]] = np.nan
    again = FITS[name](replace(known, days=days), TINY, fit_rows, 0).predict(held)
    assert again.tobytes() == first.tobytes()
    days = known.days.assign(Sales=2 * known.days["Sales"])
    doubled = FITS[name](replace(known, days=days), TINY, fit_rows, 0).predict(held)
    np.testing.assert_allclose(doubled - first, np.log(2), atol=0.02)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """(known, train rows, test rows): a past of four months has nothing to say of a year ago."""
    known = make_tables(4, 120, 14).load(tmp_path_factory.mktemp("short"))
    train, test = np.flatnonzero(~known.is_test), np.flatnonzero(known.is_test)
    assert make_features(known, fit_rows=train, rows=train).isna().all().any()
    return known, train, test


@pytest.mark.parametrize("name", ["linear", "xgboost", "lightgbm"])
def test_features_without_any_value_are_no_obstacle(name, short):
    """Nothing is warned of either."""
    known, train, test = short
    assert np.isfinite(FITS[name](known, TINY, train, 0).predict(test)).all()


def test_median_is_that_of_the_stores_days_with_the_same_weekday_and_promo(known, fit_rows, held):
    """By pandas, one row at a time; else the store's, and for the new one the stores' middle."""
    days = known.days.assign(weekday=known.days["Date"].dt.day_of_week)
    keys = ["Store", "weekday", "Promo"]
    sold = days.iloc[fit_rows]
    sold = sold[sold["Sales"] > 0]
    medians = {key: np.median(np.log(group["Sales"])) for key, group in sold.groupby(keys)}
    of_store = {store: np.median(np.log(g["Sales"])) for store, g in sold.groupby("Store")}
    middle = np.median(list(of_store.values()))
    asked = np.concatenate([held, np.flatnonzero(known.is_test)])
    rows = list(days.iloc[asked][keys].itertuples(index=False, name=None))
    wanted = [medians.get(row, of_store.get(row[0], middle)) for row in rows]
    lost = {row[0] for row in rows if row not in medians}
    assert NEW in lost and len(lost) > 1 and sum(row in medians for row in rows) > len(rows) / 2
    assert len({*of_store.values(), middle, np.median(list(medians.values()))}) > len(of_store)
    fitted = FITS["median"](known, TINY, fit_rows, 0)
    np.testing.assert_allclose(fitted.predict(asked), wanted, rtol=1e-6)
    assert fitted.n_parameters == len(medians)


def test_ranger_is_given_some_rows_and_the_config(known, fit_rows, held, monkeypatch):
    """Stands in for R: the tables and arguments of a prediction, and a forecast of 0."""
    asked = {}

    def run(script, tables, *, arguments):
        asked.update(script=script, tables=tables, arguments=arguments)
        return pd.DataFrame({"prediction": np.zeros(len(tables["rows"]))})

    monkeypatch.setattr(fits, "run_rscript", run)
    config = replace(TINY, r_trees=3, threads=2)
    prediction = FITS["r_ranger"](known, config, fit_rows, 5).predict(held)
    assert asked["script"].is_file() and asked["arguments"] == ("3", "2", "5")
    fit, rows = asked["tables"]["fit"], asked["tables"]["rows"]
    assert len(fit) == 300 and list(fit.columns) == [*rows.columns, "target"]
    mean = make_features(known, fit_rows=fit_rows, rows=held)["mean_all"]
    np.testing.assert_allclose(prediction, mean, atol=1e-5)


def test_ranger_grows_the_same_forest_again(short):
    """In R itself; a year ago is a column without any value, and so it is with little data."""
    skip_without_r(*R_FITS["r_ranger"])
    known, train, test = short
    first, second = (FITS["r_ranger"](known, TINY, train, 0).predict(test) for _ in range(2))
    assert first.tobytes() == second.tobytes() and np.isfinite(first).all()
    assert len(first) == len(test) and len(np.unique(first)) > len(test) / 4


def test_ranger_without_r_is_told_in_one_line(known, fit_rows, held, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"needs Rscript.*install R") as error:
        FITS["r_ranger"](known, TINY, fit_rows, 0).predict(held)
    assert "\n" not in str(error.value)
