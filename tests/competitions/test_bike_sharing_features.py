"""Bike Sharing Demand's features: calendar and weather, and that no count moves one."""

import numpy as np
import pandas as pd
import pytest

from competitions.bike_sharing_demand.competition import COUNTS
from competitions.bike_sharing_demand.features import (
    load_hours,
    make_calendar,
    make_design,
    make_features,
    make_strata,
    make_weather,
)
from competitions.bike_sharing_demand.split import write_parts

# Kaggle's column `holiday`: federal holidays observed on weekdays, and Emancipation Day.
HOLIDAYS = (
    *("2011-01-17", "2011-02-21", "2011-04-15", "2011-05-30", "2011-07-04", "2011-09-05"),
    *("2011-10-10", "2011-11-11", "2011-11-24", "2011-12-26"),
    *("2012-01-02", "2012-01-16", "2012-02-20", "2012-04-16", "2012-05-28", "2012-07-04"),
    *("2012-09-03", "2012-10-08", "2012-11-12", "2012-11-22", "2012-12-25"),
)


@pytest.fixture(scope="module")
def hours(bike_sample):
    return load_hours(bike_sample)[0]


def find_moved(before: pd.DataFrame, after: pd.DataFrame) -> set[int]:
    return set(np.flatnonzero((before != after).any(axis=1)))


# Laws


def test_no_count_moves_a_feature(hours):
    rng = np.random.default_rng(1)
    altered = hours.assign(**{name: rng.permutation(hours[name]) * 7 + 1 for name in COUNTS})
    assert not altered[list(COUNTS)].equals(hours[list(COUNTS)])
    features = make_features(hours)
    for other in (altered, hours.drop(columns=list(COUNTS))):
        again = make_features(other)
        pd.testing.assert_frame_equal(again, features, check_exact=True)
        assert make_design(again).tobytes() == make_design(features).tobytes()
        assert make_strata(other, again).tolist() == make_strata(hours, features).tolist()


@pytest.mark.parametrize("row", [0, 300, 1003, -1])
def test_weather_moves_its_day_and_the_hours_near_it_only(hours, row):
    """An hour of storm is in its day's share of rain and in the four hours on either side."""
    row %= len(hours)
    dry = hours.assign(weather=1, windspeed=10.0)
    wet = dry.copy()
    wet.loc[row, ["weather", "temp", "humidity", "windspeed"]] = 4, 35.0, 99, 50.0
    before, after = make_features(dry), make_features(wet)
    time = hours["datetime"]
    same_day = time.dt.normalize() == time[row].normalize()
    near = (time - time[row]).abs() <= pd.Timedelta("4h")
    assert find_moved(before, after) == set(np.flatnonzero(same_day | near))
    alone = ["weather", "temp", "heat", "humidity", "windspeed"]
    assert find_moved(before[alone], after[alone]) == {row}
    design = make_design(before) != make_design(after)
    assert set(np.flatnonzero(design.any(axis=1))) == set(np.flatnonzero(same_day | near))


def test_features_do_not_depend_on_which_rows_are_the_test(hours, tmp_path):
    """The same hours cut into train and test in another way: every other day."""
    whole = hours.assign(casual=1, registered=2, count=3)
    frames = []
    for name, is_test in (
        ("kaggle", (whole["datetime"].dt.day >= 20).to_numpy()),
        ("odd", (whole["datetime"].dt.day % 2 == 1).to_numpy()),
    ):
        (tmp_path / name).mkdir()
        write_parts(whole, is_test, tmp_path / name)
        loaded, found = load_hours(tmp_path / name)
        assert found.tolist() == is_test.tolist()
        frames.append(make_features(loaded))
    pd.testing.assert_frame_equal(*frames, check_exact=True)


# Calendar


@pytest.fixture(scope="module")
def years_of_hours():
    """Every hour of 2011 and 2012, with Kaggle's holidays."""
    time = pd.Series(pd.date_range("2011-01-01", "2012-12-31 23:00", freq="h"))
    holiday = time.dt.strftime("%Y-%m-%d").isin(HOLIDAYS)
    working = (time.dt.day_of_week < 5) & ~holiday
    return pd.DataFrame({"datetime": time, "holiday": holiday * 1, "workingday": working * 1})


@pytest.fixture(scope="module")
def calendar(years_of_hours):
    """The features of these hours, indexed by hour."""
    return make_calendar(years_of_hours).set_index(years_of_hours["datetime"])


