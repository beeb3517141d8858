"""The law of Rossmann's features: a forecast knows what was before it, and its own plans."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from competitions.rossmann_store_sales.features import make_features
from competitions.rossmann_store_sales.store_days import load_store_days
from tests.helpers.rossmann import make_tables
from tests.helpers.rossmann_features import (
    alter_plans,
    alter_sales,
    cut_blocks,
    find_moved,
    find_train,
    make,
    name_moved,
)

PLANS = ("Promo", "Open", "SchoolHoliday", "StateHoliday")


@pytest.fixture(scope="module")
def raw(whole):
    """Made-up files, with the forum's."""
    return whole


@pytest.fixture(scope="module", params=[42, 14, 48])
def known(request, raw, tmp_path_factory):
    """Forecasts of six weeks; of two, with a first block of four days; of 48 days, as Kaggle's."""
    if request.param == 42:
        return load_store_days(raw)
    n_days = {14: 14 * 10 + 4, 48: 48 * 4 + 9}[request.param]
    loaded = make_tables(6, n_days, request.param).load(tmp_path_factory.mktemp("tables"))
    assert loaded.horizon_days == request.param and loaded.n_train_days == n_days
    return loaded


@pytest.fixture(scope="module")
def features(known):
    """Of all rows, as the forecast of the test sees them."""
    return make(known)


# The law


@pytest.mark.parametrize("how", ["multiplied", "lost", "shuffled"])
def test_sales_from_an_origin_on_move_no_feature_of_its_forecast(known, features, how):
    """So for every block, also of fit rows, though the fit may see those sales: later rows move."""
    day = known.grid.day
    for start, end in cut_blocks(known):
        after = make(alter_sales(known, day >= start, how))
        moved = find_moved(features, after)
        assert name_moved(features, after, day < end) == [], f"forecast of days {start} to {end}"
        assert moved[day >= end].any() == (end < len(known.dates))


def test_plans_behind_a_forecasts_end_move_none_of_its_features(known, features):
    """So for every block; what lies in the forecast itself is looked at."""
    day = known.grid.day
    for start, end in cut_blocks(known):
        for plan in PLANS:
            behind = make(alter_plans(known, day >= end, plan))
            assert name_moved(features, behind, day < end) == [], f"{plan} from day {end} on"
            within = make(alter_plans(known, (day >= start) & (day < end), plan))
            assert find_moved(features, within)[(day >= start) & (day < end)].any()


def test_weather_and_trends_to_come_move_nothing_before(raw, tmp_path):
    """From a Sunday on, the files say seven degrees and seven searches more."""
    cut = pd.Timestamp("2015-05-03")
    assert cut.day_of_week == 6  # on which a week of searches begins
    other = shutil.copytree(raw, tmp_path / "raw")
    for path in other.glob("weather/*.csv"):
        table = pd.read_csv(path, sep=";")
        table.loc[table["Date"] >= f"{cut:%Y-%m-%d}", "Mean_TemperatureC"] += 7
        table.to_csv(path, index=False, sep=";")
    for path in other.glob("googletrend/*.csv"):
        table = pd.read_csv(path)
        is_later = table["Woche"] >= f"{cut:%Y-%m-%d}"
        table.loc[is_later, table.columns[1]] = (table.iloc[:, 1] + 7).clip(upper=100)
        table.to_csv(path, index=False)
    known = load_store_days(raw)
    before, after = make(known), make(load_store_days(other))
    is_later = (known.days["Date"] >= cut).to_numpy()
    assert name_moved(before, after, ~is_later) == []
    moved = name_moved(before, after, is_later)
    assert {"trend", "weather_temperature"} <= set(moved)
    assert all(name.startswith(("weather_", "trend")) for name in moved)


def test_a_fold_sees_what_the_last_forecast_sees_of_the_same_days(known, features):
    """Whether a later origin follows does not move a row's features: held rows are as test rows."""
    day, horizon = known.grid.day, known.horizon_days
    for n_back in (1, 2):
        start = known.n_train_days - n_back * horizon
        rows = np.flatnonzero(day < start + horizon)
        fold = make_features(known, fit_rows=np.flatnonzero(day < start), rows=rows)
        whole = features.iloc[rows].reset_index(drop=True)
        assert name_moved(whole, fold, np.arange(len(rows))) == []


