"""Bike Sharing Demand's folds and split, and tables that cannot be."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.checks import InputError
from common.data.tables import load_table
from common.validation.folds import check_folds
from competitions.bike_sharing_demand.competition import GIVEN, VARIANTS, Config
from competitions.bike_sharing_demand.features import (
    load_hours,
)
from competitions.bike_sharing_demand.pipeline import make_folds
from competitions.bike_sharing_demand.sample import TRAIN_HOURS_A_MONTH, write_sample
from competitions.bike_sharing_demand.split import write_split


@pytest.fixture(scope="module")
def years(tmp_path_factory):
    """Two made-up years, as long as Kaggle's: (hours, is_test)."""
    folder = tmp_path_factory.mktemp("years")
    write_sample(folder, 0, n_rows=24 * TRAIN_HOURS_A_MONTH)
    return load_hours(folder)


def make(years, kind: str, seed: int = 0, **changes):
    hours, is_test = years
    folds = make_folds(Config(folds=kind, **changes), hours, is_test, seed)
    check_folds(folds, n_rows=len(hours))
    return folds


def name_folds(folds, n_rows: int) -> np.ndarray:
    """The fold that holds each row, or -1."""
    named = np.full(n_rows, -1)
    for k, fold in enumerate(folds):
        named[fold.held_rows] = k
    return named


def test_weeks_hold_every_train_row_once_and_weeks_of_both_years_together(years):
    hours, is_test = years
    folds = make(years, "weeks")
    held = np.concatenate([fold.held_rows for fold in folds])
    assert len(folds) == 4 and sorted(held) == np.flatnonzero(~is_test).tolist()
    for fold in folds:
        both = np.concatenate([fold.fit_rows, fold.held_rows])
        assert sorted(both) == np.flatnonzero(~is_test).tolist()
    time, fold = hours["datetime"].dt, name_folds(folds, len(hours))[~is_test]
    block = np.searchsorted([6, 12], time.day.to_numpy())  # days 1-6, 7-12, 13-19
    blocks = pd.Series(fold).groupby([time.month[~is_test].to_numpy(), block[~is_test]])
    assert blocks.ngroups == 36 and blocks.nunique().eq(1).all()
    sizes = np.bincount(fold)
    assert sizes.max() - sizes.min() <= 2 * 7 * 24  # the last block of a month: seven days, twice


def test_late_days_hold_the_last_six_train_days_of_each_month(years):
    hours, is_test = years
    folds = make(years, "late_days")
    fold = name_folds(folds, len(hours))
    assert (fold >= 0).tolist() == hours["datetime"].dt.day.between(14, 19).tolist()
    months = hours["datetime"].dt.strftime("%Y-%m")
    assert pd.Series(fold[fold >= 0]).groupby(months[fold >= 0].array).nunique().eq(1).all()
    assert all(len(f.fit_rows) + len(f.held_rows) == (~is_test).sum() for f in folds)


def test_past_forecasts_late_days_and_test_days_from_what_lies_before(years):
    hours, is_test = years
    folds, late = make(years, "past"), make(years, "late_days")
    time = hours["datetime"].to_numpy()
    assert len(folds) == 48
    for fold in folds:
        start = time[fold.held_rows].min()
        assert time[fold.fit_rows].max() < start
        assert len(fold.fit_rows) == np.sum(~is_test & (time < start))
    held = np.concatenate([fold.held_rows for fold in folds])
    assert sorted(held[is_test[held]]) == np.flatnonzero(is_test).tolist()
    assert sorted(held[~is_test[held]]) == sorted(np.concatenate([f.held_rows for f in late]))


def test_random_hours_split_days(years):
    hours, is_test = years
    fold = name_folds(make(years, "random_hours"), len(hours))
    assert ((fold >= 0) == ~is_test).all()
    days = hours["datetime"].dt.normalize()[~is_test]
    n_folds = pd.Series(fold[~is_test]).groupby(days.array).nunique()
    assert n_folds.min() > 1 and n_folds.median() == 4


@pytest.mark.parametrize("kind", ["weeks", "late_days", "random_hours", "past"])
def test_folds_depend_on_the_seed_and_never_on_the_model(years, kind):
    n_rows = len(years[0])
    first = name_folds(make(years, kind), n_rows)
    for variant in VARIANTS.values():
        changes = {name: getattr(variant, name) for name in ("models", "rounds", "epochs")}
        assert (name_folds(make(years, kind, **changes), n_rows) == first).all()
    moves = (name_folds(make(years, kind, seed=1), n_rows) != first).any()
    assert moves == (kind != "past")


