"""Store-days -> features: calendar, events, the store, and what its past sales say.

The law: a row's features look at sales and customers from before its forecast's origin only. What
Kaggle gives for test days (open, promo, holidays) is known ahead and may be looked at both ways.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from common.features.timeseries import (
    Block,
    DailyGrid,
    cell_means,
    count_seen,
    days_since,
    days_until,
    forecast_blocks,
    fourier_terms,
    make_calendar,
    moving_sum,
    past_mean,
    past_slope,
    starts_of,
)
from competitions.rossmann_store_sales.days import (
    PROMO_MONTHS,
    load_days,
    load_states,
    load_stores,
    load_trends,
    load_weather,
)

SUNDAY = 6
MONTH, SEASON = 31, 60  # days after which an event is far away
CLOSURE_DAYS = 6  # closed for longer than over any holidays: refurbishment
SIX_WEEKS, QUARTER, HALF_YEAR, YEAR = 42, 84, 168, 364  # days, in whole weeks
"""How far back the store's mean sales are taken."""


@dataclass(frozen=True)
class StoreDays:
    """All that a run knows, before any origin.

    Attributes:
        days: (n, …) train and test rows as `load_days` gives them, by store, then day.
        is_test: (n,) bool.
        dates: (T,) every day from the first train day to the last test day.
        grid: where the rows lie.
        stores: (S, …) as `load_stores` gives them, those that have rows.
        state: (S,) int, the store's place in `state_names`, -1 without the forum's files.
        state_names: two letters each, in their order.
        weather: {name: (S, T)}, empty without the forum's files.
        trend: (S, T) searches for Rossmann in the store's state, or None without these files.
    """

    days: pd.DataFrame
    is_test: np.ndarray
    dates: pd.DatetimeIndex
    grid: DailyGrid
    stores: pd.DataFrame
    state: np.ndarray
    state_names: tuple[str, ...]
    weather: dict[str, np.ndarray]
    trend: np.ndarray | None

    @property
    def n_train_days(self) -> int:
        return int(self.grid.day[~self.is_test].max()) + 1

    @property
    def horizon_days(self) -> int:
        """How many days the test's last day lies after train's last."""
        return len(self.dates) - self.n_train_days


def load_store_days(raw: Path) -> StoreDays:
    """Read everything and lay it out by store and day.

    Raises:
        InputError: a file is not as it must be.
    """
    days, is_test = load_days(raw)
    numbers, series = np.unique(days["Store"], return_inverse=True)
    first = days["Date"].min()
    day = (days["Date"] - first).dt.days.to_numpy()
    dates = pd.date_range(first, periods=day.max() + 1)
    grid = DailyGrid(series, day, len(numbers), len(dates))
    stores = load_stores(raw).loc[numbers]
    states, forum_weather, forum_trends = load_states(raw), load_weather(raw), load_trends(raw)
    state, weather, trend = np.full(len(numbers), -1), {}, None
    names: np.ndarray = np.array([], dtype=str)
    if states is not None:
        names, state = np.unique(states.loc[numbers], return_inverse=True)
        if forum_weather is not None:
            weather = _spread_weather(forum_weather, names, state, dates)
        if forum_trends is not None:
            weekly = forum_trends[0].pivot(index="Week", columns="State", values="Trend")[names]
            daily = weekly.reindex(weekly.index.union(dates)).ffill().loc[dates]
            trend = daily.to_numpy(np.float32).T[state]
    return StoreDays(days, is_test, dates, grid, stores, state, tuple(names), weather, trend)


def make_features(known: StoreDays, *, fit_rows: np.ndarray, rows: np.ndarray) -> pd.DataFrame:
    """Make the features of some rows, as they are known at each row's forecast origin.

    The test is one forecast, and all days before it are cut into forecasts of the same length, each
    with an origin of its own. So fit rows know as little of their day as test rows do of theirs.

    Args:
        known: everything.
        fit_rows: (n_fit,) rows whose sales may be looked at; all rows of their days' forecasts, or
            of some of them.
        rows: (m,) rows to make features of, none later than the first forecast after the fit rows.

    Returns:
        (m, D) float32. NaN where a store has no past. `mean_all` is the log of what a day of this
        weekday and promo sold on average in the store: what all models start from.
    """
    # Origins lie whole horizons before the test, also where the day before one was a holiday.
    horizon = known.horizon_days
    last_fit_day = int(known.grid.day[fit_rows].max())
    n_known = known.n_train_days - (known.n_train_days - 1 - last_fit_day) // horizon * horizon
    blocks = forecast_blocks(n_known + horizon, n_known=n_known, horizon_days=horizon)
    days = _cut(known, n_known + horizon)
    columns = _make_calendar(days) | _make_events(days, count_seen(blocks))
    columns |= _make_store_facts(days) | _make_weather(days)
    columns |= _make_history(days, blocks, fit_rows)
    return days.grid.gather_all(columns, rows)