def test_people_are_away_around_thanksgiving_christmas_new_year_and_on_july_4(years_of_hours):
    """Nothing but these days is of that sort, where it never rains."""
    away = ["2011-01-01", "2011-07-04", "2012-01-01", "2012-07-04"]
    away += ["2011-11-24", "2011-11-25", "2011-11-26", "2011-11-27"]
    away += ["2012-11-22", "2012-11-23", "2012-11-24", "2012-11-25"]
    away += [f"{year}-12-{day}" for year in (2011, 2012) for day in range(23, 32)]
    dry = make_calendar(years_of_hours).assign(rain_share=0.0)
    strata = pd.Series(make_strata(years_of_hours, dry))
    days = strata.groupby(years_of_hours["datetime"].dt.strftime("%Y-%m-%d"))
    assert days.nunique().eq(1).all()
    assert sorted(away) == days.first().index[days.first() == "away"].tolist()


@pytest.mark.parametrize(
    ("day", "is_working", "day_kind"),
    [
        ("2011-03-08", 1, 0),  # a Tuesday
        ("2011-03-12", 0, 1),  # a Saturday
        ("2011-01-17", 0, 2),  # Martin Luther King Day
        ("2012-11-12", 0, 2),  # Veterans Day
        ("2011-07-04", 0, 2),
        ("2011-11-24", 0, 2),  # Thanksgiving
        ("2012-11-23", 1, 0),  # the Friday after it: no train day says how people take it
        ("2012-11-25", 0, 1),
        ("2011-11-23", 1, 0),
        ("2012-11-26", 1, 0),
        ("2011-12-22", 1, 0),
        ("2011-12-26", 0, 2),
        ("2012-12-27", 1, 0),
        ("2011-04-15", 1, 0),  # Emancipation Day, a Friday
        ("2012-04-16", 1, 0),  # and a Monday
    ],
)
def test_days_are_of_their_kind(calendar, day, is_working, day_kind):
    rows = calendar.loc[day]
    assert len(rows) == 24
    assert rows["is_working"].eq(is_working).all() and rows["day_kind"].eq(day_kind).all()
    assert rows["hour_kind"].tolist() == [hour + 24 * is_working for hour in range(24)]


def test_hours_are_counted_from_monday(calendar):
    at = calendar["hour_of_week"]
    assert at["2012-04-16 00:00"] == 0  # a Monday
    assert at["2012-04-18 08:00"] == 56  # a Wednesday: 48 + 8
    assert at["2012-04-22 23:00"] == 167
    assert calendar.loc["2012-04-18 08:00", "weekday"] == 2


def test_parts_of_the_day_begin_at_6_10_16_and_20(calendar):
    wanted = [0] * 6 + [1] * 4 + [2] * 6 + [3] * 4 + [4] * 4
    assert calendar.loc["2012-02-29", "part_of_day"].tolist() == wanted


def test_neighbouring_days_tell_whether_they_work(calendar):
    """Around Thanksgiving 2012, Wednesday to Monday."""
    days = ["2012-11-21", "2012-11-22", "2012-11-23", "2012-11-24", "2012-11-25", "2012-11-26"]
    rows = calendar.loc[[pd.Timestamp(f"{day} 12:00") for day in days]]
    assert rows["works_yesterday"].tolist() == [1, 1, 0, 1, 0, 0]
    assert rows["works_tomorrow"].tolist() == [0, 1, 0, 0, 1, 1]


def test_neighbouring_days_that_the_data_lack_go_by_the_weekday():
    """Thursday 10 and Saturday 12 March 2011 alone: their neighbours are unknown."""
    time = pd.Series(pd.to_datetime(["2011-03-10 12:00", "2011-03-12 12:00"]))
    hours = pd.DataFrame({"datetime": time, "holiday": 0, "workingday": [1, 0]})
    made = make_calendar(hours)
    assert made["works_yesterday"].tolist() == [1, 1]
    assert made["works_tomorrow"].tolist() == [1, 0]


def test_days_are_counted_and_years_go_round(calendar):
    noon = calendar[calendar["hour"] == 12]
    assert noon["n_days"].tolist() == list(range(731))  # 2012 is a leap year
    np.testing.assert_allclose(noon["year_sine"] ** 2 + noon["year_cosine"] ** 2, 1)
    assert calendar.loc["2011-04-02 12:00", "year_sine"] > 0.999  # a quarter of the way
    assert calendar.loc["2011-07-02 12:00", "year_cosine"] < -0.999


