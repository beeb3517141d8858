"""Cuts a test set out of Kaggle's train file by its own rule, six weeks earlier.

Kaggle keeps 2015-08-01 to 2015-09-17 of 856 stores as test and its answers to itself. Here the last
six weeks of the train days become the test of the same stores, so a holdout is as Kaggle's test is:
the weeks that follow on train, of most stores.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from common.checks import InputError
from common.data.tables import load_table
from competitions.rossmann_store_sales.competition import FILES, TEST, TRAIN

FIRST_TEST_DAY, LAST_TEST_DAY = pd.Timestamp("2015-06-20"), pd.Timestamp("2015-07-31")


def write_split(kaggle: Path, raw: Path) -> pd.DataFrame:
    """Write Kaggle's four files, cut from its train file, and copy the forum's where they are.

    Args:
        kaggle: Kaggle's own files.
        raw: an empty folder.

    Returns:
        The answers: Id and Sales of the test rows, 0 where a store is closed.

    Raises:
        InputError: Kaggle's train days do not reach 2015-07-31.
    """
    text = {"StateHoliday": "str"}
    days = load_table(kaggle / "train.csv", dates=("Date",), columns=TRAIN, dtypes=text)
    asked = load_table(kaggle / "test.csv", columns=TEST, dtypes=text)["Store"]
    if (last := days["Date"].max()) < LAST_TEST_DAY:
        raise InputError(
            f"{kaggle / 'train.csv'}: days must reach {LAST_TEST_DAY:%Y-%m-%d} as Kaggle's own do, "
            f"received days up to {last:%Y-%m-%d}"
        )
    is_test = days["Date"].between(FIRST_TEST_DAY, LAST_TEST_DAY) & days["Store"].isin(asked)
    days.loc[days["Date"] < FIRST_TEST_DAY, list(TRAIN)].to_csv(raw / "train.csv", index=False)
    test = days[is_test].sort_values(["Date", "Store"], ascending=[False, True])
    test.insert(0, "Id", np.arange(1, len(test) + 1))
    test[list(TEST)].to_csv(raw / "test.csv", index=False)
    write_submission(raw, test["Id"])
    (raw / "store.csv").write_bytes((kaggle / "store.csv").read_bytes())
    for path in (path for file in FILES if file.optional for path in kaggle.glob(file.path)):
        copy = raw / path.relative_to(kaggle)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return test[["Id", "Sales"]].reset_index(drop=True)


def write_submission(raw: Path, ids: pd.Series) -> None:
    """Write the sample submission: 0 for every id."""
    pd.DataFrame({"Id": ids, "Sales": 0}).to_csv(raw / "sample_submission.csv", index=False)
