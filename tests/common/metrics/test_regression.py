import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.metrics import root_mean_squared_log_error

from common.metrics.regression import rmsle, rmsle_constant


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


@pytest.mark.parametrize("bad", [-0.5, np.nan, np.inf])
def test_values_without_a_score_are_refused_by_name(bad):
    good, spoilt = np.ones(3), np.array([1, bad, 1])

    with pytest.raises(ValueError, match=rf"prediction must be finite and >= 0, received {bad}"):
        rmsle(good, spoilt)
    with pytest.raises(ValueError, match="target must be finite"):
        rmsle(spoilt, good)
    with pytest.raises(ValueError, match="target must be finite"):
        rmsle_constant(spoilt)


def test_shapes_without_a_score_are_refused():
    with pytest.raises(ValueError, match="prediction must have shape"):
        rmsle(np.ones(3), np.ones((3, 1)))
    with pytest.raises(ValueError, match="at least one row"):
        rmsle(np.ones(0), np.ones(0))
