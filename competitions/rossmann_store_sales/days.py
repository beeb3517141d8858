"""Reads Kaggle's three tables: train and test days, and stores."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from common.checks import InputError
from common.data.tables import check_labels, check_numbers, load_table
from competitions.rossmann_store_sales.competition import STORES, TEST, TRAIN

log = logging.getLogger(__name__)

HOLIDAYS = ("0", "a", "b", "c")  # none, public, Easter, Christmas
STORE_TYPES = ("a", "b", "c", "d")
ASSORTMENTS = ("a", "b", "c")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sept", "Oct", "Nov", "Dec")
PROMO_MONTHS = tuple(f"promo_in_{month}" for month in MONTHS)
MOST_YEARS = 50  # a longer span is a mistyped year
MOST = 10**9  # of a store's number or an id


def load_days(raw: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Read train and test as one frame: test days carry on from train days.

    Two things are let pass and told in the log: a test row that does not say `Open` is taken as
    open (Kaggle has 11, all of store 622), and a test store without a train day stays.

    Args:
        raw: the competition's files.

    Returns:
        (n, 9) sorted by Store, then Date: Store int64, Date, Id int64 (-1 in train), Sales and
        Customers float32 (NaN in test), Open, Promo and SchoolHoliday int8, StateHoliday category
        of `HOLIDAYS`; and (n,) bool, the test rows.

    Raises:
        InputError: a file is not as it must be, a store's day comes twice, the test does not follow
            on train, or a store is not in store.csv.
    """
    train, test = _load_rows(raw / "train.csv", TRAIN), _load_rows(raw / "test.csv", TEST)
    check_numbers(raw / "train.csv", train, ("Sales", "Customers"), minimum=0)
    check_numbers(raw / "train.csv", train, ("Open",), minimum=0, maximum=1, whole=True)
    _check_test(raw, train, test)
    if n_missing := int(test["Open"].isna().sum()):
        log.warning("test.csv: %d rows do not say Open: taken as open", n_missing)
        test["Open"] = test["Open"].fillna(1)
    is_test = np.repeat([False, True], [len(train), len(test)])
    nothing = np.full(len(test), np.nan)
    joined: dict[str, np.ndarray] = {
        "Store": _join(train["Store"], test["Store"], np.int64),
        "Date": np.concatenate([train["Date"], test["Date"]]),
        "Id": _join(np.full(len(train), -1), test["Id"], np.int64),
        "Sales": _join(train["Sales"], nothing, np.float32),
        "Customers": _join(train["Customers"], nothing, np.float32),
    }
    for column in ("Open", "Promo", "SchoolHoliday"):
        joined[column] = _join(train[column], test[column], np.int8)
    holidays = np.concatenate([_code_holidays(train), _code_holidays(test)])
    order = _sort_days(raw, joined["Store"], joined["Date"], is_test)
    days = pd.DataFrame({column: values[order] for column, values in joined.items()})
    days["StateHoliday"] = pd.Categorical.from_codes(
        holidays[order], dtype=pd.CategoricalDtype(list(HOLIDAYS))
    )
    return days, is_test[order]


