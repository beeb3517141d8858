"""The steps of k-means: rows to their nearest centres, centres to the means of their rows."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from common.neighbors.bounds import Bounds, measure_gaps
from common.neighbors.centred_rows import CentredRows
from common.neighbors.selection import full_float32

_PATIENCE = 10
"""Mini-batches that come no closer to their centres, after which scikit-learn stops too."""


class Clusters(NamedTuple):
    """Centres (K, D) float64 around the rows' mean, labels (N,) int32, and how they were found."""

    centers: np.ndarray
    labels: np.ndarray
    inertia: float
    n_iter: int


@full_float32()
def move_all(rows: CentredRows, centers: np.ndarray, *, max_iter: int, tol: float) -> Clusters:
    """Move centres to the means of their rows until they stand still.

    Only rows that may have another nearest centre than before are compared with all, and only
    those that have are added to the sums and taken off them. Once centres are too close for float32
    all goes on in float64.

    Args:
        rows: N of them, N >= K.
        centers: (K, D) float64, around the rows' mean.
        max_iter: passes at most.
        tol: share of the rows' variance, at which the sum of squared moves stops.

    Returns:
        The last centres, with the labels that they give.

    Source: Lloyd, "Least Squares Quantization in PCM", 1982. Centres without rows as in
        scikit-learn: each gets one of the rows that are furthest from their own.
    """
    labels = np.full(rows.n, -1, np.int32)
    sums = np.zeros((len(centers), rows.n_dims + 1))
    bounds = Bounds(rows.n)
    dtype: type[np.floating] = np.float32
    n_iter, is_moving = 0, True
    while is_moving and n_iter < max_iter:
        n_iter += 1
        if dtype == np.float32 and _is_blurred(rows, centers):
            # Rows that float32 has rounded tell nothing of these.
            bounds, dtype = Bounds(rows.n), np.float64
            labels[:], sums[:] = -1, 0
        tensor = tf.constant(centers, dtype)
        bounds.compare(centers, dtype)
        if not _update(rows, tensor, labels, sums, bounds):
            break
        bounds.own[_fill_empty(rows, tensor, labels, sums)] = np.inf
        means = sums[:, :-1] / sums[:, -1:]
        moves = np.linalg.norm(means - centers, axis=1)
        bounds.move(labels, moves)
        is_moving = np.square(moves).sum() > tol * rows.variance
        centers = means
    return _finish(rows, centers, n_iter)


