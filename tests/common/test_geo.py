import numpy as np
import pytest

from common.geo import EARTH_RADIUS_KM, haversine_km, project_km, unproject_km

PORTO = np.array([41.15, -8.61])
DEGREE = np.pi * EARTH_RADIUS_KM / 180


def test_distances_by_hand():
    """A degree along a meridian or the equator; pole to pole; opposite ends; the short way."""
    a = [[0, 0], [0, 0], [90, 0], [0, 0], [0, 179.5]]
    b = [[1, 0], [0, 1], [-90, 77], [0, 180], [0, -179.5]]
    half = EARTH_RADIUS_KM * np.pi

    np.testing.assert_allclose(haversine_km(a, b), [DEGREE, DEGREE, half, half, DEGREE], rtol=1e-12)


def test_distances_equal_the_angle_between_vectors():
    rng = np.random.default_rng(0)
    a, b = (np.column_stack([rng.uniform(-90, 90, 50), rng.uniform(-180, 180, 50)]) for _ in "ab")

    def to_vectors(places):
        north, east = np.radians(places).T
        return np.stack(
            [np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=-1
        )

    angles = np.arccos((to_vectors(a) * to_vectors(b)).sum(axis=-1))
    np.testing.assert_allclose(haversine_km(a, b), EARTH_RADIUS_KM * angles, rtol=1e-9)
    np.testing.assert_allclose(haversine_km(a[:, None], b[None])[3, 7], haversine_km(a[3], b[7]))
    np.testing.assert_array_equal(haversine_km(a, b), haversine_km(b, a))


def test_metres_are_not_lost():
    """A metre to the north is as many degrees as a degree has metres."""
    metre = 0.001 / DEGREE
    assert haversine_km(PORTO, np.add(PORTO, [metre, 0])) == pytest.approx(0.001, rel=1e-6)
    assert haversine_km(PORTO, PORTO) == 0


@pytest.mark.parametrize("origin", [PORTO, np.array([-60.0, 179.9]), np.zeros(2)])
def test_the_flat_map_keeps_distances_nearby_and_goes_back(origin):
    rng = np.random.default_rng(0)
    points = rng.uniform(-25, 25, size=(200, 2))
    places = unproject_km(points, origin)

    np.testing.assert_allclose(project_km(places, origin), points, atol=1e-9)
    flat = np.linalg.norm(points[:100] - points[100:], axis=1)
    np.testing.assert_allclose(haversine_km(places[:100], places[100:]), flat, rtol=0.015)
    assert (abs(places[:, 1]) <= 180).all()


def test_north_is_up_and_east_is_right():
    x, y = project_km(np.add(PORTO, [0.1, 0.2]), PORTO)
    assert y == pytest.approx(0.1 * DEGREE)
    assert x == pytest.approx(0.2 * DEGREE * np.cos(np.radians(41.15)))


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match=r"b must be \(..., 2\), received \(3,\)"):
        haversine_km(PORTO, np.zeros(3))
    with pytest.raises(ValueError, match=r"places must be \(..., 2\), received \(2, 3\)"):
        project_km(np.zeros((2, 3)), PORTO)
    with pytest.raises(ValueError, match=r"origin must be \(..., 2\), received \(\)"):
        unproject_km(PORTO, 0)
