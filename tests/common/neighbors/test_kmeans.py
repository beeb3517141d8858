import time

import numpy as np
import pytest
import tensorflow as tf
from sklearn import cluster
from sklearn.datasets import make_blobs

from common.neighbors import kmeans_start, lloyd
from common.neighbors.kmeans import KMeans


def make_points(n_points=600, n_dims=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n_points, n_dims)) * np.geomspace(1, 9, n_dims)


@pytest.mark.parametrize("offset", [0.0, 1e5])
@pytest.mark.parametrize(
    ("n_points", "n_dims", "n_clusters"), [(600, 4, 9), (300, 1, 5), (40, 9, 40)]
)
def test_equal_starts_end_where_scikit_learn_ends(n_points, n_dims, n_clusters, offset):
    points = make_points(n_points, n_dims)
    start = points[:n_clusters]
    wanted = cluster.KMeans(n_clusters, init=start, n_init=1).fit(points)
    found = KMeans(n_clusters, init=start + offset).fit(points + offset)

    np.testing.assert_allclose(found.cluster_centers_ - offset, wanted.cluster_centers_, atol=1e-4)
    np.testing.assert_array_equal(found.labels_, wanted.labels_)
    assert found.inertia_ == pytest.approx(wanted.inertia_, rel=1e-5, abs=1e-6)
    assert found.n_iter_ == wanted.n_iter_


def test_degrees_of_a_city_are_clustered_as_well_as_on_a_map():
    """Raw degrees in float32 are steps of half a metre; the clusters here are 100 m wide."""
    rng = np.random.default_rng(0)
    offsets = rng.uniform(-0.1, 0.1, size=(50, 2)).repeat(40, axis=0)
    offsets += rng.normal(size=(2000, 2)) * 0.001
    wanted = KMeans(50, init=1000 * offsets[::40]).fit(1000 * offsets)
    places = offsets + np.array([41.15, -8.6])
    found = KMeans(50, init=places[::40]).fit(places)
    assert 1e6 * found.inertia_ == pytest.approx(wanted.inertia_, rel=1e-5)
    np.testing.assert_array_equal(found.labels_, wanted.labels_)


def test_blobs_are_found_from_drawn_starts():
    points, blobs = make_blobs(500, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    for batch_size in (None, 50):
        found = KMeans(3, n_init=3, batch_size=batch_size, random_state=1).fit(points)
        assert len(set(zip(found.labels_.tolist(), blobs.tolist(), strict=True))) == 3
        np.testing.assert_array_equal(found.predict(points), found.labels_)
        np.testing.assert_array_equal(found.predict(found.cluster_centers_), [0, 1, 2])


def test_seeds_repeat_and_more_starts_are_no_worse():
    points = make_points()
    first, again = (KMeans(20, random_state=3).fit(points) for _ in range(2))
    np.testing.assert_array_equal(first.cluster_centers_, again.cluster_centers_)
    assert KMeans(20, n_init=5, random_state=3).fit(points).inertia_ <= first.inertia_


def test_permutation_and_translation_change_nothing():
    points = make_points()
    start = points[:9]
    found = KMeans(9, init=start).fit(points)
    order = np.random.default_rng(0).permutation(len(points))
    permuted = KMeans(9, init=start).fit(points[order])
    np.testing.assert_array_equal(permuted.labels_, found.labels_[order])
    moved = KMeans(9, init=start - 300).fit(points - 300)
    np.testing.assert_array_equal(moved.labels_, found.labels_)
    np.testing.assert_allclose(moved.cluster_centers_ + 300, found.cluster_centers_, atol=1e-4)


@pytest.mark.parametrize("batch_size", [None, 100])
def test_a_memory_mapped_file_gives_what_an_array_gives(tmp_path, batch_size):
    points = make_points().astype(np.float32)
    file = np.memmap(tmp_path / "points", np.float32, "w+", shape=points.shape)
    file[:] = points
    options = {"init": points[:9], "batch_size": batch_size}
    found = KMeans(9, memory_mib=0.05, **options).fit(file)
    wanted = KMeans(9, **options).fit(points)
    np.testing.assert_allclose(found.cluster_centers_, wanted.cluster_centers_, atol=1e-5)
    np.testing.assert_array_equal(found.labels_, wanted.labels_)


@pytest.mark.parametrize("batch_size", [None, 3])
def test_one_row_and_equal_rows(batch_size):
    one = KMeans(1, batch_size=batch_size).fit(np.array([[3.0, 4.0]]))
    np.testing.assert_array_equal(one.cluster_centers_, [[3, 4]])
    assert one.inertia_ == 0
    equal = KMeans(3, batch_size=batch_size).fit(np.full((8, 2), 5.0))
    np.testing.assert_allclose(equal.cluster_centers_, np.full((3, 2), 5.0))
    assert equal.inertia_ == 0


def test_clusters_far_finer_than_the_spread_are_found():
    """An outlier at 1e6 leaves float32 steps of 0.03 around the mean; clusters are 0.01 apart.

    Rows at 0.000 to 0.002 and 0.010 to 0.012 have the means 0.001 and 0.011.
    """
    rows = np.array([0.0, 0.001, 0.002, 0.010, 0.011, 0.012, 1e6])[:, None]
    fitted = KMeans(3, init=rows[[0, 3, 6]], tol=0).fit(rows)
    np.testing.assert_allclose(fitted.cluster_centers_[:, 0], [0.001, 0.011, 1e6], atol=1e-8)
    np.testing.assert_array_equal(fitted.labels_, [0, 0, 0, 1, 1, 1, 2])
    assert fitted.inertia_ == pytest.approx(4e-6, rel=1e-3)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12])