@full_float32()
def move_by_batches(
    rows: CentredRows,
    centers: np.ndarray,
    *,
    batch_size: int,
    max_iter: int,
    rng: np.random.Generator,
) -> Clusters:
    """Move each centre to the mean of all rows that it has won in any mini-batch.

    Args:
        rows: N of them, N >= K.
        centers: (K, D) float64, around the rows' mean.
        batch_size: rows of a batch, held at once; drawn evenly, with replacement.
        max_iter: times N rows are drawn at most.
        rng: draws.

    Returns:
        The last centres, with the labels that they give.

    Source: Sculley, "Web-Scale K-Means Clustering", 2010. Stops as scikit-learn does. A centre that
        has won nothing in N rows is moved to a far row of the batch.
    """
    won = np.zeros((len(centers), 1))
    share = min(1.0, 2 * batch_size / (rows.n + 1))
    per_pass = -(-rows.n // batch_size)
    mean, best, n_worse = np.nan, np.inf, 0
    for n_iter in range(1, max_iter * per_pass + 1):
        tensor = _to_tensor(rows, centers)
        drawn = np.sort(rng.integers(rows.n, size=batch_size))
        batch = rows.take(drawn, tensor.dtype.as_numpy_dtype)
        labels, sums, *_ = _reassign(batch, tensor, np.full(batch_size, -1, np.int32))
        squares = _measure(batch, tensor, labels).numpy()
        totals, counts = np.split(sums.numpy(), [-1], axis=1)
        won += counts
        centers = centers + (totals - counts * centers) / np.maximum(won, 1)
        if n_iter % per_pass == 0:
            idle = np.flatnonzero(won == 0)[:batch_size]
            centers[idle] = tf.gather(batch, np.argsort(-squares)[: len(idle)])
        now = float(squares.mean())
        mean = now if n_iter == 1 else mean + share * (now - mean)
        n_worse = n_worse + 1 if mean >= best else 0
        best = min(best, mean)
        if n_worse == _PATIENCE:
            break
    return _finish(rows, centers, n_iter)


@full_float32()
def assign(rows: CentredRows, centers: np.ndarray) -> np.ndarray:
    """Tell the nearest centre of each row: (N,) int32.

    Distances are compared by products in float32, or in float64 when two centres are so close that
    rounding would blur more than a hundredth of the way between them.
    """
    return _assign(rows, _to_tensor(rows, centers))


def _finish(rows: CentredRows, centers: np.ndarray, n_iter: int) -> Clusters:
    tensor = _to_tensor(rows, centers)
    labels = _assign(rows, tensor)
    return Clusters(centers, labels, float(_measure_all(rows, tensor, labels).sum()), n_iter)


def _assign(rows: CentredRows, centers: tf.Tensor) -> np.ndarray:
    blocks = rows.blocks(centers.dtype.as_numpy_dtype)
    return np.concatenate([_find_nearest(block, centers) for _, block in blocks])


def _update(
    rows: CentredRows, centers: tf.Tensor, labels: np.ndarray, sums: np.ndarray, bounds: Bounds
) -> bool:
    """Bring labels, sums (K, D + 1) and bounds up to date in place; tell if a label has changed."""
    has_changed = False
    for where, block in rows.blocks(centers.dtype.as_numpy_dtype):
        asked = bounds.find_doubtful(where, labels[where])
        if not len(asked):
            continue
        if len(asked) < len(block):
            block = tf.gather(block, asked - where.start)
        found, change, squares, scores = (
            t.numpy() for t in _reassign(block, centers, labels[asked])
        )
        bounds.learn(asked, squares, scores)
        has_changed |= not np.array_equal(found, labels[asked])
        labels[asked] = found
        sums += change
    return has_changed


def _fill_empty(
    rows: CentredRows, centers: tf.Tensor, labels: np.ndarray, sums: np.ndarray
) -> list[int]:
    """Give every centre without rows the row that is furthest from its own, in place.

    Returns:
        The numbers of those rows.
    """
    moved: list[int] = []
    empty = np.flatnonzero(sums[:, -1] == 0)
    if not len(empty):
        return moved
    furthest = iter(np.argsort(-_measure_all(rows, centers, labels), kind="stable"))
    for center in empty:
        # The only row of a centre stays, or that centre would be empty next.
        row = next(row for row in furthest if sums[labels[row], -1] > 1)
        values = np.append(rows.take([row], centers.dtype.as_numpy_dtype)[0], 1)
        sums[labels[row]] -= values
        sums[center] += values
        labels[row] = center
        moved.append(row)
    return moved


def _measure_all(rows: CentredRows, centers: tf.Tensor, labels: np.ndarray) -> np.ndarray:
    """Measure squared distances to the given centres: (N,) float64."""
    blocks = rows.blocks(centers.dtype.as_numpy_dtype)
    return np.concatenate([_measure(block, centers, labels[where]) for where, block in blocks])


def _to_tensor(rows: CentredRows, centers: np.ndarray) -> tf.Tensor:
    return tf.constant(centers, tf.float64 if _is_blurred(rows, centers) else tf.float32)


def _is_blurred(rows: CentredRows, centers: np.ndarray) -> bool:
    """Tell whether float32 would blur more than a hundredth of the way between two centres."""
    longest = max(rows.reach**2, np.square(centers).sum(axis=1).max())
    limits = np.finfo(np.float32)
    # Squares of the smallest distances are no longer normal numbers.
    return bool(
        max(limits.eps * longest, limits.tiny / limits.eps) > 0.01 * measure_gaps(centers).min()
    )


@tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
def _find_nearest(rows: tf.Tensor, centers: tf.Tensor) -> tf.Tensor:
    """Find the nearest centre of each row: (B,) int32."""
    return tf.argmax(_score(rows, centers), axis=1, output_type=tf.int32)


def _score(rows: tf.Tensor, centers: tf.Tensor) -> tf.Tensor:
    """Compute x c - |c|^2 / 2 for all rows and centres, highest where they are nearest: (B, K)."""
    # The norm rides along in the product, which is faster than another pass over the scores.
    norms = tf.reduce_sum(centers**2, axis=1, keepdims=True)
    weights = tf.concat([centers, -0.5 * norms], axis=1)
    rows = tf.pad(tf.cast(rows, centers.dtype), [[0, 0], [0, 1]], constant_values=1)
    return tf.matmul(rows, weights, transpose_b=True)


@tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
def _reassign(rows: tf.Tensor, centers: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Find nearest centres (B,), and what sums and numbers of rows change by: (K, D + 1) float64.

    Rows labelled -1 had no centre. Further the rows' squared lengths (B,) float64, and their two
    greatest scores (B, 2), the second -inf where there is one centre.
    """
    scores, n_centers = _score(rows, centers), tf.shape(centers)[0]
    found = tf.argmax(scores, axis=1, output_type=tf.int32)
    none = tf.constant(-np.inf, scores.dtype)
    others = tf.where(tf.range(n_centers) == found[:, None], none, scores)
    greatest = tf.stack([tf.reduce_max(scores, axis=1), tf.reduce_max(others, axis=1)], axis=1)
    squares = tf.reduce_sum(tf.square(tf.cast(rows, tf.float64)), axis=1)
    changed = tf.where(found != labels)[:, 0]
    values = tf.cast(tf.gather(rows, changed), tf.float64)
    values = tf.pad(values, [[0, 0], [0, 1]], constant_values=1)
    to, off = tf.gather(found, changed), tf.gather(labels, changed)
    change = tf.math.unsorted_segment_sum(values, to, n_centers)
    change -= tf.math.unsorted_segment_sum(values, off, n_centers)
    return found, change, squares, greatest


@tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
def _measure(rows: tf.Tensor, centers: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Measure squared distances to the given centres by differences: (B,) float64."""
    offsets = tf.cast(rows, centers.dtype) - tf.gather(centers, labels)
    return tf.cast(tf.reduce_sum(offsets**2, axis=1), tf.float64)