def load_stores(raw: Path) -> pd.DataFrame:
    """Read what is known of every store.

    Args:
        raw: the competition's files.

    Returns:
        Indexed by Store: StoreType and Assortment, categories; CompetitionDistance in metres, NaN
        where unknown; competition_since, the first of the month in which the competitor opened (it
        may be 1900), NaT where unknown; Promo2 bool; promo2_since, the Monday of its first week,
        NaT without Promo2; and twelve bools `PROMO_MONTHS`, the months in which Promo2 starts anew,
        all False without it.

    Raises:
        InputError: the file is not as it must be, or a store comes twice.
    """
    path = raw / "store.csv"
    text = dict.fromkeys(("StoreType", "Assortment", "PromoInterval"), "str")
    table = load_table(path, columns=STORES, dtypes=text)
    _check_stores(path, table)
    has_promo2 = table["Promo2"] == 1
    opened = pd.DataFrame(
        {
            "year": table["CompetitionOpenSinceYear"],
            "month": table["CompetitionOpenSinceMonth"],
            "day": 1,
        }
    )
    # The 4th of January lies in the first ISO week of its year, whatever the weekday.
    fourth = pd.to_datetime(
        pd.DataFrame({"year": table["Promo2SinceYear"], "month": 1, "day": 4}), errors="coerce"
    )
    days_on = 7 * (table["Promo2SinceWeek"] - 1) - fourth.dt.day_of_week
    intervals = table["PromoInterval"].where(has_promo2)
    months = intervals.fillna("").str.split(",")
    stores = pd.DataFrame(
        {
            "Store": table["Store"],
            "StoreType": pd.Categorical(table["StoreType"], categories=list(STORE_TYPES)),
            "Assortment": pd.Categorical(table["Assortment"], categories=list(ASSORTMENTS)),
            "CompetitionDistance": table["CompetitionDistance"].astype(float),
            "competition_since": pd.to_datetime(opened, errors="coerce"),
            "Promo2": has_promo2,
            "promo2_since": (fourth + pd.to_timedelta(days_on, unit="D")).where(has_promo2),
        }
    )
    for column, month in zip(PROMO_MONTHS, MONTHS, strict=True):
        stores[column] = [month in those for those in months]
    return stores.set_index("Store").sort_index()


def check_once(path: Path, stores: pd.Series) -> None:
    """Check that no store of a file comes twice.

    Raises:
        InputError: one does.
    """
    if (twice := stores[stores.duplicated()]).size:
        raise InputError(f"{path} must have each store once, {twice.iloc[0]} comes twice")


def check_known(path: Path, stores: pd.Series | pd.Index, known: pd.Series | pd.Index) -> None:
    """Check that a file has every store there is.

    Args:
        path: the file.
        stores: the numbers that it must have.
        known: those that it has.

    Raises:
        InputError: one is missing.
    """
    if (unknown := np.setdiff1d(stores, known)).size:
        raise InputError(
            f"{path} must have every store, {unknown[0]} is missing ({unknown.size} such stores)"
        )


