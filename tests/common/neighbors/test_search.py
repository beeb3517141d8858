import numpy as np
import pytest
import tensorflow as tf

from common.neighbors import search
from common.neighbors.search import (
    BlockedBase,
    Queries,
    check_points,
    find_centre,
    load_rows,
)
from common.neighbors.spaces import SPACES

EUCLIDEAN = SPACES["euclidean"]


class Stored:
    """An array that gives slices only, and remembers the largest."""

    def __init__(self, array):
        self.array, self.shape, self.largest = array, array.shape, 0

    def __len__(self):
        return len(self.array)

    def __getitem__(self, part):
        assert isinstance(part, slice)
        rows = self.array[part]
        self.largest = max(self.largest, rows.nbytes)
        return rows


def make_base(points, memory=2**20, groups=None):
    return BlockedBase(points, EUCLIDEAN, find_centre(points, EUCLIDEAN), groups, memory)


def measure(queries, points):
    return ((queries[:, None].astype(float) - points) ** 2).sum(axis=-1)


def count_doubtful(monkeypatch):
    """Note how many queries are searched again."""
    counts = []
    again = BlockedBase._search_again

    def counted(self, queries, where, squared, rows):
        counts.append(int(where.sum()))
        again(self, queries, where, squared, rows)

    monkeypatch.setattr(BlockedBase, "_search_again", counted)
    return counts


@pytest.mark.parametrize("memory", [1, 9000, 2**28])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nearest_of_all_blocks_are_the_nearest(memory, dtype):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(20, 3)).astype(dtype)
    queries = Queries(rng.normal(size=(4, 3)).astype(dtype))
    wanted = measure(queries.points, points)

    squared, rows = make_base(points, memory).find_nearest(queries, 4)

    np.testing.assert_array_equal(rows, np.argsort(wanted, axis=1)[:, :4])
    np.testing.assert_allclose(squared, np.sort(wanted, axis=1)[:, :4], rtol=1e-12)


