"""Rossmann's folds: windows as long as the test, and its stores' scored days."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from common.validation.folds import check_folds
from competitions.rossmann_store_sales.competition import VARIANTS, Config
from competitions.rossmann_store_sales.pipeline import (
    make_folds,
)
from tests.helpers.rossmann import make_tables


@pytest.fixture(scope="module")
def tables():
    """Six stores, whose test is of 48 days, as Kaggle's is; four of them are asked for."""
    return make_tables(6, 300, 48)


@pytest.fixture(scope="module")
def known(tables, tmp_path_factory):
    return tables.load(tmp_path_factory.mktemp("tables"))


@pytest.mark.parametrize("windows", [(1,), (1, 2, 4), (5,)])
def test_windows_are_as_long_as_the_test_and_hold_its_stores_scored_days(known, tables, windows):
    """Told from the tables: window 1 is the last 48 days of train, window 2 those before."""
    folds = make_folds(Config(year_ago=False, windows=windows), known)
    check_folds(folds, n_rows=len(known.days))
    assert len(folds) == len(windows)
    train, asked = tables.train, set(tables.test["Store"])
    assert asked == {1, 2, 4, 5}
    end = tables.test["Date"].min()
    for window, fold in zip(sorted(windows, reverse=True), folds, strict=True):  # oldest first
        first = end - pd.Timedelta(days=48 * window)
        is_in = train["Date"].between(first, first + pd.Timedelta(days=47))
        wanted = train[is_in & train["Store"].isin(asked) & (train["Sales"] > 0)]
        held = known.days.iloc[fold.held_rows]
        assert set(zip(held["Store"], held["Date"], strict=True)) == set(
            zip(wanted["Store"], wanted["Date"], strict=True)
        )
        # Every train row before the window is fitted, of all stores, closed days as well.
        fitted = known.days.iloc[fold.fit_rows]
        assert len(fitted) == (train["Date"] < first).sum() and fitted["Date"].max() < first
        assert set(fitted["Store"]) == set(train["Store"]) and fitted["Sales"].eq(0).any()


def test_a_window_whose_first_days_are_closed_is_not_fitted_on_them(tables, tmp_path):
    """The test's stores are closed on the first two days of window 1, but store 3 is open then."""
    first = tables.test["Date"].min() - pd.Timedelta(days=48)
    train = tables.train.copy()
    is_shut = train["Date"].isin([first, first + pd.Timedelta(days=1)]) & (train["Store"] != 3)
    train.loc[is_shut, ["Open", "Sales", "Customers"]] = 0
    known = replace(tables, train=train).load(tmp_path)
    (fold,) = make_folds(Config(year_ago=False, windows=(1,)), known)
    assert known.days["Date"].iloc[fold.fit_rows].max() < first


def test_folds_depend_on_windows_and_stores_only(known):
    wanted = make_folds(Config(year_ago=False, windows=(1, 3)), known)
    for variant in VARIANTS.values():
        same = replace(variant, windows=(1, 3), year_ago=False, n_stores=0)
        folds = make_folds(same, known)
        for fold, other in zip(folds, wanted, strict=True):
            assert fold.held_rows.tolist() == other.held_rows.tolist()
            assert fold.fit_rows.tolist() == other.fit_rows.tolist()
    for fold, other in zip(
        make_folds(Config(year_ago=False, windows=(1, 3), n_stores=2), known), wanted, strict=True
    ):
        assert set(known.days["Store"].iloc[fold.held_rows]) == {1, 5}
        assert set(fold.fit_rows) >= set(other.fit_rows)
        assert set(fold.held_rows) < set(other.held_rows)


def test_windows_of_every_variant_lie_within_kaggles_days(tmp_path):
    """942 train days and a test of 48: all hold windows 1, 2, 7 and 8, a year before each."""
    known = make_tables(2, 942, 48).load(tmp_path)
    for variant in VARIANTS.values():
        folds = make_folds(replace(variant, n_stores=0), known)
        last = [known.grid.day[fold.fit_rows].max() for fold in folds]
        assert last == [942 - 48 * window - 1 for window in (8, 7, 2, 1)] and min(last) > 365


@pytest.mark.parametrize("horizon", [42, 48])
def test_windows_of_a_year_ago_hold_the_tests_days_364_days_earlier(horizon, tmp_path):
    """Store 2 is always open. Both windows are needed, and no third."""
    known = make_tables(2, 600, horizon).load(tmp_path)
    folds = make_folds(Config(windows=()), known)
    is_two = (known.days["Store"] == 2).to_numpy()
    wanted = set(np.unique(known.grid.day[known.is_test]) - 364)
    assert len(wanted) == horizon and len(folds) == 2
    held = [{int(day) for day in known.grid.day[f.held_rows][is_two[f.held_rows]]} for f in folds]
    assert wanted <= held[0] | held[1]
    assert [len(days) for days in held] == [horizon] * 2
    assert all(wanted & days for days in held)
    both = make_folds(Config(), known)
    assert [fold.held_rows.tolist() for fold in both[:2]] == [f.held_rows.tolist() for f in folds]
    assert len(both) == 4


def test_windows_that_are_named_twice_are_held_once(known):
    """Windows 1 and 2 end on the last day and 48 days earlier, in whatever order."""
    twice = make_folds(Config(year_ago=False, windows=(2, 1, 2)), known)
    once = make_folds(Config(year_ago=False, windows=(1, 2)), known)
    assert [f.held_rows.tolist() for f in twice] == [f.held_rows.tolist() for f in once]
