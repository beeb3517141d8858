"""Points sorted into strips, so that those near a place are found without a look at all others."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf

_PAIR_BYTES = 40
"""Of a pair of a place and a point: two rows, a square, a weight; and 24 more for each dim."""


class Block(NamedTuple):
    """Some places, and the points that may lie near them.

    Attributes:
        places: which of all places, B of them.
        owners: (P,) int32, rising: the place of each pair, counted within the block.
        rows: (P,) int32, its point, as a row of `Strips.points`.
        inside: (B, 1 + D) how many points are near for sure and stand in no pair, and the sum of
            their offsets from the place; None if they stand in pairs like the others.
    """

    places: slice
    owners: np.ndarray
    rows: np.ndarray
    inside: np.ndarray | None


class Strips:
    """An index of points by the two columns in which they are spread most.

    The plane of these columns is cut into strips, and the points of a strip are sorted along it.
    Near a place are then a few runs of points, one in each strip, found by bisection. Distances in
    the plane are never above the true ones, so no near point is missed, whatever D is. Up to D = 2
    the middle of a run is near for sure, and a sum over it is a difference of running totals: only
    the ends of runs are tested, the fewer the thinner the strips are.

    Args:
        points: (N, D) float64, finite, N >= 1.
        radius: how near is near, > 0.
        per_radius: strips in a radius, >= 1.

    Attributes:
        order: (N,) the given rows in the index's order.
        points: (N, D) in that order.
        tensor: the same, for TensorFlow.

    Cost: O(N log N) once. A place with n points near it takes O(s log N) for s = per_radius, and
        O(n / s) pairs if D <= 2 and sums will do, O(n) else. Where D > 2, n counts the points that
        are near in the plane.
    """

    def __init__(self, points: np.ndarray, *, radius: float, per_radius: int = 1) -> None:
        self.radius, self.per_radius = radius, per_radius
        self._axes = np.argsort(-np.ptp(points, axis=0), kind="stable")[:2]
        plane = self._flatten(points)
        self._low, self._width = plane.min(axis=0), float(np.ptp(plane[:, 0]))
        # So few strips, and so much room between them, that keys keep the digits which tell strips
        # apart: no search may reach from one into another, however small the radius is.
        self._height = max(radius / per_radius, float(np.ptp(plane[:, 1])) * 2.0**-30)
        self._room = 2 * radius + self._width / 64
        self._stride = self._width + self._room
        keys = np.floor((plane[:, 1] - self._low[1]) / self._height) * self._stride
        keys += plane[:, 0] - self._low[0]
        self.order = np.argsort(keys, kind="stable")
        self._keys, self.points = keys[self.order], points[self.order]
        self.tensor = tf.constant(self.points)
        # More than rounding can move a key, a strip or a distance by.
        self._slack = 1e-9 * radius + 4 * np.spacing(max(self._keys[-1], np.abs(plane).max()))
        self._origin = points.mean(axis=0)
        self._totals = np.zeros((len(points) + 1, points.shape[1]))
        np.cumsum(self.points - self._origin, axis=0, out=self._totals[1:])
        # Totals that outliers have made too large for small differences are not used.
        rounding = np.spacing(np.abs(self._totals).max())
        self._has_totals = points.shape[1] <= 2 and rounding <= 1e-6 * radius

    def near(self, places: np.ndarray, *, memory_mib: int, sums: bool = False) -> Iterator[Block]:
        """Pair places with the points that may be within the radius.

        Args:
            places: (Q, D) float64; if sorted as the index is, bisection is several times faster.
            memory_mib: bounds a block, which has one place at least.
            sums: that of near points only the number and the sum are wanted, so that up to D = 2
                those that are near for sure need no pair.

        Yields:
            Blocks that together hold every place once, in order.
        """
        n_pairs = max(1, int(memory_mib * 2**20) // (_PAIR_BYTES + 24 * places.shape[1]))
        n_places = max(1, n_pairs // (16 * self.per_radius))
        for first in range(0, len(places), n_places):
            some = places[first : first + n_places]
            if sums and self._has_totals:
                starts, ends, inside = self._find_ends(some)
            else:
                starts, ends = self.find_runs(some)
                inside = None
            counts = np.cumsum((ends - starts).sum(axis=1))
            start = 0
            while start < len(some):
                done = counts[start - 1] if start else 0
                end = max(start + 1, int(np.searchsorted(counts, done + n_pairs, side="right")))
                owners, rows = _write_out(starts[start:end], ends[start:end])
                part = None if inside is None else inside[start:end]
                yield Block(slice(first + start, first + end), owners, rows, part)
                start = end

    def find_runs(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find runs that hold every point within the radius, and some beyond.

        Args:
            places: (Q, D) float64.

        Returns:
            Starts and ends, each (Q, S): runs of rows of `points`, one in every strip.
        """
        return self._find_runs(*self._near_strips(places))

    def _find_runs(
        self, x: np.ndarray, strips: np.ndarray, below: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find runs of places as `_near_strips` gives them."""
        gap = np.maximum(np.maximum(below, -below - self._height) - self._slack, 0)
        reach = np.sqrt(np.maximum(self.radius**2 - gap**2, 0)) + self._slack
        return self._search(strips, x - reach, "left"), self._search(strips, x + reach, "right")

    def _find_ends(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Find the two ends of every run, and sum its middle up."""
        x, strips, below = self._near_strips(places)
        starts, ends = self._find_runs(x, strips, below)
        far = np.maximum(np.abs(below), np.abs(below + self._height)) + self._slack
        sure = np.sqrt(np.maximum(self.radius**2 - far**2, 0)) - self._slack
        left = np.where(sure > 0, self._search(strips, x - sure, "left"), starts)
        right = np.where(sure > 0, self._search(strips, x + sure, "right"), starts)
        n_inside = (right - left).sum(axis=1)[:, None]
        offsets = (self._totals[right] - self._totals[left]).sum(axis=1)
        offsets -= n_inside * (places - self._origin)
        starts, ends = np.hstack([starts, right]), np.hstack([left, ends])
        return starts, ends, np.hstack([n_inside, offsets])

    def _near_strips(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tell each place's x (Q, 1), the strips (Q, S), and how far below them it lies."""
        plane = self._flatten(places) - self._low
        around = np.arange(-self.per_radius, self.per_radius + 1)
        strips = np.floor(plane[:, 1:] / self._height) + around
        return plane[:, :1], strips, strips * self._height - plane[:, 1:]

    def _search(
        self, strips: np.ndarray, x: np.ndarray, side: Literal["left", "right"]
    ) -> np.ndarray:
        """Bisect for places along strips, (Q, S)."""
        keys = strips * self._stride + np.clip(x, -self._room / 4, self._width + self._room / 4)
        # Strip by strip: keys that rise are found from one another.
        return np.stack([np.searchsorted(self._keys, k, side=side) for k in keys.T], axis=1)

    def _flatten(self, points: np.ndarray) -> np.ndarray:
        """Take the plane's two columns; of a line, the other is 0."""
        plane = points[:, self._axes]
        return plane if plane.shape[1] == 2 else np.pad(plane, ((0, 0), (0, 1)))


def _write_out(starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Write runs (Q, S) out as the owner and the row of each pair."""
    lengths = ends - starts
    owners = np.repeat(np.arange(len(starts), dtype=np.int32), lengths.sum(axis=1))
    before = np.cumsum(lengths).reshape(lengths.shape) - lengths
    rows = np.repeat((starts - before).ravel().astype(np.int32), lengths.ravel())
    return owners, rows + np.arange(len(rows), dtype=np.int32)
