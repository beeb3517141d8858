"""Categories -> integer codes or mean targets, learnt from some rows and good for all."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from common.checks import InputError, check_positive, check_same_length


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


def learn_target_means(
    codes: np.ndarray, target: np.ndarray, *, n_codes: int, prior: float
) -> np.ndarray:
    """Learn each category's mean target, drawn towards the mean of all rows.

    New rows get `means[codes]`. The rows that the means were learnt from must not: each would be
    told of its own target. They get `make_out_of_fold_means`.

    Args:
        codes: (N,) int in [0, n_codes), as a column of `make_codes`.
        target: (N,) numbers.
        n_codes: C, also counting codes that these rows lack.
        prior: rows of the mean of all that every category begins with, > 0.

    Returns:
        (C,) float32; the mean of all rows for a category without a row.

    Raises:
        ValueError: lengths differ, there is no row, a code is out of range, or prior is not
            positive.

    Source: Micci-Barreca, "A Preprocessing Scheme for High-Cardinality Categorical Attributes in
        Classification and Prediction Problems", 2001. Weights n / (n + prior), with prior given.
    """
    check_same_length(codes=codes, target=target)
    check_positive("prior", prior)
    if not len(codes):
        raise ValueError("codes must have 1 row or more, received 0")
    if codes.min() < 0 or codes.max() >= n_codes:
        raise ValueError(
            f"codes must be in [0, {n_codes}), received {codes.min()} to {codes.max()}"
        )
    # From the mean of all up, so that large targets with small differences lose nothing.
    mean = target.mean(dtype=np.float64)
    n = np.bincount(codes, minlength=n_codes)
    above = np.bincount(codes, weights=target - mean, minlength=n_codes)
    return (mean + above / (n + prior)).astype(np.float32)


def make_out_of_fold_means(
    codes: np.ndarray, target: np.ndarray, fold: np.ndarray, *, prior: float
) -> np.ndarray:
    """Make each row's mean target of its category, learnt from the rows of all other folds.

    So a model that is fitted on it sees how far to trust it for rows whose target it does not hold.

    Args:
        codes: (N,) int, >= 0, as a column of `make_codes`.
        target: (N,) numbers.
        fold: (N,) int, two folds or more. Rows that say much of each other share one.
        prior: as in `learn_target_means`.

    Returns:
        (N,) float32; the mean of all other folds' rows for a category that these lack.

    Raises:
        ValueError: lengths differ, there is one fold only, a code is negative, or prior is not
            positive.

    Cost: a pass over all rows for each fold.

    Source: as `learn_target_means`, whose author learns and applies on the same rows.
    """
    check_same_length(codes=codes, target=target, fold=fold)
    folds = np.unique(fold)
    if len(folds) < 2:
        raise ValueError(f"fold must hold 2 folds or more, received {len(folds)}")
    made, n_codes = np.empty(len(codes), np.float32), int(codes.max()) + 1
    for k in folds:
        is_held = fold == k
        means = learn_target_means(codes[~is_held], target[~is_held], n_codes=n_codes, prior=prior)
        made[is_held] = means[codes[is_held]]
    return made