@dataclass(frozen=True)
class _Days:
    """What is known ahead, as grids that end one horizon after the origin."""

    known: StoreDays
    grid: DailyGrid
    has_row: np.ndarray  # (S, T) bool
    is_open: np.ndarray  # (S, T) bool; days without a row are closed
    promo: np.ndarray  # (1, T) bool: all stores have their promos on the same days
    school: np.ndarray  # (S, T) bool, schools are closed
    holiday: np.ndarray  # (S, T) code, 0 for none

    @property
    def shape(self) -> tuple[int, int]:
        return self.is_open.shape

    @property
    def dates(self) -> pd.DatetimeIndex:
        return self.known.dates[: self.shape[1]]


def _cut(known: StoreDays, n_days: int) -> _Days:
    rows = np.flatnonzero(known.grid.day < n_days)
    grid = DailyGrid(known.grid.series[rows], known.grid.day[rows], known.grid.n_series, n_days)

    def spread(values: np.ndarray) -> np.ndarray:
        return grid.spread(values[rows], missing=0)

    days = known.days
    return _Days(
        known=known,
        grid=DailyGrid(known.grid.series, known.grid.day, known.grid.n_series, n_days),
        has_row=grid.spread(np.ones(len(rows)), missing=0) > 0,
        is_open=spread(days["Open"].to_numpy()) > 0,
        promo=spread(days["Promo"].to_numpy()).max(axis=0, keepdims=True) > 0,
        school=spread(days["SchoolHoliday"].to_numpy()) > 0,
        holiday=spread(days["StateHoliday"].cat.codes.to_numpy()),
    )


def _make_calendar(days: _Days) -> dict[str, np.ndarray]:
    """Make what all stores share, (1, T) each; no year, in which every day lies further on."""
    calendar = make_calendar(days.dates).drop(columns="year")
    columns = {str(name): calendar[name].to_numpy()[None] for name in calendar}
    waves = fourier_terms(calendar["year_part"].to_numpy(), order=3).T
    columns |= {f"year_wave_{k}": wave[None] for k, wave in enumerate(waves)}
    years = range(days.dates[0].year - 1, days.dates[-1].year + 2)
    easters = [pd.offsets.Easter().rollforward(pd.Timestamp(year, 1, 1)) for year in years]
    christmases = [pd.Timestamp(year, 12, 25) for year in years]
    columns["from_easter"] = _days_from_nearest(days.dates, easters)[None]
    columns["from_christmas"] = _days_from_nearest(days.dates, christmases)[None]
    return columns


def _make_events(days: _Days, seen: np.ndarray) -> dict[str, np.ndarray]:
    """Make how far away promos, holidays, school holidays and closures are.

    Forecasts see ahead to their own end, so fit rows do too.
    """
    is_open, promo, school = days.is_open, days.promo, days.school
    is_holiday = days.holiday > 0
    is_sunday = days.dates.day_of_week.to_numpy()[None] == SUNDAY
    is_closed = ~is_open & ~is_sunday
    is_away = moving_sum(is_open, first=1 - CLOSURE_DAYS, last=0) == 0
    is_away[:, :CLOSURE_DAYS] = False
    n_stores = np.maximum(days.has_row.sum(axis=0, keepdims=True), 1)
    return {
        "promo": promo,
        "promo_since_start": days_since(starts_of(promo), most=MONTH),
        "promo_until_end": days_until(starts_of(~promo), most=MONTH, seen=seen),
        "promo_until_start": days_until(starts_of(promo), most=MONTH, seen=seen),
        "holiday": days.holiday,
        "since_holiday": days_since(is_holiday, most=MONTH),
        "until_holiday": days_until(is_holiday, most=MONTH, seen=seen),
        "holidays_around": moving_sum(is_holiday, first=-3, last=3, seen=seen),
        "school": school,
        "school_since_start": days_since(starts_of(school), most=SEASON),
        "school_since_end": days_since(starts_of(~school), most=SEASON),
        "school_until_start": days_until(starts_of(school), most=SEASON, seen=seen),
        "school_until_end": days_until(starts_of(~school), most=SEASON, seen=seen),
        "school_days_around": moving_sum(school, first=-7, last=7, seen=seen),
        "school_share": school.sum(axis=0, keepdims=True) / n_stores,
        "open_share": is_open.sum(axis=0, keepdims=True) / n_stores,
        "since_closed": days_since(is_closed, most=MONTH),
        "until_closed": days_until(is_closed, most=MONTH, seen=seen),
        "open_last_week": moving_sum(is_open, first=-7, last=-1),
        "open_next_week": moving_sum(is_open, first=1, last=7, seen=seen),
        "open_yesterday": moving_sum(is_open, first=-1, last=-1),
        "open_tomorrow": moving_sum(is_open, first=1, last=1, seen=seen),
        "since_refurbishment": days_since(starts_of(~is_away), most=YEAR),
        "until_refurbishment": days_until(starts_of(is_away), most=SEASON, seen=seen),
        "has_opened_sundays": np.maximum.accumulate(is_open & is_sunday, axis=1),
    }


