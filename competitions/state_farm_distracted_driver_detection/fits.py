"""The models: each fits what drivers do in given frames and answers for others.

All have one signature, so that `cross_fit` can run any: (known, config, fit_rows (m,) int, seed) ->
Fitted, whose `predict` takes row numbers and returns probabilities, (rows, C); nets answer for
several views, and tell where frames lie: see `nets.fit_net`.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from common.training.fitted import Fitted
from common.training.linear_probe import fit_linear_probe
from common.training.pseudo_labels import PseudoLabels
from competitions.state_farm_distracted_driver_detection.competition import CLASSES, Config
from competitions.state_farm_distracted_driver_detection.known import Known

NETS = ("cnn", "cnn_large", "resnet")
ON_FROZEN = ("features_logistic", "knn_only")
OF_FRAMES = {"backbone", "height_px", "width_px", "threads"}
SETTINGS_OF = {
    "features_logistic": OF_FRAMES,
    "knn_only": OF_FRAMES | {"n_voters"},
    "cnn": OF_FRAMES | {"batch_size", "steps"},
    "cnn_large": OF_FRAMES | {"batch_size", "steps"},
    "resnet": OF_FRAMES | {"batch_size", "scratch_steps"},
}
"""What each fit is given: only where one of these differs is it another fit."""
ENLARGED = 3  # sides of frames for the net as it came, as a multiple: Lite0 learnt from 224 pixels
INVERSE_PENALTY = 1e-3  # of the logistic regression, on features of unit variance


def fit_features_logistic(known: Known, config: Config, fit_rows: np.ndarray, seed: int) -> Fitted:
    """Learn what the features of a net mean that was trained on other pictures."""
    probe = fit_linear_probe(
        known.frozen[fit_rows],
        known.frames.label[fit_rows],
        n_classes=len(CLASSES),
        inverse_penalty=INVERSE_PENALTY,
    )
    return replace(probe, predict=lambda asked: probe.predict(known.frozen[asked]))


def fit_knn_only(known: Known, config: Config, fit_rows: np.ndarray, seed: int) -> Fitted:
    """Let the nearest frames of other drivers vote, in the space of the same features."""
    # TensorFlow takes seconds to import, in every worker.
    from common.neighbors.knn import NearestNeighbors, vote

    nearest = NearestNeighbors(config.n_voters, metric="cosine").fit(known.frozen[fit_rows])
    labels = known.frames.label[fit_rows]

    def predict(asked: np.ndarray) -> np.ndarray:
        distances, indices = nearest.kneighbors(known.frozen[asked])
        return vote(labels, distances, indices, n_classes=len(CLASSES))

    return Fitted(predict, known.frozen[fit_rows].size)


def fit_net(
    known: Known,
    config: Config,
    fit_rows: np.ndarray,
    seed: int,
    *,
    name: str,
    labelled: PseudoLabels | None = None,
) -> Fitted:
    """Fit one of the nets."""
    from competitions.state_farm_distracted_driver_detection import nets

    return nets.fit_net(known, config, fit_rows, seed, name=name, labelled=labelled)


FITS: dict[str, Callable[..., Fitted]] = {
    "features_logistic": fit_features_logistic,
    "knn_only": fit_knn_only,
    "cnn": partial(fit_net, name="cnn"),
    "cnn_large": partial(fit_net, name="cnn_large"),
    "resnet": partial(fit_net, name="resnet"),
}
