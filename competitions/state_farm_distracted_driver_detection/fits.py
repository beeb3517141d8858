"""The models: each fits what drivers do in given frames and answers for others.

All have one signature, so that `cross_fit` can run any: (known, config, fit_rows (m,) int, seed) ->
Fitted, whose `predict` takes row numbers and returns probabilities, (rows, C); nets answer for
several views, and tell where frames lie: see `nets.fit_net`.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from common.training.fitted import Fitted
from common.training.pseudo_labels import PseudoLabels, pick_labels
from common.validation.folds import Fold
from competitions.state_farm_distracted_driver_detection.competition import CLASSES, Config
from competitions.state_farm_distracted_driver_detection.known import Known

NETS = ("cnn", "cnn_large", "resnet")
ON_FROZEN = ("features_logistic", "knn_only")
INVERSE_PENALTY = 1e-3  # of the logistic regression, on features of unit variance


def fit_features_logistic(known: Known, config: Config, fit_rows: np.ndarray, seed: int) -> Fitted:
    """Learn what the features of a net mean that was trained on other pictures."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=INVERSE_PENALTY, max_iter=300))
    model.fit(known.frozen[fit_rows], known.frames.label[fit_rows])
    classes = model[-1].classes_

    def predict(asked: np.ndarray) -> np.ndarray:
        found = np.zeros((len(asked), len(CLASSES)))
        found[:, classes] = model.predict_proba(known.frozen[asked])
        return found

    return Fitted(predict, model[-1].coef_.size + model[-1].intercept_.size)


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


def fit_net(known: Known, config: Config, fit_rows: np.ndarray, seed: int, *, name: str) -> Fitted:
    """Fit one of the nets."""
    from competitions.state_farm_distracted_driver_detection import nets

    return nets.fit_net(known, config, fit_rows, seed, name=name)


def fit_again(
    known: Known,
    config: Config,
    by_fold: Sequence[PseudoLabels],
    folds: Sequence[Fold],
    fit_rows: np.ndarray,
    seed: int,
    *,
    name: str,
) -> Fitted:
    """Fit a net on what the net before it said of the frames without a label, too."""
    from competitions.state_farm_distracted_driver_detection import nets

    extra = pick_labels(by_fold, folds, fit_rows)
    return nets.fit_net(known, config, fit_rows, seed, name=name, extra=extra)


FITS: dict[str, Callable[..., Fitted]] = {
    "features_logistic": fit_features_logistic,
    "knn_only": fit_knn_only,
    "cnn": partial(fit_net, name="cnn"),
    "cnn_large": partial(fit_net, name="cnn_large"),
    "resnet": partial(fit_net, name="resnet"),
}
