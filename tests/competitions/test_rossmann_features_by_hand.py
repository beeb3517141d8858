"""Rossmann's features, by hand and against loops."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.helpers.rossmann import make_tables
from tests.helpers.rossmann_features import (
    alter_plans,
    cut_blocks,
    find_moved,
    make,
    name_moved,
)

FAR = 31.0  # days: as far as an event is looked for


# By hand


@pytest.fixture(scope="module")
def three_forecasts(tmp_path_factory):
    """Two stores in spring 2014: train of four weeks from Monday 24 March, test of two.

    Promos are Monday to Friday of the weeks 2, 4 and 6: days 7, 21 and 35 begin them. Both stores
    are open on all days but 10 and 29, two Thursdays and Tuesdays, and Sunday 20. School is off
    from day 24 to 30. Easter Sunday is day 27, the last of train.
    """
    tables = make_tables(2, 28, 14, first_test_day="2014-04-21")
    for table in (tables.train, tables.test):
        day = (table["Date"] - pd.Timestamp("2014-03-24")).dt.days
        table["Promo"] = ((day // 7 % 2 == 1) & (day % 7 < 5)) * 1
        table["Open"] = (~day.isin([10, 20, 29])) * 1
        table["SchoolHoliday"] = day.between(24, 30) * 1
        table["StateHoliday"] = np.where(day == 10, "a", "0")
    tables.train["Sales"] = 5000 * tables.train["Open"]
    tables.stores["CompetitionOpenSinceMonth"] = [4.0, np.nan]
    tables.stores["CompetitionOpenSinceYear"] = [2014.0, np.nan]
    tables.stores["Promo2"] = [1, 0]
    tables.stores["Promo2SinceWeek"] = [15.0, np.nan]  # from Monday 7 April, day 14, on
    tables.stores["Promo2SinceYear"] = [2014.0, np.nan]
    tables.stores["PromoInterval"] = ["Jan,Apr,Jul,Oct", np.nan]
    known = tables.load(tmp_path_factory.mktemp("three"))
    assert cut_blocks(known, 1) == [(14, 28), (28, 42)]
    features = make(known)
    return features.set_index([known.days["Store"], pd.Index(known.grid.day, name="day")])


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        # Seen to the end of the own forecast only: days 13, 27 and 41.
        ("promo_until_start", {0: 7, 6: 1, 7: 0, 8: FAR, 13: FAR, 14: 7, 27: FAR, 28: 7, 36: FAR}),
        ("promo_until_end", {7: 5, 11: 1, 12: 0, 13: FAR, 20: 6, 26: 0, 27: FAR, 35: 5}),
        # The first day's state did not start, and what has begun is remembered over an origin.
        ("promo_since_start", {0: FAR, 6: FAR, 7: 0, 13: 6, 20: 13, 21: 0, 28: 7, 34: 13, 35: 0}),
        # Of Sundays off, as day 20, nothing is said.
        ("since_closed", {0: FAR, 9: FAR, 10: 0, 13: 3, 20: 10, 28: 18, 29: 0, 41: 12}),
        ("until_closed", {8: 2, 10: 0, 11: FAR, 14: FAR, 27: FAR, 28: 1, 30: FAR}),
        ("until_holiday", {0: 10, 10: 0, 11: FAR}),
        ("open_tomorrow", {8: 1, 9: 0, 13: 0, 19: 0, 27: 0, 28: 0, 29: 1, 41: 0}),
        ("open_yesterday", {0: 0, 1: 1, 11: 0, 21: 0, 28: 1, 30: 0}),
        # Easter Sunday is day 27, and Christmas is far away.
        ("from_easter", {0: -27, 20: -7, 27: 0, 28: 1, 41: 14}),
        ("from_christmas", {0: FAR, 41: FAR}),
        # The competitor opened on 1 April, day 8.
        ("competition_days", {0: -8, 8: 0, 28: 20}),
        ("promo2_days", {0: -1, 13: -1, 14: 0, 41: 27}),
        # April ends with day 37.
        ("promo2_month", {8: 0, 13: 0, 14: 1, 37: 1, 38: 0}),
        ("horizon", {0: 1, 13: 14, 14: 1, 28: 1, 41: 14}),
        ("weekday", {0: 0, 20: 6, 28: 0}),
        ("school", {23: 0, 24: 1, 30: 1, 31: 0}),
    ],
)
def test_store_1_by_hand(three_forecasts, column, wanted):
    values = three_forecasts.loc[1, column]
    assert {day: values[day] for day in wanted} == wanted


def test_store_2_has_no_competitor_and_no_promo2(three_forecasts):
    two = three_forecasts.loc[2]
    assert two["competition_days"].isna().all()
    assert two["promo2_days"].eq(-1).all() and two["promo2_month"].eq(0).all()
    assert two["promo2_interval"].nunique() == 1
    assert two["promo2_interval"].iloc[0] != three_forecasts.loc[1, "promo2_interval"].iloc[0]


def test_shares_are_of_the_stores_that_the_test_asks_for(tmp_path):
    """Store 3 of 4 is not in the test: what it does counts for nobody.

    Store 4 lacks some days, and schools are closed for store 1 of the other two then: a half.
    """
    tables = make_tables(4, 112, 14)
    train = tables.train
    is_gap = train["Date"].between("2015-06-01", "2015-06-20")
    train.loc[is_gap, "SchoolHoliday"] = (train["Store"] == 1) * 1
    tables.train = train[~is_gap | (train["Store"] != 4)]
    known = tables.load(tmp_path)
    assert set(known.days["Store"][known.is_test]) == {1, 2, 4}
    before = make(known)
    days = known.days.assign(day=known.grid.day)
    for name, column in (("school_share", "SchoolHoliday"), ("open_share", "Open")):
        wanted = days[days["Store"] != 3].groupby("day")[column].mean()
        np.testing.assert_allclose(before[name], wanted.loc[known.grid.day], atol=1e-6)
    in_gap = known.days["Date"].between("2015-06-01", "2015-06-20").to_numpy()
    assert before["school_share"][in_gap].eq(0.5).all()
    is_three = (known.days["Store"] == 3).to_numpy()
    after = make(alter_plans(known, is_three, "Open", "SchoolHoliday"))
    assert set(name_moved(before, after, is_three)) > {"school", "open_tomorrow"}
    assert not find_moved(before, after)[~is_three].any()


def test_refurbishments_by_hand(tmp_path):
    """Forecasts begin on days 28, 56 and 84, and the last one ends with day 111.

    Store 1 closes for five days twice, on days 30 and 98, which is no refurbishment; and for
    longer on days 40 to 45, 80 to 86 and 106 to 111. The sixth day of the one from day 80 on lies
    in the next forecast, so nobody sees it coming; that of the last one is the last day.
    """
    tables = make_tables(2, 84, 28)
    first = tables.train["Date"].min()
    closed = [*range(30, 35), *range(40, 46), *range(80, 87), *range(98, 103), *range(106, 112)]
    for table in (tables.train, tables.test):
        day = (table["Date"] - first).dt.days
        table["Open"] = 1 - ((table["Store"] == 1) & day.isin(closed))
    tables.train["Sales"] = 5000 * tables.train["Open"]
    known = tables.load(tmp_path)
    assert cut_blocks(known, 1) == [(28, 56), (56, 84), (84, 112)]
    features = make(known).set_index([known.days["Store"], known.grid.day])
    far, year = 60, 364
    until = {27: far, 28: 12, 30: 10, 39: 1, 40: 0, 41: far, 56: far, 79: far, 80: far}
    until |= {84: 22, 98: 8, 105: 1, 106: 0, 107: far, 111: far}
    since = {35: year, 45: year, 46: 0, 79: 33, 86: 40, 87: 0, 103: 16, 111: 24}
    for name, wanted in (("until_refurbishment", until), ("since_refurbishment", since)):
        values = features.loc[1, name]
        assert {day: values[day] for day in wanted} == wanted
    assert features.loc[2, "until_refurbishment"].eq(far).all()


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Forecasts of ten days, whose origins lie on many weekdays; 2 + the week's number is told."""
    known = make_tables(2, 100, 10).load(tmp_path_factory.mktemp("searched"))
    week = (np.arange(len(known.dates)) + (known.dates[0].day_of_week + 1) % 7) // 7
    trend = np.stack([week + 2, 10 * (week + 2)]).astype(np.float32)
    return replace(known, trend=trend)


