"""The fits: pretrained features under a simple model, and nets.

Each predicts every view of a picture: (n, V, C) probabilities, which the pipeline averages.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import keras
import numpy as np

from common.inference.tta import flip, identity, predict_views, turn
from common.neighbors.knn import NearestNeighbors, vote
from common.seeds import set_all
from common.training.fine_tuning import make_predict
from common.training.fitted import Fitted
from common.training.linear_probe import fit_linear_probe
from common.training.pseudo_labels import PseudoLabels
from competitions.plant_seedlings_classification.competition import SPECIES, Config
from competitions.plant_seedlings_classification.nets import (
    SETTINGS,
    build_pretrained,
    make_maps,
    see,
    train_net,
    train_upper,
)
from competitions.plant_seedlings_classification.plants import Plants

VIEWS = (
    identity(),
    flip("horizontal"),
    flip("vertical"),
    *(turn(quarters) for quarters in (1, 2, 3)),
)
"""Seedlings are seen from above: no side is up."""

N_CLASSES = len(SPECIES)
INVERSE_PENALTY = 0.01  # of the logistic regression, on features of unit variance


def make_features(plants: Plants, config: Config) -> np.ndarray:
    """Look at every view of every picture with the pretrained net as it is.

    Nothing is learnt, so all folds share them.

    Returns:
        (n, V, D) float16, the head's maps averaged over the picture.
    """
    set_all(0)  # The tiny net has random weights.
    body = build_pretrained(config).model
    pooled = keras.layers.GlobalAveragePooling2D()(body.output)
    predict = make_predict(keras.Model(body.input, pooled), dtype=np.float16)
    return predict_views(predict, plants.pictures, VIEWS)


def fit_features_logistic(
    features: np.ndarray, plants: Plants, config: Config, fit_rows: np.ndarray, seed: int
) -> Fitted:
    """Fit a linear softmax on pretrained features of all views.

    Args:
        features: (n, V, D).
        plants: all pictures.
        config: not used.
        fit_rows: (m,) int, rows to learn from.
        seed: not used: the answer is the one least loss.
    """
    n_views, n_dims = features.shape[1:]
    probe = fit_linear_probe(
        features[fit_rows].reshape(-1, n_dims),
        np.repeat(plants.label[fit_rows], n_views),
        n_classes=N_CLASSES,
        inverse_penalty=INVERSE_PENALTY,
    )

    def predict(rows: np.ndarray) -> np.ndarray:
        return probe.predict(features[rows].reshape(-1, n_dims)).reshape(-1, n_views, N_CLASSES)

    return replace(probe, predict=predict)


def fit_features_knn(
    features: np.ndarray, plants: Plants, config: Config, fit_rows: np.ndarray, seed: int
) -> Fitted:
    """Let the nearest pictures vote, by the cosine of pretrained features, nearer ones more.

    Features count from their mean. In the base, a picture is the mean of its views at unit length,
    so that it has one vote; each view that is asked for has neighbours of its own.

    Args:
        features: (n, V, D).
        plants: all pictures.
        config: for the number of neighbours.
        fit_rows: (m,) int, rows to learn from.
        seed: not used: nothing is drawn.
    """
    n_views, n_dims = features.shape[1:]
    views = features[fit_rows].astype(np.float32)
    mean = views.mean(axis=(0, 1))
    views -= mean
    base = (views / np.linalg.norm(views, axis=2, keepdims=True)).mean(axis=1)
    search = NearestNeighbors(config.n_neighbors, metric="cosine").fit(base)

    def predict(rows: np.ndarray) -> np.ndarray:
        asked = features[rows].astype(np.float32).reshape(-1, n_dims) - mean
        distances, found = search.kneighbors(asked)
        shares = vote(
            plants.label[fit_rows], distances, found, n_classes=N_CLASSES, weights="distance"
        )
        return shares.reshape(len(rows), n_views, N_CLASSES)

    return Fitted(predict, base.size)


def fit_finetune_upper(
    maps: np.ndarray, plants: Plants, config: Config, fit_rows: np.ndarray, seed: int
) -> Fitted:
    """Train the upper stages of the pretrained net on kept maps, as `nets.train_upper` does."""
    net = train_upper(maps, plants, config, fit_rows, seed)
    predict_one = make_predict(net)

    def predict(asked: np.ndarray) -> np.ndarray:
        flat = maps[asked].reshape(-1, *maps.shape[2:])
        return predict_one(flat).reshape(len(asked), -1, N_CLASSES)

    return Fitted(predict, net.count_params())


def fit_net(
    plants: Plants,
    config: Config,
    fit_rows: np.ndarray,
    seed: int,
    *,
    name: str,
    labelled: PseudoLabels | None = None,
) -> Fitted:
    """Train a net, as `nets.train_net` does, to predict all views."""
    net = train_net(plants, config, fit_rows, seed, name=name, labelled=labelled)
    predict_one = make_predict(net)

    def predict(asked: np.ndarray) -> np.ndarray:
        return predict_views(predict_one, see(plants.pictures[asked], config, name), VIEWS)

    return Fitted(predict, net.count_params())


FEATURE_FITS: dict[str, Callable[..., Fitted]] = {
    "features_logistic": fit_features_logistic,
    "features_knn": fit_features_knn,
    "finetune_upper": fit_finetune_upper,
}
MADE_OF = {"features_logistic": "features", "features_knn": "features", "finetune_upper": "maps"}
MAKE: dict[str, Callable[[Plants, Config], np.ndarray]] = {
    "features": make_features,
    "maps": partial(make_maps, views=VIEWS),
}
"""What fits are made of that all folds share."""

NET_FITS: dict[str, Callable[..., Fitted]] = {
    name: partial(fit_net, name=name) for name in SETTINGS
}
