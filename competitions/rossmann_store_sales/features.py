"""Store-days -> features: calendar, events, the store, and what its past sales say.

The law: a row's features look at sales and customers from before its forecast's origin only. What
Kaggle gives for test days (open, promo, holidays) is known ahead, to the end of the forecast.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from common.features.daily_grid import Block, DailyGrid, count_seen, forecast_blocks
from common.features.timeseries import (
    days_since,
    days_until,
    fourier_terms,
    make_calendar,
    moving_sum,
    starts_of,
)
from competitions.rossmann_store_sales.days import PROMO_MONTHS
from competitions.rossmann_store_sales.history import YEAR, make_history
from competitions.rossmann_store_sales.store_days import StoreDays

SUNDAY = 6
MONTH, SEASON = 31, 60  # days after which an event is far away
CLOSURE_DAYS = 6  # closed for longer than over any holidays: refurbishment
LONG = 2 * YEAR  # days after which a competitor or Promo2 is nothing new


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
        weekday and promo sold on average in the store: what most models start from.
    """
    # Origins lie whole horizons before the test, also where the day before one was a holiday.
    horizon = known.horizon_days
    last_fit_day = int(known.grid.day[fit_rows].max())
    n_known = known.n_train_days - (known.n_train_days - 1 - last_fit_day) // horizon * horizon
    blocks = forecast_blocks(n_known + horizon, n_known=n_known, horizon_days=horizon)
    days = _cut(known, n_known + horizon)
    columns = _make_calendar(days) | _make_events(days, count_seen(blocks))
    columns |= _make_store_facts(days) | _make_weather(days)
    columns |= _make_past(days, blocks, fit_rows, rows)
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
    n_rows = np.bincount(known.grid.day, minlength=len(known.dates))
    n_promo = np.bincount(known.grid.day, weights=days["Promo"], minlength=len(known.dates))
    promo = (2 * n_promo > n_rows)[None]  # one store's slip is no promo of the chain
    return _Days(
        known=known,
        grid=DailyGrid(known.grid.series, known.grid.day, known.grid.n_series, n_days),
        has_row=grid.spread(np.ones(len(rows)), missing=0) > 0,
        is_open=spread(days["Open"].to_numpy()) > 0,
        promo=promo[:, :n_days],
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
    is_asked = np.zeros((len(is_open), 1), bool)
    is_asked[days.known.asked] = True  # all days' shares are of the stores that the test has
    n_stores = np.maximum((days.has_row & is_asked).sum(axis=0, keepdims=True), 1)
    # A closure is known to be long on its sixth day, and began five days before.
    leaves = np.zeros_like(is_away)
    leaves[:, : 1 - CLOSURE_DAYS] = starts_of(is_away)[:, CLOSURE_DAYS - 1 :]
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
        "school_share": (school & is_asked).sum(axis=0, keepdims=True) / n_stores,
        "open_share": (is_open & is_asked).sum(axis=0, keepdims=True) / n_stores,
        "since_closed": days_since(is_closed, most=MONTH),
        "until_closed": days_until(is_closed, most=MONTH, seen=seen),
        "open_last_week": moving_sum(is_open, first=-7, last=-1),
        "open_next_week": moving_sum(is_open, first=1, last=7, seen=seen),
        "open_yesterday": moving_sum(is_open, first=-1, last=-1),
        "open_tomorrow": moving_sum(is_open, first=1, last=1, seen=seen),
        "since_refurbishment": days_since(starts_of(~is_away), most=YEAR),
        "until_refurbishment": days_until(leaves, most=SEASON, seen=seen - (CLOSURE_DAYS - 1)),
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
        "competition_days": np.clip(competed_days, -LONG, LONG),
        "promo2_days": np.where(has_promo2, np.minimum(promo2_days, LONG), -1),
        "promo2_month": has_promo2 & months[:, dates.month.to_numpy() - 1],
    }


def _make_weather(days: _Days) -> dict[str, np.ndarray]:
    n_days = days.shape[1]
    return {f"weather_{name}": grid[:, :n_days] for name, grid in days.known.weather.items()}


def _make_past(
    days: _Days, blocks: list[Block], fit_rows: np.ndarray, rows: np.ndarray
) -> dict[str, np.ndarray]:
    """Make what the sales of the fit rows say of the days of `rows`."""
    known = days.known
    grid = DailyGrid(known.grid.series[fit_rows], known.grid.day[fit_rows], *days.shape)

    def spread_log(column: str) -> np.ndarray:
        spread = grid.spread(known.days[column].to_numpy()[fit_rows])
        return np.log(spread, where=spread > 0, out=np.full(days.shape, np.nan, np.float32))

    wanted = np.isin(np.arange(days.shape[1]), known.grid.day[rows])
    weekday = days.dates.day_of_week.to_numpy()[None]
    return make_history(
        spread_log("Sales"),
        spread_log("Customers"),
        cells=np.broadcast_to(weekday * 2 + days.promo, days.shape),
        is_holiday=days.holiday > 0,
        trend=None if known.trend is None else known.trend[:, : days.shape[1]],
        blocks=blocks,
        wanted=wanted,
    )


def _days_from_nearest(dates: pd.DatetimeIndex, feasts: list[pd.Timestamp]) -> np.ndarray:
    """(T,) days since the nearest feast, negative before it, at most a month."""
    gap = (dates.to_numpy()[:, None] - pd.DatetimeIndex(feasts).to_numpy()) / np.timedelta64(1, "D")
    nearest = np.take_along_axis(gap, np.abs(gap).argmin(axis=1)[:, None], axis=1)[:, 0]
    return np.clip(nearest, -MONTH, MONTH)


def _days_from(since: pd.Series, dates: pd.DatetimeIndex) -> np.ndarray:
    """(S, T) days from a store's date to each day, NaN where it has none."""
    gap = dates.to_numpy()[None] - since.to_numpy()[:, None]
    return np.where(np.isnat(gap), np.nan, gap / np.timedelta64(1, "D"))