def _load_rows(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Read train or test, and check what both have."""
    # Only as text is StateHoliday one type: Kaggle writes 0 both as a number and as a letter.
    table = load_table(path, dates=("Date",), columns=columns, dtypes={"StateHoliday": "str"})
    check_numbers(path, table, ("Store",), minimum=1, maximum=MOST, whole=True)
    check_numbers(path, table, ("Promo", "SchoolHoliday"), minimum=0, maximum=1, whole=True)
    check_labels(path, table, ("StateHoliday",), allowed=HOLIDAYS)
    date = table["Date"]
    if (wrong := np.flatnonzero(date != date.dt.normalize())).size:
        raise InputError(
            f"{path}: column Date must hold whole days, "
            f"line {wrong[0] + 2} has {date.iloc[wrong[0]]}"
        )
    weekday = date.dt.day_of_week + 1
    if (wrong := np.flatnonzero(table["DayOfWeek"] != weekday)).size:
        row = wrong[0]
        raise InputError(
            f"{path}: column DayOfWeek must be the date's (1 is Monday), line {row + 2} has "
            f"{table['DayOfWeek'].iloc[row]} on {date.iloc[row]:%Y-%m-%d}, which is "
            f"{weekday.iloc[row]} ({wrong.size} such rows)"
        )
    return table


def _check_test(raw: Path, train: pd.DataFrame, test: pd.DataFrame) -> None:
    """Check what test alone has, and that it goes on where train ends."""
    path = raw / "test.csv"
    check_numbers(path, test, ("Id",), minimum=0, maximum=MOST, whole=True)
    check_numbers(path, test, ("Open",), minimum=0, maximum=1, whole=True, may_miss=True)
    if (twice := np.flatnonzero(test["Id"].duplicated())).size:
        raise InputError(
            f"{path}: column Id must hold each once, {test['Id'][twice[0]]} comes twice"
        )
    first, last = test["Date"].min(), train["Date"].max()
    if first <= last:
        raise InputError(
            f"{path}: days must come after train.csv's last, {last:%Y-%m-%d}, "
            f"received {first:%Y-%m-%d}"
        )
    since, until = train["Date"].min(), test["Date"].max()
    if until.year - since.year > MOST_YEARS:
        raise InputError(
            f"{raw}: days must span at most {MOST_YEARS} years, "
            f"received {since:%Y-%m-%d} to {until:%Y-%m-%d}"
        )
    known = _load_numbers(raw)
    for table in (train, test):
        check_known(raw / "store.csv", table["Store"], known)
    new = np.setdiff1d(test["Store"], train["Store"])
    if new.size:
        named = ", ".join(map(str, new[:5])) + (", …" if new.size > 5 else "")
        log.warning(
            "test.csv: %d stores have no day in train.csv (%s): they are forecast without a past",
            new.size,
            named,
        )


def _check_stores(path: Path, table: pd.DataFrame) -> None:
    check_numbers(path, table, ("Store",), minimum=1, maximum=MOST, whole=True)
    check_once(path, table["Store"])
    check_labels(path, table, ("StoreType",), allowed=STORE_TYPES)
    check_labels(path, table, ("Assortment",), allowed=ASSORTMENTS)
    check_numbers(path, table, ("Promo2",), minimum=0, maximum=1, whole=True)
    check_numbers(path, table, ("CompetitionDistance",), minimum=0, may_miss=True)
    for column, minimum, maximum in (
        ("CompetitionOpenSinceMonth", 1, 12),
        ("CompetitionOpenSinceYear", 1800, 2100),
        ("Promo2SinceWeek", 1, 53),
        ("Promo2SinceYear", 1990, 2100),
    ):
        check_numbers(
            path, table, (column,), minimum=minimum, maximum=maximum, whole=True, may_miss=True
        )
    needed = ["Promo2SinceWeek", "Promo2SinceYear", "PromoInterval"]
    lacks = (table["Promo2"] == 1) & table[needed].isna().any(axis=1)
    if (wrong := np.flatnonzero(lacks)).size:
        raise InputError(
            f"{path}: a store with Promo2 must have {', '.join(needed)}, "
            f"line {wrong[0] + 2} lacks one ({wrong.size} such rows)"
        )
    is_month = (
        table["PromoInterval"].fillna(MONTHS[0]).map(lambda text: {*text.split(",")} <= {*MONTHS})
    )
    if (wrong := np.flatnonzero(~is_month.astype(bool))).size:
        raise InputError(
            f"{path}: column PromoInterval must hold months ({', '.join(MONTHS)}), "
            f"line {wrong[0] + 2} has {table['PromoInterval'][wrong[0]]}"
        )


def _load_numbers(raw: Path) -> pd.Series:
    """Read the numbers of all stores."""
    path = raw / "store.csv"
    table = load_table(path, columns=("Store",))
    check_numbers(path, table, ("Store",), minimum=1, maximum=MOST, whole=True)
    return table["Store"]


def _join(
    train: pd.Series | np.ndarray, test: pd.Series | np.ndarray, dtype: type[np.generic]
) -> np.ndarray:
    return np.concatenate([np.asarray(train, dtype), np.asarray(test, dtype)])


def _code_holidays(table: pd.DataFrame) -> np.ndarray:
    return pd.Categorical(table["StateHoliday"], categories=list(HOLIDAYS)).codes


def _sort_days(raw: Path, store: np.ndarray, date: np.ndarray, is_test: np.ndarray) -> np.ndarray:
    """Find the order by store, then date; every pair of them must come once."""
    day = date.astype("datetime64[D]").astype(np.int64)
    key = store * (np.ptp(day) + 1) + day - day.min()
    order = np.argsort(key)
    if (twice := np.flatnonzero(np.diff(key[order]) == 0)).size:
        row = order[twice[0]]
        raise InputError(
            f"{raw / ('test.csv' if is_test[row] else 'train.csv')} must have a store's day once, "
            f"{date[row].astype('datetime64[D]')} of store {store[row]} comes twice"
        )
    return order
