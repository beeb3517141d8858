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


def rmspe(target: np.ndarray, prediction: np.ndarray) -> float:
    """Score sales by the root mean squared share of the target by which they are missed.

    Rows whose target is 0 (closed days, say) have no share and are left out. Too high a prediction
    can cost without bound, one that is too low costs 1 at most.

    Args:
        target: (n, ...) numbers >= 0, one of them at least above 0.
        prediction: like target, any number >= 0.

    Returns:
        The score, >= 0; lower is better.

    Raises:
        ValueError: the shapes differ, no target is above 0, or a value is negative, infinite or
            NaN.
    """
    check_shape("prediction", prediction, target.shape)
    is_scored = _find_scored(target)
    missed = _to_float("prediction", prediction)[is_scored] / target[is_scored] - 1
    return float(np.sqrt(np.mean(missed**2)))


def rmspe_constant(target: np.ndarray) -> float:
    """Find the one value whose constant prediction has the least `rmspe`.

    The score is a weighted root mean square with the weights 1 / target^2, so the best constant is
    the mean under these: sum(1 / target) / sum(1 / target^2).

    Args:
        target: (n, ...) numbers >= 0, one of them at least above 0.

    Returns:
        The constant, > 0.

    Raises:
        ValueError: no target is above 0, or a value is negative, infinite or NaN.
    """
    return rmspe_factor(target, np.ones(target.shape))


def rmspe_factor(target: np.ndarray, prediction: np.ndarray) -> float:
    """Find the one factor that, times the prediction, has the least `rmspe`.

    Too high a prediction can miss by more than its all, too low a one cannot, so the best factor of
    an unbiased prediction lies a little below 1: for log-normal errors of variance s^2 around the
    median it is exp(-1.5 s^2).

    Args:
        target: (n, ...) numbers >= 0, one of them at least above 0.
        prediction: like target, one of the scored ones at least above 0.

    Returns:
        sum(r) / sum(r^2) with r = prediction / target, > 0.

    Raises:
        ValueError: the shapes differ, no target or no scored prediction is above 0, or a value is
            negative, infinite or NaN.
    """
    check_shape("prediction", prediction, target.shape)
    is_scored = _find_scored(target)
    share = _to_float("prediction", prediction)[is_scored] / target[is_scored]
    if not share.any():
        raise ValueError(f"prediction must be > 0 in a scored row, received {share.size} zeros")
    return float(share.sum() / (share**2).sum())


def _find_scored(target: np.ndarray) -> np.ndarray:
    """Tell which targets have a share to miss them by; there must be one."""
    is_scored = _to_float("target", target) > 0
    if not is_scored.any():
        raise ValueError(f"target must be > 0 in at least one row, received {target.size} zeros")
    return np.asarray(is_scored)


def _log1p(name: str, values: np.ndarray) -> np.ndarray:
    return np.log1p(_to_float(name, values))


def _to_float(name: str, values: np.ndarray) -> np.ndarray:
    """Give numbers in float64, after a check that they can be scored."""
    if values.size == 0:
        raise ValueError(f"{name} must have at least one row, received none")
    is_bad = ~(np.isfinite(values) & (values >= 0))
    if is_bad.any():
        raise ValueError(
            f"{name} must be finite and >= 0, received {values[is_bad][0]} ({is_bad.sum()} such "
            "values)"
        )
    return values.astype(np.float64)
