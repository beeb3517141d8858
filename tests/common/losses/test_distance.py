import numpy as np
import pytest
import tensorflow as tf

from common.geo import haversine_km, project_km
from common.losses.distance import mean_distance
from tests.helpers.gradients import check_gradients


def test_by_hand():
    """Sides 3 and 4 make 5; with a point that is hit, the mean is 2.5, and a little more."""
    target, prediction = np.array([[0.0, 0.0], [7.0, 7.0]]), np.array([[3.0, 4.0], [7.0, 7.0]])

    assert float(mean_distance(target, prediction)) == pytest.approx(2.5 + 0.0005, abs=1e-6)


def test_in_a_city_it_is_the_haversine_distance():
    rng = np.random.default_rng(0)
    origin = np.array([41.15, -8.61])
    a, b = rng.normal(origin, 0.03, (2, 500, 2))

    received = float(mean_distance(project_km(a, origin), project_km(b, origin)))
    assert received == pytest.approx(haversine_km(a, b).mean(), rel=1e-3)


def test_gradients_are_those_of_central_differences():
    rng = np.random.default_rng(1)
    target, prediction = rng.normal(size=(2, 4, 2))
    variable = tf.Variable(prediction)

    check_gradients(lambda: mean_distance(target, variable), [variable])


def test_a_hit_has_a_finite_slope():
    point = tf.Variable([[1.0, 2.0]])
    with tf.GradientTape() as tape:
        loss = mean_distance(tf.constant([[1.0, 2.0]]), point)
    np.testing.assert_array_equal(tape.gradient(loss, point), 0)
