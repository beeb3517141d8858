"""Choose on held-out rows without being scored on the rows that chose."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.checks import check_same_length


@dataclass(frozen=True)
class CrossSelected:
    """A choice and its honest score.

    Attributes:
        prediction: (n, ...) each row by the choice that was made without its group.
        choice: the choice made on all rows: for the test.
    """

    prediction: np.ndarray
    choice: Any


def cross_select(
    choose: Callable[[np.ndarray, np.ndarray], Any],
    apply: Callable[[np.ndarray, Any], np.ndarray],
    parts: np.ndarray,
    target: np.ndarray,
    *,
    groups: np.ndarray,
) -> CrossSelected:
    """Make a choice on all groups but one and apply it to that one, for each group in turn.

    Whatever is chosen by looking at out-of-fold rows (blend weights, k, a factor, thresholds) looks
    better on them than it is. Left-out groups are not looked at, so the pooled score of
    `prediction` carries no such bonus. It works with a single time window, which a second set of
    folds would not.

    Args:
        choose: (parts (M, m, ...), target (m, ...)) -> the choice.
        apply: (parts (M, m, ...), choice) -> (m, ...).
        parts: (M, n, ...) out-of-fold predictions of M models.
        target: (n, ...).
        groups: (n,) what is left out together; two or more different values.

    Raises:
        ValueError: lengths differ, or there is only one group.

    Cost: one call of `choose` per group and one for all.
    """
    check_same_length(target=target, groups=groups, parts=parts[0])
    names, group = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"groups must hold two or more different values, received {len(names)}")
    prediction = np.full(parts.shape[1:], np.nan)
    for k in range(len(names)):
        here = group == k
        prediction[here] = apply(parts[:, here], choose(parts[:, ~here], target[~here]))
    return CrossSelected(prediction, choose(parts, target))