# Weather


@pytest.fixture(scope="module")
def two_days():
    """1 January without 3:00 and 4:00, snow at 5:00 and 6:00, failed readings; a fine 2 January."""
    time = pd.Series(pd.date_range("2011-01-01", "2011-01-02 23:00", freq="h"))
    hours = pd.DataFrame(
        {
            "datetime": time,
            "weather": 1,
            "temp": 10.0,
            "atemp": 11.0,
            "humidity": 50,
            "windspeed": 8.0,
        }
    )
    hours.loc[2, "weather"] = 2
    hours.loc[[5, 6], "weather"] = 3, 4
    hours.loc[[7, 8, 9, 10], "humidity"] = 60, 0, 0, 90
    hours.loc[[0, 12, 13, 14], "windspeed"] = 0.0, 10.0, 0.0, 20.0
    hours.loc[47, "windspeed"] = 0.0
    hours.loc[[15, 16], "temp"] = 28.0, 31.5
    hours = hours.drop([3, 4]).reset_index(drop=True)
    return make_weather(hours).set_index(hours["datetime"])


def test_missing_hours_are_no_rows(two_days):
    assert len(two_days) == 46 and not two_days.isna().any().any()
    assert pd.Timestamp("2011-01-01 03:00") not in two_days.index


def test_failed_readings_are_drawn_from_their_neighbours(two_days):
    """Humidity 60, ?, ?, 90: 70 and 80. Wind 10, ?, 20: 15; at an end the nearest reading, 8."""
    humidity, wind = two_days["humidity"], two_days["windspeed"]
    assert humidity["2011-01-01 08:00"] == pytest.approx(70)
    assert humidity["2011-01-01 09:00"] == pytest.approx(80)
    assert wind["2011-01-01 13:00"] == pytest.approx(15)
    assert wind.iloc[0] == wind.iloc[-1] == 8


def test_recent_and_next_weather(two_days):
    """The hours 0 to 6 have codes 1, 1, 2, (missing: 2, 2), 3, 4; later ones have 1."""
    recent, following = two_days["recent_weather"], two_days["next_weather"]
    assert recent.iloc[:3].tolist() == pytest.approx([1, 1, 4 / 3])
    at_five_to_nine = recent["2011-01-01 05:00":"2011-01-01 09:00"]
    assert at_five_to_nine.tolist() == pytest.approx([7 / 3, 3, 8 / 3, 2, 1])
    assert following["2011-01-01 02:00"] == 2 and following["2011-01-01 05:00"] == 4
    assert following["2011-01-01 06:00"] == following.iloc[-1] == 1


def test_rain_share_is_of_the_whole_day(two_days):
    share = two_days["rain_share"]
    assert share["2011-01-01"].tolist() == pytest.approx([2 / 24] * 22)
    assert share["2011-01-02"].eq(0).all()


def test_storm_is_rain_times_wind_in_the_nine_hours_around(two_days):
    """The wind blows at 8 in the two hours of snow, 5 and 6; before 4:00 the window is shorter."""
    storm = two_days["storm"]
    wanted = {0: 0, 1: 8 / 6, 2: 16 / 7, 5: 16 / 9, 9: 16 / 9, 10: 8 / 9, 11: 0}
    assert storm.iloc[11:].eq(0).all()
    for hour, value in wanted.items():
        assert storm[pd.Timestamp("2011-01-01") + pd.Timedelta(hours=hour)] == pytest.approx(value)


def test_heat_begins_at_28_degrees(two_days):
    assert two_days.loc["2011-01-01 14:00":"2011-01-01 16:00", "heat"].tolist() == [0, 0, 3.5]


def test_strata_go_from_what_moves_people_most():
    """Away beats holiday beats storm (half the day) beats rain (a fifth)."""
    days = ["2011-07-04", "2011-09-05", *["2011-03-08"] * 4]
    kinds, shares = [2, 2, 0, 1, 0, 0], [0.9, 0.9, 0.5, 0.49, 0.2, 0.19]
    hours = pd.DataFrame({"datetime": pd.to_datetime(days)})
    strata = make_strata(hours, pd.DataFrame({"day_kind": kinds, "rain_share": shares}))
    assert strata.tolist() == ["away", "holiday", "storm", "rain", "rain", "plain"]