def _make_store_facts(days: _Days) -> dict[str, np.ndarray]:
    """Make what store.csv says, and what follows from it on each day."""
    stores, dates = days.known.stores, days.dates
    competed_days = _days_from(stores["competition_since"], dates)
    promo2_days = _days_from(stores["promo2_since"], dates)
    has_promo2 = promo2_days >= 0
    months = stores[list(PROMO_MONTHS)].to_numpy()
    facts = {
        "store": np.arange(len(stores)),
        "store_type": stores["StoreType"].cat.codes,
        "assortment": stores["Assortment"].cat.codes,
        "state": days.known.state,
        "log_distance": np.log1p(stores["CompetitionDistance"]),
        "promo2_interval": np.where(months.any(axis=1), 1 + months.argmax(axis=1), 0),
    }
    return {name: np.asarray(fact)[:, None] for name, fact in facts.items()} | {
        "competition_days": np.clip(competed_days, -2 * YEAR, 10 * YEAR),
        "promo2_days": np.where(has_promo2, np.minimum(promo2_days, 4 * YEAR), -1),
        "promo2_month": has_promo2 & months[:, dates.month.to_numpy() - 1],
    }


def _make_weather(days: _Days) -> dict[str, np.ndarray]:
    n_days = days.shape[1]
    columns = {f"weather_{name}": grid[:, :n_days] for name, grid in days.known.weather.items()}
    if days.known.trend is not None:
        columns["trend"] = days.known.trend[:, :n_days]
    return columns


def _make_history(days: _Days, blocks: list[Block], fit_rows: np.ndarray) -> dict[str, np.ndarray]:
    """Make what past sales say, block by block: each block knows the days before it only."""
    known = days.known

    def spread_log(column: str) -> np.ndarray:
        values = np.full(len(known.days), np.nan, np.float32)
        values[fit_rows] = known.days[column].to_numpy()[fit_rows]
        within = np.flatnonzero(known.grid.day < days.shape[1])
        grid = DailyGrid(known.grid.series[within], known.grid.day[within], *days.shape)
        spread = grid.spread(values[within])
        return np.log(spread, where=spread > 0, out=np.full(days.shape, np.nan, np.float32))

    sales, customers = spread_log("Sales"), spread_log("Customers")
    weekday = days.dates.day_of_week.to_numpy()[None]
    cells = np.broadcast_to(weekday * 2 + days.promo, days.shape)
    horizon = np.concatenate([np.arange(end - start) for start, end in blocks]) + 1
    columns = {"horizon": horizon[None]}
    for start, end in blocks[1:]:  # the first has no past
        block = _make_block(
            sales[:, :start], customers[:, :start], cells[:, :end], days.holiday[:, :end] > 0
        )
        for name, values in block.items():
            column = columns.setdefault(name, np.full(days.shape, np.nan, np.float32))
            column[:, start:end] = values
    return columns


