"""Metrics as Euclidean spaces: where points lie, and a distance as a function of the squared one.

Each metric here rises with the Euclidean distance of points that are moved to the right place:
vectors cut to length 1 for the cosine, points on a sphere for the haversine. So one exact search
serves all.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from common.geo import EARTH_RADIUS_KM

LARGEST = 1e140
"""Of what is refused beyond: squares of differences must stay finite in float64."""


@dataclass(frozen=True)
class Space:
    """A metric as a Euclidean space.

    Attributes:
        embed: (N, D) float32 or float64 points -> (N, E) places.
        measure: squared Euclidean distances -> distances of the metric.
        square: the inverse; infinite where no two places are farther apart.
        n_dims: D where the metric has but one, or None.
        refuse: (N, D) -> (what they must do, (N,) bool, which do not), or None.
    """

    embed: Callable[[np.ndarray], np.ndarray]
    measure: Callable[[np.ndarray], np.ndarray]
    square: Callable[[float], float]
    n_dims: int | None = None
    refuse: Callable[[np.ndarray], tuple[str, np.ndarray]] | None = None

    def check(self, name: str, points: np.ndarray, *, start: int = 0) -> None:
        """Check points, the first of which is row `start` of what the caller calls `name`.

        Raises:
            ValueError: a number is NaN, inf or beyond 1e140, or the metric has no distance for it.
        """
        # Least and greatest make no copy, and are NaN where anything is.
        if not (float(points.min()) >= -LARGEST and float(points.max()) <= LARGEST):
            bad = ~(np.abs(points.astype(float)) <= LARGEST).all(axis=1)
            self._raise(name, f"be finite, within {LARGEST:g}", points, bad, start)
        if self.refuse is not None:
            wanted, bad = self.refuse(points)
            if bad.any():
                self._raise(name, wanted, points, bad, start)

    def _raise(
        self, name: str, wanted: str, points: np.ndarray, bad: np.ndarray, start: int
    ) -> None:
        row = int(np.argmax(bad))
        received = np.array2string(points[row], threshold=6, edgeitems=2)
        raise ValueError(f"{name} must {wanted}, received {received} in row {start + row}")


def check_real(name: str, points: np.ndarray) -> None:
    """Check that an array holds real numbers.

    Raises:
        ValueError: it holds text, complex numbers or objects.
    """
    if points.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be real numbers, received dtype {points.dtype}")


def _to_units(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float64)
    # Two steps, as squares of the smallest floats are 0.
    vectors /= np.abs(vectors).max(axis=1, keepdims=True)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _to_sphere(places: np.ndarray) -> np.ndarray:
    north, east = np.radians(places.astype(np.float64)).T
    flat = np.cos(north)
    return EARTH_RADIUS_KM * np.stack(
        [flat * np.cos(east), flat * np.sin(east), np.sin(north)], axis=1
    )


def _to_arc(squared: np.ndarray) -> np.ndarray:
    share = np.minimum(np.sqrt(squared) / (2 * EARTH_RADIUS_KM), 1)
    return 2 * EARTH_RADIUS_KM * np.arcsin(share)


def _to_squared_chord(arc: float) -> float:
    if arc >= np.pi * EARTH_RADIUS_KM:
        return np.inf
    return float((2 * EARTH_RADIUS_KM * np.sin(arc / (2 * EARTH_RADIUS_KM))) ** 2)


def _refuse_zeros(points: np.ndarray) -> tuple[str, np.ndarray]:
    return "have no vector of zeros, which has no direction", np.asarray(~points.any(axis=1))


def _refuse_latitudes(points: np.ndarray) -> tuple[str, np.ndarray]:
    return "have latitudes in [-90, 90]", np.abs(points[:, 0]) > 90


SPACES = {
    "euclidean": Space(embed=lambda points: points, measure=np.sqrt, square=lambda r: r * r),
    "cosine": Space(
        embed=_to_units,
        measure=lambda squared: np.minimum(squared / 2, 2),
        square=lambda distance: 2 * distance if distance < 2 else np.inf,
        refuse=_refuse_zeros,
    ),
    "haversine_km": Space(
        embed=_to_sphere,
        measure=_to_arc,
        square=_to_squared_chord,
        n_dims=2,
        refuse=_refuse_latitudes,
    ),
}
"""The metrics by name."""
