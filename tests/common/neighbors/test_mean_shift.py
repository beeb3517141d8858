import resource
import time

import numpy as np
import pytest
from sklearn import cluster
from sklearn.datasets import make_blobs

from common.geo import haversine_km, unproject_km
from common.neighbors.mean_shift import STOP, MeanShift, estimate_bandwidth

PORTO = np.array([41.15, -8.61])


def make_points(n_points=800, n_dims=2, seed=0):
    return make_blobs(n_points, n_dims, centers=8, center_box=(-10, 10), random_state=seed)[0]


def climb_all_pairs(points, places, bandwidth, n_steps):
    """Gaussian mean shift without a cut-off."""
    for _ in range(n_steps):
        squares = np.square(places[:, None] - points).sum(axis=-1)
        weights = np.exp(-squares / (2 * bandwidth**2))
        places = weights @ points / weights.sum(axis=1, keepdims=True)
    return places


@pytest.mark.parametrize("n_dims", [1, 2, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_flat_modes_are_those_of_scikit_learn(n_dims, seed):
    points = make_points(120, n_dims, seed)
    wanted = cluster.MeanShift(bandwidth=1.5).fit(points)
    found = MeanShift(1.5).fit(points)

    np.testing.assert_allclose(found.cluster_centers_, wanted.cluster_centers_, atol=1e-9)
    np.testing.assert_array_equal(found.labels_, wanted.labels_)


def test_the_grid_finds_the_same_clusters():
    points, blobs = make_blobs(2000, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    found = MeanShift(2.0, seeding="grid").fit(points)
    wanted = MeanShift(2.0).fit(points)

    order = wanted.predict(found.cluster_centers_)
    np.testing.assert_array_equal(np.sort(order), np.arange(3))
    near = np.linalg.norm(found.cluster_centers_ - wanted.cluster_centers_[order], axis=1)
    assert near.max() < 0.3
    assert (order[found.labels_] == wanted.labels_).mean() > 0.99
    assert len(set(zip(found.labels_.tolist(), blobs.tolist(), strict=True))) < 6


@pytest.mark.parametrize("seeding", ["points", "grid"])
@pytest.mark.parametrize("kernel", ["flat", "gaussian"])
def test_modes_stand_still_on_all_points(kernel, seeding):
    points = make_points(400)
    h = 1.0
    modes = MeanShift(h, kernel=kernel, seeding=seeding).fit(points).cluster_centers_
    squares = np.square(modes[:, None] - points).sum(axis=-1)
    weights = squares <= h**2 if kernel == "flat" else np.exp(-squares / (2 * h**2))
    means = weights @ points / weights.sum(axis=1, keepdims=True)

    # Arrived after a step of STOP h, the next one may be a little longer.
    assert np.linalg.norm(means - modes, axis=1).max() <= 2 * STOP * h
    assert (np.diff(weights.sum(axis=1)) <= 1e-9).all(), "densest first"
    gaps = np.linalg.norm(modes[:, None] - modes, axis=-1) + np.eye(len(modes)) * 9
    assert gaps.min() > h


def test_the_cut_off_is_wrong_by_no_more_than_its_bound():
    """One step from every point, against all pairs: no step may differ by more than STOP h. A lone
    point opposite to all others is the worst case.
    """
    crowd = np.random.default_rng(0).normal(size=(900, 2)) * 0.01
    for points in (make_points(), np.vstack([crowd, [[6.2, 0]], [[5.5, 3]]])):
        shift = MeanShift(1.0, kernel="gaussian")
        strips = shift._build_strips(points)
        sums = shift._sum_near(strips, points)
        steps = sums[:, 1:] / sums[:, :1]
        error = np.linalg.norm(points + steps - climb_all_pairs(points, points, 1.0, 1), axis=1)
        assert 0 < error.max() <= STOP


def test_gaussian_modes_are_those_of_all_pairs():
    points = make_points(200)
    found = MeanShift(0.8, kernel="gaussian").fit(points)
    wanted = climb_all_pairs(points, points, 0.8, 150)
    squares = np.square(wanted[:, None] - found.cluster_centers_).sum(axis=-1)
    # Where a climb ends by STOP, the top may be some steps ahead.
    assert np.sqrt(squares.min(axis=0)).max() < 0.05
    assert (np.sqrt(squares.min(axis=1)) < 0.8 + 0.05).all()


def test_permutation_and_translation_change_nothing():
    points = make_points(600)
    found = MeanShift(1.5).fit(points)
    order = np.random.default_rng(0).permutation(600)
    permuted = MeanShift(1.5).fit(points[order])
    np.testing.assert_allclose(permuted.cluster_centers_, found.cluster_centers_, atol=1e-9)
    np.testing.assert_array_equal(permuted.labels_, found.labels_[order])

    far = np.array([4e6, -8e5])
    moved = MeanShift(1.5).fit(points + far)
    np.testing.assert_allclose(moved.cluster_centers_ - far, found.cluster_centers_, atol=1e-6)
    np.testing.assert_array_equal(moved.labels_, found.labels_)


def test_small_blocks_change_nothing():
    points = make_points(300)
    for kernel in ("flat", "gaussian"):
        found = MeanShift(1.0, kernel=kernel).fit(points)
        thrifty = MeanShift(1.0, kernel=kernel, memory_mib=0.2).fit(points)
        np.testing.assert_allclose(thrifty.cluster_centers_, found.cluster_centers_, atol=1e-9)
        np.testing.assert_array_equal(thrifty.labels_, found.labels_)


@pytest.mark.parametrize("kernel", ["flat", "gaussian"])
@pytest.mark.parametrize("points", [[[3.0, 4.0]], [[3.0, 4.0]] * 50, [[3.0]] * 4])
def test_one_point_and_equal_points_are_one_cluster(points, kernel):
    found = MeanShift(0.1, kernel=kernel).fit(points)
    np.testing.assert_allclose(found.cluster_centers_, points[:1], atol=1e-12)
    np.testing.assert_array_equal(found.labels_, np.zeros(len(points)))


def test_two_points_by_hand():
    """0 and 1 within a bandwidth of 1 meet at 0.5; with 0.9 each is its own, the higher first."""
    points = np.array([[0.0], [1.0]])
    np.testing.assert_allclose(MeanShift(1.0).fit(points).cluster_centers_, [[0.5]])
    apart = MeanShift(0.9).fit(points)
    np.testing.assert_allclose(apart.cluster_centers_, [[1.0], [0.0]])
    np.testing.assert_array_equal(apart.predict([[0.6], [0.4], [-1e6], [1e6]]), [0, 1, 1, 0])


@pytest.mark.parametrize("far", [1e9, 1e15, 1e100])
def test_an_outlier_changes_no_other_mode(far):
    points = make_points(300)
    found = MeanShift(1.5).fit(np.vstack([points, [[far, -far]]]))
    wanted = MeanShift(1.5).fit(points)
    np.testing.assert_allclose(found.cluster_centers_[:-1], wanted.cluster_centers_, atol=1e-6)
    np.testing.assert_allclose(found.cluster_centers_[-1], [far, -far], rtol=1e-12)
    np.testing.assert_array_equal(found.labels_[:-1], wanted.labels_)


def test_kilometres_on_the_earth():
    """Modes of places are places of the map's modes, on both sides of the date line too."""
    points = make_blobs(500, centers=[[-6, -6], [6, -6], [0, 6]], random_state=0)[0]
    flat = MeanShift(3.0).fit(points)
    for origin in (PORTO, np.array([41.15, 179.98])):
        places = unproject_km(points, origin)
        found = MeanShift(3.0, metric="haversine_km").fit(places)
        wanted = unproject_km(flat.cluster_centers_, origin)
        np.testing.assert_array_less(haversine_km(found.cluster_centers_, wanted), 0.1)
        np.testing.assert_array_equal(found.labels_, flat.labels_)
        np.testing.assert_array_equal(found.predict(places), found.labels_)


@pytest.mark.parametrize("n_samples", [None, 150])
def test_the_estimate_is_that_of_scikit_learn(n_samples):
    points = make_points(300) + 1000
    found = estimate_bandwidth(points, quantile=0.1, n_samples=n_samples)
    wanted = cluster.estimate_bandwidth(points, quantile=0.1)
    assert found == pytest.approx(wanted, rel=1e-5 if n_samples is None else 0.3)
    thrifty = estimate_bandwidth(points, quantile=0.1, n_samples=n_samples, memory_mib=1)
    assert thrifty == pytest.approx(found, rel=1e-6)


def test_errors_name_the_argument():
    for options, message in (
        ({"bandwidth": 0}, "bandwidth must be > 0 and finite, received 0"),
        ({"bandwidth": np.inf}, "bandwidth must be > 0 and finite, received inf"),
        ({"kernel": "round"}, "kernel must be one of flat, gaussian, received round"),
        ({"metric": "km"}, "metric must be one of euclidean, haversine_km, received km"),
        ({"seeding": "all"}, "seeding must be one of points, grid, received all"),
    ):
        with pytest.raises(ValueError, match=message):
            MeanShift(**{"bandwidth": 1.0, **options})
    for number in (np.nan, np.inf, 1e150):
        with pytest.raises(ValueError, match=r"points must be finite, within 1e\+140, received"):
            MeanShift(1.0).fit([[0.0, number]])
    with pytest.raises(ValueError, match=r"points must have shape \(any, any\), received \(3,\)"):
        MeanShift(1.0).fit(np.zeros(3))
    with pytest.raises(ValueError, match=r"points must have shape \(any, 2\), received \(3, 1\)"):
        MeanShift(1.0, metric="haversine_km").fit(np.zeros((3, 1)))
    with pytest.raises(ValueError, match="number of points must be > 0, received 0"):
        MeanShift(1.0).fit(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="points must be real numbers, received dtype <U1"):
        MeanShift(1.0).fit([["a"]])
    with pytest.raises(ValueError, match=r"points must have latitudes in \[-90, 90\], received"):
        MeanShift(1.0, metric="haversine_km").fit([[91.0, 0.0]])
    with pytest.raises(ValueError, match="fit must come before predict"):
        MeanShift(1.0).predict([[0.0]])
    with pytest.raises(ValueError, match=r"\(any, 1\), received \(1, 2\)"):
        MeanShift(1.0).fit([[0.0]]).predict([[0.0, 1.0]])
    with pytest.raises(ValueError, match=r"quantile must be in \(0, 1\], received 2"):
        estimate_bandwidth(np.zeros((3, 2)), quantile=2)


@pytest.mark.slow
def test_speed_and_memory_of_a_million_points():
    rng = np.random.default_rng(0)
    lattice = np.stack(np.meshgrid(np.arange(59), np.arange(58)), axis=-1).reshape(-1, 2) * 5.0
    centers = lattice[:3400]
    points = centers[rng.integers(3400, size=1_000_000)] + rng.normal(size=(1_000_000, 2)) * 0.7
    start = time.perf_counter()
    found = MeanShift(1.5).fit(points)
    assert time.perf_counter() - start < 180
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 6 * 2**20

    squares = np.square(found.cluster_centers_[:, None] - centers).sum(axis=-1)
    assert np.sqrt(squares.min(axis=0)).max() < 0.5, "every true centre has its mode"
    assert len(found.cluster_centers_) < 1.01 * 3400