def _make_block(
    sales: np.ndarray, customers: np.ndarray, cells: np.ndarray, is_holiday: np.ndarray
) -> dict[str, np.ndarray]:
    """Make the features of days [start, end) from log sales and customers before start.

    Args:
        sales: (S, start), NaN where closed.
        customers: like sales.
        cells: (S, end) weekday x promo of each day.
        is_holiday: (S, end) bool.

    Returns:
        (S, end - start) each, or (S, 1).
    """
    start, end = sales.shape[1], cells.shape[1]
    here, past = np.arange(start, end), cells[:, :start]
    columns = {}
    for name, n_days in (
        ("quarter", QUARTER),
        ("half_year", HALF_YEAR),
        ("year", YEAR),
        ("all", start),
    ):
        recent = slice(max(0, start - n_days), start)
        means, counts = cell_means(sales[:, recent], past[:, recent], n_cells=14, prior=3)
        columns[f"mean_{name}"] = np.take_along_axis(means, cells[:, start:], axis=1)
        if name in ("quarter", "all"):
            columns[f"count_{name}"] = np.take_along_axis(counts, cells[:, start:], axis=1)
    by_promo = means.reshape(-1, 7, 2)[:, :5]
    columns["promo_effect"] = (by_promo[..., 1] - by_promo[..., 0]).mean(axis=1, keepdims=True)
    # What is left when weekday and promo are taken off: the store's mood, season and trend.
    left = sales - np.take_along_axis(means, past, axis=1)
    now = np.array([start])
    for n_days in (7, 14, 28, 56):
        columns[f"left_{n_days}"] = past_mean(left, now, first=-n_days, last=-1, prior=1)
    had_promo = past[:, -SIX_WEEKS:] % 2 == 1
    with_promo, without = (
        _mean_all(np.where(had, left[:, -SIX_WEEKS:], np.nan), prior=1)
        for had in (had_promo, ~had_promo)
    )
    # Few stores open on holidays; some of them sell a fraction of a working day's then.
    on_holidays = _mean_all(np.where(is_holiday[:, :start], left, np.nan), prior=1)
    columns["left_holidays"] = np.where(is_holiday[:, start:], on_holidays, np.nan)
    columns["left_same_promo"] = np.where(cells[:, start:] % 2 == 1, with_promo, without)
    for name, n_days in (("year_ago", YEAR), ("two_years_ago", 2 * YEAR)):
        then = past_mean(left, here - n_days, first=-7, last=7, prior=2)
        before = past_mean(left, now - n_days, first=-28, last=-1, prior=2)
        columns[f"left_{name}"] = then
        columns[f"rise_{name}"] = then - before
    columns["slope"] = past_slope(left, prior=0.1)[:, None]
    columns["spread"] = np.sqrt(_mean_all(left**2, prior=0))
    columns["log_customers"] = _mean_all(customers, prior=0)
    columns["log_sales"] = _mean_all(sales, prior=0)
    return columns


def _mean_all(past: np.ndarray, *, prior: float) -> np.ndarray:
    """(S, A) -> (S, 1) the mean of all that is known."""
    n = past.shape[1]
    return past_mean(past, np.array([n]), first=-n, last=-1, prior=prior)


def _days_from_nearest(dates: pd.DatetimeIndex, feasts: list[pd.Timestamp]) -> np.ndarray:
    """(T,) days since the nearest feast, negative before it, at most a month."""
    gap = (dates.to_numpy()[:, None] - pd.DatetimeIndex(feasts).to_numpy()) / np.timedelta64(1, "D")
    nearest = np.take_along_axis(gap, np.abs(gap).argmin(axis=1)[:, None], axis=1)[:, 0]
    return np.clip(nearest, -MONTH, MONTH)


def _days_from(since: pd.Series, dates: pd.DatetimeIndex) -> np.ndarray:
    """(S, T) days from a store's date to each day, NaN where it has none."""
    gap = dates.to_numpy()[None] - since.to_numpy()[:, None]
    return np.where(np.isnat(gap), np.nan, gap / np.timedelta64(1, "D"))


def _spread_weather(
    weather: pd.DataFrame, names: np.ndarray, state: np.ndarray, dates: pd.DatetimeIndex
) -> dict[str, np.ndarray]:
    """Lay the states' weather out by store and day: {name: (S, T) float32}."""
    table = weather.assign(wet=weather["Rain"] | weather["Snow"])
    columns = {
        "heat": "Max_TemperatureC",
        "temperature": "Mean_TemperatureC",
        "rain": "Precipitationmm",
        "clouds": "CloudCover",
        "humidity": "Mean_Humidity",
        "wind": "Max_Wind_SpeedKm_h",
        "wet": "wet",
    }
    grids = {}
    for name, column in columns.items():
        by_state = table.pivot(index="Date", columns="State", values=column)[names]
        grids[name] = by_state.reindex(dates).to_numpy(np.float32).T[state]
    warmth = grids["temperature"]
    grids["warmer"] = warmth - moving_sum(warmth, first=-7, last=-1) / 7
    return grids
