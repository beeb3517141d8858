"""Many daily series -> features that know nothing after a forecast's origin.

All functions work on grids, as `daily_grid.DailyGrid` lays them out: one row per series (a store),
one column per day, NaN where nothing is known. What is known ahead (calendar, promos, holidays) may
be looked at in both directions. What is to be forecast may not: whoever makes a feature of it takes
the columns up to an origin.
"""

import numpy as np
import pandas as pd

from common.checks import check_positive, check_shape


def days_since(events: np.ndarray, *, most: int) -> np.ndarray:
    """Count the days since the last event.

    Args:
        events: (S, T) bool.
        most: what is given where the last event lies as far back or further, or there was none.

    Returns:
        (S, T) float32 in [0, most]; 0 on the day of an event.

    Raises:
        ValueError: most is not positive.
    """
    check_positive("most", most)
    day = np.arange(events.shape[1], dtype=np.int32)
    last = np.maximum.accumulate(np.where(events, day, -most - 1), axis=1)
    return np.minimum(day - last, most).astype(np.float32)


def days_until(events: np.ndarray, *, most: int, seen: np.ndarray | None = None) -> np.ndarray:
    """Count the days until the next event.

    Args:
        events: (S, T) bool.
        most: what is given where the next event lies as far ahead or further, or is not seen.
        seen: (T,) int, how many days ahead each day may look, as `count_seen` gives it; None looks
            to the end of the grid.

    Returns:
        (S, T) float32 in [0, most]; 0 on the day of an event.

    Raises:
        ValueError: most is not positive.
    """
    until = days_since(events[:, ::-1], most=most)[:, ::-1]
    return until if seen is None else np.where(until <= seen, until, np.float32(most))


def starts_of(states: np.ndarray) -> np.ndarray:
    """Find the first day of every stretch of a state; one that is on from day 0 did not start.

    Args:
        states: (S, T) bool.

    Returns:
        (S, T) bool.
    """
    starts = np.zeros_like(states, dtype=bool)
    starts[:, 1:] = states[:, 1:] > states[:, :-1]
    return starts


def moving_sum(
    values: np.ndarray, *, first: int, last: int, seen: np.ndarray | None = None
) -> np.ndarray:
    """Add values up over the days from t + first to t + last.

    (-6, 0) is the week up to today, (-48, -42) a week that ended 42 days ago, (1, 7) the week to
    come. Days outside the grid or not seen, and values that are not finite, count as 0.

    Args:
        values: (S, T) numbers or bool.
        first: days from the present one, negative for the past.
        last: >= first.
        seen: (T,) int, how many days ahead each day may look; None looks to the end of the grid.

    Returns:
        (S, T) float32.

    Raises:
        ValueError: last is before first.
    """
    _check_span(first, last)
    day = np.arange(values.shape[1])
    high = day + (last if seen is None else np.minimum(last, seen)) + 1
    low = np.minimum(day + first, high)
    return _sum_spans(_zero_unknown(values), low, high).astype(np.float32)


def past_mean(
    past: np.ndarray, days: np.ndarray, *, first: int, last: int, prior: float
) -> np.ndarray:
    """Average what is known within a span around each of some days, drawn towards 0.

    Args:
        past: (S, A) the columns up to the origin; what is not finite is skipped.
        days: (H,) int, any days; spans reach from day + first to day + last, and what lies at A or
            later is not known.
        first: days from each, negative for the past.
        last: >= first.
        prior: how many values of 0 are added to the mean, >= 0: a short span says little.

    Returns:
        (S, H) float32; NaN where a span holds no value.

    Raises:
        ValueError: last is before first, or prior is negative.
    """
    _check_span(first, last)
    if not prior >= 0:
        raise ValueError(f"prior must be >= 0, received {prior}")
    n_past = past.shape[1]
    low, high = days + first, days + last + 1
    # Only columns that a span may touch are added up: mostly a few out of many.
    begin, end = np.clip([low.min(initial=n_past), high.max(initial=0)], 0, n_past)
    near = past[:, begin:end]
    sums = _sum_spans(_zero_unknown(near), low - begin, high - begin)
    n = _sum_spans(np.isfinite(near), low - begin, high - begin)
    return np.where(n > 0, sums / np.maximum(n + prior, 1e-9), np.nan).astype(np.float32)