def test_trend_is_that_of_the_last_whole_week_before_the_origin(searched):
    """Weeks run from Sunday to Saturday; later ones, as those of the forecast, move nothing."""
    known, day, weekdays = searched, searched.grid.day, set()
    before = make(known)
    for start, end in cut_blocks(known, 1):
        is_in = (day >= start) & (day < end)
        last = max(d for d in range(start) if known.dates[d].day_of_week == 5)  # a Saturday
        weekdays.add(known.dates[start].day_of_week)
        for series in (0, 1):
            told = before["trend"][is_in & (known.grid.series == series)]
            assert len(told) and told.eq(known.trend[series, last]).all()
        for first, is_moved in ((last + 1, False), (max(last - 6, 0), True)):
            trend = known.trend.copy()
            trend[:, first:] += 5
            after = make(replace(known, trend=trend))
            assert name_moved(before, after, day < end) == ["trend"] * is_moved
            assert find_moved(before, after)[is_in].all() == is_moved
    assert len(weekdays) == 7 and before["trend"][day < 10].isna().all()


# The past, against a loop


@pytest.fixture(scope="module")
def additive(tmp_path_factory):
    """(known, features): three stores, open every day, a promo in every other whole week.

    Log sales are level + weekday + promo exactly, until 4 weeks before the test: from then on all
    but store 1 sell a fifth more. Forecasts are of two weeks, so each holds all 14 cells once.
    """
    tables = make_tables(3, 14 * 8, 14, first_test_day="2014-04-21")
    for table in (tables.train, tables.test):
        week = (table["Date"] - pd.Timestamp("2014-04-21")).dt.days // 7
        table["Promo"], table["Open"], table["StateHoliday"] = (week % 2 == 0) * 1, 1, "0"
    train = tables.train
    level, weekday = np.array([9.0, 8.0, 8.7]), np.linspace(-0.2, 0.2, 7)
    rises = (train["Date"] >= "2014-03-24") & (train["Store"] > 1)
    logs = level[train["Store"] - 1] + weekday[train["DayOfWeek"] - 1] + 0.3 * train["Promo"]
    train["Sales"] = np.exp(logs + np.log(1.2) * rises)
    known = tables.load(tmp_path_factory.mktemp("additive"))
    return known, make(known)


