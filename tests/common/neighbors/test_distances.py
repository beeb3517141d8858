import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import pairwise

from common import geo
from common.neighbors.distances import cosine, haversine_km, squared_euclidean

FUNCTIONS = (squared_euclidean, cosine, haversine_km)


def make_pair(n_a, n_b, n_dims, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, n_dims)).astype(dtype) for n in (n_a, n_b))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 3), (7, 4, 2), (30, 20, 65)])
def test_distances_equal_those_of_scikit_learn(shape, dtype):
    a, b = make_pair(*shape, dtype)
    accuracy = (
        {"rtol": 1e-4, "atol": 1e-4} if dtype == np.float32 else {"rtol": 1e-10, "atol": 1e-12}
    )

    wanted = pairwise.euclidean_distances(a, b, squared=True)
    np.testing.assert_allclose(squared_euclidean(a, b), wanted, **accuracy)
    np.testing.assert_allclose(cosine(a, b), pairwise.cosine_distances(a, b), **accuracy)
    assert squared_euclidean(a, b).dtype == cosine(a, b).dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_haversine_equals_the_one_of_numpy(dtype):
    rng = np.random.default_rng(0)
    a = rng.uniform([-90, -180], [90, 180], size=(20, 2)).astype(dtype)
    b = rng.uniform([-90, -180], [90, 180], size=(30, 2)).astype(dtype)

    wanted = geo.haversine_km(a[:, None], b)

    found = haversine_km(a, b)
    np.testing.assert_allclose(found, wanted, rtol=1e-4 if dtype == np.float32 else 1e-12)
    assert found.dtype == dtype


def test_degrees_in_float32_keep_metres_apart():
    """Steps of float32 at 41 degrees are 2^-18 of one; no digit but those is lost."""
    a = np.array([[41.15, -8.6]], np.float32)
    b = a + np.array([[2**-14, 0]], np.float32)

    wanted = geo.haversine_km(a, b)

    np.testing.assert_allclose(haversine_km(a, b)[0], wanted, rtol=1e-5)


def test_a_shift_costs_no_digits():
    """Without a centre, squares of 1e4 would leave float32 steps of 8 for distances of 1."""
    a, b = make_pair(10, 20, 3)
    wanted = pairwise.euclidean_distances(a, b, squared=True)

    found = squared_euclidean(*(np.float32(points + 1e4) for points in (a, b)))

    np.testing.assert_allclose(found, wanted, atol=0.02)
    assert np.all(squared_euclidean(b, b) >= 0)


def test_small_angles_keep_their_digits():
    """1 - cos(1e-4) is 5e-9, which is below the steps of float32 at 1."""
    a, b = np.float32([[1, 0]]), np.float32([[np.cos(1e-4), np.sin(1e-4)]])

    np.testing.assert_allclose(cosine(a, b), [[5e-9]], rtol=1e-3)


def test_cosine_by_hand():
    """Right angles, opposite ones and no direction; lengths do not matter, however small."""
    a = np.array([[1.0, 0], [1e-200, 0], [0, 0]])
    b = np.array([[0, 3.0], [-2, 0], [1e200, 0], [0, 0]])

    found = cosine(a, b)

    np.testing.assert_allclose(found, [[1, 2, 0, 1], [1, 2, 0, 1], [1, 1, 1, 1]], atol=1e-15)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_graph_equals_eager(function):
    a, b = make_pair(6, 9, 2)

    np.testing.assert_allclose(tf.function(function)(a, b), function(a, b), rtol=1e-12)
    fed = tf.data.Dataset.from_tensors(a).map(lambda points: function(points, b))
    np.testing.assert_allclose(next(iter(fed)), function(a, b), rtol=1e-12)
