"""Mix the pictures of a batch, and their labels with them."""

from collections.abc import Callable

import tensorflow as tf

from common.checks import check_positive
from common.inputs.augment import choose, find_rectangles

Mix = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""((B, H, W, 3) pixels, (B, C) labels, (2,) int32 seed) -> mixed pictures and labels."""


def mixup(
    pictures: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, *, alpha: float = 0.2
) -> tuple[tf.Tensor, tf.Tensor]:
    """Lay every picture over the one before it, as if through glass, and their labels likewise.

    The share that a picture keeps is drawn from Beta(alpha, alpha), for each its own: near 0 or 1
    for a small alpha.

    Args:
        pictures: (B, H, W, C) float32, of a shuffled batch.
        labels: (B, C) float32, one-hot or shares of classes.
        seed: (2,) int32.
        alpha: > 0.

    Returns:
        Pictures (B, H, W, C) and labels (B, C).

    Raises:
        ValueError: alpha is not positive.

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018; the partner is the
        neighbour in the batch, and each pair has its own share.
    """
    kept = _draw_shares(pictures, seed, alpha)
    share = kept[:, None, None, None]
    mixed = share * pictures + (1 - share) * tf.roll(pictures, 1, axis=0)
    return mixed, _mix_labels(labels, kept)


def cutmix(
    pictures: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, *, alpha: float = 1.0
) -> tuple[tf.Tensor, tf.Tensor]:
    """Put a rectangle of the picture before into every picture; labels count by area.

    The share that a picture keeps is drawn from Beta(alpha, alpha), for each its own. Rectangles
    have the picture's own shape and lie wholly in it.

    Args:
        pictures: (B, H, W, C) float32, of a shuffled batch.
        labels: (B, C) float32, one-hot or shares of classes.
        seed: (2,) int32.
        alpha: > 0.

    Returns:
        Pictures (B, H, W, C) and labels (B, C), by the pixels that are kept.

    Raises:
        ValueError: alpha is not positive.

    Source: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with
        Localizable Features", 2019; the partner is the neighbour in the batch, and rectangles are
        not cut off at the border.
    """
    side = tf.sqrt(1 - _draw_shares(pictures, seed, alpha))
    place_seed = tf.random.experimental.stateless_fold_in(seed, 1)
    place = tf.random.stateless_uniform((tf.shape(pictures)[0], 2), place_seed)
    is_other = find_rectangles(pictures, side, side, place)  # (B, H, W, 1)
    mixed = choose(is_other, tf.roll(pictures, 1, axis=0), pictures)
    kept = 1 - tf.reduce_mean(tf.cast(is_other, tf.float32), axis=(1, 2, 3))
    return mixed, _mix_labels(labels, kept)


def _draw_shares(pictures: tf.Tensor, seed: tf.Tensor, alpha: float) -> tf.Tensor:
    """Draw from Beta(alpha, alpha), (B,), by two gammas.

    Small gammas may both be 0 in float32: such pictures stay as they are.
    """
    check_positive("alpha", alpha)
    shape = (tf.shape(pictures)[0], 2)
    gammas = tf.random.stateless_gamma(shape, seed, alpha=alpha, dtype=tf.float64)
    total = tf.reduce_sum(gammas, axis=1)
    share = tf.where(total > 0, gammas[:, 0] / tf.where(total > 0, total, 1.0), 1.0)
    return tf.cast(share, tf.float32)


def _mix_labels(labels: tf.Tensor, kept: tf.Tensor) -> tf.Tensor:
    return kept[:, None] * labels + (1 - kept[:, None]) * tf.roll(labels, 1, axis=0)
