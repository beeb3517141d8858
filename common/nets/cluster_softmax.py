"""Predict a place as a mean of known places, weighted by a softmax."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from common.checks import check_same_length, check_shape


@keras.saving.register_keras_serializable(package="common")
class ClusterSoftmax(layers.Layer):  # type: ignore[misc]
    """Share a row out among fixed centres and take the mean of the centres.

    A dense layer and a softmax give each centre its share. The output lies within the convex hull
    of the centres, and a hidden unit can raise a square of the city as a whole, where a linear
    output would have to place it by coordinates. The loss is taken of the mean, not of the shares:
    no centre is the right one.

    Args:
        centres: (K, D) points, fixed, such as the modes that mean shift finds among targets.
        shares: (K,) how many targets belong to each centre, up to a factor, > 0: the shares that
            the layer begins with. None: equal ones.

    Input shape: (B, H).

    Output shape: (B, D).

    Raises:
        ValueError: centres are not (K, D), finite and at least one, or there is not one positive
            share for each.

    Source: de Brebisson, Simon, Auvolat, Vincent and Bengio, "Artificial Neural Networks Applied to
        Taxi Destination Prediction", 2015. To begin with the centres' shares is ours.
    """

    def __init__(self, centres: Any, *, shares: Any | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.centres = np.asarray(centres, dtype=float)
        self.shares = np.ones(len(self.centres)) if shares is None else np.asarray(shares, float)
        check_shape("centres", self.centres, (None, None))
        check_shape("shares", self.shares, (None,))
        check_same_length(centres=self.centres, shares=self.shares)
        if not len(self.centres) or not np.isfinite(self.centres).all():
            raise ValueError(f"centres must be finite and at least one, received {self.centres}")
        if not ((self.shares > 0) & (self.shares < np.inf)).all():
            raise ValueError(f"shares must be > 0 and finite, received {self.shares}")
        self.dense = layers.Dense(
            len(self.centres),
            bias_initializer=keras.initializers.Constant(np.log(self.shares / self.shares.sum())),
            name="shares",
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the dense layer's weights: (H, K) and (K,)."""
        self.dense.build(input_shape)

    def call(self, x: Any) -> Any:
        """Take (B, H) to (B, D)."""
        shares = ops.softmax(self.dense(x))  # (B, K)
        return ops.matmul(shares, ops.convert_to_tensor(self.centres, dtype=self.compute_dtype))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Tell the output's shape."""
        return (*input_shape[:-1], self.centres.shape[1])

    def get_config(self) -> dict[str, Any]:
        """Tell the arguments, for saving."""
        own = {"centres": self.centres.tolist(), "shares": self.shares.tolist()}
        return super().get_config() | own
