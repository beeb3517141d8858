"""The open data of Bike Sharing Demand: Kaggle's lines of 2011, cut by Kaggle's rule."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.data.paths import Home
from common.data.tables import load_table
from common.validation.leaks import adversarial_validation, find_duplicated_rows
from competitions.bike_sharing_demand import open_data
from competitions.bike_sharing_demand.competition import GIVEN
from competitions.bike_sharing_demand.features import (
    load_hours,
    make_features,
)

PACKAGES = Home(Path(__file__).parents[2]).packages
# sha256 of the 2011 lines of Kaggle's own files, whole numbers written without ".0".
KAGGLE_2011 = {
    "train.csv": "8bf2bb198474ad1f291acac5f7797fca98c334af8336fd107bfa681ee44b084c",
    "test.csv": "1ff94be110d4c1836a330c303eb4b92ee90b0fc5d4c56cc72fd76bee54eff8fc",
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """(folder with Kaggle's three files, answers)."""
    if not (PACKAGES / open_data.WHEEL.file).is_file():
        pytest.skip(f"data/packages has no {open_data.WHEEL.file}: `make setup` downloads it")
    folder = tmp_path_factory.mktemp("open")
    return folder, open_data.write_open_data(PACKAGES, folder)


@pytest.mark.open
def test_open_files_are_kaggles_lines_of_2011(opened):
    """So are then the units, the order, the columns and the hours that are missing."""
    for name, wanted in KAGGLE_2011.items():
        lines = (opened[0] / name).read_text().splitlines()
        text = "\n".join(re.sub(r"\.0(?=,|$)", "", line) for line in lines)
        assert hashlib.sha256(text.encode()).hexdigest() == wanted, name


@pytest.mark.open
def test_open_hours_are_cut_by_kaggles_rule_and_lack_115(opened):
    folder, _ = opened
    hours, is_test = load_hours(folder)
    assert (hours["datetime"].dt.day >= 20).tolist() == is_test.tolist()
    assert len(hours) == 8645 and is_test.sum() == 3223
    every = pd.date_range("2011-01-01", "2011-12-31 23:00", freq="h")
    missing = every.difference(pd.DatetimeIndex(hours["datetime"]))
    assert len(missing) == 115
    # Snow stopped the system in January, a hurricane in August.
    worst = pd.Series(missing.strftime("%m-%d")).value_counts()
    assert worst[["01-27", "01-18", "08-28"]].tolist() == [16, 12, 7]


@pytest.mark.open
def test_open_answers_are_kept_apart(opened):
    folder, answers = opened
    test, asked = (load_table(folder / name) for name in ("test.csv", "sampleSubmission.csv"))
    times = answers["datetime"].dt.strftime("%Y-%m-%d %H:%M:%S").tolist()
    assert list(answers.columns) == ["datetime", "count"] and answers["count"].min() >= 1
    assert times == test["datetime"].tolist() == asked["datetime"].tolist()
    assert list(test.columns) == list(GIVEN) and asked["count"].eq(0).all()
    train = load_table(folder / "train.csv")
    assert (train["casual"] + train["registered"]).equals(train["count"])
    # 1,243,103 rentals in 2011, as the data's authors count them.
    assert train["count"].sum() + answers["count"].sum() == 1_243_103


@pytest.mark.open
def test_open_values_lie_on_kaggles_grids(opened):
    """Degrees in steps of 41/50 and 50/66, whole per cents, almost whole wind speeds."""
    hours, _ = load_hours(opened[0])
    steps = hours["temp"] / 0.82
    np.testing.assert_allclose(steps, steps.round(), atol=1e-9)
    # Kaggle rounds to whole 0.005 degrees: 0.76, 1.515, 2.275, …
    steps = (hours["atemp"] * 66 / 50).round()
    np.testing.assert_allclose(hours["atemp"], (steps * 50 / 66 / 0.005).round() * 0.005, atol=1e-9)
    assert hours["humidity"].between(0, 100).all() and hours["humidity"].dtype.kind == "i"
    np.testing.assert_allclose(hours["windspeed"], hours["windspeed"].round(), atol=0.0051)
    assert set(hours["weather"]) == {1, 2, 3, 4} and set(hours["season"]) == {1, 2, 3, 4}


def make_days(hours: pd.DataFrame, is_test: np.ndarray) -> np.ndarray:
    """Each row's day, train rows first."""
    day = hours["datetime"].dt.strftime("%Y-%m-%d").to_numpy()
    return np.concatenate([day[~is_test], day[is_test]])


@pytest.mark.open
def test_open_weather_does_not_tell_the_test_from_train(opened):
    """Measured with 3 seeds: 0.50 to 0.53. The day of the month, the rule of the cut, tells all."""
    hours, is_test = load_hours(opened[0])
    weather = make_features(hours)[
        ["temp", "humidity", "windspeed", "recent_weather", "next_weather", "rain_share"]
    ]
    days = make_days(hours, is_test)
    area, _ = adversarial_validation(weather[~is_test], weather[is_test], seed=0, groups=days)
    assert 0.4 < area < 0.6
    dated = weather.assign(day_of_month=hours["datetime"].dt.day)
    area, falls = adversarial_validation(dated[~is_test], dated[is_test], seed=0, groups=days)
    assert area == 1 and falls.index[0] == "day_of_month" and falls.iloc[0] > 0.4


@pytest.mark.open
def test_no_open_test_row_is_a_train_row(opened):
    """By their hour none is; by weather alone some are, as anywhere."""
    hours, is_test = load_hours(opened[0])
    train, test = hours[~is_test], hours[is_test]
    assert len(find_duplicated_rows(train, test, GIVEN)) == 0
    assert len(find_duplicated_rows(train, test, GIVEN[1:])) > 0
