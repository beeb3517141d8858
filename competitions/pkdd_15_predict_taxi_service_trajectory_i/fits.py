"""The models: each fits where trips end on given rows and predicts it for others.

All have one signature, so that `cross_fit` can run any: (rows, config, fit_rows (m,) int, seed) ->
Fitted, whose `predict` takes row numbers and returns km on the map, (rows, 2).
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from common.training.fitted import Fitted
from competitions.pkdd_15_predict_taxi_service_trajectory_i.competition import Config
from competitions.pkdd_15_predict_taxi_service_trajectory_i.features import N_ENDS, Rows

START_WEIGHT, HEADING_WEIGHT = 0.3, 1.0  # of km, against those of the last point


def fit_last_point(rows: Rows, config: Config, fit_rows: np.ndarray, seed: int) -> Fitted:
    """Say that the trip ends where it is."""
    return Fitted(lambda asked: rows.route[asked, -1], 1)


def fit_knn_prefix(rows: Rows, config: Config, fit_rows: np.ndarray, seed: int) -> Fitted:
    """Average where trips ended that were in the same place, with the same heading and start."""
    # TensorFlow takes seconds to import, in every worker.
    from common.neighbors.knn import NearestNeighbors, average

    places = place_prefixes(rows)
    nearest = NearestNeighbors(min(config.n_neighbors, len(fit_rows))).fit(places[fit_rows])

    def predict(asked: np.ndarray) -> np.ndarray:
        distances, indices = nearest.kneighbors(places[asked])
        return average(rows.target[fit_rows], distances, indices, weights="distance")

    return Fitted(predict, places.shape[1] * len(fit_rows))


def place_prefixes(rows: Rows) -> np.ndarray:
    """Place prefixes so that those which go on alike are near: (n, 6) float32 km."""
    last = rows.table[[f"last{N_ENDS - 1}_x", f"last{N_ENDS - 1}_y"]].to_numpy()
    before = rows.table[["last0_x", "last0_y"]].to_numpy()
    start = rows.table[["first0_x", "first0_y"]].to_numpy()
    return np.hstack([last, HEADING_WEIGHT * (last - before), START_WEIGHT * start])


def fit_net(rows: Rows, config: Config, fit_rows: np.ndarray, seed: int, *, name: str) -> Fitted:
    """Fit one of the nets."""
    from competitions.pkdd_15_predict_taxi_service_trajectory_i.nets import fit_place_net

    return fit_place_net(rows, config, fit_rows, seed, name=name)


FITS: dict[str, Callable[..., Fitted]] = {
    "last_point": fit_last_point,
    "knn_prefix": fit_knn_prefix,
    "regression_mlp": partial(fit_net, name="regression_mlp"),
    "mean_shift_mlp": partial(fit_net, name="mean_shift_mlp"),
    "mean_shift_rnn": partial(fit_net, name="mean_shift_rnn"),
}
