import numpy as np
import pytest
from sklearn.cluster import kmeans_plusplus

from common.neighbors.centred_rows import CentredRows
from common.neighbors.kmeans_start import choose_centers


def choose(points, n_clusters, *, seed=0, memory_mib=64):
    rows = CentredRows(points, width=n_clusters, memory_mib=memory_mib)
    return choose_centers(rows, n_clusters, rng=np.random.default_rng(seed)) + rows.mean


def measure(points, centers):
    """Sum squared distances to the nearest centres."""
    return np.square(points[:, None] - centers).sum(axis=-1).min(axis=1).sum()


def test_centers_are_different_rows_whatever_the_blocks():
    points = np.random.default_rng(0).normal(size=(300, 3)) + 50
    centers = choose(points, 12)
    distances = np.linalg.norm(points[:, None] - centers, axis=-1)
    np.testing.assert_allclose(distances.min(axis=0), 0, atol=1e-5)
    assert len(set(distances.argmin(axis=0))) == 12
    np.testing.assert_allclose(choose(points, 12, memory_mib=0.02), centers, atol=1e-5)


def test_far_clusters_get_a_center_each():
    corners = np.array([[0, 0], [100, 0], [0, 100], [100, 100]])
    points = corners.repeat(50, axis=0) + np.random.default_rng(0).normal(size=(200, 2))
    for seed in range(10):
        nearest = np.linalg.norm(choose(points, 4, seed=seed)[:, None] - corners, axis=-1)
        assert set(nearest.argmin(axis=1)) == {0, 1, 2, 3}


def test_clusters_close_to_each_other_far_from_the_mean_get_a_center_each():
    """1e4 from the mean, squared distances of 25 are lost in float32 products."""
    corners = np.array([[x, y] for x in (-1e4, 1e4) for y in (0, 5, 10, 15)])
    points = corners.repeat(100, axis=0) + np.random.default_rng(0).normal(size=(800, 2)) * 0.1
    for seed in range(10):
        nearest = np.linalg.norm(choose(points, 8, seed=seed)[:, None] - corners, axis=-1)
        assert set(nearest.argmin(axis=1)) == set(range(8))


def test_starts_are_as_good_as_those_of_scikit_learn():
    points = np.random.default_rng(0).normal(size=(500, 4))
    ours = [measure(points, choose(points, 20, seed=seed)) for seed in range(20)]
    theirs = [
        measure(points, kmeans_plusplus(points, 20, random_state=seed)[0]) for seed in range(20)
    ]
    error = np.std(ours + theirs) * np.sqrt(2 / 20)
    assert abs(np.mean(ours) - np.mean(theirs)) < 4 * error


@pytest.mark.parametrize("offset", [0, 1e6])
def test_equal_rows_are_drawn_evenly_once_every_row_lies_on_a_center(offset):
    points = np.repeat([[0.0, 0.0], [1.0, 0.0]], 5, axis=0) + offset
    centers = choose(points, 4)
    assert set(centers[:2, 0] - offset) == {0, 1}
    assert set(centers[:, 0] - offset) == {0, 1}
