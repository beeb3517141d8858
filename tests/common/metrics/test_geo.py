import numpy as np
import pytest
from sklearn.metrics.pairwise import haversine_distances

from common.geo import EARTH_RADIUS_KM
from common.metrics.geo import mean_haversine_km


def test_by_hand():
    """A quarter of the equator and half a meridian: (1/4 + 1/2) / 2 of 2 pi R."""
    target = np.array([[0.0, 0.0], [-90.0, 17.0]])
    prediction = np.array([[0.0, 90.0], [90.0, -40.0]])

    expected = 3 / 8 * 2 * np.pi * EARTH_RADIUS_KM
    assert mean_haversine_km(target, prediction) == pytest.approx(expected, rel=1e-12)


def test_equals_scikit_learn():
    rng = np.random.default_rng(0)
    target, prediction = rng.normal([41.15, -8.6], 0.05, (2, 300, 2))

    pairs = haversine_distances(np.radians(target), np.radians(prediction))
    expected = np.diag(pairs).mean() * EARTH_RADIUS_KM
    assert mean_haversine_km(target, prediction) == pytest.approx(expected, rel=1e-9)
    assert mean_haversine_km(prediction, target) == pytest.approx(expected, rel=1e-9)
    assert mean_haversine_km(target, target) == 0


@pytest.mark.parametrize(
    ("target", "prediction", "told"),
    [
        (np.zeros((3, 2)), np.zeros((2, 2)), r"prediction must have shape \(3, 2\), received"),
        (np.zeros((3, 3)), np.zeros((3, 3)), r"target must have shape \(any, 2\), received \(3, 3"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "target must have at least one row, received none"),
        (np.zeros((1, 2)), np.array([[0, np.nan]]), r"prediction must be finite.*\[0.0, nan\] \(1"),
        (np.array([[-8.6, 41.1], [141.1, -8.6]]), np.zeros((2, 2)), r"\[141.1, -8.6\] \(1 such"),
    ],
)
def test_what_cannot_be_scored_is_refused(target, prediction, told):
    with pytest.raises(ValueError, match=told):
        mean_haversine_km(target, prediction)
