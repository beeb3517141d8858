"""Scores of predicted places, as latitude and longitude in degrees."""

import numpy as np

from common.checks import check_shape
from common.geo import haversine_km


def mean_haversine_km(target: np.ndarray, prediction: np.ndarray) -> float:
    """Score places by their mean great-circle distance from where they should be.

    Args:
        target: (n, 2) latitude and longitude in degrees, n >= 1.
        prediction: like target.

    Returns:
        The score in km, >= 0; lower is better.

    Raises:
        ValueError: the shapes differ or are not (n, 2), there are no rows, a coordinate is not
            finite, or a latitude is outside -90 to 90.
    """
    check_shape("target", target, (None, 2))
    check_shape("prediction", prediction, target.shape)
    for name, places in (("target", target), ("prediction", prediction)):
        if not len(places):
            raise ValueError(f"{name} must have at least one row, received none")
        is_bad = ~np.isfinite(places).all(axis=1) | (np.abs(places[:, 0]) > 90)
        if is_bad.any():
            raise ValueError(
                f"{name} must be finite, with latitudes from -90 to 90, received "
                f"{places[is_bad][0].tolist()} ({is_bad.sum()} such rows)"
            )
    return float(np.mean(haversine_km(target, prediction)))
