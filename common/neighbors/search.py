"""Exact search through a base of any size, a block at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from common.neighbors.selection import GROUP_SIZE, Block, full_float32, prove
from common.neighbors.spaces import Space, check_real

N_QUERIES, N_ROWS, N_SCORES = 1024, 2**17, 52_000_000
"""At once, at the most, where memory allows: larger products are faster, up to 200 MB of scores."""

N_SPARE = 6
"""Rows selected beyond K, so that rounding seldom decides which K are taken."""

TIE = 1e-12
"""Relative difference of squared distances below which no row counts as nearer than another."""

N_SAMPLED = 256
"""Rows that say where the centre is."""


class Queries(NamedTuple):
    """Points whose neighbours are sought.

    Attributes:
        points: (Q, D), of which slices are taken.
        groups: (Q,) int32, whose rows are not taken, or None.
    """

    points: Any
    groups: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class BlockedBase:
    """A base of which only blocks are in memory.

    Attributes:
        points: (N, D), of which slices are taken.
        space: in which distances are Euclidean.
        centre: (E,) amid the base's places.
        groups: (N,) int32 of each row, or None.
        memory: bytes of working arrays.
    """

    points: Any
    space: Space
    centre: np.ndarray
    groups: np.ndarray | None
    memory: int

    def find_nearest(self, queries: Queries, n_neighbors: int) -> tuple[np.ndarray, np.ndarray]:
        """Find (Q, K) squared distances, least first, and rows."""
        shape = (len(queries), n_neighbors)
        squared, rows = np.full(shape, np.inf), np.full(shape, -1)
        score, norms = np.full(len(queries), -np.inf), np.empty(len(queries))
        n_selected = n_neighbors + N_SPARE
        n_rows, n_queries = self._plan(4 if queries.groups is None else 16, 4, n_selected)
        with full_float32():
            for start, block in self._load_blocks(n_rows):
                for part in _cut(len(queries), n_queries):
                    places, groups = self._embed(queries, part)
                    near, found, left = block.select(places, n_selected, groups)
                    near = np.concatenate([squared[part], near], axis=1)
                    found = np.concatenate([rows[part], found + start], axis=1)
                    order = np.lexsort((found, near))[:, :n_neighbors]
                    squared[part] = np.take_along_axis(near, order, axis=1)
                    rows[part] = np.take_along_axis(found, order, axis=1)
                    score[part] = np.maximum(score[part], left)
                    norms[part] = np.linalg.norm(places - self.centre, axis=1)
        is_proved = prove(norms, squared[:, -1], score, n_dims=len(self.centre))
        self._search_again(queries, ~is_proved, squared, rows)
        return squared, rows

    def find_within(
        self, queries: Queries, squared: np.ndarray, where: np.ndarray | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Find all rows within a distance of each query, some blocks and queries at a time.

        Args:
            queries: Q of them.
            squared: (Q,) squared distances; they may be lowered between the parts.
            where: (Q,) bool, which queries are asked at all.

        Yields:
            (P,) queries, rows and squared distances of pairs, no pair twice.
        """
        n_rows, n_queries = self._plan(64, 8)
        n_at_once = max(self.memory // (128 * len(self.centre)), 1)
        where = np.ones(len(queries), bool) if where is None else where
        for start, block in self._load_blocks(n_rows) if where.any() else ():
            for part in _cut(len(queries), n_queries):
                asked = np.flatnonzero(where[part])
                if not len(asked):
                    continue
                places, groups = self._embed(queries, part)
                query, row, found = block.find_within(
                    places[asked],
                    squared[part][asked],
                    None if groups is None else groups[asked],
                    n_at_once=n_at_once,
                )
                yield part.start + asked[query], row + start, found

    def _search_again(
        self, queries: Queries, where: np.ndarray, squared: np.ndarray, rows: np.ndarray
    ) -> None:
        """Put in the rows that are nearer than those found, for some of the queries, in place."""
        n_neighbors = rows.shape[1]
        limit = squared[:, -1] * (1 - TIE)
        for query, row, found in self.find_within(queries, limit, where):
            asked = np.unique(query)
            query, row, found = _keep_nearest(
                np.concatenate([np.repeat(asked, n_neighbors), query]),
                np.concatenate([rows[asked].ravel(), row]),
                np.concatenate([squared[asked].ravel(), found]),
                n_neighbors,
            )
            rows[asked] = row.reshape(-1, n_neighbors)
            squared[asked] = found.reshape(-1, n_neighbors)
            limit[asked] = squared[asked, -1] * (1 - TIE)

    def _plan(self, pair_bytes: int, float_bytes: int, n_selected: int = 0) -> tuple[int, int]:
        """Tell how many rows make a block and how many queries are asked at once.

        Args:
            pair_bytes: of memory for each pair of a query and a row.
            float_bytes: bytes of a float of the product.
            n_selected: rows that are measured for each query, with their groups.
        """
        half, n_dims = self.memory // 2, len(self.centre)
        # The places, centred, turned and squared, and the product's.
        row_bytes = (4 * max(self.centre.itemsize, float_bytes) + 8) * (n_dims + 1)
        n_rows = min(half // row_bytes, half // (32 * pair_bytes), N_ROWS, len(self.points))
        query_bytes = n_rows * pair_bytes + n_selected * (4 * GROUP_SIZE + 24 * (n_dims + 1))
        n_queries = min(half // max(query_bytes, 1), N_SCORES // max(n_rows, 1), N_QUERIES)
        return max(n_rows, 1), max(n_queries, 1)

    def _load_blocks(self, n_rows: int) -> Iterator[tuple[int, Block]]:
        for part in _cut(len(self.points), n_rows):
            places = tf.constant(self.space.embed(load_rows(self.points, part)))
            groups = None if self.groups is None else tf.constant(self.groups[part])
            yield part.start, Block(places, self.centre, groups)

    def _embed(self, queries: Queries, part: slice) -> tuple[np.ndarray, np.ndarray | None]:
        places = self.space.embed(load_rows(queries.points, part)).astype(np.float64)
        return places, None if queries.groups is None else queries.groups[part]


def load_rows(points: Any, part: slice) -> np.ndarray:
    """Take a slice of rows as float32, if they are that, or float64."""
    rows = np.asarray(points[part])
    return rows if rows.dtype == np.float32 else rows.astype(np.float64, copy=False)


def check_points(name: str, points: Any, space: Space, *, memory: int) -> None:
    """Check all points in slices.

    Args:
        name: what the caller calls them.
        points: (N, D), N and D >= 1.
        space: which they must have a place in.
        memory: bytes of a slice at the most, copies included.

    Raises:
        ValueError: they are no numbers, or one has no place in the space.
    """
    for part in _cut(len(points), max(memory // (32 * points.shape[1]), 1)):
        rows = np.asarray(points[part])
        check_real(name, rows)
        space.check(name, rows, start=part.start)


def find_centre(points: Any, space: Space) -> np.ndarray:
    """Find a place amid the base's places: (E,), float32 if they are.

    Unlike a mean, a median stays amid the rows however far away a few of them are.
    """
    step = -(-len(points) // N_SAMPLED)
    places = space.embed(load_rows(points, slice(None, None, step)))
    return np.median(places, axis=0).astype(places.dtype)


def _cut(n: int, n_at_once: int) -> Iterator[slice]:
    """Cut into slices of about the same length, as few as may be."""
    n_parts = -(-n // n_at_once)
    for part in range(n_parts):
        yield slice(n * part // n_parts, n * (part + 1) // n_parts)


def _keep_nearest(
    query: np.ndarray, row: np.ndarray, squared: np.ndarray, n_neighbors: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort pairs by query and distance, and keep K of each query, no row twice.

    Every query must have K pairs or more, with -1 for a row that is not known.
    """
    order = np.lexsort((squared, row, query))
    query, row, squared = query[order], row[order], squared[order]
    is_new = np.ones(len(query), bool)
    is_new[1:] = (query[1:] != query[:-1]) | (row[1:] != row[:-1]) | (row[1:] < 0)
    query, row, squared = query[is_new], row[is_new], squared[is_new]
    order = np.lexsort((row, squared, query))
    starts = np.flatnonzero(np.diff(query, prepend=-1))
    lengths = np.diff(starts, append=len(query))
    is_kept = np.arange(len(query)) - np.repeat(starts, lengths) < n_neighbors
    order = order[is_kept]
    return query[order], row[order], squared[order]