@pytest.mark.parametrize("memory", [50_000, 2**20])
def test_groups_are_left_out_in_every_block_and_in_both_searches(memory):
    """Four of five rows are one place, so that many queries are searched again."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(80, 2)) * (rng.random((80, 1)) < 0.2) + 1e7
    groups = rng.integers(4, size=80).astype(np.int32)
    base = make_base(points, memory, groups)
    wanted = np.where(groups[:, None] == groups, np.inf, measure(points, points))

    squared, rows = base.find_nearest(Queries(points, groups), 7)

    np.testing.assert_allclose(squared, np.sort(wanted, axis=1)[:, :7], atol=1e-20)
    np.testing.assert_array_equal(np.take_along_axis(wanted, rows, axis=1), squared)


def make_far_cluster():
    """A cloud at the origin, and 1e6 away a cluster that is 1e-3 wide."""
    rng = np.random.default_rng(0)
    cluster = [1e6, -1e6] + 1e-3 * rng.normal(size=(100, 2))
    return np.concatenate([rng.normal(size=(900, 2)), cluster])


def test_a_tight_cluster_far_away_needs_the_second_search_and_gets_it(monkeypatch):
    points = make_far_cluster()
    counts = count_doubtful(monkeypatch)
    wanted = np.sort(measure(points, points), axis=1)[:, :3]

    squared, _ = make_base(points).find_nearest(Queries(points), 3)
    np.testing.assert_allclose(squared, wanted, rtol=1e-12)
    assert 100 <= counts[0] <= 120  # the cluster, hardly any of the cloud

    monkeypatch.setattr(BlockedBase, "_search_again", lambda *_: None)
    squared, _ = make_base(points).find_nearest(Queries(points), 3)
    assert (squared > wanted * 1.1).any(axis=1).sum() > 50


def test_outliers_and_duplicates_of_a_query_need_no_second_search(monkeypatch):
    """Outliers move neither the centre nor the bound, and nothing is nearer than 0."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(1000, 8))
    points[:10] *= 1e12
    counts = count_doubtful(monkeypatch)
    queries = Queries(points[10:])

    squared, _ = make_base(points).find_nearest(queries, 5)

    wanted = np.sort(measure(queries.points, points), axis=1)[:, :5]
    np.testing.assert_allclose(squared, wanted, rtol=1e-12)
    same = make_base(np.ones((500, 2)))
    assert not same.find_nearest(Queries(same.points), 4)[0].any()
    assert counts == [0, 0]


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e20, 1e60, 1e130])
def test_any_unit_will_do(scale):
    """Beyond what float32 holds all is searched in float64."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(60, 3))
    wanted = np.sort(measure(points, points), axis=1)[:, :4]

    squared, _ = make_base(points * scale).find_nearest(Queries(points * scale), 4)

    np.testing.assert_allclose(squared / scale**2, wanted, rtol=1e-9)


@pytest.mark.parametrize("memory", [3000, 2**20])
def test_all_pairs_within_a_distance_are_found_once(memory):
    rng = np.random.default_rng(0)
    points = rng.integers(5, size=(80, 2)).astype(np.float32)
    where = rng.random(80) < 0.7
    limit = rng.integers(4, size=80).astype(float)

    found = list(make_base(points, memory).find_within(Queries(points), limit, where))

    query, row, squared = (np.concatenate(part) for part in zip(*found, strict=True))
    wanted = measure(points, points)
    near = (wanted <= limit[:, None]) & where[:, None]
    pairs = list(zip(query, row, strict=True))
    assert sorted(pairs) == list(zip(*np.nonzero(near), strict=True))
    np.testing.assert_array_equal(squared, wanted[query, row])


def test_base_and_queries_are_taken_in_slices_that_fit_the_memory():
    points = np.random.default_rng(0).normal(size=(4000, 2))
    base, queries = Stored(points), Stored(points[:12])
    memory = 32_768  # half of the base's bytes

    check_points("base", base, EUCLIDEAN, memory=memory)
    squared, _ = make_base(base, memory).find_nearest(Queries(queries), 2)

    np.testing.assert_array_equal(squared[:, 0], 0)
    assert 0 < base.largest <= memory / 2
    assert 0 < queries.largest < queries.array.nbytes


def test_plans_fit_the_memory():
    """As counted in the plan: rows of a block, and pairs, and what is measured of each query."""
    for n_dims in (1, 30, 1000):
        for n_selected in (0, 16, 1000):
            memory = 64 * 2**20
            base = BlockedBase(
                np.empty((10**6, n_dims), np.float32), EUCLIDEAN, np.zeros(n_dims), None, memory
            )
            n_rows, n_queries = base._plan(4, 4, n_selected)
            used = n_rows * 40 * (n_dims + 1) + n_queries * (4 * n_rows + 24 * n_selected * n_dims)
            assert 0.2 * memory < used <= memory


def test_float32_stays_whole_on_gpus_during_a_search_only(monkeypatch):
    config = tf.config.experimental
    seen = []
    select = search.Block.select

    def watched(*args):
        seen.append(config.tensor_float_32_execution_enabled())
        return select(*args)

    monkeypatch.setattr(search.Block, "select", watched)
    before = config.tensor_float_32_execution_enabled()
    base = make_base(np.eye(3))
    base.find_nearest(Queries(np.eye(3)), 1)

    assert seen == [False] and config.tensor_float_32_execution_enabled() == before


def test_rows_are_loaded_as_floats_and_the_centre_is_amid_them():
    points = np.arange(6000).reshape(3000, 2)
    assert load_rows(points, slice(2)).dtype == np.float64
    assert load_rows(points.astype(np.float32), slice(2)).dtype == np.float32
    assert load_rows(points.astype(np.float16), slice(2)).dtype == np.float64
    points[:100] = 10**15
    np.testing.assert_allclose(find_centre(points, EUCLIDEAN), [3100, 3101], atol=200)
    assert find_centre(points.astype(np.float32), EUCLIDEAN).dtype == np.float32


def test_what_is_no_number_is_refused():
    with pytest.raises(ValueError, match="base must be real numbers, received dtype <U1"):
        check_points("base", np.array([["a"]]), EUCLIDEAN, memory=100)
    points = np.ones((50, 2))
    points[33, 1] = np.nan
    with pytest.raises(ValueError, match=r"base must be finite, .* in row 33"):
        check_points("base", points, EUCLIDEAN, memory=640)
