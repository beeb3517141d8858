import numpy as np
import pytest

from common.neighbors import lloyd
from common.neighbors.bounds import Bounds
from common.neighbors.centred_rows import CentredRows


def measure_all(points, centers):
    return np.linalg.norm(points[:, None] - centers, axis=2)


def learn(bounds, points, centers, dtype):
    """Learn all rows from products as coarse as they may be; tell their labels."""
    bounds.compare(centers, dtype)
    scores = points.astype(dtype) @ centers.astype(dtype).T
    scores -= (centers.astype(dtype) ** 2).sum(axis=1) / 2
    labels = scores.argmax(axis=1)
    greatest = -np.sort(-scores, axis=1)[:, :2]
    bounds.learn(np.arange(len(points)), np.square(points).sum(axis=1), greatest)
    return labels


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bounds_hold_however_centers_move(seed, dtype):
    rng = np.random.default_rng(seed)
    n, k, dims = rng.integers(2, 80), rng.integers(2, 12), rng.integers(1, 40)
    size = 10.0 ** rng.integers(-3, 4)
    points = (rng.normal(size=(n, dims)) * size).astype(np.float32).astype(float)
    centers = rng.normal(size=(k, dims)) * size
    bounds = Bounds(n)
    labels = learn(bounds, points, centers, dtype)
    for _ in range(5):
        distances = measure_all(points, centers)
        own = distances[np.arange(n), labels]
        distances[np.arange(n), labels] = np.inf
        assert (bounds.own >= own * (1 - 1e-12)).all()
        assert (bounds.others <= distances.min(axis=1) * (1 + 1e-12)).all()
        moved = centers + rng.normal(size=centers.shape) * size * rng.choice([0, 0.01, 1], (k, 1))
        bounds.move(labels, np.linalg.norm(moved - centers, axis=1))
        centers = moved
        bounds.compare(centers, dtype)
        sure = np.setdiff1d(np.arange(n), bounds.find_doubtful(slice(0, n), labels))
        nearest = measure_all(points, centers).argmin(axis=1)
        np.testing.assert_array_equal(labels[sure], nearest[sure])


def test_a_tie_is_a_doubt():
    """0 lies amid -1 and 1, and 0.9 does not; of two equal centres none is surely the nearer."""
    points, centers = np.array([[0.0], [0.9]]), np.array([[-1.0], [1.0]])
    bounds = Bounds(2)
    labels = learn(bounds, points, centers, np.float64)
    assert bounds.find_doubtful(slice(0, 2), labels).tolist() == [0]
    labels = learn(bounds, points, np.array([[1.0], [1.0]]), np.float64)
    assert bounds.find_doubtful(slice(0, 2), labels).tolist() == [0, 1]


def test_a_bound_is_loosened_by_moves_too_small_for_its_digits():
    """1 - 1e-17 rounds to 1, which is more than what is known."""
    bounds = Bounds(1)
    bounds.others[:] = 1
    bounds.move(np.array([0]), np.array([0, 1e-17]))
    assert bounds.others[0] < 1


def test_rows_of_the_only_center_are_never_in_doubt():
    bounds = Bounds(3)
    points, centers = np.array([[0.0], [5], [9]]), np.array([[2.0]])
    bounds.compare(centers, np.float64)
    none = np.full((3, 1), -np.inf)
    scores = np.hstack([points @ centers.T - 2, none])
    bounds.learn(np.arange(3), points[:, 0] ** 2, scores)
    bounds.move(np.zeros(3, int), np.array([100.0]))
    bounds.compare(centers + 100, np.float64)
    assert len(bounds.find_doubtful(slice(0, 3), np.zeros(3, int))) == 0


@pytest.mark.parametrize("seed", range(8))
def test_every_pass_labels_as_if_all_were_measured(seed):
    """Also where a centre is left without rows, and far from the origin."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(300, 2)) + rng.choice([0, 1e4]) + rng.integers(5, size=(300, 1)) * 4
    rows = CentredRows(points, width=9, memory_mib=64)
    centers = points[rng.choice(300, 9)] - rows.mean
    centers[0] += rng.choice([0, 1e3])
    for n_passes in range(1, 9):
        found = lloyd.move_all(rows, centers, max_iter=n_passes, tol=0)
        again = lloyd.move_all(rows, found.centers, max_iter=1, tol=0)
        distances = measure_all(rows.take(slice(None)).numpy(), found.centers)
        apart = np.abs(distances[np.arange(300), found.labels] - distances.min(axis=1))
        assert apart.max() < 1e-3
        longer = lloyd.move_all(rows, centers, max_iter=n_passes + 1, tol=0)
        np.testing.assert_allclose(longer.centers, again.centers, atol=1e-4)


def test_most_rows_are_spared(monkeypatch):
    """Around places far apart only the first passes measure all rows."""
    n_asked = []
    plain = Bounds.find_doubtful

    def count(self, rows, labels):
        asked = plain(self, rows, labels)
        n_asked.append(len(asked))
        return asked

    monkeypatch.setattr(Bounds, "find_doubtful", count)
    rng = np.random.default_rng(0)
    points = rng.normal(size=(2000, 8)) + rng.integers(10, size=(2000, 1)) * 20
    rows = CentredRows(points, width=30, memory_mib=64)
    lloyd.move_all(rows, points[:20] - rows.mean, max_iter=100, tol=0)
    assert len(n_asked) > 5
    assert n_asked[0] == 2000
    assert np.median(n_asked) < 1000
