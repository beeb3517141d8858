"""Scores of predicted numbers, and the constants that are best under them."""

import numpy as np

from common.checks import check_shape


def rmsle(target: np.ndarray, prediction: np.ndarray) -> float:
    """Score counts by the root mean squared difference of log(1 + value).

    It punishes relative errors, and too low a prediction more than one that is too high by as much.

    Args:
        target: (n, ...) numbers >= 0, n >= 1.
        prediction: like target.

    Returns:
        The score, >= 0; lower is better.

    Raises:
        ValueError: the shapes differ, there are no rows, or a value is negative, infinite or NaN.
    """
    check_shape("prediction", prediction, target.shape)
    differences = _log1p("prediction", prediction) - _log1p("target", target)
    return float(np.sqrt(np.mean(differences**2)))


def rmsle_constant(target: np.ndarray) -> float:
    """Find the one value whose constant prediction has the least `rmsle`.

    On the log(1 + value) scale the score is a root mean square, so the best constant there is the
    mean.

    Args:
        target: (n, ...) numbers >= 0, n >= 1.

    Returns:
        The constant, >= 0.

    Raises:
        ValueError: there are no rows, or a value is negative, infinite or NaN.
    """
    return float(np.expm1(np.mean(_log1p("target", target))))


def _log1p(name: str, values: np.ndarray) -> np.ndarray:
    """Take log(1 + value) in float64, after a check that it is meant to exist."""
    if values.size == 0:
        raise ValueError(f"{name} must have at least one row, received none")
    is_bad = ~(np.isfinite(values) & (values >= 0))
    if is_bad.any():
        raise ValueError(
            f"{name} must be finite and >= 0, received {values[is_bad][0]} ({is_bad.sum()} such "
            "values)"
        )
    return np.log1p(values.astype(np.float64))
