"""Folds: which rows a model is fitted on and which are held out from it.

Train and test rows share one frame, in which days may carry on from one to the other; a fold is two
sets of row numbers in that frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.checks import check_same_length


@dataclass(frozen=True)
class Fold:
    """One split.

    Attributes:
        fit_rows: (n_fit,) int, rows that the model may learn from.
        held_rows: (n_held,) int, rows that it predicts unseen.
    """

    fit_rows: np.ndarray
    held_rows: np.ndarray


def group_folds(
    groups: np.ndarray, *, n_folds: int, seed: int, can_hold: np.ndarray, is_train: np.ndarray
) -> list[Fold]:
    """Deal whole groups to folds, each of which holds the holdable rows of its groups.

    The groups, in an order drawn by the seed, go one by one to the fold that holds the fewest rows
    so far, so no two folds differ by more rows than the largest group has. Every train row that a
    fold does not hold is fitted on, also those of its own groups that cannot be held: where the
    test is the end of each month, a month's early days are known when its late days are forecast.

    Args:
        groups: (n,) what the rows come in, for example months.
        n_folds: in [2, number of groups with a holdable row].
        seed: draws the order of the groups.
        can_hold: (n,) bool, rows like those of the test; all of them train rows.
        is_train: (n,) bool, rows with a known target.

    Returns:
        n_folds folds, which together hold every holdable row once.

    Raises:
        ValueError: lengths differ, n_folds is out of range, or a holdable row is not a train row.
    """
    check_same_length(groups=groups, can_hold=can_hold, is_train=is_train)
    if np.any(can_hold & ~is_train):
        n_wrong = int(np.sum(can_hold & ~is_train))
        raise ValueError(f"can_hold must lie within is_train, received {n_wrong} rows outside it")
    holdable = np.flatnonzero(can_hold)
    names, group_of = np.unique(groups[holdable], return_inverse=True)
    if not 2 <= n_folds <= len(names):
        raise ValueError(
            f"n_folds must be in [2, {len(names)}], as {len(names)} groups have holdable rows, "
            f"received {n_folds}"
        )
    sizes = np.bincount(group_of)
    fold_of_group = np.empty(len(names), dtype=np.int64)
    n_held = np.zeros(n_folds, dtype=np.int64)
    for group in np.random.default_rng(seed).permutation(len(names)):
        fold_of_group[group] = np.argmin(n_held)
        n_held[fold_of_group[group]] += sizes[group]
    folds = []
    for fold in range(n_folds):
        held = holdable[fold_of_group[group_of] == fold]
        folds.append(Fold(np.setdiff1d(np.flatnonzero(is_train), held), held))
    return folds


def past_folds(times: np.ndarray, blocks: np.ndarray, *, is_train: np.ndarray) -> list[Fold]:
    """Hold one block of rows per fold, and fit on what was known before the block began.

    The blocks may hold test rows, which asks for forecasts of the test by the same rule.

    Args:
        times: (n,) anything that has an order, for example datetime64.
        blocks: (n,) int, the block that holds the row, >= 0; -1 for a row that no fold holds.
        is_train: (n,) bool, rows with a known target.

    Returns:
        One fold per block, in the order of their numbers. Fit rows are the train rows strictly
        before the block's first time, so blocks that overlap in time never see each other.

    Raises:
        ValueError: lengths differ, there is no block, or a block has no train row before it.
    """
    check_same_length(times=times, blocks=blocks, is_train=is_train)
    numbers = np.unique(blocks[blocks >= 0])
    if len(numbers) == 0:
        raise ValueError("blocks must have a row >= 0, received none")
    folds = []
    for number in numbers:
        held = np.flatnonzero(blocks == number)
        start = times[held].min()
        fit = np.flatnonzero(is_train & (times < start))
        if len(fit) == 0:
            raise ValueError(
                f"blocks must start after a train row, received block {number} at {start}"
            )
        folds.append(Fold(fit, held))
    return folds


def check_folds(folds: Sequence[Fold], *, n_rows: int) -> None:
    """Check that folds can be trusted, wherever they come from.

    Args:
        folds: at least one.
        n_rows: rows in the frame, > 0.

    Raises:
        ValueError: there is no fold; fit or held rows are none, repeated or outside [0, n_rows); a
            fold fits on a row that it holds; two folds hold the same row.
    """
    if len(folds) == 0:
        raise ValueError("folds must have at least one fold, received none")
    holder = np.full(n_rows, -1)
    for number, fold in enumerate(folds):
        for name, rows in (("fit_rows", fold.fit_rows), ("held_rows", fold.held_rows)):
            if len(rows) == 0:
                raise ValueError(
                    f"{name} of fold {number} must have at least one row, received none"
                )
            if rows.min() < 0 or rows.max() >= n_rows:
                raise ValueError(
                    f"{name} of fold {number} must be in [0, {n_rows}), "
                    f"received {rows.min()} to {rows.max()}"
                )
            if len(np.unique(rows)) < len(rows):
                raise ValueError(f"{name} of fold {number} must differ, received a row twice")
        shared = np.intersect1d(fold.fit_rows, fold.held_rows)
        if len(shared):
            raise ValueError(
                f"fold {number} must not fit on rows it holds, received row {shared[0]} in both"
            )
        taken = fold.held_rows[holder[fold.held_rows] >= 0]
        if len(taken):
            raise ValueError(
                f"a row must be held by one fold, received row {taken[0]} in folds "
                f"{holder[taken[0]]} and {number}"
            )
        holder[fold.held_rows] = number