def test_mean_is_that_of_the_stores_days_before_with_the_same_weekday_and_promo(additive):
    """Levels and effects are exact, so that drawing few days towards them changes nothing."""
    known, features = additive
    days, day, n_checked = known.days, known.grid.day, 0
    weekday = days["Date"].dt.day_of_week
    for start, end in cut_blocks(known, 1):
        if start > known.n_train_days - 28:  # from then on not all stores are additive
            continue
        past = days[day < start]
        keys = [past["Store"], weekday[day < start], past["Promo"]]
        means = np.log(past["Sales"]).groupby(keys).mean()
        for row in np.flatnonzero((day >= start) & (day < end)):
            key = days["Store"][row], weekday[row], days["Promo"][row]
            assert features["mean_all"][row] == pytest.approx(means[key], abs=1e-4)
            n_checked += 1
    assert n_checked == 3 * 14 * 6 and features["mean_all"][day < 14].isna().all()


def test_promo_effect_is_the_gap_between_days_with_and_without(additive):
    known, features = additive
    past = (known.grid.day >= 14) & ~known.is_test
    np.testing.assert_allclose(features["promo_effect"][past], 0.3, atol=1e-4)


def test_what_is_left_is_what_the_last_days_sold_above_the_mean(additive):
    """Drawn towards 0 by a prior of p days: n / (n + p), with one p for every n.

    What is left is taken of the sales less the mean, which the features tell for all 14 cells.
    """
    known, features = additive
    days, day, origin = known.days, known.grid.day, known.n_train_days
    for store in (1, 2):
        rows = np.flatnonzero(known.is_test & (days["Store"] == store).to_numpy())
        cells = days["Date"].dt.day_of_week * 2 + days["Promo"]
        means = dict(zip(cells.iloc[rows], features["mean_all"].iloc[rows], strict=True))
        past = np.flatnonzero((days["Store"] == store).to_numpy() & (day < origin))
        left = np.log(days["Sales"].to_numpy()[past]) - cells.iloc[past].map(means).to_numpy()
        priors = []
        for column in [c for c in features if c.startswith("left_") and c[5:].isdigit()]:
            n = int(column[5:])
            value = features[column].iloc[rows]
            assert value.nunique() == 1
            if abs(left[-n:].mean()) > 0.005:  # else it says nothing of the prior
                priors.append(n * left[-n:].mean() / value.iloc[0] - n)
        if store == 2:
            assert len(priors) >= 2 and left[-7:].mean() > 0.05
            assert min(priors) >= -1e-3
            np.testing.assert_allclose(priors, priors[0], atol=1e-2)
        else:
            assert features["left_7"].iloc[rows[0]] == pytest.approx(left[-7:].mean(), abs=0.02)


def test_closed_days_are_no_sales_of_zero(tmp_path):
    """Store 1 closes for two weeks before the test: its means stay, those of 0 would fall."""
    tables = make_tables(3, 112, 14)
    train = tables.train
    is_shut = (train["Store"] == 1) & (train["Date"] >= "2015-07-18")
    before = tables.load(tmp_path / "open")
    train.loc[is_shut, ["Sales", "Customers", "Open"]] = 0
    after = tables.load(tmp_path / "shut")
    asked = before.is_test & (before.days["Store"] == 1).to_numpy()
    names = [c for c in make(before) if c.startswith(("mean_", "log_sales", "log_customers"))]
    gap = (make(after)[names] - make(before)[names])[asked]
    assert gap.abs().max(axis=None) < 0.15 and gap.abs().max(axis=None) > 0
    # Nothing is known of the last 7 days.
    assert make(after)["left_7"][asked].isna().all()
