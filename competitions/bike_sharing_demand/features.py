"""Hours -> features: calendar and weather. None uses a count."""

from pathlib import Path

import numpy as np
import pandas as pd

from common.checks import InputError
from common.data.tables import check_numbers, load_table
from competitions.bike_sharing_demand.competition import COUNTS, FILES

WEATHER = ("weather", "temp", "atemp", "humidity", "windspeed")
HEAT = 28  # degrees Celsius, above which it is too hot to ride
RAIN = 3  # Kaggle's weather code from which on it rains or snows
PARTS_OF_DAY = (6, 10, 16, 20)  # hours at which the rush begins and ends
STORMY, RAINY = 0.5, 0.2  # share of a day's hours with rain or snow


def load_hours(raw: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Read train and test as one frame in order of time, since the test's days lie between the train's.

    Args:
        raw: the competition's files.

    Returns:
        (n rows, Kaggle's columns, counts NaN in test rows), and (n,) bool, the test rows.

    Raises:
        InputError: a file is not as it must be, or an hour comes twice.
    """
    train = load_table(raw / "train.csv", dates=("datetime",), columns=FILES[0].columns)
    test = load_table(raw / "test.csv", dates=("datetime",), columns=FILES[1].columns)
    check_numbers(raw / "train.csv", train, COUNTS, minimum=0)
    for name, table in (("train.csv", train), ("test.csv", test)):
        check_numbers(
            raw / name, table, ("season", "holiday", "workingday", *WEATHER), minimum=-100
        )
    hours = pd.concat([train, test]).sort_values("datetime", ignore_index=True)
    if (twice := hours["datetime"].duplicated()).any():
        raise InputError(f"{raw}: the hour {hours['datetime'][twice].iloc[0]} comes twice")
    return hours, hours["count"].isna().to_numpy()


def make_features(hours: pd.DataFrame) -> pd.DataFrame:
    """Make every feature from calendar and weather.

    Args:
        hours: from `load_hours`; counts are not looked at.

    Returns:
        (n, D) numbers, rows as in `hours`.
    """
    return pd.concat([make_calendar(hours), make_weather(hours)], axis=1)


def make_calendar(hours: pd.DataFrame) -> pd.DataFrame:
    """Tell what hour, what sort of day and what season it is.

    Kaggle's `workingday` follows the federal calendar. People do not: on the Friday after Thanksgiving and around Christmas
    they are away, on Emancipation Day (Washington's own, in April) they work.

    Returns:
        (n, D): hour, weekday (0 = Monday), month, n_days since the start, is_working, is_away, day_kind (0 working,
        1 weekend, 2 holiday, 3 away), hour_kind (hour, + 24 on working days), hour_of_week (from Monday 0:00), part_of_day
        (night, morning rush, noon, evening rush, evening), year_sine, year_cosine, works_yesterday, works_tomorrow.
    """
    time = hours["datetime"].dt
    date, month, day, weekday = time.normalize(), time.month, time.day, time.day_of_week
    is_thanksgiving = (month == 11) & (weekday == 3) & day.between(22, 28)
    thanksgivings = date[is_thanksgiving].unique()
    is_away = (
        ((month == 12) & (day >= 23)) | ((month == 1) & (day == 1)) | ((month == 7) & (day == 4))
    )
    is_away |= (month == 1) & (day == 2) & (weekday == 0)
    for later in range(4):
        is_away |= date.isin(thanksgivings + pd.Timedelta(days=later))
    is_emancipation = (hours["holiday"] == 1) & (month == 4)
    is_working = ((hours["workingday"] == 1) & ~is_away) | is_emancipation
    is_holiday = (hours["holiday"] == 1) & ~is_emancipation
    hour = time.hour
    works = pd.Series(is_working.to_numpy(), index=date).groupby(level=0).first()
    day_after, day_before = (date + pd.Timedelta(days=step) for step in (1, -1))
    return pd.DataFrame(
        {
            "hour": hour,
            "weekday": weekday,
            "month": month,
            "n_days": (date - date.min()).dt.days,
            "is_working": is_working.astype(int),
            "is_away": is_away.astype(int),
            "day_kind": np.select([is_away, is_holiday, weekday >= 5], [3, 2, 1], 0),
            "hour_kind": hour + 24 * is_working,
            "hour_of_week": hour + 24 * weekday,
            "part_of_day": np.digitize(hour, PARTS_OF_DAY),
            "year_sine": np.sin(2 * np.pi * time.day_of_year / 365.25),
            "year_cosine": np.cos(2 * np.pi * time.day_of_year / 365.25),
            "works_yesterday": day_before.map(works).fillna(0).astype(int),
            "works_tomorrow": day_after.map(works).fillna(0).astype(int),
        }
    )


def make_weather(hours: pd.DataFrame) -> pd.DataFrame:
    """Tell what the weather is, was and will be; it is given for the test's hours too.

    Missing hours take the weather before them. A wind speed or a humidity of 0 is a failed reading, so it is drawn from
    its neighbours.

    Returns:
        (n, D): weather (1 clear to 4 heavy rain), temp (degrees Celsius), heat (degrees above 28), humidity (%), windspeed, recent_weather
        (mean code of the last three hours), next_weather (code an hour later), rain_share (of the day's hours),
        rain_hours (of the last twelve).
    """
    given = hours.set_index("datetime")[list(WEATHER)]
    start, end = given.index.min().normalize(), given.index.max().normalize() + pd.Timedelta("23h")
    every = given.reindex(pd.date_range(start, end, freq="h"))
    for column in ("windspeed", "humidity"):
        every[column] = every[column].mask(every[column] == 0).interpolate(limit_direction="both")
    every = every.ffill().bfill()
    is_rain = (every["weather"] >= RAIN).astype(float)
    made = pd.DataFrame(
        {
            "weather": every["weather"],
            "temp": every["temp"],
            "heat": (every["temp"] - HEAT).clip(lower=0),
            "humidity": every["humidity"],
            "windspeed": every["windspeed"],
            "recent_weather": every["weather"].rolling(3, min_periods=1).mean(),
            "next_weather": every["weather"].shift(-1).ffill(),
            "rain_share": is_rain.resample("D").mean().reindex(every.index, method="ffill"),
            "rain_hours": is_rain.rolling(12, min_periods=1).sum(),
        }
    )
    return made.loc[hours["datetime"]].reset_index(drop=True)


def make_strata(features: pd.DataFrame) -> np.ndarray:
    """Sort days by what makes them hard to forecast: the test has more holidays and storms than the train days.

    Returns:
        (n,) str: away, holiday, storm, rain or plain.
    """
    kind, rain = features["day_kind"], features["rain_share"]
    choices = [kind == 3, kind == 2, rain >= STORMY, rain >= RAINY]
    return np.select(choices, ["away", "holiday", "storm", "rain"], "plain")


def make_design(features: pd.DataFrame) -> np.ndarray:
    """Make the columns of a linear model of the log count.

    Every hour of a working and of a free day has a level of its own, which drifts from month to month and answers to weather
    in its own way by part of the day; the whole town's level may step every week. The factors say how far a ridge
    should trust each block.

    Returns:
        (n, D) float32.
    """
    days = features["n_days"].to_numpy()[:, None]
    hour_kind = _one_hot(features["hour_kind"], 48)
    temp, humidity = features["temp"] / 10 - 2, features["humidity"] / 20 - 3
    weather = np.column_stack(
        [
            temp,
            temp**2,
            features["heat"] / 5,
            humidity,
            humidity**2,
            features["windspeed"] / 10 - 1.2,
            features["recent_weather"] - 1.4,
            features["next_weather"] - 1.4,
            features["weather"] == 2,
            features["weather"] >= RAIN,
            2 * features["rain_share"],
            features["rain_hours"] / 6,
        ]
    )
    part_of_day = features["part_of_day"] + 5 * features["is_working"]
    last = days.max()
    by_week = days >= np.arange(0, last, 7)
    by_month = days >= np.arange(30, last, 30)
    blocks = [
        5 * hour_kind,
        _one_hot(features["hour_of_week"], 168),
        2 * _one_hot(features["day_kind"], 4),
        _one_hot(features["hour"] + 24 * features["day_kind"], 96),
        0.3 * by_week,
        0.25 * _cross(hour_kind, by_month),
        2 * weather,
        _cross(_one_hot(part_of_day, 10), weather),
        features[["works_yesterday", "works_tomorrow"]].to_numpy(),
    ]
    return np.hstack(blocks).astype(np.float32)


def _one_hot(codes: pd.Series, n_codes: int) -> np.ndarray:
    return np.eye(n_codes, dtype=np.float32)[codes.to_numpy()]


def _cross(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Multiply every column of one block with every column of another: (n, A), (n, B) -> (n, A B)."""
    return (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)
