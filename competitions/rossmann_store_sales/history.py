"""What past sales say: features of each forecast from the days before its origin."""

from collections.abc import Sequence

import numpy as np

from common.features.daily_grid import Block
from common.features.timeseries import cell_means, past_mean, past_slope

SIX_WEEKS, QUARTER, HALF_YEAR, YEAR = 42, 84, 168, 364  # days, in whole fortnights of promo
N_CELLS = 14  # weekday x promo


def make_history(
    sales: np.ndarray,
    customers: np.ndarray,
    *,
    cells: np.ndarray,
    is_holiday: np.ndarray,
    trend: np.ndarray | None,
    blocks: Sequence[Block],
    wanted: np.ndarray,
) -> dict[str, np.ndarray]:
    """Make features of past sales, block by block: each block knows the days before it only.

    Args:
        sales: (S, T) float32 log sales, NaN where they are not known or none were made.
        customers: (S, T) float32 log customers, likewise.
        cells: (S, T) int, weekday x promo of each day, in [0, 14), odd with promo.
        is_holiday: (S, T) bool.
        trend: (S, T) searches in the week of each day, or None.
        blocks: all forecasts, the last one that of the days to come.
        wanted: (T,) bool, days whose features will be read: blocks without any are left out.

    Returns:
        {name: (S, T) float32}, NaN where a block has no past or was left out.
    """
    shape = sales.shape
    horizon = np.concatenate([np.arange(end - start) for start, end in blocks]) + 1
    columns = {"horizon": horizon[None].astype(np.float32)}
    for start, end in blocks[1:]:  # the first has no past
        if not wanted[start:end].any():
            continue
        block = _make_means(sales[:, :start], cells[:, :end])
        residual = sales[:, :start] - block.pop("in_past")
        block |= _make_residuals(residual, cells[:, :end], is_holiday[:, :end])
        block["log_customers"] = _mean_all(customers[:, :start], prior=0)
        block["log_sales"] = _mean_all(sales[:, :start], prior=0)
        if trend is not None and start >= 7:
            block["trend"] = trend[:, [start - 7]]  # the last week that was over by then
        for name, values in block.items():
            column = columns.setdefault(name, np.full(shape, np.nan, np.float32))
            column[:, start:end] = values
    return columns


def _make_means(sales: np.ndarray, cells: np.ndarray) -> dict[str, np.ndarray]:
    """Average log sales by weekday and promo.

    Args:
        sales: (S, start).
        cells: (S, end) of the past and of the block.

    Returns:
        {name: (S, end - start) or (S, 1)}; and "in_past", (S, start), the mean of all time on each
        past day.
    """
    start = sales.shape[1]
    past, here = cells[:, :start], cells[:, start:]
    columns = {}
    for name, n_days in (("quarter", QUARTER), ("half_year", HALF_YEAR), ("year", YEAR)):
        recent = slice(max(0, start - n_days), start)
        means, counts = cell_means(sales[:, recent], past[:, recent], n_cells=N_CELLS, prior=3)
        columns[f"mean_{name}"] = np.take_along_axis(means, here, axis=1)
        if name == "quarter":
            columns["count_quarter"] = np.take_along_axis(counts, here, axis=1)
    means, _ = cell_means(sales, past, n_cells=N_CELLS, prior=3)
    columns["mean_all"] = np.take_along_axis(means, here, axis=1)
    by_promo = means.reshape(-1, 7, 2)[:, :5]  # Monday to Friday
    columns["promo_effect"] = (by_promo[..., 1] - by_promo[..., 0]).mean(axis=1, keepdims=True)
    columns["in_past"] = np.take_along_axis(means, past, axis=1)
    return columns


def _make_residuals(
    residual: np.ndarray, cells: np.ndarray, is_holiday: np.ndarray
) -> dict[str, np.ndarray]:
    """Say what is left when weekday and promo are taken off: a store's mood, season and trend.

    Args:
        residual: (S, start) log sales less the mean of the day's weekday and promo.
        cells: (S, end).
        is_holiday: (S, end).

    Returns:
        {name: (S, end - start) or (S, 1)}.
    """
    start, end = residual.shape[1], cells.shape[1]
    now, here = np.array([start]), np.arange(start, end)
    columns = {}
    for n_days in (7, 14, 28, 56):
        columns[f"left_{n_days}"] = past_mean(residual, now, first=-n_days, last=-1, prior=1)
    lately, had_promo = residual[:, -SIX_WEEKS:], cells[:, :start][:, -SIX_WEEKS:] % 2 == 1
    with_promo, without = (
        _mean_all(np.where(had, lately, np.nan), prior=1) for had in (had_promo, ~had_promo)
    )
    columns["left_same_promo"] = np.where(cells[:, start:] % 2 == 1, with_promo, without)
    # Few stores open on holidays; some of them sell a fraction of a working day's then.
    on_holidays = _mean_all(np.where(is_holiday[:, :start], residual, np.nan), prior=1)
    columns["left_holidays"] = np.where(is_holiday[:, start:], on_holidays, np.nan)
    for name, n_days in (("year_ago", YEAR), ("two_years_ago", 2 * YEAR)):
        then = past_mean(residual, here - n_days, first=-7, last=7, prior=2)
        before = past_mean(residual, now - n_days, first=-28, last=-1, prior=2)
        columns[f"left_{name}"] = then
        columns[f"rise_{name}"] = then - before
    columns["slope"] = past_slope(residual, prior=0.1)[:, None]
    columns["spread"] = np.sqrt(_mean_all(residual**2, prior=0))
    return columns


def _mean_all(past: np.ndarray, *, prior: float) -> np.ndarray:
    """(S, A) -> (S, 1) the mean of all that is known."""
    n = past.shape[1]
    return past_mean(past, np.array([n]), first=-n, last=-1, prior=prior)
