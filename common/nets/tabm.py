"""TabM: many nets for tables in one, which share all weights but small adapters and their heads."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from common.checks import check_positive
from common.nets.entity_embedding import build_stem, squash_output


@keras.saving.register_keras_serializable(package="common")
class BatchEnsembleDense(layers.Layer):  # type: ignore[misc]
    """A dense layer for each of K members: one kernel W for all, and adapters of each one's own.

    Member k computes s_k * (W (r_k * x)) + b_k, with * element by element. The products of W and
    the adapters are taken first: that is K kernels instead of two more passes over all rows of all
    members, which made a step a third faster. Adapters begin as ones, so that all members begin as
    the same layer, unless the first of them are random signs.

    Args:
        units: of the output.
        n_members: K.
        random_signs: whether r begins as +1 or -1 by chance, as in the first layer of TabM.
        activation: a Keras name; None is linear.

    Input shape: (B, D), which all members see, or (K, B, D).

    Output shape: (K, B, units): members first, so that their products run as one batch.

    Raises:
        ValueError: units or n_members is not positive.

    Source: Wen, Tran and Ba, "BatchEnsemble: an Alternative Approach to Efficient Ensemble and
        Lifelong Learning", 2020; beginnings as in TabM.
    """

    def __init__(
        self,
        units: int,
        n_members: int,
        *,
        random_signs: bool = False,
        activation: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        check_positive("units", units)
        check_positive("n_members", n_members)
        self.units = units
        self.n_members = n_members
        self.random_signs = random_signs
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights: W (D, units), r (K, D), s and b (K, units)."""
        width = input_shape[-1]
        self.kernel = self.add_weight(shape=(width, self.units), name="kernel")
        self.r = self.add_weight(
            shape=(self.n_members, width),
            initializer=_make_signs if self.random_signs else "ones",
            name="r",
        )
        shape = (self.n_members, self.units)
        self.s = self.add_weight(shape=shape, initializer="ones", name="s")
        self.bias = self.add_weight(shape=shape, initializer="zeros", name="bias")

    def call(self, x: Any) -> Any:
        """Take (B, D) or (K, B, D) to (K, B, units)."""
        kernels = self.r[:, :, None] * self.kernel * self.s[:, None, :]  # (K, D, units)
        return self.activation(ops.matmul(x, kernels) + self.bias[:, None, :])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Tell the output's shape."""
        return (self.n_members, input_shape[-2], self.units)

    def get_config(self) -> dict[str, Any]:
        """Tell the arguments, for saving."""
        return super().get_config() | {
            "units": self.units,
            "n_members": self.n_members,
            "random_signs": self.random_signs,
            "activation": keras.activations.serialize(self.activation),
        }


@keras.saving.register_keras_serializable(package="common")
class MemberHeads(layers.Layer):  # type: ignore[misc]
    """One linear output for each of K members, with no weight in common.

    Input shape: (K, B, D).

    Output shape: (B, K).
    """

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Make the weights: (K, D, 1) and (K,)."""
        n_members, _, width = input_shape
        limit = width**-0.5
        self.kernel = self.add_weight(
            shape=(n_members, width, 1),
            initializer=keras.initializers.RandomUniform(-limit, limit),
            name="kernel",
        )
        self.bias = self.add_weight(shape=(n_members,), initializer="zeros", name="bias")

    def call(self, x: Any) -> Any:
        """Take (K, B, D) to (B, K)."""
        return ops.transpose(ops.matmul(x, self.kernel)[:, :, 0]) + self.bias

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Tell the output's shape."""
        return (input_shape[1], input_shape[0])


def build_tabm(
    n_codes: Sequence[int],
    n_numbers: int,
    *,
    n_members: int,
    hidden: Sequence[int],
    dropout: float = 0.0,
    embedding_dropout: float = 0.0,
    largest_embedding: int = 16,
    dims: Sequence[int] | None = None,
    number_layer: layers.Layer | None = None,
    output_range: tuple[float, float] | None = None,
    activation: str = "gelu",
) -> keras.Model:
    """Build a TabM for regression, untrained: an ensemble of nets that costs little more weights
    than one.

    All members see the same vector of a row, each through random signs of its own, and go through
    the same layers with adapters of their own. Their errors differ, and their mean is better than
    any. Told that it `has_members`, `fit_net` trains each on its own error, and `predict_net` takes
    their mean.

    Args:
        n_codes: size of each category's table, as `count_codes` gives it.
        n_numbers: how many continuous columns; they should be standardised.
        n_members: K.
        hidden: units of the dense layers.
        dropout: share of hidden units dropped, in [0, 1).
        embedding_dropout: share of embedding values dropped, in [0, 1).
        largest_embedding: bound on a table's dimensions, which `choose_embedding_dims` chooses.
        dims: dimensions of every table; None leaves them to the rule.
        number_layer: from (B, n_numbers) to (B, n_numbers, any), such as
            `PiecewiseLinearEmbedding`; None takes the numbers as they are.
        output_range: the lowest and the highest output; None leaves it free.
        activation: Keras' name, of the hidden layers.

    Returns:
        A model of {"codes": (B, len(n_codes)) int32, "numbers": (B, n_numbers) float32} -> (B, K)
        float32.

    Raises:
        ValueError: as `build_entity_embedding`, or n_members is not positive.

    Cost: K times the products of one net.

    Source: Gorishniy, Kotelnikov and Babenko, "TabM: Advancing Tabular Deep Learning with
        Parameter-Efficient Ensembling", 2024. Categories are embedded here rather than one-hot,
        and hidden units are GELU unless ReLU, which is theirs, is asked for.
    """
    check_positive("number of hidden layers", len(hidden))
    inputs, x = build_stem(
        n_codes,
        n_numbers,
        embedding_dropout=embedding_dropout,
        largest_embedding=largest_embedding,
        dims=dims,
        number_layer=number_layer,
    )
    for depth, units in enumerate(hidden):
        dense = BatchEnsembleDense(units, n_members, random_signs=depth == 0, activation=activation)
        x = layers.Dropout(dropout)(dense(x))  # (K, B, units)
    return keras.Model(inputs, squash_output(MemberHeads()(x), output_range))


def _make_signs(shape: tuple[int, ...], dtype: Any = None) -> Any:
    values = keras.initializers.RandomUniform(-1, 1)(shape, dtype=dtype)
    return ops.where(values < 0, -ops.ones_like(values), ops.ones_like(values))
