"""Piecewise-linear embeddings of numbers: a curve through bins for every column, learnt."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from common.checks import check_positive


def learn_bins(values: np.ndarray, *, n_bins: int) -> list[np.ndarray]:
    """Learn the edges of bins that hold about equally many rows each, column by column.

    Quantiles that fall together are one edge, so a column of few values gets fewer bins, and a
    flag one. A column of a single value gets one bin that begins there: its code is 0 on all of
    the rows that it was learnt from.

    Args:
        values: (N, D) finite numbers, N >= 1.
        n_bins: the most bins of a column.

    Returns:
        D rising float32 arrays of 2 to n_bins + 1 edges.

    Raises:
        ValueError: n_bins is not positive, or a value is not finite.

    Cost: O(N D log N); a second for 400,000 rows of 40 columns.

    Source: Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical Features in Tabular Deep
        Learning", 2022, section 3.2.1.
    """
    check_positive("n_bins", n_bins)
    edges = []
    for column in range(values.shape[1]):
        if not np.isfinite(values[:, column]).all():
            raise ValueError(f"values must be finite, received NaN or inf in column {column}")
        quantiles = np.quantile(values[:, column], np.linspace(0, 1, n_bins + 1))
        # As float32 before duplicates go: edges that differ in float64 only would have no width.
        found = np.unique(quantiles.astype(np.float32))
        if len(found) == 1:
            found = np.append(found, found + np.maximum(np.abs(found), 1))
        edges.append(found)
    return edges


@keras.saving.register_keras_serializable(package="common")
class PiecewiseLinearEmbedding(layers.Layer):  # type: ignore[misc]
    """Encode every number by the bins that it fills, then embed each column by its own weights.

    In a bin that lies below the number the code is 1, in one above it 0, and in its own bin the
    share of the way through. Under the first edge and over the last one the line of the outer bin
    goes on. A product with weights of the column's own makes the code a vector, every element of
    which is a curve of the number with bends at the edges.

    Args:
        edges: rising edges of each column's bins, as `learn_bins` gives them, 2 or more a column.
        dims: of a number's vector.
        activation: None for PLE-L, "relu" for PLE-LR.
        linear: let every column begin as a straight line, the number times a vector, to which the
            curve, at first zero everywhere, is added. Without it a net must first learn from
            scratch what a plain number tells it at once.

    Input shape: (B, D).

    Output shape: (B, D, dims).

    Raises:
        ValueError: there are no edges, those of a column do not rise, dims is not positive, or the
            input has another number of columns.

    Cost: a (D, B, T) tensor, where T is the most bins of a column; others are filled up with bins
        of zero, whose weights have no effect.

    Source: Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical Features in Tabular Deep
        Learning", 2022, equation 1 and table 2; weights begin as in the authors' package, whose
        version B is `linear` and the one that they use in TabM.
    """

    def __init__(
        self,
        edges: Sequence[Sequence[float] | np.ndarray],
        *,
        dims: int,
        activation: str | None = None,
        linear: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        check_positive("number of columns with edges", len(edges))
        check_positive("dims", dims)
        self.edges = [np.asarray(column, dtype=float).tolist() for column in edges]
        self.dims, self.linear = dims, linear
        self.activation = keras.activations.get(activation)
        # Bins that only fill up have an inverse width of 0, and so a code of 0.
        self._n_bins = max(len(column) for column in self.edges) - 1
        shape = (len(edges), 1, max(self._n_bins, 1))
        self._left, self._inverse = np.zeros(shape), np.zeros(shape)
        self._lowest, self._highest = np.zeros(shape), np.ones(shape)
        for row, column in enumerate(self.edges):
            widths = np.diff(column)
            if not len(widths) or not (widths > 0).all():
                raise ValueError(f"edges[{row}] must be 2 or more that rise, received {column}")
            self._left[row, 0, : len(widths)] = column[:-1]
            self._inverse[row, 0, : len(widths)] = 1 / widths
            self._lowest[row, 0, 0] = -np.inf
            self._highest[row, 0, len(widths) - 1] = np.inf

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights: (D, T, dims), (D, dims) and, for straight lines, (D, dims)."""
        n_columns = len(self.edges)
        if input_shape[-1] != n_columns:
            raise ValueError(f"edges are of {n_columns} columns, received {input_shape[-1]}")
        limit = (self.dims if self.linear else self._n_bins) ** -0.5
        uniform = partial(keras.initializers.RandomUniform, -limit, limit)
        self.kernel = self.add_weight(
            shape=(n_columns, self._n_bins, self.dims),
            initializer="zeros" if self.linear else uniform(),
            name="kernel",
        )
        shape = (n_columns, self.dims)
        self.bias = self.add_weight(shape=shape, initializer=uniform(), name="bias")
        if self.linear:
            self.slope = self.add_weight(shape=shape, initializer=uniform(), name="slope")

    def call(self, numbers: Any) -> Any:
        """Embed (B, D) numbers as (B, D, dims)."""
        left, inverse, lowest, highest = (
            ops.convert_to_tensor(constant, dtype=self.compute_dtype)
            for constant in (self._left, self._inverse, self._lowest, self._highest)
        )
        # Columns first: their products run side by side, and only thin tensors are turned.
        x = ops.expand_dims(ops.transpose(numbers), -1)  # (D, B, 1)
        code = ops.minimum(ops.maximum((x - left) * inverse, lowest), highest)  # (D, B, T)
        vectors = ops.transpose(ops.matmul(code, self.kernel), (1, 0, 2))  # (B, D, dims)
        if self.linear:
            vectors = vectors + ops.expand_dims(numbers, -1) * self.slope
        return self.activation(vectors + self.bias)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Tell the output's shape."""
        return (*input_shape, self.dims)

    def get_config(self) -> dict[str, Any]:
        """Tell the arguments, for saving."""
        activation = keras.activations.serialize(self.activation)
        own = {"edges": self.edges, "dims": self.dims, "activation": activation}
        return super().get_config() | own | {"linear": self.linear}
