import numpy as np
import tensorflow as tf

from common.neighbors.pairs import find_nearest, sum_pairs

POINTS = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0], [0.0, -1.0]])
PLACES = np.array([[0.0, 0.0], [10.0, 10.0], [3.0, 3.0], [9.0, 9.0]])
OWNERS = np.array([0, 0, 0, 2, 2], np.int32)
ROWS = np.array([1, 2, 3, 0, 1], np.int32)


def test_sums_by_hand():
    """From (0, 0), (3, 4) is just too far, and weights e^-1 of the other two cancel out; from
    (3, 3), (3, 4) alone is near; the other places have no pairs.
    """
    sums = sum_pairs(POINTS, PLACES, OWNERS, ROWS, 4.0, 1.0)
    weight = np.exp(-1)
    wanted = [[2 * weight, 0, 0], [0, 0, 0], [weight, 0, weight], [0, 0, 0]]
    np.testing.assert_allclose(sums, wanted, atol=1e-15)
    np.testing.assert_array_equal(sum_pairs(POINTS, PLACES, OWNERS, ROWS, 5.0, 0.0)[0], [3, 3, 4])


def test_nearest_by_hand():
    """Points 2 and 3 are as near to (0, 0): the lower rank wins."""
    ranks = np.array([7, 6, 5, 4], np.int32)
    nearest = find_nearest(POINTS, PLACES, OWNERS, ROWS, ranks, 4.0)
    np.testing.assert_array_equal(nearest, [4, tf.int32.max, 6, tf.int32.max])


def test_eager_equals_graph_and_graphs_are_built_once():
    rng = np.random.default_rng(0)
    for n_dims, n_pairs in ((1, 50), (3, 400)):
        points, places = rng.normal(size=(30, n_dims)), rng.normal(size=(20, n_dims))
        owners = np.sort(rng.integers(20, size=n_pairs)).astype(np.int32)
        rows = rng.integers(30, size=n_pairs).astype(np.int32)
        pairs = points, places, owners, rows
        graph = sum_pairs(*pairs, 1.5, 0.3), find_nearest(*pairs, np.arange(30), 1.5)
        tensors = [tf.constant(array) for array in pairs]
        numbers = tf.constant(1.5, tf.float64), tf.constant(0.3, tf.float64)
        eager = (
            sum_pairs.python_function(*tensors, *numbers),
            find_nearest.python_function(*tensors, tf.range(30), numbers[0]),
        )
        np.testing.assert_allclose(graph[0], eager[0], rtol=1e-12)
        np.testing.assert_array_equal(graph[1], eager[1])
    assert sum_pairs.experimental_get_tracing_count() == 1
    assert find_nearest.experimental_get_tracing_count() == 1
