"""Tiny tables in Rossmann's form, to be altered before they are written, or in their files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from competitions.rossmann_store_sales.competition import STORES, TEST, TRAIN
from competitions.rossmann_store_sales.split import write_submission
from competitions.rossmann_store_sales.store_days import StoreDays, load_store_days

Change = Callable[[pd.DataFrame], pd.DataFrame | None]  # None: changed in place
OUTSIDE_TEST = 3  # every third store is in train only, as some of Kaggle's are


@dataclass
class Tables:
    """Kaggle's tables, as they are written."""

    train: pd.DataFrame
    test: pd.DataFrame
    stores: pd.DataFrame

    def write(self, raw: Path) -> Path:
        raw.mkdir(parents=True, exist_ok=True)
        self.train[list(TRAIN)].to_csv(raw / "train.csv", index=False)
        self.test[list(TEST)].to_csv(raw / "test.csv", index=False)
        self.stores[list(STORES)].to_csv(raw / "store.csv", index=False)
        write_submission(raw, self.test["Id"])
        return raw

    def load(self, raw: Path) -> StoreDays:
        return load_store_days(self.write(raw))


def make_tables(
    n_stores: int, n_train_days: int, horizon_days: int, *, first_test_day: str = "2015-08-01"
) -> Tables:
    """Make stores with promos in every other week, a few holidays, and Sundays off.

    Store 2 opens on Sundays and holidays too, and store 1 is closed for three weeks.
    """
    rng = np.random.default_rng(n_stores)
    first = pd.Timestamp(first_test_day) - pd.Timedelta(days=n_train_days)
    dates = pd.date_range(first, periods=n_train_days + horizon_days)
    number = np.arange(1, n_stores + 1)
    days = pd.DataFrame(
        {"Store": np.repeat(number, len(dates)), "Date": np.tile(dates.to_numpy(), n_stores)}
    )
    week, weekday = dates.to_period("W").astype("int64").to_numpy(), dates.day_of_week.to_numpy()
    days["DayOfWeek"] = np.tile(weekday + 1, n_stores)
    days["Promo"] = np.tile((week % 2 == 0) & (weekday < 5), n_stores) * 1
    holiday = np.where(rng.random(len(dates)) < 0.03, "a", "0")
    days["StateHoliday"] = np.tile(holiday, n_stores)
    days["SchoolHoliday"] = (rng.random((n_stores, len(dates) // 10 + 1)) < 0.3).repeat(10, axis=1)[
        :, : len(dates)
    ].ravel() * 1
    is_shut = (days["Store"] == 1) & days["Date"].isin(dates[35:56])
    is_off = ((days["DayOfWeek"] == 7) | (days["StateHoliday"] != "0")) & (days["Store"] != 2)
    days["Open"] = (~is_shut & ~is_off) * 1
    effects = (
        rng.normal(8.5, 0.4, n_stores)[days["Store"] - 1]
        + rng.normal(0, 0.1, 7)[days["DayOfWeek"] - 1]
        + 0.3 * days["Promo"]
        + rng.normal(0, 0.1, len(days))
    )
    days["Sales"] = np.exp(effects).round().astype(int) * days["Open"]
    days["Customers"] = (days["Sales"] / 8 * rng.uniform(0.9, 1.1, len(days))).astype(int)
    is_test = days["Date"] >= pd.Timestamp(first_test_day)
    test = days[is_test & (days["Store"] % OUTSIDE_TEST != 0)]
    test = test.sort_values(["Date", "Store"], ascending=[False, True], ignore_index=True)
    test.insert(0, "Id", np.arange(1, len(test) + 1))
    return Tables(days[~is_test].reset_index(drop=True), test, _make_stores(number))


def _make_stores(number: np.ndarray) -> pd.DataFrame:
    is_even = number % 2 == 0
    return pd.DataFrame(
        {
            "Store": number,
            "StoreType": np.array(list("abcd"))[number % 4],
            "Assortment": np.array(list("abc"))[number % 3],
            "CompetitionDistance": np.where(number == 4, np.nan, 100.0 * number),
            "CompetitionOpenSinceMonth": np.where(is_even, 6.0, np.nan),
            "CompetitionOpenSinceYear": np.where(is_even, 2013.0, np.nan),
            "Promo2": is_even * 1,
            "Promo2SinceWeek": np.where(is_even, 20.0, np.nan),
            "Promo2SinceYear": np.where(is_even, 2014.0, np.nan),
            "PromoInterval": pd.Series("Feb,May,Aug,Nov", number).where(is_even).to_numpy(),
        }
    )


def load_text(path: Path, separator: str = ",") -> pd.DataFrame:
    """Read a file's fields as the text that they are."""
    return pd.read_csv(path, dtype="str", keep_default_na=False, sep=separator)


def rewrite(path: Path, change: Change, separator: str = ",") -> None:
    """Change a file's text fields, given as a frame."""
    table = load_text(path, separator)
    changed = change(table)
    (table if changed is None else changed).to_csv(path, index=False, sep=separator)


def set_field(line: int, column: str, value: str) -> Change:
    """Put a value into a line of the file, counted as an editor does."""

    def change(table: pd.DataFrame) -> None:
        table.loc[line - 2, column] = value

    return change


def repeat(line: int) -> Change:
    """Write a line of the file twice."""
    return lambda table: pd.concat([table, table.iloc[[line - 2]]])


def drop_store(number: str) -> Change:
    return lambda table: table[table["Store"] != number]
