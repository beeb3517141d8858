"""What follows a fit, pool by pool: the views and the neighbours of held frames, of the test's."""

from collections.abc import Iterator, Sequence

import numpy as np

from common.inference.tta import mean_views
from common.training.cross_fit import CrossFitted
from competitions.state_farm_distracted_driver_detection.competition import CLASSES, Config
from competitions.state_farm_distracted_driver_detection.nets import N_DIMS, OTHER_NORMS, VIEWS
from competitions.state_farm_distracted_driver_detection.smoothing import (
    CANDIDATES,
    find_neighbours,
    smooth,
)


def smooth_held(fitted: CrossFitted, thumbnails: np.ndarray, config: Config) -> np.ndarray:
    """Smooth every fold's held frames among themselves: (R, n_held, C), for R candidates.

    Args:
        fitted: of n frames.
        thumbnails: (n, D) of them.
        config: what follows a fit.
    """
    held = np.flatnonzero(fitted.fold >= 0)
    fold = fitted.fold[held]
    found = np.empty((count_candidates(config), len(held), len(CLASSES)))
    for k in np.unique(fold):
        rows = held[fold == k]
        found[:, fold == k] = smooth_pool(fitted.prediction[rows], thumbnails[rows], config)
    return found


def smooth_test(
    fitted: Sequence[CrossFitted], thumbnails: np.ndarray, config: Config
) -> Iterator[list[np.ndarray]]:
    """Smooth the test's frames, by fold: (R, n_test, C) of each model.

    Args:
        fitted: of every model.
        thumbnails: (n_test, D) of the test's frames.
        config: what follows a fit.
    """
    for k in range(len(fitted[0].test)):
        yield [smooth_pool(part.test[k], thumbnails, config) for part in fitted]


def smooth_pool(
    prediction: np.ndarray,
    thumbnails: np.ndarray,
    config: Config,
    candidates: Sequence[tuple[float, int]] = CANDIDATES,
) -> np.ndarray:
    """Make of one fit's prediction for a pool of frames what there is to choose from.

    Args:
        prediction: (n, C), or as nets give it: see `nets.fit_net`.
        thumbnails: (n, D) of the same frames.
        config: what follows a fit.
        candidates: R pairs of bandwidth and passes.

    Returns:
        (R, n, C), or (1, n, C) where neighbours are not looked at.
    """
    probabilities, features = prediction, prediction[:, :0]
    if prediction.shape[1] > len(CLASSES):
        features = prediction[:, -N_DIMS:]
        answers = prediction[:, :-N_DIMS].reshape(len(prediction), -1, len(CLASSES))
        views, by_norms = answers[:, : len(VIEWS)], answers[:, len(VIEWS) :]
        probabilities = mean_views(views) if "views" in config.after else answers[:, 0]
        if config.norms != "pool":
            probabilities = by_norms[:, OTHER_NORMS.index(config.norms)]
    if "neighbours" not in config.after:
        return probabilities[None]
    coordinates = {"features": features, "pixels": thumbnails}
    spaces = [coordinates[name] for name in config.spaces if coordinates[name].shape[1]]
    near = find_neighbours(spaces, n_neighbors=config.n_neighbors)
    return np.stack(
        [
            smooth(probabilities, near, bandwidth=bandwidth, passes=passes)
            for bandwidth, passes in candidates
        ]
    )


def count_candidates(config: Config) -> int:
    """Count what `smooth_pool` makes of a prediction."""
    return len(CANDIDATES) if "neighbours" in config.after else 1
