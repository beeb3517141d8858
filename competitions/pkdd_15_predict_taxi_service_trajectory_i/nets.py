"""The winners' net, the same without clusters, and a recurrent one."""

from collections.abc import Mapping
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

from common.features.categories import count_codes
from common.features.encoder import Encoder, learn_encoder
from common.losses.distance import mean_distance
from common.neighbors.mean_shift import MeanShift
from common.nets.cluster_softmax import ClusterSoftmax
from common.nets.entity_embedding import build_stem, fill_unseen
from common.seeds import set_all
from common.training.fit import fit_net, predict_net
from common.training.fitted import Fitted
from competitions.pkdd_15_predict_taxi_service_trajectory_i.competition import Config
from competitions.pkdd_15_predict_taxi_service_trajectory_i.features import (
    CATEGORIES,
    N_ROUTE,
    Rows,
)

EMBEDDING_DIMS = 10
ROUTE_KM = 5.0  # what is 1 to the recurrent layer: about a standard deviation


class Settings(NamedTuple):
    """What a net is made of, and how it is trained: the best of as many tries for each net."""

    clusters: bool  # a softmax over centres, or a linear output
    recurrent: bool  # whether it reads the route
    learning_rate: float  # the highest
    weight_decay: float  # as a share of the rate
    dropout: float  # share of hidden units dropped


SETTINGS = {
    "regression_mlp": Settings(False, False, 9e-3, 0.01, 0.25),
    "mean_shift_mlp": Settings(True, False, 3e-3, 0.25, 0.25),
    "mean_shift_rnn": Settings(True, True, 3e-3, 0.25, 0.25),
}


def fit_place_net(
    rows: Rows, config: Config, fit_rows: np.ndarray, seed: int, *, name: str
) -> Fitted:
    """Fit a net; levels, scales and centres are the fit rows' own.

    Args:
        rows: of all prefixes.
        config: sizes and epochs.
        fit_rows: (m,) int, rows to learn from.
        seed: of weights and shuffling.
        name: a key of SETTINGS.
    """
    settings = SETTINGS[name]
    encoder = learn_encoder(rows.table.iloc[fit_rows], CATEGORIES)
    inputs = _make_inputs(rows, encoder, fit_rows, settings)
    set_all(seed)
    n_numbers = inputs["numbers"].shape[1]
    net = build_net(encoder, n_numbers, find_destinations(rows, fit_rows), config, settings)
    fit_net(
        net,
        inputs,
        rows.target[fit_rows].astype(np.float32),
        loss=mean_distance,
        epochs=int(np.clip(config.max_seen // len(fit_rows), 1, config.epochs)),
        batch_size=200,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        seed=seed,
    )
    fill_unseen(net, codes=inputs["codes"])

    def predict(asked: np.ndarray) -> np.ndarray:
        return predict_net(net, _make_inputs(rows, encoder, asked, settings))

    return Fitted(predict, net.count_params())


def find_destinations(rows: Rows, fit_rows: np.ndarray) -> np.ndarray:
    """Take the target of every trip once, however many rows it has: (T, 2) km."""
    _, first = np.unique(rows.trip[fit_rows], return_index=True)
    return rows.target[fit_rows[first]]


def find_centres(destinations: np.ndarray, *, bandwidth_km: float) -> tuple[np.ndarray, np.ndarray]:
    """Find where many trips end: (K, 2) km, and (K,) how many do."""
    found = MeanShift(bandwidth_km, kernel="flat", seeding="grid").fit(destinations)
    n_members = np.bincount(found.labels_, minlength=len(found.cluster_centers_))
    return found.cluster_centers_[n_members > 0], n_members[n_members > 0]


def build_net(
    encoder: Encoder,
    n_numbers: int,
    destinations: np.ndarray,
    config: Config,
    settings: Settings,
) -> keras.Model:
    """Build one hidden layer over embeddings, numbers and perhaps a route, to a place.

    Args:
        encoder: of the fit rows.
        n_numbers: how many it makes of a row, with the flags of missing ones.
        destinations: (T, 2) km, of the fit rows' trips.
        config: sizes.
        settings: of the net.
    """
    inputs, x = build_stem(
        count_codes(encoder.levels),
        n_numbers,
        embedding_dropout=config.embedding_dropout,
        dims=[EMBEDDING_DIMS] * len(encoder.levels),
    )
    if settings.recurrent:
        inputs["route"] = layers.Input((N_ROUTE, 2), name="route")
        read = layers.Bidirectional(layers.GRU(config.units))(inputs["route"])  # (B, 2 units)
        x = layers.Concatenate()([x, read])
    x = layers.Dense(config.hidden, activation="relu")(x)
    x = layers.Dropout(settings.dropout)(x)
    if settings.clusters:
        centres, shares = find_centres(destinations, bandwidth_km=config.bandwidth_km)
        return keras.Model(inputs, ClusterSoftmax(centres, shares=shares)(x))
    # It begins at the middle of the city, and 1 is a standard deviation.
    mean, scale = destinations.mean(axis=0), destinations.std(axis=0)
    return keras.Model(inputs, layers.Rescaling(scale, offset=mean)(layers.Dense(2)(x)))


def _make_inputs(
    rows: Rows, encoder: Encoder, asked: np.ndarray, settings: Settings
) -> Mapping[str, np.ndarray]:
    inputs = encoder.encode(rows.table.iloc[asked])
    return inputs | {"route": rows.route[asked] / ROUTE_KM} if settings.recurrent else inputs
