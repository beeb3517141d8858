import numpy as np
import pytest
import tensorflow as tf

from common.neighbors.selection import (
    GROUP_SIZE,
    Block,
    _best_of_groups,
    _find_scores,
    _fold_queries,
    _select,
    bound_rounding,
    prove,
)


def make_block(points, centre=None, groups=None):
    points = np.asarray(points)
    centre = np.zeros(points.shape[1]) if centre is None else centre
    groups = None if groups is None else tf.constant(groups, tf.int32)
    return Block(tf.constant(points), np.asarray(centre, points.dtype), groups)


def measure(queries, points):
    return ((queries[:, None] - points) ** 2).sum(axis=-1)


@pytest.mark.parametrize("group_size", [1, 8])
@pytest.mark.parametrize("seed", range(5))
def test_the_best_of_groups_are_the_best_of_all(group_size, seed):
    """Few different scores, so that most are ties."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(12, size=(6, 80)).astype(np.float32)
    scores[0] = -np.inf

    greatest, places = _best_of_groups(tf.constant(scores), 7, group_size)

    np.testing.assert_array_equal(greatest, -np.sort(-scores)[:, :7])
    np.testing.assert_array_equal(np.take_along_axis(scores, places.numpy(), axis=1), greatest)
    assert all(len(set(row)) == 7 for row in places.numpy())


@pytest.mark.parametrize("n_rows", [1, 5, GROUP_SIZE, 10 * GROUP_SIZE + 3])
def test_selected_rows_are_the_nearest_and_what_is_left_is_no_better(n_rows):
    rng = np.random.default_rng(0)
    points, queries = rng.normal(size=(n_rows, 3)), rng.normal(size=(4, 3))
    wanted = measure(queries, points)

    squared, rows, score = make_block(points).select(queries, 4)

    n = min(n_rows, 4)
    np.testing.assert_allclose(np.sort(squared)[:, :n], np.sort(wanted)[:, :n])
    np.testing.assert_array_equal(np.take_along_axis(wanted, rows[:, :n], axis=1), squared[:, :n])
    assert np.isinf(squared[:, n:]).all() and np.isinf(score).all() == (n_rows < 4)


def test_rows_of_the_own_group_are_not_selected():
    points = np.arange(200.0)[:, None]
    block = make_block(points, groups=np.arange(200) // 10)

    squared, rows, _ = block.select(np.array([[15.0], [15.0]]), 3, np.int32([1, -1]))

    assert sorted(rows[0]) == [9, 20, 21] and sorted(squared[0]) == [25, 36, 36]
    assert sorted(rows[1]) == [14, 15, 16]


@pytest.mark.parametrize("shift", [0, 10, 1e3])
@pytest.mark.parametrize("n_dims", [2, 40])
def test_scores_are_never_off_by_more_than_the_bound(n_dims, shift):
    """And by no less than a thousandth of it, so that the bound says something."""
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(500, n_dims)) + shift).astype(np.float32)
    queries = (rng.normal(size=(50, n_dims)) + shift).astype(np.float32)
    block = make_block(points)

    scores = tf.matmul(_fold_queries(tf.constant(queries)), block._folded32).numpy()[:, :500]

    exact = points.astype(np.longdouble), queries.astype(np.longdouble)
    wanted = 2 * exact[1] @ exact[0].T - (exact[0] ** 2).sum(axis=1)
    norms = [np.linalg.norm(side.astype(float), axis=1) for side in (queries, points)]
    bounds = bound_rounding(
        *np.broadcast_arrays(norms[0][:, None], norms[1]), n_dims=n_dims, dtype=np.float32
    )
    share = np.abs(scores - wanted) / bounds
    assert 1e-3 < share.max() < 1


def test_the_bound_gives_up_where_roundings_add_up_to_everything():
    assert (
        bound_rounding(np.ones(2), np.ones(2), n_dims=10**7, dtype=np.float32).tolist()
        == [np.inf] * 2
    )


def test_prove_by_hand():
    """A query at 1 and rows left out with scores up to 0.75, so from 0.25 up: none is nearer than
    0.2, some may be nearer than 0.3, and none is nearer than 0. At 1e18 nothing is known.
    """
    squared = np.array([0.2, 0.3, 0.0, 0.2])

    found = prove(np.array([1, 1, 1, 1e18]), squared, np.full(4, 0.75), n_dims=2)

    assert found.tolist() == [True, False, True, False]


def test_what_is_left_out_of_a_selection_with_proof_is_farther():
    """Clusters of all sizes at all distances from the centre: wherever a proof is given it is true,
    and some are given and some are not.
    """
    rng = np.random.default_rng(0)
    places = 10.0 ** rng.uniform(-2, 4, size=(30, 1)) * rng.normal(size=(30, 3))
    spread = 10.0 ** rng.uniform(-5, 1, size=(30, 1, 1))
    points = (places[:, None] + spread * rng.normal(size=(30, 40, 3))).reshape(-1, 3)
    block = make_block(points)

    squared, _, score = block.select(points, 12)
    kth = np.sort(squared)[:, 7]
    proved = prove(np.linalg.norm(points, axis=1), kth, score, n_dims=3)

    wanted = np.sort(measure(points, points))[:, 7]
    np.testing.assert_allclose(kth[proved], wanted[proved], rtol=1e-12)
    assert (kth > wanted * (1 + 1e-9)).any()  # there is something to be found out
    assert 0.2 < proved.mean() < 0.9


@pytest.mark.parametrize("n_at_once", [1, 7, 10**6])
def test_all_rows_within_a_distance_are_found(n_at_once):
    rng = np.random.default_rng(0)
    points, queries = rng.integers(4, size=(60, 2)) / 1.0, rng.integers(4, size=(5, 2)) / 1.0
    groups, own = rng.integers(3, size=60), np.int32([0, 1, 2, -1, 0])
    limit = np.array([2, 1, 0, np.inf, 4])
    block = make_block(points + 1e6, centre=np.full(2, 1e6), groups=groups)

    query, row, squared = block.find_within(queries + 1e6, limit, own, n_at_once=n_at_once)

    wanted = measure(queries, points)
    near = (wanted <= limit[:, None]) & (own[:, None] != groups)
    np.testing.assert_array_equal(np.stack([query, row]), np.nonzero(near))
    np.testing.assert_array_equal(squared, wanted[near])


def test_rows_and_queries_that_float32_does_not_hold_are_found_in_float64():
    points = np.array([[0.0], [1e60], [1e60 * (1 + 1e-9)]])
    block = make_block(points)

    squared, rows, score = block.select(points, 1)

    assert not prove(np.abs(points[:, 0]), squared[:, 0], score, n_dims=1)[1:].any()
    assert (squared[0], rows[0]) == (0, 0)
    query, row, _ = block.find_within(points, np.full(3, 1e104), n_at_once=9)
    assert list(zip(query, row, strict=True)) == [(0, 0), (1, 1), (1, 2), (2, 1), (2, 2)]


def test_graph_equals_eager():
    rng = np.random.default_rng(0)
    queries, base = (
        tf.constant(rng.normal(size=shape), tf.float32) for shape in ((5, 4), (4, 640))
    )

    in_graph = _select(queries, base, 9, GROUP_SIZE)
    found = _find_scores(
        *(tf.cast(a, tf.float64) for a in (queries, base)), tf.zeros(5, tf.float64)
    )

    eager = _best_of_groups(tf.matmul(queries, base), 9, GROUP_SIZE)
    for a, b in zip(in_graph, eager, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(
        found,
        _find_scores.python_function(
            *(tf.cast(a, tf.float64) for a in (queries, base)), tf.zeros(5, tf.float64)
        ),
    )
    assert _select.experimental_get_tracing_count() == 1
