"""Entity embeddings: a learnt vector for every level of every category, then dense layers."""

from collections.abc import Sequence

import keras
from keras import layers

from common.checks import check_positive


def choose_embedding_dims(n_codes: int, *, largest: int = 16) -> int:
    """Choose how many dimensions a category gets: about half of its codes, within bounds.

    Args:
        n_codes: size of the embedding table, the slot for the unseen included.
        largest: the bound.

    Source: Guo and Berkhahn take values between 1 and the number of levels less one; half is the
        common rule.
    """
    return min(largest, max(1, n_codes // 2))


def build_entity_embedding(
    n_codes: Sequence[int],
    n_numbers: int,
    *,
    hidden: Sequence[int],
    dropout: float = 0.0,
    embedding_dropout: float = 0.0,
    largest_embedding: int = 16,
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
        largest_embedding: bound on a table's dimensions.

    Returns:
        A model of {"codes": (B, len(n_codes)) int32, "numbers": (B, n_numbers) float32} -> (B,)
        float32.

    Raises:
        ValueError: a table has no codes, or there is no hidden layer.

    Source: Guo and Berkhahn, "Entity Embeddings of Categorical Variables", 2016. Their two layers
        of 1000 and 500 ReLU units without dropout are arguments here.
    """
    check_positive("number of hidden layers", len(hidden))
    codes = layers.Input((len(n_codes),), dtype="int32", name="codes")
    numbers = layers.Input((n_numbers,), name="numbers")
    vectors = []
    for column, size in enumerate(n_codes):
        check_positive(f"n_codes[{column}]", size)
        dims = choose_embedding_dims(size, largest=largest_embedding)
        table = layers.Embedding(size, dims, name=f"embedding_{column}")
        vectors.append(table(codes[:, column]))  # (B, dims)
    x = layers.Concatenate()(vectors)
    x = layers.Dropout(embedding_dropout)(x)
    x = layers.Concatenate()([x, numbers])
    for units in hidden:
        x = layers.Dense(units, activation="gelu")(x)
        x = layers.Dropout(dropout)(x)
    output = layers.Reshape(())(layers.Dense(1)(x))  # (B,)
    return keras.Model({"codes": codes, "numbers": numbers}, output)
