"""Where a classifier looks, from the gradient at its last feature maps."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from common.checks import check_same_length, check_shape


def grad_cam(
    lower: Callable[[Any], tf.Tensor],
    upper: Callable[[tf.Tensor], tf.Tensor],
    pictures: Any,
    labels: np.ndarray,
) -> np.ndarray:
    """Weight feature maps by how much the class's score grows with their mean.

    The positive part of the weighted sum lights up where the picture speaks for the class, on the
    maps' coarse grid, which is then resized to the picture.

    Args:
        lower: pictures -> (B, h, w, D) feature maps, as a rule of the last convolution.
        upper: (B, h, w, D) -> (B, C), the rest of the net up to what its softmax would take. The
            slope of a probability vanishes where the net is sure, that of its logit does not.
        pictures: (B, H, W, ...).
        labels: (B,) int classes in [0, C).

    Returns:
        (B, H, W) float32 >= 0.

    Raises:
        ValueError: ranks or lengths differ from the above.

    Source: Selvaraju, Cogswell, Das, Vedantam, Parikh and Batra, "Grad-CAM: Visual Explanations
        from Deep Networks via Gradient-based Localization", 2017.
    """
    check_same_length(pictures=pictures, labels=labels)
    maps = tf.convert_to_tensor(lower(pictures))
    check_shape("feature maps", maps, (len(labels), None, None, None))
    with tf.GradientTape() as tape:
        tape.watch(maps)
        score = tf.gather(upper(maps), labels, batch_dims=1)
    slopes = tape.gradient(score, maps)
    weights = tf.reduce_mean(slopes, axis=(1, 2), keepdims=True)  # (B, 1, 1, D)
    lit = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1, keepdims=True))  # (B, h, w, 1)
    return np.asarray(tf.image.resize(lit, pictures.shape[1:3])[..., 0], np.float32)
