"""Batch norm in one operation where it learns."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="common")
class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Keras' batch norm of feature maps, of which a training step takes a fraction of the time.

    Keras 3 spells it out in some ten operations, each of which reads and writes all maps: on a CPU
    half as much time again as all the rest of a step of EfficientNet-Lite0. TensorFlow has one
    operation for them, and one for their gradient, which Keras has no word for.

    Args: those of Keras' layer. What the operations do not know (another axis than the last, other
        ranks than 4, other numbers than float32, no scale or no offset, masks, renorm, replicas
        that are synchronized) goes Keras' own way, and so does prediction.

    Source: Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing
        Internal Covariate Shift", 2015.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalize (B, H, W, C) maps by the batch in training, else by what was learnt."""
        maps = tf.convert_to_tensor(inputs)
        is_known = maps.shape.rank == 4 and maps.dtype == tf.float32 and self.axis in (-1, 3)
        is_plain = mask is None and self.scale and self.center
        is_plain = is_plain and not (self.renorm or self.synchronized)
        if not (training and self.trainable and is_known and is_plain):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=maps,
            scale=self.gamma,
            offset=self.beta,
            mean=tf.constant([]),
            variance=tf.constant([]),
            epsilon=self.epsilon,
            is_training=True,
        )
        # The operation's variance is that of a sample, n / (n - 1) times Keras'.
        n = tf.cast(tf.size(maps) / maps.shape[-1], tf.float32)
        for moving, now in (
            (self.moving_mean, mean),
            (self.moving_variance, variance * (1 - 1 / n)),
        ):
            moving.assign(moving * self.momentum + now * (1 - self.momentum))
        return outputs
