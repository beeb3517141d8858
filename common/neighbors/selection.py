"""One block of a base of points, and exact ways to find the nearest of it.

Distances of all pairs come from a matrix product, which is fast and rounds; so they select only.
What is selected is measured again from differences, and a bound on the rounding of the product
proves that nothing nearer was left out, or tells where that is not proved.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import tensorflow as tf

GROUP_SIZE = 64
"""Scores of which only the best is looked at first: about sqrt(N / K) is the least work for tens of
thousands of rows, and whole cache lines make the fastest maximum."""

LARGEST_FLOAT32 = 1e17
"""Norm up to which no score leaves the range of float32."""


@dataclass(frozen=True)
class Block:
    """A block of the base.

    Attributes:
        points: (N, E) float32 or float64.
        centre: (E,) of the same dtype: any place amid the whole base. The nearer it lies to rows
            and queries, the less the products round.
        groups: (N,) int32 or None.
    """

    points: tf.Tensor
    centre: np.ndarray
    groups: tf.Tensor | None = None

    def select(
        self, queries: np.ndarray, n_selected: int, groups: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Select the rows of the best float32 scores, and measure their distances.

        Args:
            queries: (B, E) float64.
            n_selected: M, > 0; cut to N + 1, of which one is no row.
            groups: (B,) int32, whose rows are not taken; only where the block has groups.

        Returns:
            (B, M) float64 squared distances, inf where there is no row, and (B, M) int64 rows; and
            (B,) float64, the score that no row left out exceeds, for `prove`.
        """
        centred = queries - self.centre
        folded = _fold_queries(
            tf.cast(tf.clip_by_value(centred, -LARGEST_FLOAT32, LARGEST_FLOAT32), tf.float32)
        )
        n_rows = len(self.points)
        n_selected = min(n_selected, n_rows + 1)
        n_groups = self._folded32.shape[1] // GROUP_SIZE
        group_size = GROUP_SIZE if n_groups >= 2 * n_selected else 1
        if groups is None or self.groups is None:
            scores, rows = _select(folded, self._folded32, n_selected, group_size)
        else:
            scores, rows = _select_others(
                folded, self._folded32, n_selected, group_size, groups, self._padded_groups
            )
        squared = _measure(self.points, tf.minimum(rows, n_rows - 1), queries[:, None])
        squared = tf.where(tf.math.is_inf(scores), np.inf, squared)
        return (
            squared.numpy(),
            rows.numpy().astype(np.int64),
            scores[:, -1].numpy().astype(np.float64),
        )

    def find_within(
        self,
        queries: np.ndarray,
        squared: np.ndarray,
        groups: np.ndarray | None = None,
        *,
        n_at_once: int,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Find all rows within a distance of each query, by float64 scores.

        Args:
            queries: (B, E) float64.
            squared: (B,) float64 squared distances, inf allowed.
            groups: (B,) int32, whose rows are left out; only where the block has groups.
            n_at_once: pairs that are measured at once, > 0.

        Returns:
            (P,) int64 query and (P,) int64 row of each pair, by query, and (P,) float64 squared
            distances.
        """
        centred = queries - self.centre
        norms = np.linalg.norm(centred, axis=1)
        reach = norms + np.sqrt(squared)
        error = bound_rounding(norms, reach, n_dims=queries.shape[1], dtype=np.float64)
        near = _find_scores(_fold_queries(centred), self._folded64, norms**2 - squared - error)
        if groups is not None and self.groups is not None:
            near = tf.boolean_mask(
                near, tf.gather(groups, near[:, 0]) != tf.gather(self.groups, near[:, 1])
            )
        found: list[tuple[np.ndarray, ...]] = []
        for start in range(0, max(len(near), 1), n_at_once):
            query, row = near[start : start + n_at_once].numpy().T
            measured = _measure(self.points, row, queries[query]).numpy()
            kept = measured <= squared[query]
            found.append((query[kept], row[kept], measured[kept]))
        query, row, measured = (np.concatenate(part) for part in zip(*found, strict=True))
        return query, row, measured

    # Products are fastest with the base's rows as columns.
    @cached_property
    def _folded32(self) -> tf.Tensor:
        """Make (E + 1, N') float32: x above -|x|^2, padded to whole groups by scores of -inf."""
        centred = self.points - self.centre
        norms = tf.reduce_sum(tf.square(centred), axis=1)
        # Rows that float32 does not hold are left to the search in float64.
        held = norms <= LARGEST_FLOAT32**2
        if not tf.reduce_all(held):
            centred = tf.where(held[:, None], centred, 0)
            norms = tf.where(held, norms, np.inf)
        n_more = GROUP_SIZE - len(self.points) % GROUP_SIZE
        columns = tf.pad(tf.transpose(tf.cast(centred, tf.float32)), [[0, 0], [0, n_more]])
        last = -tf.pad(tf.cast(norms, tf.float32), [[0, n_more]], constant_values=np.inf)
        return tf.concat([columns, last[None]], axis=0)

    @cached_property
    def _padded_groups(self) -> tf.Tensor:
        n_more = self._folded32.shape[1] - len(self.points)
        return tf.pad(self.groups, [(0, n_more)], constant_values=-1)

    @cached_property
    def _folded64(self) -> tf.Tensor:
        """Make (E + 1, N) float64: x above -|x|^2."""
        centred = tf.transpose(tf.cast(self.points, tf.float64) - self.centre)
        norms = tf.reduce_sum(tf.square(centred), axis=0, keepdims=True)
        return tf.concat([centred, -norms], axis=0)


def prove(norms: np.ndarray, squared: np.ndarray, score: np.ndarray, *, n_dims: int) -> np.ndarray:
    """Tell for which queries no row that was left out is nearer than a distance.

    A row farther from the centre than the query's norm plus the distance is farther from the query
    than the distance, whatever its score, so the bound need not hold for it. That keeps a few rows
    far away from spoiling the proof for all.

    Args:
        norms: (B,) the queries' distances from the centre.
        squared: (B,) squared distances.
        score: (B,) the greatest of what `Block.select` gave for its blocks.
        n_dims: E.

    Returns:
        (B,) bool.
    """
    reach = norms + np.sqrt(squared)
    error = bound_rounding(norms, reach, n_dims=n_dims, dtype=np.float32)
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, which proves nothing
        proved = (norms**2 - score - error >= squared) & (reach <= LARGEST_FLOAT32)
    return proved | (squared == 0)


def bound_rounding(
    norms: np.ndarray, reach: np.ndarray, *, n_dims: int, dtype: type[np.floating]
) -> np.ndarray:
    """Bound how far a score 2 qx - |x|^2 can be from the exact one, by rounding in any order.

    A sum of n products is off by at most n u / (1 - n u) times the sum of their sizes, where u is
    half the step at 1; here 2 |q| |x| + |x|^2 is no less than that sum. n counts the product's
    E + 1 terms, the E of the norm, and the few steps before: shifts, casts, the folding.

    Args:
        norms: (B,) |q| from the centre.
        reach: (B,) the greatest |x| for which the bound must hold; inf gives inf.
        n_dims: E.
        dtype: of the product.

    Returns:
        (B,) float64.

    Source: Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1. Numbers
        below the smallest normal one may also be lost, which the last term covers.
    """
    n = 2 * n_dims + 10
    share = n * np.finfo(dtype).eps / 2
    if share >= 0.5:
        return np.full_like(norms, np.inf)
    relative = share / (1 - share) * (2 * norms + reach) * reach
    return relative + 4 * n * float(np.finfo(dtype).tiny) * (1 + norms + reach)


@contextmanager
def full_float32() -> Iterator[None]:
    """Keep GPUs from cutting float32 to 11 bits in products, for which no bound here would hold."""
    config = tf.config.experimental
    before = config.tensor_float_32_execution_enabled()
    config.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        config.enable_tensor_float_32_execution(before)


def _fold_queries(centred: tf.Tensor) -> tf.Tensor:
    """Make (B, E + 1): [2 q, 1], whose product with x above -|x|^2 is |q|^2 - |q - x|^2."""
    return tf.concat([2 * centred, tf.ones_like(centred[:, :1])], axis=1)


def _measure(points: tf.Tensor, rows: tf.Tensor, queries: np.ndarray) -> tf.Tensor:
    """Measure squared distances of rows from queries, by differences in float64."""
    near = tf.cast(tf.gather(points, rows), tf.float64)
    return tf.reduce_sum(tf.math.squared_difference(near, queries), axis=-1)


def _best_of_groups(
    scores: tf.Tensor, n_selected: tf.Tensor, group_size: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Find the greatest scores of each row: exact, though most scores are looked at only once.

    The M greatest lie in the M groups with the greatest maxima: were one of them in another group,
    the maxima of those M groups would be M scores that are no less than it.
    """
    scores = tf.reshape(scores, (tf.shape(scores)[0], -1, group_size))
    _, best = tf.math.top_k(tf.reduce_max(scores, axis=2), n_selected)  # (B, M)
    members = tf.gather(scores, best, batch_dims=1)  # (B, M, group_size)
    members = tf.reshape(members, (tf.shape(scores)[0], -1))
    greatest, place = tf.math.top_k(members, n_selected)
    groups = tf.gather(best, place // group_size, batch_dims=1)
    return greatest, groups * group_size + place % group_size


_FLOATS = tf.TensorSpec((None, None), tf.float32)
_DOUBLES = tf.TensorSpec((None, None), tf.float64)
_INTS = tf.TensorSpec((None,), tf.int32)
_INT = tf.TensorSpec((), tf.int32)


# Signatures are fixed, since a graph per shape of block would cost more than most searches.
@tf.function(input_signature=[_FLOATS, _FLOATS, _INT, _INT])  # type: ignore[untyped-decorator]
def _select(
    queries: tf.Tensor, base: tf.Tensor, n_selected: tf.Tensor, group_size: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    scores = tf.matmul(queries, base)
    return _best_of_groups(scores, n_selected, group_size)


@tf.function(input_signature=[_FLOATS, _FLOATS, _INT, _INT, _INTS, _INTS])  # type: ignore[untyped-decorator]
def _select_others(
    queries: tf.Tensor,
    base: tf.Tensor,
    n_selected: tf.Tensor,
    group_size: tf.Tensor,
    query_groups: tf.Tensor,
    base_groups: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    scores = tf.matmul(queries, base)
    scores = tf.where(query_groups[:, None] == base_groups, -np.inf, scores)
    return _best_of_groups(scores, n_selected, group_size)


@tf.function(input_signature=[_DOUBLES, _DOUBLES, tf.TensorSpec((None,), tf.float64)])  # type: ignore[untyped-decorator]
def _find_scores(queries: tf.Tensor, base: tf.Tensor, least: tf.Tensor) -> tf.Tensor:
    return tf.where(tf.matmul(queries, base) >= least[:, None])