def test_any_unit_will_do(scale):
    points = make_points()
    wanted = KMeans(9, init=points[:9]).fit(points)
    found = KMeans(9, init=points[:9] * scale).fit(points * scale)
    np.testing.assert_array_equal(found.labels_, wanted.labels_)
    assert found.inertia_ == pytest.approx(wanted.inertia_ * scale**2, rel=1e-5)


@pytest.mark.parametrize("batch_size", [None, 50])
def test_float32_stays_whole_on_gpus(monkeypatch, batch_size):
    """No bound of `bounds` would hold, and no near row be told from an equal one."""
    config = tf.config.experimental
    before, seen = config.tensor_float_32_execution_enabled(), {}

    def watch(module, name):
        plain = getattr(module, name)

        def watched(*args):
            seen.setdefault(name, set()).add(config.tensor_float_32_execution_enabled())
            return plain(*args)

        monkeypatch.setattr(module, name, watched)

    for module, name in (
        (kmeans_start, "_lower"),
        (lloyd, "_reassign"),
        (lloyd, "_find_nearest"),
    ):
        watch(module, name)
    points = make_points()
    KMeans(5, batch_size=batch_size).fit(points).predict(points)
    assert seen == {"_lower": {False}, "_reassign": {False}, "_find_nearest": {False}}
    assert config.tensor_float_32_execution_enabled() == before


def test_lists_are_taken():
    fitted = KMeans(2, init=[[0, 0], [9, 9]]).fit([[0, 0], [9, 9], [1, 1]])
    np.testing.assert_array_equal(fitted.predict([[8, 8], [1, 0]]), [1, 0])


def test_errors_name_the_argument():
    for options, message in (
        ({"n_clusters": 0}, "n_clusters must be > 0, received 0"),
        ({"n_init": 0}, "n_init must be > 0, received 0"),
        ({"tol": -1}, "tol must be >= 0, received -1"),
        ({"batch_size": 0}, "batch_size must be > 0, received 0"),
        ({"init": "random"}, r"init must be k-means\+\+ or centres, received random"),
        ({"init": [[0.0], [np.nan]]}, r"init must be finite, within 1e\+140, received \[nan\]"),
        ({"init": [["a"], ["b"]]}, "init must be real numbers, received dtype <U1"),
        ({"init": np.zeros((3, 2))}, r"init must have shape \(2, any\), received \(3, 2\)"),
    ):
        with pytest.raises(ValueError, match=message):
            KMeans(**{"n_clusters": 2, **options})
    with pytest.raises(ValueError, match="points must be 2 or more, received 1"):
        KMeans(2).fit(np.zeros((1, 2)))
    with pytest.raises(ValueError, match=r"init must have shape \(any, 3\), received \(2, 2\)"):
        KMeans(2, init=np.zeros((2, 2))).fit(np.zeros((4, 3)))
    with pytest.raises(ValueError, match="points must be finite"):
        KMeans(1).fit(np.array([[np.nan]]))
    with pytest.raises(ValueError, match=r"\(any, 1\), received \(1, 2\)"):
        KMeans(1).fit(np.zeros((1, 1))).predict(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="fit must come before predict"):
        KMeans(1).predict(np.zeros((1, 1)))


@pytest.mark.slow
def test_speed_against_scikit_learn():
    """Five passes over rows without clusters, where no bound spares any, from the same start.

    The first fit is not timed, since it traces; the limit leaves room for a busy machine.
    """
    points = np.random.default_rng(0).normal(size=(200_000, 64)).astype(np.float32)
    seconds, inertia = [], []
    for fit in (
        KMeans(256, init=points[:256], max_iter=5, tol=0).fit,
        cluster.KMeans(256, init=points[:256], n_init=1, max_iter=5, tol=0).fit,
    ):
        fit(points[:20_000])
        start = time.perf_counter()
        inertia.append(fit(points).inertia_)
        seconds.append(time.perf_counter() - start)
    assert inertia[0] == pytest.approx(inertia[1], rel=1e-3)
    assert seconds[0] < 3 * seconds[1], seconds
