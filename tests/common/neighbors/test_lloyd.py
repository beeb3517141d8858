import numpy as np
import pytest
import tensorflow as tf

from common.neighbors.centred_rows import CentredRows
from common.neighbors.lloyd import _measure, _reassign, assign, move_all, move_by_batches


def read(points, *, memory_mib=64):
    return CentredRows(np.asarray(points, float), width=9, memory_mib=memory_mib)


def test_two_passes_by_hand():
    """Centres 0 and 1 of rows 0, 1, 8, 9 move to 0 and 6, then, since 1 is nearer to 0, to 0.5 and
    8.5; the third pass changes nothing. Each row ends 0.5 from its centre.
    """
    rows = read([[0], [1], [8], [9]])
    found = move_all(rows, np.array([[0.0], [1.0]]) - rows.mean, max_iter=10, tol=0)
    np.testing.assert_allclose(found.centers + rows.mean, [[0.5], [8.5]])
    np.testing.assert_array_equal(found.labels, [0, 0, 1, 1])
    assert found.inertia == pytest.approx(4 * 0.25)
    assert found.n_iter == 3
    once = move_all(rows, np.array([[0.0], [1.0]]) - rows.mean, max_iter=1, tol=0)
    np.testing.assert_allclose(once.centers + rows.mean, [[0], [6]])
    np.testing.assert_array_equal(once.labels, [0, 0, 1, 1])


def test_a_center_without_rows_gets_the_furthest_row():
    """All rows are nearest to 0; of those, 50 is furthest, and then 20."""
    rows = read([[0], [1], [20], [50]])
    start = np.array([[0.0], [-100.0], [-200.0]]) - rows.mean
    found = move_all(rows, start, max_iter=1, tol=0)
    np.testing.assert_allclose(found.centers + rows.mean, [[0.5], [50], [20]], atol=1e-5)


@pytest.mark.parametrize("memory_mib", [64, 0.02])
def test_sums_stay_those_of_the_labels(memory_mib):
    """Centres are the means of their rows after many passes of small changes."""
    points = np.random.default_rng(0).normal(size=(1000, 3))
    rows = read(points, memory_mib=memory_mib)
    found = move_all(rows, points[:15] - rows.mean, max_iter=200, tol=0)
    means = np.stack([points[found.labels == center].mean(axis=0) for center in range(15)])
    assert found.n_iter > 10
    np.testing.assert_allclose(found.centers + rows.mean, means, atol=1e-6)


def test_close_centers_far_from_the_mean_are_told_apart():
    """Pairs of centres 0.01 apart, 1000 from the mean: float32 products are wrong by 0.1."""
    rng = np.random.default_rng(0)
    centers = np.array([[1000, 0], [1000, 0.01], [-1000, 0], [-1000, 0.01]])
    points = centers.repeat(50, axis=0) + rng.normal(size=(200, 2)) * 0.0005
    rows = read(points)
    np.testing.assert_array_equal(assign(rows, centers - rows.mean), np.arange(4).repeat(50))


def test_batches_come_near_to_all_rows_at_once():
    points = np.random.default_rng(0).normal(size=(4000, 2))
    rows = read(points)
    start = points[:8] - rows.mean
    wanted = move_all(rows, start, max_iter=300, tol=1e-4)
    rng = np.random.default_rng(0)
    found = move_by_batches(rows, start, batch_size=200, max_iter=20, rng=rng)
    assert found.inertia < 1.05 * wanted.inertia
    np.testing.assert_array_equal(found.labels, assign(rows, found.centers))


def test_a_batch_of_each_row_moves_to_running_means():
    """One row, drawn three times a pass: its centre goes there; the idle one follows after it."""
    rows = read([[4.0]])
    start = np.array([[3.0], [9.0]])
    rng = np.random.default_rng(0)
    found = move_by_batches(rows, start, batch_size=1, max_iter=3, rng=rng)
    np.testing.assert_allclose(found.centers, [[0], [0]])


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_eager_equals_graph(dtype):
    rng = np.random.default_rng(0)
    rows = tf.constant(rng.normal(size=(60, 3)), tf.float32)
    centers = tf.constant(rng.normal(size=(7, 3)), dtype)
    labels = tf.constant(rng.integers(-1, 7, size=60), tf.int32)
    for function, third in ((_reassign, labels), (_measure, tf.maximum(labels, 0))):
        graph = function(rows, centers, third)
        eager = function.python_function(rows, centers, third)
        for one, other in zip(tf.nest.flatten(graph), tf.nest.flatten(eager), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
