"""Scores of predicted classes and of their probabilities."""

import numpy as np

from common.checks import check_shape

LEAST = 1e-15
"""What Kaggle raises smaller probabilities to, and 1 less what it lowers larger ones to."""


def micro_f1(target: np.ndarray, prediction: np.ndarray) -> float:
    """Score classes by F1 over the decisions of all classes together.

    Where every row has one class and is given one, each wrong row is a false positive of one class
    and a false negative of another: precision, recall and F1 are all the share of right rows.

    Args:
        target: (n,) classes of any kind that can be compared, n >= 1.
        prediction: like target.

    Returns:
        The score, in [0, 1]; higher is better.

    Raises:
        ValueError: the shapes differ or are not (n,), there are no rows, or one has words and the
            other numbers.
    """
    check_shape("target", target, (None,))
    check_shape("prediction", prediction, target.shape)
    if not len(target):
        raise ValueError("target must have at least one row, received none")
    kinds = [_find_kind(target), _find_kind(prediction)]
    if kinds[0] != kinds[1]:
        raise ValueError(f"prediction must hold {kinds[0]} as target does, received {kinds[1]}")
    return float(np.mean(target == prediction))


def log_loss(target: np.ndarray, prediction: np.ndarray) -> float:
    """Score probabilities by the mean negative logarithm of what the true class was given.

    As on Kaggle, the probabilities of a row are first divided by their sum, and then kept from
    1e-15 to 1 - 1e-15.

    Args:
        target: (n, C) true shares of each class, as a rule 1 and 0, n >= 1, whose rows sum to 1; or
            (n,) of one class against all others, in [0, 1].
        prediction: like target; rows of (n, C) need not sum to 1.

    Returns:
        The score, >= 0; lower is better.

    Raises:
        ValueError: the shapes differ, there are no rows, a value is out of range, infinite or NaN,
            a row of target does not sum to 1, or the probabilities of a row are all 0.
    """
    check_shape("prediction", prediction, target.shape)
    one = target.ndim == 1
    most, told = (1.0, "in [0, 1]") if one else (np.finfo(float).max, "finite and >= 0")
    for name, values in (("target", target), ("prediction", prediction)):
        check_shape(name, values, (None,) if one else (None, None))
        if not values.size:
            raise ValueError(f"{name} must have at least one row, received none")
        if (is_bad := ~((values >= 0) & (values <= most))).any():
            raise ValueError(
                f"{name} must be {told}, received {values[is_bad][0]} ({is_bad.sum()} such values)"
            )
    if one:
        target, prediction = (np.stack([1 - p, p], axis=1) for p in (target, prediction))
    sums = target.sum(axis=1, dtype=np.float64)
    if (is_bad := np.abs(sums - 1) > 1e-4).any():
        raise ValueError(f"rows of target must sum to 1, received {sums[is_bad][0]:g}")
    total = prediction.sum(axis=1, keepdims=True, dtype=np.float64)
    if not total.all():
        raise ValueError(f"prediction must not be 0 in all of a row, received {(total == 0).sum()}")
    kept = np.clip(prediction / total, LEAST, 1 - LEAST)
    return float(-np.mean(np.sum(target * np.log(kept), axis=1)))


def log_loss_constant(target: np.ndarray) -> float:
    """Find the one value whose constant prediction has the least `log_loss`.

    Args:
        target: (n, C) shares of each class, or (n,) of one class, n >= 1.

    Returns:
        1 / C, since rows are brought to a sum of 1: any value is as good; the mean of (n,).

    Raises:
        ValueError: the rank is another, or there are no rows.
    """
    if not target.size:
        raise ValueError("target must have at least one row, received none")
    if target.ndim == 1:
        return float(np.mean(target))
    check_shape("target", target, (None, None))
    return 1 / target.shape[1]


def _find_kind(values: np.ndarray) -> str:
    return "words" if isinstance(values[0], str) else "numbers"
