"""The start of k-means: first centres that lie far from each other."""

import numpy as np
import tensorflow as tf

from common.neighbors.centred_rows import CentredRows
from common.neighbors.selection import full_float32


@full_float32()
def choose_centers(rows: CentredRows, n_clusters: int, *, rng: np.random.Generator) -> np.ndarray:
    """Choose rows as first centres, each with a chance in proportion to its squared distance.

    Of a few rows drawn so, the one that lowers the sum of all squared distances most is taken. When
    every row lies on a centre, the rest are drawn evenly.

    Args:
        rows: to choose from.
        n_clusters: K, at most the number of rows.
        rng: draws.

    Returns:
        (K, D) float64, around the rows' mean.

    Cost: O(N D K log K), and N (2 + log K) numbers in memory.

    Source: Arthur and Vassilvitskii, "k-means++: The Advantages of Careful Seeding", 2007; several
        trials a centre as in scikit-learn.
    """
    n_trials = count_trials(n_clusters)
    centers = np.empty((n_clusters, rows.n_dims))
    least = np.full(rows.n, np.inf, np.float32)
    for chosen in range(n_clusters):
        sums = np.cumsum(least, dtype=np.float64)
        if chosen == 0 or sums[-1] == 0:
            drawn = rng.integers(rows.n, size=1)
        else:
            drawn = np.searchsorted(sums, rng.random(n_trials) * sums[-1], side="right")
            drawn = np.minimum(drawn, rows.n - 1)
        candidates = rows.take(drawn)
        blocks = [_lower(block, least[where], candidates).numpy() for where, block in rows.blocks()]
        squares = np.concatenate(blocks, axis=1)
        best = int(np.argmin(squares.sum(axis=1, dtype=np.float64)))
        centers[chosen], least = candidates[best], squares[best]
    return centers


def count_trials(n_clusters: int) -> int:
    """Tell how many rows are drawn for each centre."""
    return 2 + int(np.log(n_clusters))


_NEAR = 1e-4
"""Share of the squared lengths below which a squared distance has lost digits to rounding."""

_MATRIX = tf.TensorSpec([None, None], tf.float32)


@tf.function(input_signature=[_MATRIX, tf.TensorSpec([None], tf.float32), _MATRIX])  # type: ignore[untyped-decorator]
def _lower(rows: tf.Tensor, least: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
    """Tell the squared distances that each candidate would leave: (K, B)."""
    norms = tf.reduce_sum(rows**2, axis=1)
    lengths = tf.reduce_sum(candidates**2, axis=1, keepdims=True)
    products = tf.matmul(candidates, rows, transpose_b=True)
    squares = lengths + norms - 2 * products
    # The product knows nothing of rows that are so near to a candidate: these are measured again.
    near = tf.where(squares <= _NEAR * (lengths + norms))  # (P, 2)
    offsets = tf.gather(candidates, near[:, 0]) - tf.gather(rows, near[:, 1])
    squares = tf.tensor_scatter_nd_update(squares, near, tf.reduce_sum(offsets**2, axis=1))
    return tf.minimum(least, squares)