def test_sales_of_rows_that_are_not_fitted_are_never_looked_at(known):
    """A third of the train rows is not fitted, and store 2 not at all; each fitted row counts."""
    rng, train = np.random.default_rng(0), find_train(known)
    is_two = (known.days["Store"] == 2).to_numpy()
    fit_rows = train[(rng.random(len(train)) < 0.67) & ~is_two[train]]
    before = make(known, fit_rows)
    is_other = np.ones(len(known.days), bool)
    is_other[fit_rows] = False
    for how in ("multiplied", "lost"):
        altered = make(alter_sales(known, is_other, how), fit_rows)
        assert not find_moved(before, altered).any()
    fitted = make(alter_sales(known, ~is_other, "shuffled"), fit_rows)
    assert find_moved(before, fitted)[known.is_test & ~is_two].all()
    assert before.loc[is_two, "mean_all"].isna().all()


def test_features_are_a_rows_own(known, features):
    """Whichever rows are asked for, and in whatever order."""
    rows = np.random.default_rng(0).permutation(len(known.days))[:50]
    some = make_features(known, fit_rows=find_train(known), rows=rows)
    pd.testing.assert_frame_equal(some, features.iloc[rows].reset_index(drop=True))


def test_rows_behind_the_forecast_are_refused(known):
    """Their plans would be known, and their features would not be of any forecast."""
    early = np.flatnonzero(known.grid.day < known.n_train_days - known.horizon_days)
    with pytest.raises(ValueError):
        make_features(known, fit_rows=early, rows=np.flatnonzero(known.is_test))


# What may be missing


def test_a_store_that_is_new_in_the_test_has_features_and_no_past(tmp_path):
    """Store 5's train days are lost: what does not come from sales is as it was."""
    tables = make_tables(6, 130, 14)
    before = tables.load(tmp_path / "whole")
    tables.train = tables.train[tables.train["Store"] != 5]
    after = tables.load(tmp_path / "new")
    features = make(after)[(after.days["Store"] == 5).to_numpy()]
    assert len(features) == 14 and not np.isinf(features).any(axis=None)
    assert features["mean_all"].isna().all()
    whole = make(before)[before.is_test & (before.days["Store"] == 5).to_numpy()]
    calendar = ["weekday", "promo_until_end", "school", "store", "horizon", "until_closed"]
    np.testing.assert_array_equal(features[calendar], whole[calendar])


@pytest.mark.parametrize(
    ("lost", "gone", "constant"),
    [
        (("weather",), ("weather_",), ()),
        (("googletrend",), ("trend",), ()),
        (("weather", "googletrend"), ("weather_", "trend"), ()),
        (("weather", "googletrend", "store_states.csv"), ("weather_", "trend"), ("state",)),
    ],
)
def test_without_the_forums_files_their_columns_are_gone_or_constant(
    raw, tmp_path, lost, gone, constant
):
    """All others are as they were."""
    less = shutil.copytree(raw, tmp_path / "raw")
    for name in lost:
        path = less / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    whole, after = make(load_store_days(raw)), make(load_store_days(less))
    vanished = [name for name in whole if name not in after]
    assert vanished == [name for name in whole if name.startswith(gone)]
    assert (
        whole[list(constant)].nunique().gt(1).all() and after[list(constant)].nunique().eq(1).all()
    )
    same = [name for name in after if name not in constant]
    pd.testing.assert_frame_equal(after[same], whole[same])


def test_promo_of_the_chain_is_that_of_most_rows_of_the_day(known, features):
    """One store's stray 1 in train and one in the test move nothing; of all but one they do."""
    day, promo = known.grid.day, known.days["Promo"].to_numpy()
    last_free = [day[(promo == 0) & is_in].max() for is_in in (~known.is_test, known.is_test)]
    stray = pd.Series([np.flatnonzero(day == d)[1] for d in last_free])

    def mark(rows: np.ndarray) -> pd.DataFrame:
        days = known.days.copy()
        days.loc[rows, "Promo"] = 1
        return make(replace(known, days=days))

    assert not find_moved(features, mark(stray)).any()
    for free in last_free:
        rows = np.flatnonzero(day == free)
        after = mark(rows[1:])
        assert features["promo"][rows].eq(0).all() and after["promo"][rows].eq(1).all()