def cell_means(
    past: np.ndarray, cells: np.ndarray, *, n_cells: int, prior: float
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate each series' mean in each of some cells, as weekday x promo.

    A series' cell with few days is drawn towards what the series' level and the cell's effect in
    all series together let expect: level + effect + (what is left, times n / (n + prior)).

    Args:
        past: (S, A) the columns up to the origin; what is not finite is skipped.
        cells: (S, A) int in [0, n_cells), the cell of each day; anything where past is skipped.
        n_cells: C.
        prior: days of that expectation that every cell begins with, > 0.

    Returns:
        (S, C) float32 means, NaN for a series without a value; and (S, C) float32, how many days
        each stands on.

    Raises:
        ValueError: shapes differ, a cell is out of range, or prior is not positive.

    Source: Bühlmann, "Experience Rating and Credibility", 1967: credibility n / (n + k), here about
        a two-way additive expectation (one sweep over cells and series, in place of least squares)
        and with k given.
    """
    check_shape("cells", cells, past.shape)
    check_positive("prior", prior)
    n_series, known = len(past), np.isfinite(past)
    cell = cells[known]
    if ((cell < 0) | (cell >= n_cells)).any():
        raise ValueError(f"cells must be in [0, {n_cells}), received {cell.min()} to {cell.max()}")
    key = np.repeat(np.arange(n_series) * n_cells, known.sum(axis=1)) + cell
    n = np.bincount(key, minlength=n_series * n_cells).reshape(n_series, n_cells)
    total = np.bincount(key, weights=past[known], minlength=n_series * n_cells)
    total = total.reshape(n_series, n_cells)
    days = n.sum(axis=1, keepdims=True)
    mean = total.sum(axis=1, keepdims=True) / np.maximum(days, 1)
    above = np.where(n > 0, total / np.maximum(n, 1) - mean, 0)
    effect = above.sum(axis=0) / np.maximum((n > 0).sum(axis=0), 1)
    # A series' level is its mean with the effects of its own mix of cells taken off.
    level = (total - n * effect).sum(axis=1, keepdims=True) / np.maximum(days, 1)
    expected = np.where(days > 0, level + effect, np.nan)
    means = expected + (total - n * expected) / (n + prior)
    return means.astype(np.float32), n.astype(np.float32)


def past_slope(past: np.ndarray, *, prior: float) -> np.ndarray:
    """Fit a straight line through each series, as a ridge regression on time.

    Only the slope is drawn towards 0, by `prior`; the height is free.

    Args:
        past: (S, A) the columns up to the origin; what is not finite is skipped.
        prior: the ridge's penalty on the slope, in units of squared years, > 0.

    Returns:
        (S,) float32, the rise in a year; 0 without two days.

    Raises:
        ValueError: prior is not positive.

    Source: Hoerl and Kennard, "Ridge Regression: Biased Estimation for Nonorthogonal Problems",
        1970.
    """
    check_positive("prior", prior)
    known, values = np.isfinite(past), _zero_unknown(past)
    years = np.arange(past.shape[1]) / 365.25
    n = np.maximum(known.sum(axis=1), 1)
    mean_year = _sum_products(known, years) / n
    covariance = _sum_products(values, years) - mean_year * values.sum(axis=1, dtype=np.float64)
    variance = _sum_products(known, years**2) - n * mean_year**2
    return (covariance / (variance + prior)).astype(np.float32)


def fourier_terms(position: np.ndarray, *, order: int) -> np.ndarray:
    """Turn a place in a cycle into sines and cosines, so that its end meets its beginning.

    Args:
        position: (n,) in cycles: 0.25 is a quarter of the way (of the year, say).
        order: how many harmonics, > 0.

    Returns:
        (n, 2 order) float32: sine and cosine of one turn, of two, …

    Raises:
        ValueError: order is not positive.
    """
    check_positive("order", order)
    angle = 2 * np.pi * np.outer(position, np.arange(1, order + 1))
    waves = np.stack([np.sin(angle), np.cos(angle)], axis=2)
    return waves.reshape(len(position), 2 * order).astype(np.float32)


def make_calendar(dates: pd.DatetimeIndex) -> pd.DataFrame:
    """Make the calendar's parts.

    Args:
        dates: (T,) days.

    Returns:
        (T, 7) float32: weekday (0 is Monday), day_of_month (from 1), days_to_month_end (0 on the
        last day), month, week (ISO), year, and year_part, the share of the year that is over.
    """
    length = np.where(dates.is_leap_year, 366, 365)
    return pd.DataFrame(
        {
            "weekday": dates.day_of_week,
            "day_of_month": dates.day,
            "days_to_month_end": dates.days_in_month - dates.day,
            "month": dates.month,
            "week": dates.isocalendar().week.to_numpy(),
            "year": dates.year,
            "year_part": (dates.day_of_year - 1) / length,
        },
        dtype=np.float32,
    )


def _check_span(first: int, last: int) -> None:
    if last < first:
        raise ValueError(f"last must be >= first = {first}, received {last}")


def _zero_unknown(values: np.ndarray) -> np.ndarray:
    """NaN and the infinite -> 0; bool stays bool."""
    return values if values.dtype == bool else np.where(np.isfinite(values), values, 0)


def _sum_spans(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Sum the columns [low, high), cut to those there are: (S, T), (H,), (H,) -> (S, H)."""
    n_series, n_days = values.shape
    low, high = np.clip(low, 0, n_days), np.clip(high, 0, n_days)
    dtype = np.int32 if values.dtype == bool else np.float64  # int32 adds up five times as fast
    if len(low) == 1:
        return values[:, low[0] : high[0]].sum(axis=1, dtype=dtype, keepdims=True)
    total = np.zeros((n_series, n_days + 1), dtype)
    np.cumsum(values, axis=1, dtype=dtype, out=total[:, 1:])
    return total[:, high] - total[:, low]


def _sum_products(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(S, T), (T,) -> (S,) float64. Not by BLAS: the bits must not depend on its threads."""
    return np.einsum("st,t->s", values, weights)
