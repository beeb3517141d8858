"""Entity embeddings: a learnt vector for every level of every category, then dense layers."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from common.checks import check_positive

_TABLE = "embedding_"  # and the column


def choose_embedding_dims(n_codes: int, *, largest: int = 16) -> int:
    """Choose how many dimensions a category gets: about half of its codes, within bounds.

    Args:
        n_codes: size of the embedding table, the slot for the unseen included.
        largest: the bound.

    Source: Guo and Berkhahn take values between 1 and the number of levels less one; half is the
        common rule.
    """
    return min(largest, max(1, n_codes // 2))


def build_stem(
    n_codes: Sequence[int],
    n_numbers: int,
    *,
    embedding_dropout: float = 0.0,
    largest_embedding: int = 16,
    dims: Sequence[int] | None = None,
    number_layer: layers.Layer | None = None,
) -> tuple[dict[str, keras.KerasTensor], keras.KerasTensor]:
    """Build the beginning of a net for tables: every column becomes numbers in one long vector.

    Args:
        n_codes: size of each category's table, as `count_codes` gives it.
        n_numbers: how many continuous columns.
        embedding_dropout: share of embedding values dropped, in [0, 1).
        largest_embedding: bound on a table's dimensions, which `choose_embedding_dims` chooses.
        dims: dimensions of every table; None leaves them to the rule.
        number_layer: from (B, n_numbers) to (B, n_numbers, any), such as
            `PiecewiseLinearEmbedding`; None takes the numbers as they are.

    Returns:
        Inputs {"codes": (B, len(n_codes)) int32, "numbers": (B, n_numbers) float32}, and the
        vector, (B, E).

    Raises:
        ValueError: a table has no codes or no dimensions, or `dims` is not one a table.
    """
    if dims is None:
        dims = [choose_embedding_dims(size, largest=largest_embedding) for size in n_codes]
    if len(dims) != len(n_codes):
        raise ValueError(f"dims must be one a table, {len(n_codes)}, received {len(dims)}")
    codes = layers.Input((len(n_codes),), dtype="int32", name="codes")
    numbers = layers.Input((n_numbers,), name="numbers")
    vectors = []
    for column, (size, width) in enumerate(zip(n_codes, dims, strict=True)):
        check_positive(f"n_codes[{column}]", size)
        check_positive(f"dims[{column}]", width)
        table = layers.Embedding(size, width, name=f"{_TABLE}{column}")
        vectors.append(table(codes[:, column]))  # (B, width)
    x = layers.Concatenate()(vectors)
    x = layers.Dropout(embedding_dropout)(x)
    encoded = numbers if number_layer is None else layers.Flatten()(number_layer(numbers))
    return {"codes": codes, "numbers": numbers}, layers.Concatenate()([x, encoded])


def squash_output(
    output: keras.KerasTensor, output_range: tuple[float, float] | None
) -> keras.KerasTensor:
    """Keep a net's output within a range by a sigmoid, whose middle is the range's.

    Args:
        output: (B, ...).
        output_range: the lowest and the highest value; None leaves the output alone.

    Returns:
        (B, ...).

    Raises:
        ValueError: the range does not rise.

    Source: Howard and Gugger, "fastai: A Layered API for Deep Learning", 2020 (`y_range`).
    """
    if output_range is None:
        return output
    low, high = output_range
    if not low < high:
        raise ValueError(f"output_range must rise, received {output_range}")
    share = layers.Activation("sigmoid")(output)
    return layers.Rescaling(high - low, offset=low, name="output_range")(share)


def build_entity_embedding(
    n_codes: Sequence[int],
    n_numbers: int,
    *,
    hidden: Sequence[int],
    dropout: float = 0.0,
    embedding_dropout: float = 0.0,
    largest_embedding: int = 16,
    dims: Sequence[int] | None = None,
    number_layer: layers.Layer | None = None,
    output_range: tuple[float, float] | None = None,
    activation: str = "gelu",
) -> keras.Model:
    """Build an entity-embedding net for regression, untrained.

    Every category is looked up in a table of its own; the vectors stand beside the numbers and go
    through dense layers to one output. Rows that share a level share what is learnt about it, and
    like levels end up close together.

    Args:
        n_codes: size of each category's table, as `count_codes` gives it.
        n_numbers: how many continuous columns; they should be standardised.
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
        A model of {"codes": (B, len(n_codes)) int32, "numbers": (B, n_numbers) float32} -> (B,)
        float32.

    Raises:
        ValueError: a table has no codes or no dimensions, `dims` is not one a table, there is no
            hidden layer, or the range does not rise.

    Source: Guo and Berkhahn, "Entity Embeddings of Categorical Variables", 2016. Their two layers
        of 1000 and 500 ReLU units without dropout are arguments here, and GELU is what is not said.
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
    for units in hidden:
        x = layers.Dense(units, activation=activation)(x)
        x = layers.Dropout(dropout)(x)
    output = layers.Reshape(())(layers.Dense(1)(x))  # (B,)
    return keras.Model(inputs, squash_output(output, output_range))


def make_embedding_tables(model: keras.Model) -> dict[int, np.ndarray]:
    """Copy the learnt vectors out of a net that begins with `build_stem`.

    Args:
        model: any such net.

    Returns:
        {column of the codes: (its n_codes, dims) float32}; row c is the vector of code c.
    """
    return {
        int(layer.name.removeprefix(_TABLE)): layer.embeddings.numpy()
        for layer in model.layers
        if isinstance(layer, layers.Embedding)
    }


def fill_unseen(model: keras.Model, *, codes: np.ndarray | None = None) -> None:
    """Let what was never seen be an average one: give code 0 the mean vector of all other codes.

    No fit row has a level that was never seen, so row 0 of its table keeps the values that it began
    with, and what is predicted for a new store hangs on chance.

    Args:
        model: trained, of a net that begins with `build_stem`; changed in place. A table of one row
            stays as it is.
        codes: (n, C) int, of the fit rows. Columns that have a 0 among them are left alone: their
            row 0 was trained, since `make_codes` gives a missing value 0 too. None fills them all.
    """
    for layer in model.layers:
        if isinstance(layer, layers.Embedding):
            column = int(layer.name.removeprefix(_TABLE))
            is_trained = codes is not None and bool((codes[:, column] == 0).any())
            table = layer.embeddings.numpy().copy()
            if len(table) > 1 and not is_trained:
                table[0] = table[1:].mean(axis=0)
                layer.embeddings.assign(table)
