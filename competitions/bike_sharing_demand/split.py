"""Cuts a test set out of Kaggle's train files by its own rule, one step earlier in every month.

Kaggle keeps the end of each month (day 20 on) as test and its answers to itself. Here the last six
train days of each month (14 to 19) become the test: both years, true answers, a shorter gap than
Kaggle's.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from common.data.tables import load_table
from competitions.bike_sharing_demand.competition import COUNTS, FILES, GIVEN

FIRST_TEST_DAY = 14


def write_split(kaggle: Path, raw: Path) -> pd.DataFrame:
    """Write train, test and sample submission, cut from Kaggle's train file.

    Args:
        kaggle: Kaggle's own files.
        raw: an empty folder.

    Returns:
        The answers: datetime and count of the test rows.
    """
    hours = load_table(kaggle / "train.csv", dates=("datetime",), columns=FILES[0].columns)
    return write_parts(hours, hours["datetime"].dt.day.to_numpy() >= FIRST_TEST_DAY, raw)


def write_parts(hours: pd.DataFrame, is_test: np.ndarray, raw: Path) -> pd.DataFrame:
    """Write hours as the competition's three files.

    Args:
        hours: Kaggle's train columns, one row per hour, in order of time.
        is_test: (n,) bool, the rows whose counts are kept back.
        raw: where to.

    Returns:
        The answers.
    """
    train, test = hours[~is_test], hours[is_test]
    train[[*GIVEN, *COUNTS]].to_csv(raw / "train.csv", index=False)
    test[list(GIVEN)].to_csv(raw / "test.csv", index=False)
    test[["datetime"]].assign(count=0).to_csv(raw / "sampleSubmission.csv", index=False)
    return test[["datetime", "count"]]
