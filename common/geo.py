"""Places on the earth, as latitude and longitude in degrees: distances, and a flat map nearby."""

import numpy as np

EARTH_RADIUS_KM = 6371.0
"""Of a sphere as large as the earth."""


def haversine_km(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Measure great-circle distances.

    Args:
        a: (..., 2) latitude and longitude in degrees.
        b: (..., 2) likewise; both are broadcast.

    Returns:
        (...) float64 km.

    Raises:
        ValueError: the last axis is not of 2.

    Source: Sinnott, "Virtues of the Haversine", 1984; exact at small distances, where a formula
        by the cosine loses all digits.
    """
    first, second = (np.radians(_check_places(name, p)) for name, p in (("a", a), ("b", b)))
    half = np.sin((second - first) / 2) ** 2
    cosines = np.cos(first[..., 0]) * np.cos(second[..., 0])
    share = np.clip(half[..., 0] + cosines * half[..., 1], 0, 1)
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(share))


def project_km(places: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Lay places on a flat map around an origin.

    North is y, and a degree of longitude is as long everywhere as at the origin's latitude. Within
    50 km, and 60 degrees of the equator, distances on the map are wrong by less than 1.5 %.

    Args:
        places: (..., 2) latitude and longitude in degrees.
        origin: (2,) likewise; not a pole.

    Returns:
        (..., 2) float64: x to the east and y to the north, in km.

    Raises:
        ValueError: the last axis is not of 2.

    Source: Snyder, "Map Projections: A Working Manual", 1987 (equidistant cylindrical).
    """
    degrees = _check_places("places", places) - _check_places("origin", origin)
    east = (degrees[..., 1] + 180) % 360 - 180  # the short way around
    return np.stack([east * _km_per_degree(origin), degrees[..., 0] * _KM_PER_DEGREE], axis=-1)


def unproject_km(points: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Take points of `project_km` back to latitude and longitude.

    Args:
        points: (..., 2) east and north in km.
        origin: (2,) latitude and longitude in degrees.

    Returns:
        (..., 2) float64 degrees; longitude from -180 to below 180.

    Raises:
        ValueError: the last axis is not of 2.
    """
    points, origin = _check_places("points", points), _check_places("origin", origin)
    east = origin[1] + points[..., 0] / _km_per_degree(origin)
    north = origin[0] + points[..., 1] / _KM_PER_DEGREE
    return np.stack([north, (east + 180) % 360 - 180], axis=-1)


_KM_PER_DEGREE = EARTH_RADIUS_KM * np.pi / 180


def _km_per_degree(origin: np.ndarray) -> float:
    return float(_KM_PER_DEGREE * np.cos(np.radians(origin[0])))


def _check_places(name: str, places: np.ndarray) -> np.ndarray:
    places = np.asarray(places, dtype=float)
    if places.shape[-1:] != (2,):
        raise ValueError(f"{name} must be (..., 2), received {places.shape}")
    return places
