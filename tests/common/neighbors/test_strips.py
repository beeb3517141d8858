import numpy as np
import pytest

from common.neighbors.strips import Strips


def find_near(points, places, radius):
    """Tell for each place which points are near: the obvious way."""
    squares = np.square(places[:, None] - points).sum(axis=-1)
    return squares <= radius**2


@pytest.mark.parametrize("n_dims", [1, 2, 5])
@pytest.mark.parametrize("per_radius", [1, 4])
@pytest.mark.parametrize("memory_mib", [512, 1e-3])
def test_every_near_point_is_found_once(n_dims, per_radius, memory_mib):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(400, n_dims)) * np.geomspace(1, 2, n_dims)
    places = rng.normal(size=(60, n_dims)) * 2
    strips = Strips(points, radius=1.2, per_radius=per_radius)
    np.testing.assert_array_equal(strips.points, points[strips.order])

    found = np.zeros((60, 400), int)
    for block in strips.near(places, memory_mib=memory_mib):
        np.add.at(found[block.places], (block.owners, strips.order[block.rows]), 1)

    near = find_near(points, places, 1.2)
    assert near.any() and found.max() == 1
    assert (found >= near).all()
    assert found.mean() < 0.6


@pytest.mark.parametrize("per_radius", [1, 20])
def test_a_radius_of_too_few_digits_finds_no_point_twice(per_radius):
    """Over 1e17, where floats lie 16 apart, 5e16 strips have no numbers of their own."""
    points = np.array([[0.0, 0.0], [1e17, 1e17], [1e17, 1e17]])
    strips = Strips(points, radius=2.0, per_radius=per_radius)
    (block,) = strips.near(points, memory_mib=1)
    pairs = list(zip(block.owners, strips.order[block.rows], strict=True))
    assert len(set(pairs)) == len(pairs)
    assert {(0, 0), (1, 1), (1, 2), (2, 1), (2, 2)} <= set(pairs)


@pytest.mark.parametrize("n_dims", [1, 2])
def test_runs_hold_what_is_not_summed_already(n_dims):
    """Pairs that are near and the sums of their middles add up to all near points."""
    rng = np.random.default_rng(0)
    points, places = rng.normal(size=(3000, n_dims)) + 50, rng.normal(size=(40, n_dims)) + 50
    strips = Strips(points, radius=0.8, per_radius=6)
    n_pairs = 0
    for block in strips.near(places, memory_mib=512, sums=True):
        offsets = strips.points[block.rows] - places[block.places][block.owners]
        near = np.square(offsets).sum(axis=1) <= 0.8**2
        sums = block.inside.copy()
        np.add.at(sums, block.owners[near], np.insert(offsets[near], 0, 1, axis=1))
        n_pairs += len(block.rows)

    near = find_near(points, places, 0.8)
    offsets = points - places[:, None]
    np.testing.assert_array_equal(sums[:, 0], near.sum(axis=1))
    np.testing.assert_allclose(sums[:, 1:], (offsets * near[:, :, None]).sum(axis=1), atol=1e-9)
    assert n_pairs < 0.3 * near.sum()


def test_points_on_the_rim_and_on_edges_of_strips_are_found():
    """On a lattice of 1 every distance of 2 is exact, and strips begin at lattice rows."""
    points = np.stack(np.meshgrid(*[np.arange(9.0)] * 2), axis=-1).reshape(-1, 2) + 1000
    strips = Strips(points, radius=2.0, per_radius=2)
    (block,) = strips.near(points, memory_mib=512)
    pairs = set(zip(block.owners.tolist(), strips.order[block.rows].tolist(), strict=True))
    assert pairs >= set(zip(*np.nonzero(find_near(points, points, 2.0)), strict=True))


def test_a_far_outlier_costs_no_exactness():
    rng = np.random.default_rng(0)
    points = np.vstack([rng.normal(size=(200, 2)), [[1e9, -1e9]]])
    strips = Strips(points, radius=0.5)
    (block,) = strips.near(points, memory_mib=512)
    pairs = set(zip(block.owners.tolist(), strips.order[block.rows].tolist(), strict=True))
    assert pairs >= set(zip(*np.nonzero(find_near(points, points, 0.5)), strict=True))
