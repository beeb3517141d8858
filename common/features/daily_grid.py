"""Long tables of daily series <-> grids of series and days, and blocks of days to be forecast.

A grid has one row per series (a store) and one column per day. `forecast_blocks` cuts the past into
stretches that stand to their own origins as the test does to the last one, so that a model is
fitted on features as old as those that it will be given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from common.checks import check_positive, check_same_length


@dataclass(frozen=True)
class DailyGrid:
    """Where the rows of a long table lie in a grid of series and days.

    Attributes:
        series: (n,) int, which series each row belongs to, in [0, n_series).
        day: (n,) int, which day, in [0, n_days).
        n_series: height of a grid, S.
        n_days: width, T.
    """

    series: np.ndarray
    day: np.ndarray
    n_series: int
    n_days: int

    def spread(self, values: np.ndarray, *, missing: float = np.nan) -> np.ndarray:
        """Lay a column out: (n,) -> (S, T) float32, `missing` where there is no row.

        Of rows on the same series and day the last one counts.
        """
        check_same_length(values=values, series=self.series)
        grid = np.full((self.n_series, self.n_days), missing, np.float32)
        grid[self.series, self.day] = values
        return grid

    def gather_all(self, grids: Mapping[str, np.ndarray], rows: np.ndarray) -> pd.DataFrame:
        """Read many grids off at some rows.

        Args:
            grids: {name: (S, T)}, or (S, 1) for what never changes, or (1, T) for what all share.
            rows: (m,) int.

        Returns:
            (m, D) float32, a column for each grid.

        Raises:
            ValueError: a row lies outside of the grid, or a grid has another shape.
        """
        shape = (self.n_series, self.n_days)
        place = np.ravel_multi_index((self.series[rows], self.day[rows]), shape)
        table = np.empty((len(grids), len(place)), np.float32)
        for column, grid in zip(table, grids.values(), strict=True):
            whole = np.ascontiguousarray(np.broadcast_to(grid, shape), np.float32)
            np.take(whole, place, out=column, mode="clip")  # "raise" would make a copy first
        return pd.DataFrame(table.T, columns=list(grids), copy=False)


class Block(NamedTuple):
    """Days [start, end), forecast from what was known before `start`."""

    start: int
    end: int


def forecast_blocks(n_days: int, *, n_known: int, horizon_days: int) -> list[Block]:
    """Cut days into forecasts of one horizon each, counted back from the last origin.

    Args:
        n_days: all days, those to be forecast included.
        n_known: days before the forecast's origin, in [1, n_days].
        horizon_days: days of a block, > 0; the first and the last one may be shorter.

    Returns:
        Blocks in order of time, which together hold every day once. One starts at n_known, if days
        are left from there on. The first starts at day 0 and has no past. Where more than a horizon
        is to be forecast, blocks after the one at n_known have pasts that hold unknown days.

    Raises:
        ValueError: a number is out of range.
    """
    check_positive("horizon_days", horizon_days)
    if not 1 <= n_known <= n_days:
        raise ValueError(f"n_known must be in [1, {n_days}], received {n_known}")
    starts = sorted({0, *range(n_known % horizon_days, n_days, horizon_days)})
    return [Block(start, end) for start, end in zip(starts, [*starts[1:], n_days], strict=True)]


def count_seen(blocks: Sequence[Block]) -> np.ndarray:
    """Count how many days ahead each day of a forecast may look: to the end of its block.

    Plans are known for the days to be forecast and for none after them. A fit row that looks
    further would learn from what the forecast will not have.

    Args:
        blocks: as `forecast_blocks` gives them.

    Returns:
        (T,) int, 0 on the last day of each block.
    """
    return np.concatenate([np.arange(end - start)[::-1] for start, end in blocks])
