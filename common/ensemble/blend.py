"""Blends: one prediction out of several models'."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from common.checks import check_shape


def weighted_mean(predictions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average the predictions of several models.

    Args:
        predictions: (M, n, ...).
        weights: (M,), as a rule >= 0 with sum 1.

    Returns:
        (n, ...).

    Raises:
        ValueError: there are not as many weights as models.
    """
    check_shape("weights", weights, (len(predictions),))
    return np.tensordot(weights, predictions, axes=1)


def nonnegative_weights(
    predictions: np.ndarray,
    target: np.ndarray,
    *,
    score: Callable[[np.ndarray, np.ndarray], float],
    lower_is_better: bool = True,
) -> np.ndarray:
    """Find the weights, none negative and with sum 1, whose blend scores best on the given rows.

    Sequential least squares walks from equal weights along numerical slopes of the score, so any
    smooth score will do and equal inputs give equal weights. The answer is never worse on these
    rows than equal weights or the best single model, even where the score is not smooth.

    Args:
        predictions: (M, n, ...) finite, M >= 1, rows that no model was fitted on.
        target: (n, ...).
        score: (target, prediction) -> float.
        lower_is_better: the score's direction.

    Returns:
        (M,) float64.

    Raises:
        ValueError: shapes do not fit, or a prediction is not finite.

    Cost: some tens of steps, each of 2 M + 1 blends and scores.

    Source: Kraft, "A Software Package for Sequential Quadratic Programming", 1988, as in SciPy.
    """
    check_shape("predictions", predictions, (None, *target.shape))
    if len(predictions) == 0 or not np.isfinite(predictions).all():
        raise ValueError("predictions must be finite and of at least one model, received others")
    n_models = len(predictions)
    sign = 1 if lower_is_better else -1

    def loss(weights: np.ndarray) -> float:
        return sign * score(target, weighted_mean(predictions, weights))

    equal = np.full(n_models, 1 / n_models)
    # The stopping rule is absolute, so the score is brought to the size of 1 first.
    scale = abs(loss(equal)) or 1.0
    found = minimize(
        lambda weights: loss(weights) / scale,
        equal,
        method="SLSQP",
        jac="3-point",
        bounds=[(0, 1)] * n_models,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        options={"ftol": 1e-10, "maxiter": 200},
    ).x.clip(0)
    # The simplest come first: of equally good candidates `min` takes the first.
    candidates = [equal, *np.eye(n_models), found / found.sum()]
    return min(candidates, key=loss)
