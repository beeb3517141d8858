import numpy as np
import pytest
from sklearn import neighbors
from sklearn.metrics import pairwise

from common import geo
from common.neighbors.knn import NearestNeighbors, average, vote

METRICS = ("euclidean", "cosine", "haversine_km")


def measure(queries, base, metric):
    """All distances in float64, directly."""
    queries, base = np.float64(queries), np.float64(base)
    if metric == "haversine_km":
        return geo.haversine_km(queries[:, None], base)
    if metric == "cosine":
        return pairwise.paired_cosine_distances(
            np.repeat(queries, len(base), axis=0), np.tile(base, (len(queries), 1))
        ).reshape(len(queries), -1)
    return np.sqrt(((queries[:, None] - base) ** 2).sum(axis=-1))


def make_points(n, n_dims, metric, rng):
    if metric == "haversine_km":
        return rng.uniform([-90, -180], [90, 180], size=(n, 2))
    return rng.normal(size=(n, n_dims))


def check_exact(found, wanted, n_neighbors, *, rtol=1e-9, atol=0.0):
    """Distances are the least ones, and rows are at these distances, each once."""
    distances, rows = found
    np.testing.assert_allclose(
        distances, np.sort(wanted, axis=1)[:, :n_neighbors], rtol=rtol, atol=atol
    )
    at_rows = np.take_along_axis(wanted, rows, axis=1)
    np.testing.assert_allclose(distances, at_rows, rtol=rtol, atol=atol)
    assert (np.diff(np.sort(rows, axis=1)) > 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seed", range(6))
def test_neighbours_equal_all_distances_sorted(metric, dtype, seed):
    """Random shapes, a third of the rows twice."""
    rng = np.random.default_rng(seed)
    n, n_queries, n_dims = rng.integers([2, 1, 1], [300, 30, 40])
    n_neighbors = int(rng.integers(1, min(n, 20)))
    base = make_points(n, n_dims, metric, rng).astype(dtype)
    base[: n // 3] = base[n - n // 3 :]
    queries = make_points(n_queries, n_dims, metric, rng).astype(dtype)
    queries[0] = base[0]

    found = NearestNeighbors(n_neighbors, metric=metric).fit(base).kneighbors(queries)

    # What the direct formula of the cosine loses at small angles sets the tolerance there.
    accuracy = {"rtol": 1e-6 if dtype == np.float32 else 1e-9, "atol": 1e-12}
    check_exact(found, measure(queries, base, metric), n_neighbors, **accuracy)
    assert found[0].dtype == dtype and found[1].dtype == np.int64


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_neighbours_equal_those_of_scikit_learn(metric):
    rng = np.random.default_rng(0)
    base, queries = rng.normal(size=(500, 12)), rng.normal(size=(40, 12))
    theirs = neighbors.NearestNeighbors(metric=metric, algorithm="brute").fit(base)
    ours = NearestNeighbors(metric=metric).fit(base)

    for asked in (queries, None):
        for a, b in zip(ours.kneighbors(asked, 7), theirs.kneighbors(asked, 7), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-7)
        radius = 3.5 if metric == "euclidean" else 0.5
        wanted = theirs.radius_neighbors(asked, radius, sort_results=asked is not None)
        found = ours.radius_neighbors(asked, radius=radius)
        for distances, rows, theirs_at, theirs_in in zip(*found, *wanted, strict=True):
            np.testing.assert_allclose(distances, np.sort(theirs_at), rtol=1e-7)
            assert sorted(rows) == sorted(theirs_in)


def test_raw_degrees_far_from_the_origin():
    """A city, a metre between neighbours, where float32 products of raw degrees say nothing."""
    rng = np.random.default_rng(0)
    base = [41.15, -8.6] + 1e-3 * rng.normal(size=(2000, 2))
    queries = base[:50] + 1e-6
    for metric in ("euclidean", "haversine_km"):
        found = NearestNeighbors(5, metric=metric).fit(base).kneighbors(queries)
        check_exact(found, measure(queries, base, metric), 5, rtol=1e-7)
    base, queries = base.astype(np.float32), queries.astype(np.float32)
    found = NearestNeighbors(5).fit(base).kneighbors(queries)
    check_exact(found, measure(queries, base, "euclidean"), 5, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mixed_scales_and_clusters_far_apart(dtype):
    rng = np.random.default_rng(0)
    scales = 10.0 ** rng.uniform(-6, 6, size=(60, 1))
    base = rng.normal(size=(60, 1, 4)) * scales[:, None] * (1 + 1e-4 * rng.normal(size=(20, 4)))
    base = base.reshape(-1, 4).astype(dtype)

    found = NearestNeighbors(6).fit(base).kneighbors(base[::7])

    check_exact(found, measure(base[::7], base, "euclidean"), 6, rtol=1e-6)


def test_lattices_are_full_of_ties():
    """3^5 places, each twice; on a lattice every distance is shared by many."""
    base = np.stack(np.meshgrid(*[np.arange(3.0)] * 5), axis=-1).reshape(-1, 5)
    base = np.concatenate([base, base]) + 100

    for n_neighbors in (1, 2, 5, 60):
        found = NearestNeighbors(n_neighbors).fit(base).kneighbors(base[:40])
        check_exact(found, measure(base[:40], base, "euclidean"), n_neighbors)


def test_laws():
    rng = np.random.default_rng(0)
    base, queries = rng.normal(size=(200, 3)), rng.normal(size=(20, 3))
    distances, rows = NearestNeighbors(4).fit(base).kneighbors(queries)

    order = rng.permutation(200)
    moved, moved_rows = NearestNeighbors(4).fit(base[order]).kneighbors(queries)
    np.testing.assert_array_equal(order[moved_rows], rows)
    np.testing.assert_array_equal(moved, distances)
    moved, moved_rows = NearestNeighbors(4).fit(base + 64).kneighbors(queries + 64)
    np.testing.assert_array_equal(moved_rows, rows)
    np.testing.assert_allclose(moved, distances, rtol=1e-12)
    again, same_rows = NearestNeighbors(4).fit(base).kneighbors(queries)
    np.testing.assert_array_equal(again, distances)
    np.testing.assert_array_equal(same_rows, rows)


def test_memory_changes_nothing():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(40_000, 6)).astype(np.float32)
    results = [
        NearestNeighbors(3, memory_mib=memory).fit(base).kneighbors(base[:5]) for memory in (1, 512)
    ]

    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_base_may_be_a_memory_map_or_whole_numbers_or_lists(tmp_path):
    base = np.random.default_rng(0).integers(1000, size=(300, 3))
    np.save(tmp_path / "base.npy", base)
    mapped = np.load(tmp_path / "base.npy", mmap_mode="r")
    wanted = NearestNeighbors().fit(base.astype(float)).kneighbors()

    for given in (base, mapped, base.tolist()):
        found = NearestNeighbors().fit(given).kneighbors()
        np.testing.assert_array_equal(found[0], wanted[0])
        assert found[0].dtype == np.float64


def test_rows_of_the_base_do_not_find_themselves():
    """Among six equal rows too, of which only some can be taken."""
    base = np.array([[0.0], [0], [0], [0], [0], [0], [1], [3]])

    distances, rows = NearestNeighbors(2).fit(base).kneighbors()

    assert not (rows == np.arange(8)[:, None]).any()
    assert distances[:6].max() == 0 and distances[6:].tolist() == [[1, 1], [2, 3]]
    distances, rows = NearestNeighbors().fit(base).radius_neighbors(radius=1)
    assert [len(found) for found in rows] == [6] * 7 + [0]
    assert rows[7].dtype == np.int64 and distances[6].tolist() == [1] * 6


def test_groups_are_left_out():
    """Out of fold: a row's own driver says nothing; an unknown driver has no rows to leave out."""
    base = np.array([[0.0], [1], [2], [3]])
    drivers = np.array(["a", "b", "b", "c"])
    search = NearestNeighbors(1).fit(base, groups=drivers)

    assert search.kneighbors()[1][:, 0].tolist() == [1, 0, 3, 2]
    queries = np.array([[1.1], [1.1], [1.1]])
    assert search.kneighbors(queries, groups=["b", "c", "?"])[1][:, 0].tolist() == [0, 1, 1]
    assert search.kneighbors(queries)[1][:, 0].tolist() == [1, 1, 1]
    found = search.radius_neighbors(queries, radius=1, groups=["b", "c", "?"])[1]
    assert [rows.tolist() for rows in found] == [[], [1, 2], [1, 2]]
    found = search.radius_neighbors(radius=1)[1]
    assert [rows.tolist() for rows in found] == [[1], [0], [3], [2]]


@pytest.mark.parametrize("metric", METRICS)
def test_a_radius_holds_what_is_at_it_and_all_when_it_is_great_enough(metric):
    rng = np.random.default_rng(0)
    base, queries = (make_points(n, 2, metric, rng) for n in (60, 5))
    search = NearestNeighbors(metric=metric).fit(base)
    every, _ = search.kneighbors(queries, 60)

    for place in (0, 20, 59):
        distances, _ = search.radius_neighbors(queries[:1], radius=every[0, place])
        np.testing.assert_array_equal(distances[0], every[0, : place + 1])
    assert [len(rows) for rows in search.radius_neighbors(queries, radius=np.inf)[1]] == [60] * 5


def test_one_row_is_its_own_nearest():
    search = NearestNeighbors(1).fit(np.array([[3.0, 4.0]]))

    distances, rows = search.kneighbors(np.array([[0.0, 0.0]]))

    assert (distances.tolist(), rows.tolist()) == ([[5.0]], [[0]])
    assert (search.n_samples_fit_, search.n_features_in_) == (1, 2)


def test_errors_of_the_base():
    with pytest.raises(ValueError, match="n_neighbors must be > 0, received 0"):
        NearestNeighbors(0)
    with pytest.raises(ValueError, match="memory_mib must be > 0, received -1"):
        NearestNeighbors(memory_mib=-1)
    with pytest.raises(
        ValueError, match=r"metric must be one of euclidean, .*, received manhattan"
    ):
        NearestNeighbors(metric="manhattan")
    for base, told in (
        (np.zeros((0, 2)), "number of rows of base must be > 0, received 0"),
        (np.zeros((2, 0)), "number of columns of base must be > 0, received 0"),
        (np.zeros(3), r"base must have shape \(any, any\), received \(3,\)"),
        ([[1.0, np.nan]], "base must be finite, .* in row 0"),
        ([["a"]], "base must be real numbers"),
    ):
        with pytest.raises(ValueError, match=told):
            NearestNeighbors().fit(base)
    with pytest.raises(ValueError, match=r"base must have shape \(any, 2\), received \(1, 3\)"):
        NearestNeighbors(metric="haversine_km").fit([[1, 2, 3]])
    with pytest.raises(ValueError, match="base must have no vector of zeros"):
        NearestNeighbors(metric="cosine").fit([[1, 2], [0, 0]])
    with pytest.raises(ValueError, match="lengths must be equal, received base 2, groups 1"):
        NearestNeighbors().fit([[1], [2]], groups=[1])


def test_errors_of_the_queries():
    search = NearestNeighbors(2).fit(np.zeros((3, 2)))
    for queries, told in (
        (np.zeros((1, 3)), r"queries must have shape \(any, 2\), received \(1, 3\)"),
        (np.zeros((0, 2)), "number of rows of queries must be > 0, received 0"),
        ([[0, np.inf]], "queries must be finite, .* in row 0"),
    ):
        with pytest.raises(ValueError, match=told):
            search.kneighbors(queries)
    with pytest.raises(ValueError, match="n_neighbors must be > 0, received -1"):
        search.kneighbors(n_neighbors=-1)
    with pytest.raises(
        ValueError, match="at most the 2 rows that are left for query 0, received 3"
    ):
        search.kneighbors(n_neighbors=3)
    with pytest.raises(
        ValueError, match="at most the 3 rows that are left for query 0, received 4"
    ):
        search.kneighbors([[0, 0]], 4)
    with pytest.raises(ValueError, match="radius must be >= 0, received -1"):
        search.radius_neighbors(radius=-1)
    with pytest.raises(ValueError, match="fit must come before a search"):
        NearestNeighbors().kneighbors()
    with pytest.raises(ValueError, match="groups must come with queries"):
        search.kneighbors(groups=[1, 2, 3])
    with pytest.raises(ValueError, match="groups must have been given to fit too"):
        search.kneighbors([[0, 0]], groups=[1])
    search = NearestNeighbors(2).fit(np.zeros((3, 2)), groups=[0, 1, 1])
    with pytest.raises(
        ValueError, match="at most the 1 rows that are left for query 1, received 2"
    ):
        search.kneighbors()
    with pytest.raises(ValueError, match="lengths must be equal, received queries 1, groups 2"):
        search.kneighbors([[0, 0]], groups=[1, 1])


DISTANCES = np.array([[1.0, 2, 4], [0, 0, 5]])
INDICES = np.array([[0, 1, 2], [2, 3, 0]])
LABELS = np.array([0, 1, 1, 0])


def test_votes_by_hand():
    """Labels are 0 1 1 and 1 0 0. By distance 1, 1/2, 1/4 and two at 0: 4/7, 3/7 and halves. Where
    class 1 counts three times: 1 to 6 and 2 to 3.
    """
    found = vote(LABELS, DISTANCES, INDICES, n_classes=3)
    np.testing.assert_allclose(found, [[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0]])
    found = vote(LABELS, DISTANCES, INDICES, n_classes=2, weights="distance")
    np.testing.assert_allclose(found, [[4 / 7, 3 / 7], [1 / 2, 1 / 2]])
    found = vote(LABELS, DISTANCES, INDICES, n_classes=2, class_weights=np.array([1, 3]))
    np.testing.assert_allclose(found, [[1 / 7, 6 / 7], [2 / 5, 3 / 5]])


def test_averages_by_hand():
    """Values 7, 14, 28 in halving weights 4 2 1 of 7; of two at 0 the mean; and by a function."""
    values = np.array([[7.0, 0], [14, 7], [28, 0], [30, 2]])
    found = average(values, DISTANCES, INDICES, weights="distance")
    np.testing.assert_allclose(found, [[12, 2], [29, 1]])
    found = average(values[:, 0], DISTANCES, INDICES, weights=lambda d: d < 3)
    np.testing.assert_allclose(found, [10.5, 29])
    np.testing.assert_allclose(average(values[:, 0], DISTANCES, INDICES), [49 / 3, 65 / 3])


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_votes_and_averages_equal_those_of_scikit_learn(weights):
    rng = np.random.default_rng(0)
    base, queries = rng.normal(size=(100, 3)), rng.normal(size=(20, 3))
    queries[:5] = base[:5]
    labels, values = rng.integers(4, size=100), rng.normal(size=(100, 2))
    found = NearestNeighbors(6).fit(base).kneighbors(queries)

    theirs = neighbors.KNeighborsClassifier(6, weights=weights).fit(base, labels)
    shares = vote(labels, *found, n_classes=4, weights=weights)
    np.testing.assert_allclose(shares, theirs.predict_proba(queries), atol=1e-9)
    regressor = neighbors.KNeighborsRegressor(6, weights=weights).fit(base, values)
    averages = average(values, *found, weights=weights)
    np.testing.assert_allclose(averages, regressor.predict(queries), atol=1e-9)


def test_errors_of_votes():
    with pytest.raises(ValueError, match=r"labels must be ints in \[0, 1\)"):
        vote(LABELS, DISTANCES, INDICES, n_classes=1)
    with pytest.raises(ValueError, match=r"labels must be ints in \[0, 2\)"):
        vote(LABELS / 2, DISTANCES, INDICES, n_classes=2)
    with pytest.raises(ValueError, match=r"class_weights must be > 0 and finite, received \[1 0\]"):
        vote(LABELS, DISTANCES, INDICES, n_classes=2, class_weights=[1, 0])
    with pytest.raises(ValueError, match=r"class_weights must be > 0 and finite, received \["):
        vote(LABELS, DISTANCES, INDICES, n_classes=2, class_weights=[1, np.inf])
    with pytest.raises(ValueError, match="weights must be uniform, distance or a function"):
        average(LABELS, DISTANCES, INDICES, weights="inverse")
    with pytest.raises(ValueError, match="weights of distances must be >= 0 and not all 0"):
        average(LABELS, DISTANCES, INDICES, weights=lambda d: 0 * d)
    with pytest.raises(ValueError, match=r"distances must have shape \(2, 3\), received \(3, 2\)"):
        average(LABELS, DISTANCES.T, INDICES)


def test_a_group_is_no_nan_and_of_the_kind_of_fit():
    """NaN equals nothing, so a row of group NaN would be its own query's neighbour unnoticed."""
    points = np.arange(4.0)[:, None]
    with pytest.raises(ValueError, match="groups must not be NaN, received it in row 2"):
        NearestNeighbors(1).fit(points, groups=[0, 1, np.nan, 2])
    fitted = NearestNeighbors(1).fit(points, groups=[0, 0, 1, 1])
    with pytest.raises(ValueError, match="groups must not be NaN, received it in row 0"):
        fitted.kneighbors(points[:1], groups=[np.nan])
    with pytest.raises(ValueError, match="groups must be of the kind that fit was given, int64"):
        fitted.kneighbors(points[:1], groups=["0"])
    with pytest.raises(ValueError, match=r"groups must have shape \(any\), received \(4, 1\)"):
        NearestNeighbors(1).fit(points, groups=np.zeros((4, 1)))
