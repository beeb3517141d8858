"""Writes made-up hours in Kaggle's form, with commuters, weather and moods, or without any."""

from pathlib import Path

import numpy as np
import pandas as pd

from competitions.bike_sharing_demand.split import write_parts

TRAIN_HOURS_A_MONTH = 19 * 24
FEWEST_MONTHS = 4


def write_sample(raw: Path, seed: int, *, n_rows: int | None = None, signal: bool = True) -> None:
    """Write train, test and sample submission.

    Args:
        raw: an empty folder.
        seed: of everything made up.
        n_rows: about how many train rows; whole months, four at least.
        signal: whether counts depend on calendar and weather.
    """
    months = max(FEWEST_MONTHS, round((n_rows or 0) / TRAIN_HOURS_A_MONTH))
    end = pd.Timestamp("2011-01-01") + pd.DateOffset(months=months)
    times = pd.Series(pd.date_range("2011-01-01", end, freq="h", inclusive="left"))
    hours = _make_hours(times, np.random.default_rng(seed), signal=signal)
    write_parts(hours, times.dt.day.to_numpy() >= 20, raw)


def _make_hours(times: pd.Series, rng: np.random.Generator, *, signal: bool) -> pd.DataFrame:
    n, hour = len(times), times.dt.hour.to_numpy()
    working = (times.dt.day_of_week < 5).to_numpy()
    year_part = times.dt.day_of_year.to_numpy() / 365.25
    temp = (
        20
        - 12 * np.cos(2 * np.pi * year_part)
        - 4 * np.cos(2 * np.pi * hour / 24)
        + rng.normal(0, 2, n)
    )
    weather = rng.choice([1, 2, 3], n, p=[0.66, 0.26, 0.08])
    rush = np.exp(-((hour - 8) ** 2) / 4) + np.exp(-((hour - 17.5) ** 2) / 6)
    noon = np.exp(-((hour - 14) ** 2) / 20)
    day = (times - times[0]).dt.days.to_numpy()
    mood = rng.normal(0, 0.4, day[-1] + 1)[day]  # what a day's hours share and no feature tells
    growth = 0.5 * day / 365
    log_registered = (
        2.5 + mood + np.where(working, 2.5 * rush, 1.8 * noon) + growth - 0.5 * (weather == 3)
    )
    log_casual = 0.5 + np.where(working, 1.2, 2.2) * noon + 0.06 * temp
    if not signal:
        log_registered, log_casual = np.full(n, 4.0), np.full(n, 2.0)
    registered = rng.poisson(np.exp(log_registered + rng.normal(0, 0.2, n))) + 1
    casual = rng.poisson(np.exp(log_casual + rng.normal(0, 0.3, n)))
    return pd.DataFrame(
        {
            "datetime": times,
            "season": (times.dt.month - 1) // 3 + 1,
            "holiday": 0,
            "workingday": working.astype(int),
            "weather": weather,
            "temp": (temp / 0.82).round() * 0.82,
            "atemp": (temp * 1.1).round(3),
            "humidity": rng.integers(30, 100, n),
            "windspeed": rng.choice([0.0, 6.0032, 11.0014, 19.0012], n),
            "casual": casual,
            "registered": registered,
            "count": casual + registered,
        }
    )
