"""Reads what competitors shared on the forum: states, weather and search trends."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from common.checks import InputError
from common.data.tables import check_numbers, load_table
from competitions.rossmann_store_sales.competition import WEATHER
from competitions.rossmann_store_sales.days import MOST, check_known, check_once

log = logging.getLogger(__name__)

READINGS = WEATHER[1:-1]  # the weather's numbers
EVENTS = ("Rain", "Snow")
TREND_OF = {"HB": "NI", "BB": "BE", "MV": "SH"}


def load_states(raw: Path, stores: pd.Index) -> pd.Series | None:
    """Read in which state each store lies, where store_states.csv is there.

    The forum's first file calls HB "HB,NI": such stores are taken to lie in HB.

    Args:
        raw: the competition's files.
        stores: the numbers of store.csv.

    Returns:
        Store -> State, two letters, sorted; or None.

    Raises:
        InputError: a store comes twice or has no state.
    """
    path = raw / "store_states.csv"
    if not path.is_file():
        return None
    table = load_table(path, columns=("Store", "State"), dtypes={"State": "str"})
    check_numbers(path, table, ("Store",), minimum=1, maximum=MOST, whole=True)
    check_once(path, table["Store"])
    states = table.set_index("Store")["State"].replace("HB,NI", "HB").dropna()
    check_known(path, stores, states.index)
    return states.sort_index()


def load_weather(raw: Path, states: pd.Series | None, until: pd.Timestamp) -> pd.DataFrame | None:
    """Read the weather of every state that has stores, where weather/ is there.

    Missing readings, and days that a file skips, are drawn from the days around in time; a day
    without a reading of precipitation is dry. In the forum's data MV's file is a copy of SH's. A
    file that ends too early is let pass and told in the log.

    Args:
        raw: the competition's files.
        states: as `load_states` gives them.
        until: the last day that is needed.

    Returns:
        One row for each state and day, sorted: State, Date, the numbers `READINGS` without a gap
        from the file's first day to its last, and the bools `EVENTS`; or None.

    Raises:
        InputError: there is weather but no store_states.csv, a state has no file, or a file is not
            as it must be.
    """
    if not any(raw.glob("weather/*.csv")):
        return None
    parts = []
    for state in _list_used_states(raw, states, "weather"):
        path = raw / "weather" / f"{state}.csv"
        _check_there(path, state)
        part = _load_weather_file(path)
        _warn_of_end(path, part["Date"].iloc[-1], until)
        parts.append(part.assign(State=state))
    return pd.concat(parts, ignore_index=True)[["State", "Date", *READINGS, *EVENTS]]


def load_trends(raw: Path, states: pd.Series | None, until: pd.Timestamp) -> pd.DataFrame | None:
    """Read how often people of each state searched for Rossmann, where googletrend/ is there.

    A state without a file of its own takes a neighbour's: HB takes NI's, which the forum's data
    mean for both, BB (around Berlin) BE's, and MV SH's, as it does with the weather. A file that
    ends too early is let pass and told in the log.

    Args:
        raw: the competition's files.
        states: as `load_states` gives them.
        until: the last day that is needed.

    Returns:
        One row for each state with stores and each week, sorted: State, Week (its Sunday, on which
        it begins), Trend; or None. Weeks that a file skips are drawn from those around. Each series
        has its own scale, 100 at its peak.

    Raises:
        InputError: there are trends but no store_states.csv, a state has no file, or a file is not
            as it must be.
    """
    folder = raw / "googletrend"
    if not any(folder.glob("Rossmann_DE_*.csv")):
        return None
    paths = {
        state: _find_trend_file(folder, state)
        for state in _list_used_states(raw, states, "googletrend")
    }
    series = {path: _load_trend_file(path) for path in dict.fromkeys(paths.values())}
    for path, weeks in series.items():
        _warn_of_end(path, weeks["Week"].iloc[-1] + pd.Timedelta(days=6), until)
    parts = [series[path].assign(State=state) for state, path in paths.items()]
    return pd.concat(parts, ignore_index=True)[["State", "Week", "Trend"]]


def _list_used_states(raw: Path, states: pd.Series | None, folder: str) -> list[str]:
    if states is None:
        raise InputError(
            f"{raw / 'store_states.csv'} is missing: {folder}/ is of no use without it; "
            "add the one or remove the other"
        )
    return sorted(states.unique())


def _check_there(path: Path, state: str) -> None:
    if not path.is_file():
        raise InputError(f"{path} is missing: store_states.csv has stores in {state}")


def _warn_of_end(path: Path, last: pd.Timestamp, until: pd.Timestamp) -> None:
    if last < until:
        log.warning(
            "%s/%s: days must reach %s, received days up to %s: what follows is unknown",
            path.parent.name,
            path.name,
            f"{until:%Y-%m-%d}",
            f"{last:%Y-%m-%d}",
        )


def _load_weather_file(path: Path) -> pd.DataFrame:
    """Read one state's weather: Date, `READINGS` and `EVENTS`, every day from first to last."""
    table = load_table(
        path, dates=("Date",), columns=WEATHER, dtypes={"Events": "str"}, separator=";"
    )
    check_numbers(path, table, READINGS[:2], minimum=-60, maximum=60, may_miss=True)
    check_numbers(path, table, READINGS[2:], minimum=0, maximum=1000, may_miss=True)
    table["Precipitationmm"] = table["Precipitationmm"].fillna(0)
    events = table["Events"].fillna("")
    happened = pd.DataFrame({event: events.str.contains(event) for event in EVENTS})
    happened.index = pd.Index(table["Date"])
    filled = _fill(path, table, "Date", READINGS, "D")
    return filled.join(happened.reindex(filled.index, fill_value=False)).reset_index()


def _find_trend_file(folder: Path, state: str) -> Path:
    own = folder / f"Rossmann_DE_{state}.csv"
    if own.is_file():
        return own
    path = folder / f"Rossmann_DE_{TREND_OF.get(state, state)}.csv"
    _check_there(path, state)
    return path


def _load_trend_file(path: Path) -> pd.DataFrame:
    """Read one series: Week and Trend, every week from first to last."""
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
    return _fill(path, table, "Week", ("Trend",), "7D").reset_index()


def _fill(
    path: Path, table: pd.DataFrame, date: str, columns: tuple[str, ...], frequency: str
) -> pd.DataFrame:
    """Draw missing numbers, and those of missing dates, from the dates around; index by date."""
    if table.empty:
        raise InputError(f"{path} must hold days, received none")
    if (twice := table[date][table[date].duplicated()]).size:
        raise InputError(f"{path} must have each day once, {twice.iloc[0]:%Y-%m-%d} comes twice")
    filled = table.set_index(date)[list(columns)].astype(float).sort_index()
    filled = filled.asfreq(frequency).interpolate(method="time", limit_direction="both")
    if empty := [column for column in columns if filled[column].isna().any()]:
        raise InputError(f"{path}: column {empty[0]} must hold numbers, received none")
    return filled
