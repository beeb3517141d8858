import numpy as np
import pytest

from common.geo import EARTH_RADIUS_KM, haversine_km
from common.neighbors.spaces import SPACES


def square(a, b):
    return ((a - b) ** 2).sum(axis=-1)


def make_places(n, seed=0):
    return np.random.default_rng(seed).uniform([-90, -180], [90, 180], size=(n, 2))


def test_distances_are_those_of_the_metrics():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50, 3))
    space = SPACES["cosine"]
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    found = space.measure(square(space.embed(a), space.embed(b)))
    np.testing.assert_allclose(found, 1 - (a * b).sum(axis=1) / lengths, atol=1e-14)

    a, b = make_places(50), make_places(50, seed=1)
    space = SPACES["haversine_km"]
    found = space.measure(square(space.embed(a), space.embed(b)))
    np.testing.assert_allclose(found, haversine_km(a, b), rtol=1e-9)

    space = SPACES["euclidean"]
    assert space.embed(a) is a
    assert space.measure(np.array([9.0])) == 3


def test_a_metre_is_not_lost_on_the_sphere():
    a = np.array([[41.15, -8.6]])
    b = np.add(a, [1e-5, 0])
    space = SPACES["haversine_km"]

    found = space.measure(square(space.embed(a), space.embed(b)))

    np.testing.assert_allclose(found, haversine_km(a, b), rtol=1e-8)


@pytest.mark.parametrize(
    ("metric", "greatest"), [("euclidean", 1e9), ("cosine", 1.9), ("haversine_km", 2e4)]
)
def test_square_is_the_inverse(metric, greatest):
    space = SPACES[metric]
    for distance in np.linspace(0, greatest, 9):
        assert space.measure(np.array(space.square(distance))) == pytest.approx(distance)


def test_a_radius_that_holds_all_is_infinite():
    assert SPACES["cosine"].square(2) == np.inf
    assert SPACES["haversine_km"].square(np.pi * EARTH_RADIUS_KM) == np.inf


def test_lengths_at_the_ends_of_the_floats_are_directions_too():
    for dtype, size in ((np.float32, 1e-44), (np.float64, 1e-320), (np.float64, 1e139)):
        found = SPACES["cosine"].embed(np.array([[size, size]], dtype))
        np.testing.assert_allclose(found, [[0.5**0.5, 0.5**0.5]])


@pytest.mark.parametrize(
    ("metric", "row", "told"),
    [
        (
            "euclidean",
            [np.nan, 0],
            r"queries must be finite, within 1e\+140, received \[nan  0.\] in row 12",
        ),
        ("euclidean", [0, -np.inf], r"queries must be finite, .*received \[  0. -inf\] in row 12"),
        ("cosine", [0, 2e140], r"queries must be finite, .* in row 12"),
        ("cosine", [0, 0], r"queries must have no vector of zeros, .*received \[0. 0.\] in row 12"),
        (
            "haversine_km",
            [90.5, 0],
            r"queries must have latitudes in \[-90, 90\], received .* row 12",
        ),
    ],
)
def test_what_has_no_place_is_refused_with_its_row(metric, row, told):
    points = np.ones((4, 2))
    SPACES[metric].check("queries", points)
    points[2] = row
    with pytest.raises(ValueError, match=told):
        SPACES[metric].check("queries", points, start=10)
