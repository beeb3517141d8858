"""Hours -> features: calendar and weather. None uses a count."""

from pathlib import Path

import numpy as np
import pandas as pd

from common.checks import InputError
from common.data.tables import check_numbers, load_table
from competitions.bike_sharing_demand.competition import COUNTS, FILES

WEATHER = ("weather", "temp", "atemp", "humidity", "windspeed")
FILLED_HOURS = 24  # how long a gap takes the weather beside it; longer ones are no part of the data
HEAT = 28  # degrees Celsius, above which it is too hot to ride
MOST_YEARS = 50  # a longer span is a mistyped year
RAIN = 3  # Kaggle's weather code from which on it rains or snows
PARTS_OF_DAY = (6, 10, 16, 20)  # hours at which the rush begins and ends
STORMY, RAINY = 0.5, 0.2  # share of a day's hours with rain or snow


def load_hours(raw: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Read train and test as one frame in order of time: the test lies between the train days.

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
        _check_hours(raw / name, table)
    if (wrong := np.flatnonzero(train["casual"] + train["registered"] != train["count"])).size:
        raise InputError(
            f"{raw / 'train.csv'}: count must be casual + registered, line {wrong[0] + 2} differs"
        )
    hours = pd.concat([train, test]).sort_values("datetime", ignore_index=True)
    if (twice := hours["datetime"].duplicated()).any():
        raise InputError(
            f"{raw}: train.csv and test.csv must hold an hour once, "
            f"{hours['datetime'][twice].iloc[0]} comes twice"
        )
    return hours, hours["count"].isna().to_numpy()


def _check_hours(path: Path, table: pd.DataFrame) -> None:
    """Check that the given columns hold what Kaggle says they do."""
    check_numbers(path, table, ("season", "weather"), minimum=1, maximum=4)
    check_numbers(path, table, ("holiday", "workingday"), minimum=0, maximum=1)
    check_numbers(path, table, ("temp", "atemp"), minimum=-60, maximum=60)
    check_numbers(path, table, ("humidity", "windspeed"), minimum=0, maximum=200)
    if (wrong := np.flatnonzero(table["datetime"] != table["datetime"].dt.floor("h"))).size:
        raise InputError(
            f"{path}: column datetime must hold full hours, "
            f"line {wrong[0] + 2} has {table['datetime'].iloc[wrong[0]]}"
        )
    years = table["datetime"].dt.year
    if years.max() - years.min() > MOST_YEARS:
        raise InputError(
            f"{path}: column datetime must span at most {MOST_YEARS} years, "
            f"received {years.min()} to {years.max()}"
        )


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

    Working days are Kaggle's, but for Emancipation Day in April: it closes Washington's own offices
    only, and train days show that the town works.

    Returns:
        (n, D): hour, weekday (0 = Monday), month, n_days since the start, is_working, day_kind
        (0 working, 1 weekend, 2 holiday), hour_kind (hour, + 24 on working days), hour_of_week
        (from Monday 0:00), part_of_day (night, morning rush, noon, evening rush, evening),
        year_sine, year_cosine, works_yesterday, works_tomorrow.
    """
    time = hours["datetime"].dt
    date, hour, weekday = time.normalize(), time.hour, time.day_of_week
    is_emancipation = (hours["holiday"] == 1) & (time.month == 4)
    is_holiday = (hours["holiday"] == 1) & ~is_emancipation
    is_working = (hours["workingday"] == 1) | is_emancipation
    works = pd.Series(is_working.to_numpy(), index=date).groupby(level=0).first()
    day_after, day_before = (date + pd.Timedelta(days=step) for step in (1, -1))
    return pd.DataFrame(
        {
            "hour": hour,
            "weekday": weekday,
            "month": time.month,
            "n_days": (date - date.min()).dt.days,
            "is_working": is_working.astype(int),
            "day_kind": np.select([is_holiday, weekday >= 5], [2, 1], 0),
            "hour_kind": hour + 24 * is_working,
            "hour_of_week": hour + 24 * weekday,
            "part_of_day": np.digitize(hour, PARTS_OF_DAY),
            "year_sine": np.sin(2 * np.pi * time.day_of_year / 365.25),
            "year_cosine": np.cos(2 * np.pi * time.day_of_year / 365.25),
            "works_yesterday": _look_up(works, day_before),
            "works_tomorrow": _look_up(works, day_after),
        }
    )


def make_weather(hours: pd.DataFrame) -> pd.DataFrame:
    """Tell what the weather is, was and will be; it is given for the test's hours too.

    Missing hours take the weather before them. A wind speed or a humidity of 0 is a failed reading,
    so it is drawn from its neighbours.

    Returns:
        (n, D): weather (1 clear to 4 heavy rain), temp (degrees Celsius), heat (degrees above 28),
        humidity (%), windspeed, recent_weather (mean code of the last three hours), next_weather
        (code an hour later), rain_share (of the day's hours), storm (rain times wind, the mean of
        nine hours around).
    """
    given = hours.set_index("datetime")[list(WEATHER)]
    start, end = given.index.min().normalize(), given.index.max().normalize() + pd.Timedelta("23h")
    every = given.reindex(pd.date_range(start, end, freq="h"))
    for column in ("windspeed", "humidity"):
        every[column] = every[column].mask(every[column] == 0).interpolate(limit_direction="both")
    every = every.ffill(limit=FILLED_HOURS).bfill(limit=FILLED_HOURS)
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
            "storm": (is_rain * every["windspeed"]).rolling(9, center=True, min_periods=1).mean(),
        }
    )
    return made.loc[hours["datetime"]].reset_index(drop=True)


def make_strata(hours: pd.DataFrame, features: pd.DataFrame) -> np.ndarray:
    """Sort days by what makes them hard to forecast: the test has more holidays and storms.

    Args:
        hours: from `load_hours`.
        features: from `make_features`.

    Returns:
        (n,) str: away (New Year, 4 July, Thanksgiving to its Sunday, Christmas on from the 23rd),
        holiday, storm, rain or plain.
    """
    time = hours["datetime"].dt
    month, day = time.month, time.day
    is_thursday = (month == 11) & (time.day_of_week == 3) & day.between(22, 28)
    thanksgivings = time.normalize()[is_thursday].unique()
    is_away = ((month == 12) & (day >= 23)) | ((month == 1) & (day == 1))
    is_away |= (month == 7) & (day == 4)
    for later in range(4):
        is_away |= time.normalize().isin(thanksgivings + pd.Timedelta(days=later))
    rain = features["rain_share"]
    choices = [is_away, features["day_kind"] == 2, rain >= STORMY, rain >= RAINY]
    return np.select(choices, ["away", "holiday", "storm", "rain"], "plain")


def make_design(features: pd.DataFrame) -> np.ndarray:
    """Make the columns of a linear model of the log count.

    Every hour of a working and of a free day has a level of its own, which drifts from month to
    month and answers to weather in its own way by part of the day; the whole town's level may step
    every week. The factors say how far a ridge should trust each block.

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
            features["storm"] / 10,
        ]
    )
    part_of_day = features["part_of_day"] + 5 * features["is_working"]
    last = days.max()
    by_week = days >= np.arange(0, last, 7)
    by_month = days >= np.arange(30, last, 30)
    blocks = [
        5 * hour_kind,
        _one_hot(features["hour_of_week"], 168),
        2 * _one_hot(features["day_kind"], 3),
        _one_hot(features["hour"] + 24 * features["day_kind"], 72),
        0.3 * by_week,
        0.25 * _cross(hour_kind, by_month),
        2 * weather,
        _cross(_one_hot(part_of_day, 10), weather),
        features[["works_yesterday", "works_tomorrow"]].to_numpy(),
    ]
    return np.hstack(blocks).astype(np.float32)


def _look_up(works: pd.Series, date: pd.Series) -> pd.Series:
    """Tell whether people work on the given dates; on days that the data lack, on weekdays."""
    known = date.map(works).astype(float)
    return known.fillna((date.dt.day_of_week < 5).astype(float)).astype(int)


def _one_hot(codes: pd.Series, n_codes: int) -> np.ndarray:
    return np.eye(n_codes, dtype=np.float32)[codes.to_numpy()]


def _cross(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Multiply each column of one block with each of another: (n, A), (n, B) -> (n, A B)."""
    return (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)
