"""Distances of all pairs of two sets of points, as TensorFlow matrices."""

import numpy as np
import tensorflow as tf

from common.geo import EARTH_RADIUS_KM


def squared_euclidean(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Measure squared Euclidean distances by one matrix product.

    |a|^2 + |b|^2 - 2 ab loses the digits that the points share, so both are first moved to where
    the mean of b is the origin, and what rounding leaves below 0 is 0. The error is then that of a
    few roundings of the largest squared distance from that mean; of near neighbours far from it
    `NearestNeighbors` gives all digits.

    Args:
        a: (N, D) floats.
        b: (M, D) of the same dtype, M >= 1.

    Returns:
        (N, M), >= 0.
    """
    centre = tf.reduce_mean(b, axis=0)
    a, b = a - centre, b - centre
    norms = tf.reduce_sum(a**2, axis=1)[:, None] + tf.reduce_sum(b**2, axis=1)
    return tf.maximum(norms - 2 * tf.matmul(a, b, transpose_b=True), 0)


def cosine(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Measure 1 - cosine of the angle between vectors.

    It is half the squared distance of the vectors cut to length 1, which keeps small angles.

    Args:
        a: (N, D) floats.
        b: (M, D) of the same dtype, M >= 1.

    Returns:
        (N, M) in [0, 2]. A vector of zeros has no direction and is at 1 from all.
    """
    (a, a_length), (b, b_length) = _to_units(a), _to_units(b)
    missing = (2 - a_length - tf.transpose(b_length)) / 2
    return tf.minimum(squared_euclidean(a, b) / 2 + missing, 2)


def _to_units(vectors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Cut (N, D) vectors to length 1; the (N, 1) lengths are 1, or 0 where a vector is zero."""
    # By the largest element first: squares of small or large ones would leave the float's range.
    largest = tf.reduce_max(tf.abs(vectors), axis=1, keepdims=True)
    vectors = tf.math.divide_no_nan(vectors, largest)
    norms = tf.norm(vectors, axis=1, keepdims=True)
    return tf.math.divide_no_nan(vectors, norms), tf.cast(largest > 0, vectors.dtype)


def haversine_km(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Measure great-circle distances between all places of two sets.

    Args:
        a: (N, 2) floats, latitude and longitude in degrees.
        b: (M, 2) likewise, of the same dtype.

    Returns:
        (N, M) km.

    Source: Sinnott, "Virtues of the Haversine", 1984; exact at small distances.
    """
    degree = np.pi / 180
    half = tf.sin((a[:, None] - b) * (degree / 2)) ** 2  # (N, M, 2)
    cosines = tf.cos(a[:, None, 0] * degree) * tf.cos(b[:, 0] * degree)
    share = tf.clip_by_value(half[..., 0] + cosines * half[..., 1], 0, 1)
    return 2 * EARTH_RADIUS_KM * tf.asin(tf.sqrt(share))
