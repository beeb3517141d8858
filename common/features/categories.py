"""Categories -> integer codes, learnt from some rows and good for all."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from common.checks import InputError


def learn_levels(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Learn which values each column has.

    Args:
        frame: the rows to learn from.
        columns: any hashable, sortable values; missing ones are no level.

    Returns:
        {column: its values, sorted}.
    """
    return {column: np.sort(frame[column].dropna().unique()) for column in columns}


def make_codes(frame: pd.DataFrame, levels: Mapping[str, np.ndarray]) -> np.ndarray:
    """Turn columns into codes for embeddings: 1, 2, … by level, 0 for what was never seen.

    Args:
        frame: any rows.
        levels: from `learn_levels`.

    Returns:
        (N, D) int32, one column per entry of `levels`; column d lies in [0, len(levels) + 1).

    Raises:
        InputError: a column is missing.
    """
    missing = [column for column in levels if column not in frame]
    if missing:
        raise InputError(f"codes need column {missing[0]}, received {', '.join(frame.columns)}")
    codes = [pd.Index(values).get_indexer(frame[column]) + 1 for column, values in levels.items()]
    return np.stack(codes, axis=1).astype(np.int32)


def count_codes(levels: Mapping[str, np.ndarray]) -> tuple[int, ...]:
    """Count each column's codes, the slot for the unseen included: the embeddings' sizes."""
    return tuple(len(values) + 1 for values in levels.values())
