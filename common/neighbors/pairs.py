"""What is asked of pairs of places and points that may be near: sums, and the nearest.

In float64: a flat kernel asks which side of an edge a point is on, and near points are few.
"""

import numpy as np
import tensorflow as tf

_MATRIX, _NUMBER = tf.TensorSpec([None, None], tf.float64), tf.TensorSpec([], tf.float64)
_ROWS = tf.TensorSpec([None], tf.int32)


@tf.function(input_signature=[_MATRIX, _MATRIX, _ROWS, _ROWS, _NUMBER, _NUMBER])  # type: ignore[untyped-decorator]
def sum_pairs(
    points: tf.Tensor,
    places: tf.Tensor,
    owners: tf.Tensor,
    rows: tf.Tensor,
    radius: tf.Tensor,
    falloff: tf.Tensor,
) -> tf.Tensor:
    """Sum the weights of the points within a radius of each place, and their weighted offsets.

    Args:
        points: (N, D) float64.
        places: (B, D) float64.
        owners: (P,) int32 rising, the place of each pair.
        rows: (P,) int32, its point.
        radius: further points weigh nothing.
        falloff: points at distance d weigh exp(-falloff d^2); 0 for a flat kernel.

    Returns:
        (B, 1 + D) float64.
    """
    offsets = tf.gather(points, rows) - tf.gather(places, owners)
    squares = tf.reduce_sum(offsets**2, axis=1, keepdims=True)
    weights = tf.where(squares <= radius**2, tf.exp(-falloff * squares), 0)
    sums = tf.math.segment_sum(tf.concat([weights, weights * offsets], axis=1), owners)
    # The last places may have no pair.
    return tf.pad(sums, [[0, tf.shape(places)[0] - tf.shape(sums)[0]], [0, 0]])


@tf.function(input_signature=[_MATRIX, _MATRIX, _ROWS, _ROWS, _ROWS, _NUMBER])  # type: ignore[untyped-decorator]
def find_nearest(
    points: tf.Tensor,
    places: tf.Tensor,
    owners: tf.Tensor,
    rows: tf.Tensor,
    ranks: tf.Tensor,
    radius: tf.Tensor,
) -> tf.Tensor:
    """Find the nearest point within a radius of each place.

    Args:
        points: (N, D) float64.
        places: (B, D) float64.
        owners: (P,) int32 rising, the place of each pair.
        rows: (P,) int32, its point.
        ranks: (N,) int32, what points are called; of equally near ones the lowest is taken.
        radius: no further.

    Returns:
        (B,) int32 rank, or the highest int32 where no point is near.
    """
    n_places = tf.shape(places)[0]
    squares = tf.reduce_sum((tf.gather(points, rows) - tf.gather(places, owners)) ** 2, axis=1)
    squares = tf.where(squares <= radius**2, squares, np.inf)
    least = tf.gather(tf.math.unsorted_segment_min(squares, owners, n_places), owners)
    is_best = (squares == least) & (squares < np.inf)
    best = tf.where(is_best, tf.gather(ranks, rows), tf.int32.max)
    return tf.math.unsorted_segment_min(best, owners, n_places)
