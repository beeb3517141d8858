"""The real hours of 2011, out of a Python package, in Kaggle's own form.

The teaching package ISLP carries the Capital Bikeshare hours of 2011 that both it and Kaggle took
from Fanaee-T and Gama, "Event Labeling Combining Ensemble Detectors and Background Knowledge",
2013, with weather scaled to [0, 1]. Scaled back, all columns equal Kaggle's; the same 115 hours, in
which nothing was rented, are missing on both sides.
"""

import io
from pathlib import Path

import pandas as pd

from common.data.packages import Wheel, load_member
from competitions.bike_sharing_demand.split import write_parts

WHEEL = Wheel(
    "islp-0.6.0-py3-none-any.whl",
    sha256="ca772cecca1747a2f84ee799a5503ddddbdf0e98f90c235494790c1d036c694b",
)
WEATHER = {"clear": 1, "cloudy/misty": 2, "light rain/snow": 3, "heavy rain/snow": 4}
KAGGLE_FIRST_TEST_DAY = 20


def write_open_data(packages: Path, raw: Path) -> pd.DataFrame:
    """Write the hours of 2011 as train, test and sample submission, cut by Kaggle's rule.

    Args:
        packages: the folder of data wheels.
        raw: an empty folder.

    Returns:
        The answers: datetime and count of the test rows.

    Raises:
        InputError: the wheel is missing or not the pinned one.
    """
    table = pd.read_csv(io.BytesIO(load_member(packages, WHEEL, "ISLP/data/Bikeshare.csv")))
    hours = make_hours(table)
    return write_parts(hours, hours["datetime"].dt.day.to_numpy() >= KAGGLE_FIRST_TEST_DAY, raw)


def make_hours(table: pd.DataFrame) -> pd.DataFrame:
    """Turn the package's columns back into Kaggle's, units included.

    Args:
        table: `Bikeshare.csv`; day of the year from 1, hour, weather scaled to [0, 1] by its
            maximum.

    Returns:
        Kaggle's train columns: temperatures in degrees Celsius, humidity in %, wind speed as in
        Kaggle's file.
    """
    start = pd.Timestamp("2011-01-01")
    hour = pd.to_timedelta(table["hr"].astype(int), unit="h")
    return pd.DataFrame(
        {
            "datetime": start + pd.to_timedelta(table["day"] - 1, unit="D") + hour,
            "season": table["season"],
            "holiday": table["holiday"],
            "workingday": table["workingday"],
            "weather": table["weathersit"].map(WEATHER),
            "temp": (table["temp"] * 41).round(2),
            "atemp": (table["atemp"] * 50).round(3),
            "humidity": (table["hum"] * 100).round().astype(int),
            "windspeed": (table["windspeed"] * 67).round(4),
            "casual": table["casual"],
            "registered": table["registered"],
            "count": table["bikers"],
        }
    )
