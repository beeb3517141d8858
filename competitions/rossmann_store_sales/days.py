"""Reads Kaggle's three tables and what competitors shared: states, weather, search trends."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from common.checks import InputError
from common.data.tables import check_labels, check_numbers, load_table
from competitions.rossmann_store_sales.competition import STORES, TEST, TRAIN, WEATHER

log = logging.getLogger(__name__)

HOLIDAYS = ("0", "a", "b", "c")  # none, public, Easter, Christmas
STORE_TYPES = ("a", "b", "c", "d")
ASSORTMENTS = ("a", "b", "c")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sept", "Oct", "Nov", "Dec")
PROMO_MONTHS = tuple(f"promo_in_{month}" for month in MONTHS)
READINGS = WEATHER[1:-1]  # the weather's numbers
EVENTS = ("Rain", "Snow", "Fog")
TREND_OF = {"HB": "NI", "BB": "BE", "MV": "SH"}
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


def load_states(raw: Path) -> pd.Series | None:
    """Read in which state each store lies, where store_states.csv is there.

    The forum's first file calls HB "HB,NI": such stores are taken to lie in HB.

    Args:
        raw: the competition's files.

    Returns:
        Store -> State, two letters; or None.

    Raises:
        InputError: a store comes twice or has no state.
    """
    path = raw / "store_states.csv"
    if not path.is_file():
        return None
    table = load_table(path, columns=("Store", "State"), dtypes={"State": "str"})
    check_numbers(path, table, ("Store",), minimum=1, maximum=MOST, whole=True)
    _check_once(path, table["Store"])
    states = table.set_index("Store")["State"].replace("HB,NI", "HB").dropna()
    _check_known(path, _load_numbers(raw), states.index)
    return states.sort_index()


def load_weather(raw: Path) -> pd.DataFrame | None:
    """Read the weather of every state that has stores, where weather/ is there.

    Missing readings, and days that a file skips, are drawn from the days around in time; a day
    without a reading of precipitation is dry. In the forum's data MV's file is a copy of SH's.

    Args:
        raw: the competition's files.

    Returns:
        One row for each state and day, sorted: State, Date, the numbers `READINGS` without a gap
        from the file's first day to its last, and the bools `EVENTS`.

    Raises:
        InputError: there is weather but no store_states.csv, a state has no file, or a file is not
            as it must be.
    """
    if not any(raw.glob("weather/*.csv")):
        return None
    parts = []
    for state in _load_used_states(raw, "weather"):
        path = raw / "weather" / f"{state}.csv"
        if not path.is_file():
            raise InputError(f"{path} is missing: store_states.csv has stores in {state}")
        parts.append(_load_weather_file(path).assign(State=state))
    return pd.concat(parts, ignore_index=True)[["State", "Date", *READINGS, *EVENTS]]


def load_trends(raw: Path) -> tuple[pd.DataFrame, pd.Series] | None:
    """Read how often people searched for Rossmann, where googletrend/ is there.

    A state without a file of its own takes a neighbour's: HB takes NI's, which the forum's data
    mean for both, BB (around Berlin) BE's, and MV SH's, as it does with the weather.

    Args:
        raw: the competition's files.

    Returns:
        One row for each state with stores and each week, sorted: State, Week (its Sunday, on which
        it begins), Trend; and the whole country's series, Week -> Trend. Weeks that a file skips
        are drawn from those around. Each series has its own scale, 100 at its peak.

    Raises:
        InputError: there are trends but no store_states.csv, a state or the country has no file, or
            a file is not as it must be.
    """
    folder = raw / "googletrend"
    if not any(folder.glob("Rossmann_DE*.csv")):
        return None
    parts = []
    for state in _load_used_states(raw, "googletrend"):
        own = folder / f"Rossmann_DE_{state}.csv"
        path = folder / f"Rossmann_DE_{TREND_OF.get(state, state)}.csv"
        path = own if own.is_file() else path
        if not path.is_file():
            raise InputError(f"{path} is missing: store_states.csv has stores in {state}")
        parts.append(_load_trend_file(path).reset_index().assign(State=state))
    states = pd.concat(parts, ignore_index=True)[["State", "Week", "Trend"]]
    return states, _load_trend_file(folder / "Rossmann_DE.csv")


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
        _check_known(raw / "store.csv", table["Store"], known)
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
    _check_once(path, table["Store"])
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


def _check_once(path: Path, stores: pd.Series) -> None:
    if (twice := stores[stores.duplicated()]).size:
        raise InputError(f"{path} must have each store once, {twice.iloc[0]} comes twice")


def _check_known(path: Path, stores: pd.Series, known: pd.Series | pd.Index) -> None:
    if (unknown := np.setdiff1d(stores, known)).size:
        raise InputError(
            f"{path} must have every store, {unknown[0]} is missing ({unknown.size} such stores)"
        )


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


def _load_used_states(raw: Path, folder: str) -> list[str]:
    states = load_states(raw)
    if states is None:
        raise InputError(
            f"{raw / 'store_states.csv'} is missing: {folder}/ is of no use without it; "
            "add the one or remove the other"
        )
    return sorted(states.unique())


def _load_weather_file(path: Path) -> pd.DataFrame:
    table = load_table(
        path, dates=("Date",), columns=WEATHER, dtypes={"Events": "str"}, separator=";"
    )
    check_numbers(path, table, READINGS[:3], minimum=-60, maximum=60, may_miss=True)
    check_numbers(path, table, READINGS[3:], minimum=0, maximum=1000, may_miss=True)
    table["Precipitationmm"] = table["Precipitationmm"].fillna(0)
    events = table["Events"].fillna("")
    happened = pd.DataFrame({event: events.str.contains(event) for event in EVENTS})
    happened.index = pd.Index(table["Date"])
    filled = _fill(path, table, "Date", READINGS, "D")
    return filled.join(happened.reindex(filled.index, fill_value=False)).reset_index()


def _load_trend_file(path: Path) -> pd.Series:
    """Read one series: Week -> Trend."""
    table = load_table(path, columns=("Woche",), dtypes={"Woche": "str"})
    if table.shape[1] != 2:
        raise InputError(f"{path} must have 2 columns, received {', '.join(table.columns)}")
    value = table.columns[1]
    check_numbers(path, table, (value,), minimum=0, maximum=100)
    # "2012-12-02 - 2012-12-08": a week from its Sunday to its Saturday
    week = pd.to_datetime(table["Woche"].str[:10], format="%Y-%m-%d", errors="coerce")
    if (wrong := np.flatnonzero(week.dt.day_of_week != 6)).size:
        raise InputError(
            f"{path}: column Woche must hold weeks from a Sunday on, "
            f"line {wrong[0] + 2} has {table['Woche'][wrong[0]]}"
        )
    table = pd.DataFrame({"Week": week, "Trend": table[value]})
    return _fill(path, table, "Week", ("Trend",), "7D")["Trend"]


def _fill(
    path: Path, table: pd.DataFrame, date: str, columns: tuple[str, ...], frequency: str
) -> pd.DataFrame:
    """Draw missing numbers, and those of missing dates, from the dates around; index by date."""
    if (twice := table[date][table[date].duplicated()]).size:
        raise InputError(f"{path} must have each day once, {twice.iloc[0]:%Y-%m-%d} comes twice")
    filled = table.set_index(date)[list(columns)].astype(float).sort_index()
    filled = filled.asfreq(frequency).interpolate(method="time", limit_direction="both")
    if empty := [column for column in columns if filled[column].isna().any()]:
        raise InputError(f"{path}: column {empty[0]} must hold numbers, received none")
    return filled
