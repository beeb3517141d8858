import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.metrics import root_mean_squared_error, root_mean_squared_log_error

from common.metrics.regression import (
    rmsle,
    rmsle_constant,
    rmspe,
    rmspe_constant,
    rmspe_factor,
)


def test_rmsle_by_hand():
    """On the log(1 + v) scale the targets are 0, 1 and the predictions 2, 1: sqrt((4 + 0) / 2)."""
    target, prediction = np.expm1([0.0, 1.0]), np.expm1([2.0, 1.0])

    assert rmsle(target, prediction) == pytest.approx(np.sqrt(2))


def test_rmsle_equals_scikit_learn():
    rng = np.random.default_rng(0)
    target, prediction = rng.poisson(50, 1000), rng.gamma(2, 25, 1000)

    expected = root_mean_squared_log_error(target, prediction)
    assert rmsle(target, prediction) == pytest.approx(expected, rel=1e-12)


def test_rmsle_constant_is_the_minimum():
    target = np.random.default_rng(1).gamma(1, 100, 300)

    found = minimize_scalar(
        lambda value: rmsle(target, np.full(300, value)), bounds=(0, 500), method="bounded"
    )
    assert rmsle_constant(target) == pytest.approx(found.x, rel=1e-4)


def test_rmspe_by_hand():
    """Missed by 10 / 100, 1 / 2 and (2 - 1) / 1 upwards; the closed day is left out, whatever is
    said of it: sqrt((0.01 + 0.25 + 1) / 3).
    """
    target, prediction = np.array([100, 2, 1, 0]), np.array([90.0, 1.0, 2.0, 7.0])

    assert rmspe(target, prediction) == pytest.approx(0.42**0.5, rel=1e-15)


def test_rmspe_of_nothing_is_one_and_of_the_target_nothing():
    target = np.array([[0.0, 3.0], [5.0, 0.5]])

    assert rmspe(target, np.zeros((2, 2))) == 1
    assert rmspe(target, target) == 0


def test_rmspe_equals_the_weighted_error_of_scikit_learn():
    """The mean of ((y - p) / y)^2 is that of (y - p)^2 under the weights 1 / y^2, rescaled."""
    rng = np.random.default_rng(0)
    target, prediction = rng.poisson(2, 1000), rng.gamma(2, 1, 1000)
    is_open = target > 0
    weights = 1.0 / target[is_open] ** 2

    expected = root_mean_squared_error(
        target[is_open], prediction[is_open], sample_weight=weights
    ) * np.sqrt(weights.mean())
    assert is_open.sum() < 1000
    assert rmspe(target, prediction) == pytest.approx(expected, rel=1e-12)


def test_rmspe_constant_by_hand():
    """1 and 2: (1 + 1/2) / (1 + 1/4) = 1.2; the zero counts for nothing."""
    assert rmspe_constant(np.array([1, 0, 2])) == pytest.approx(1.2, rel=1e-15)


def test_rmspe_constant_is_the_minimum():
    target = np.random.default_rng(1).gamma(4, 100, 300).round()
    target[:50] = 0

    found = minimize_scalar(
        lambda value: rmspe(target, np.full(300, value)), bounds=(0, 1000), method="bounded"
    )
    assert rmspe_constant(target) == pytest.approx(found.x, rel=1e-4)


def test_rmspe_factor_by_hand():
    """Predictions are twice and half the target: 2.5 over 4 + 1/4; the zero counts for nothing."""
    factor = rmspe_factor(np.array([1, 0, 4]), np.array([2, 9, 2]))
    assert factor == pytest.approx(2.5 / 4.25, rel=1e-15)


def test_rmspe_factor_is_the_minimum_and_that_of_log_normal_errors():
    rng = np.random.default_rng(2)
    median = rng.gamma(4, 100, 200_000)
    target = median * np.exp(rng.normal(0, 0.1, len(median)))

    found = minimize_scalar(
        lambda factor: rmspe(target, factor * median), bounds=(0.5, 2), method="bounded"
    )
    assert rmspe_factor(target, median) == pytest.approx(found.x, rel=1e-5)
    assert rmspe_factor(target, median) == pytest.approx(np.exp(-1.5 * 0.1**2), abs=1e-3)


def test_rmspe_factor_of_nothing_is_refused():
    with pytest.raises(ValueError, match="prediction must be > 0 in a scored row, received 2"):
        rmspe_factor(np.array([1, 2, 0]), np.array([0, 0, 1]))


@pytest.mark.parametrize(("score", "best"), [(rmsle, rmsle_constant), (rmspe, rmspe_constant)])
@pytest.mark.parametrize("bad", [-0.5, np.nan, np.inf])
def test_values_without_a_score_are_refused_by_name(score, best, bad):
    good, spoilt = np.ones(3), np.array([1, bad, 1])

    with pytest.raises(ValueError, match=rf"prediction must be finite and >= 0, received {bad}"):
        score(good, spoilt)
    with pytest.raises(ValueError, match="target must be finite"):
        score(spoilt, good)
    with pytest.raises(ValueError, match="target must be finite"):
        best(spoilt)


@pytest.mark.parametrize(("score", "best"), [(rmsle, rmsle_constant), (rmspe, rmspe_constant)])
def test_shapes_without_a_score_are_refused(score, best):
    with pytest.raises(ValueError, match="prediction must have shape"):
        score(np.ones(3), np.ones((3, 1)))
    with pytest.raises(ValueError, match="at least one row"):
        score(np.ones(0), np.ones(0))
    with pytest.raises(ValueError, match="at least one row"):
        best(np.ones(0))


def test_rmspe_without_a_day_of_sales_is_refused():
    told = "target must be > 0 in at least one row, received 3 zeros"

    with pytest.raises(ValueError, match=told):
        rmspe(np.zeros(3), np.ones(3))
    with pytest.raises(ValueError, match=told):
        rmspe_constant(np.zeros(3))


def test_a_bad_prediction_of_a_closed_day_is_refused_too():
    with pytest.raises(ValueError, match="prediction must be finite and >= 0, received nan"):
        rmspe(np.array([1, 0]), np.array([1, np.nan]))
