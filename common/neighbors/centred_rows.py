"""Points read in blocks around their mean, from memory or a file that is larger."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from common.checks import check_shape
from common.neighbors.spaces import check_real

_MOST_ROWS = 16_384
"""Of a block: more made a product with a few hundred centres no faster."""

_LONGEST = 1e18
"""Squares of longer rows have no place in float32."""


class CentredRows:
    """Rows of points less their mean, block by block.

    Far from the origin float32 has no digits left for what tells rows apart; around the mean it
    has, down to 6e-8 of `reach`. For what is finer, as beside outliers, there is float64. Blocks of
    float32 are kept if they fit into half of the memory, else read anew in each pass, as those of
    float64 always are.

    Args:
        points: (N, D) numbers, N and D >= 1; may be memory-mapped.
        width: numbers of 4 bytes that the caller holds for each row of a block, > 0.
        memory_mib: bounds what blocks take, down to one row.

    Attributes:
        mean: (D,) float64.
        variance: mean over the columns of their variances.
        reach: no row is further from the mean.

    Raises:
        ValueError: points are not (N, D) real numbers, there are none, or one is not finite or may
            lie further than 1e18 from the mean.
    """

    def __init__(self, points: np.ndarray, *, width: int, memory_mib: int) -> None:
        points = points if hasattr(points, "shape") else np.asarray(points)
        check_shape("points", points, (None, None))
        if not (len(points) and points.shape[1]):
            raise ValueError(f"points must have 1 row and column or more, received {points.shape}")
        check_real("points", np.asarray(points[:1]))
        self.n, self.n_dims = points.shape
        self._points = points
        bytes_per_row = 4 * width + 24 * self.n_dims
        self._size = int(np.clip(memory_mib * 2**19 // bytes_per_row, 1, _MOST_ROWS))
        self._measure()
        self._kept: list[tf.Tensor] | None = None
        if 4 * points.size <= memory_mib * 2**19:
            self._kept = [rows for _, rows in self.blocks()]

    def blocks(self, dtype: type[np.floating] = np.float32) -> Iterator[tuple[slice, tf.Tensor]]:
        """Yield which rows a block holds, and the block: (B, D)."""
        kept = self._kept if dtype == np.float32 else None
        for number, start in enumerate(range(0, self.n, self._size)):
            rows = slice(start, min(start + self._size, self.n))
            yield rows, self.take(rows, dtype) if kept is None else kept[number]

    def take(self, rows: Any, dtype: type[np.floating] = np.float32) -> tf.Tensor:
        """Read some rows: (B, D)."""
        return tf.constant((self._points[rows] - self.mean).astype(dtype, copy=False))

    def _measure(self) -> None:
        """Find mean, variance and reach in one pass."""
        first = np.asarray(self._points[0], np.float64)
        total, squares, furthest = np.zeros(self.n_dims), np.zeros(self.n_dims), 0.0
        for start in range(0, self.n, self._size):
            with np.errstate(over="ignore", invalid="ignore"):
                block = np.asarray(self._points[start : start + self._size], np.float64) - first
            _check_reach(np.maximum(block.max(), -block.min()))
            total += block.sum(axis=0)
            block *= block
            squares += block.sum(axis=0)
            furthest = max(furthest, float(np.sqrt(block.sum(axis=1).max())))
        mean = total / self.n
        self.mean = first + mean
        self.variance = float(np.maximum(squares / self.n - mean**2, 0).mean())
        self.reach = furthest + float(np.linalg.norm(mean))
        _check_reach(self.reach)


def _check_reach(reach: float) -> None:
    if not reach <= _LONGEST:
        raise ValueError(
            f"points must be finite, within {_LONGEST:g} of their mean, received {reach:g}"
        )