def test_folds_that_nobody_knows_are_refused(years):
    with pytest.raises(ValueError, match=r"folds must be weeks.*received fortnights"):
        make(years, "fortnights")


# Split


def test_split_holds_out_days_14_to_19_of_the_train_file(bike_sample, tmp_path):
    train = load_table(bike_sample / "train.csv")
    is_late = train["datetime"].str[8:10].astype(int) >= 14
    answers = write_split(bike_sample, tmp_path)
    left, asked, example = (
        load_table(tmp_path / name) for name in ("train.csv", "test.csv", "sampleSubmission.csv")
    )
    pd.testing.assert_frame_equal(left, train[~is_late].reset_index(drop=True))
    pd.testing.assert_frame_equal(asked, train.loc[is_late, list(GIVEN)].reset_index(drop=True))
    assert sorted(set(asked["datetime"].str[8:10])) == ["14", "15", "16", "17", "18", "19"]
    assert list(example.columns) == ["datetime", "count"] and example["count"].eq(0).all()
    assert example["datetime"].tolist() == asked["datetime"].tolist()
    assert list(answers.columns) == ["datetime", "count"]
    assert answers["datetime"].astype(str).tolist() == asked["datetime"].tolist()
    assert answers["count"].tolist() == train.loc[is_late, "count"].tolist()


# Bad input


def alter(raw: Path, folder: Path, file: str, line: int, column: str, value: str) -> None:
    """Copy the tables with one field of one line (from 1) replaced."""
    for name in ("train.csv", "test.csv"):
        lines = (raw / name).read_text().splitlines()
        if name == file:
            fields = lines[line - 1].split(",")
            fields[lines[0].split(",").index(column)] = value
            lines[line - 1] = ",".join(fields)
        (folder / name).write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("file", "line", "column", "value", "told"),
    [
        ("train.csv", 7, "count", "", "line 7 has nan"),
        ("train.csv", 7, "casual", "-3", "line 7 has -3"),
        ("train.csv", 7, "temp", "warm", "line 7 has warm"),
        ("test.csv", 9, "temp", "warm", "line 9 has warm"),
        ("test.csv", 9, "humidity", "inf", "line 9 has inf"),
        ("train.csv", 7, "datetime", "yesterday", "yesterday"),
        ("test.csv", 9, "datetime", "2011-02-30 00:00:00", "2011-02-30"),
        ("test.csv", 9, "datetime", "", "line 9 has nan"),
        (
            "train.csv",
            1,
            "registered",
            "Registered",
            "column registered, received datetime, season",
        ),
        ("test.csv", 1, "temp", "heat", "column temp, received datetime, season"),
    ],
)
def test_bad_tables_are_told_in_one_line(bike_sample, tmp_path, file, line, column, value, told):
    alter(bike_sample, tmp_path, file, line, column, value)
    with pytest.raises(InputError) as error:
        load_hours(tmp_path)
    message = str(error.value)
    assert str(tmp_path / file) in message and column in message and told in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("line", "column", "value", "told"),
    [
        (7, "count", "999", "count must be casual \\+ registered, line 7 differs"),
        (3, "weather", "9", "column weather must hold numbers from 1 to 4, line 3 has 9"),
        (5, "holiday", "7", "column holiday must hold numbers from 0 to 1, line 5 has 7"),
        (4, "datetime", "2011-01-01 03:30:00", "must hold full hours, line 4 has .*03:30:00"),
        (2, "datetime", "1911-01-01 00:00:00", "must span at most 50 years, received 1911 to"),
    ],
)
def test_values_that_cannot_be_are_told(bike_sample, tmp_path, line, column, value, told):
    alter(bike_sample, tmp_path, "train.csv", line, column, value)
    with pytest.raises(InputError, match=told) as error:
        load_hours(tmp_path)
    assert "train.csv" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("file", ["train.csv", "test.csv"])
def test_an_hour_that_comes_twice_is_told(bike_sample, tmp_path, file):
    """Line 9 says it is the hour of train's line 7."""
    alter(bike_sample, tmp_path, file, 9, "datetime", "2011-01-01 05:00:00")
    with pytest.raises(InputError, match=r"hour once, 2011-01-01 05:00:00 comes twice") as error:
        load_hours(tmp_path)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)
