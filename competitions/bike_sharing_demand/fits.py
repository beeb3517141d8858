"""The models: each fits log(1 + count) on given rows and predicts it for others.

A squared error on that scale is the competition's RMSLE. All have one signature, so that
`cross_fit` can run any: (features (n, D), counts (n rows with Kaggle's count columns, NaN in the
test), config, fit_rows (m,) int, seed) -> Fitted, whose `predict` takes row numbers and returns
log(1 + count), (rows,).
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

from common.features.categories import count_codes
from common.features.encoder import learn_encoder
from common.seeds import derive, set_all
from common.training.boosting import fit_lightgbm, fit_xgboost
from common.training.fitted import Fitted
from competitions.bike_sharing_demand.competition import Config
from competitions.bike_sharing_demand.features import make_design

TREE_COLUMNS = [
    "hour",
    "weekday",
    "month",
    "n_days",
    "hour_kind",
    "works_yesterday",
    "works_tomorrow",
    "temp",
    "humidity",
    "windspeed",
    "recent_weather",
    "next_weather",
    "storm",
]
CATEGORIES = ["hour", "weekday", "month", "hour_of_week", "hour_kind", "day_kind"]
NUMBERS = [
    "n_days",
    "year_sine",
    "year_cosine",
    "works_yesterday",
    "works_tomorrow",
    "temp",
    "heat",
    "humidity",
    "windspeed",
    "recent_weather",
    "next_weather",
    "rain_share",
    "storm",
]


def fit_median(
    features: pd.DataFrame, counts: pd.DataFrame, config: Config, fit_rows: np.ndarray, seed: int
) -> Fitted:
    """Take the median count of each hour of a working and of a free day."""
    key = features["hour_kind"]
    medians = _log(counts["count"]).iloc[fit_rows].groupby(key.iloc[fit_rows]).median()
    return Fitted(
        lambda rows: key.iloc[rows].map(medians).fillna(medians.median()).to_numpy(), len(medians)
    )


def fit_linear(
    features: pd.DataFrame, counts: pd.DataFrame, config: Config, fit_rows: np.ndarray, seed: int
) -> Fitted:
    """Fit a ridge on the columns of `make_design`."""
    design, target = make_design(features), _log(counts["count"]).to_numpy()
    ridge = Ridge(config.ridge).fit(design[fit_rows], target[fit_rows])
    return Fitted(lambda rows: ridge.predict(design[rows]), design.shape[1] + 1)


def fit_trees(
    features: pd.DataFrame,
    counts: pd.DataFrame,
    config: Config,
    fit_rows: np.ndarray,
    seed: int,
    *,
    library: str = "xgboost",
    column: str = "count",
) -> Fitted:
    """Fit boosted trees with a fixed number of rounds, so that no held-out row stops them."""
    table = features[TREE_COLUMNS]
    rows, target = table.iloc[fit_rows], _log(counts[column]).to_numpy()[fit_rows]
    fit = (
        partial(fit_xgboost, max_depth=5, min_child_weight=5)
        if library == "xgboost"
        else partial(fit_lightgbm, num_leaves=24, min_data_in_leaf=10)
    )
    fitted = fit(
        rows,
        target,
        rounds=config.rounds,
        learning_rate=0.03,
        subsample=0.7,
        colsample=0.6,
        seed=seed,
        threads=config.threads,
    )
    return Fitted(lambda rows: fitted.predict(table.iloc[rows]), fitted.n_parameters)


def fit_casual_registered(
    features: pd.DataFrame, counts: pd.DataFrame, config: Config, fit_rows: np.ndarray, seed: int
) -> Fitted:
    """Model casual and registered riders apart, whose clocks differ, and add them up."""
    parts = [
        fit_trees(features, counts, config, fit_rows, derive(seed, column), column=column)
        for column in ("casual", "registered")
    ]

    def predict(rows: np.ndarray) -> np.ndarray:
        return np.log1p(sum(np.expm1(part.predict(rows)).clip(0) for part in parts))

    return Fitted(predict, sum(part.n_parameters for part in parts))


def fit_embedding(
    features: pd.DataFrame, counts: pd.DataFrame, config: Config, fit_rows: np.ndarray, seed: int
) -> Fitted:
    """Fit entity-embedding nets and average them; levels and scales are the fit rows' own."""
    # TensorFlow takes seconds to import, in every worker; all other models do without it.
    from common.nets.entity_embedding import build_entity_embedding, fill_unseen
    from common.training.fit import fit_net, predict_net

    table = features[CATEGORIES + NUMBERS]
    encoder = learn_encoder(table.iloc[fit_rows], CATEGORIES)
    inputs = encoder.encode(table.iloc[fit_rows])
    target = _log(counts["count"]).to_numpy()[fit_rows]
    level, nets = target.mean(), []
    for k in range(config.n_nets):
        net_seed = derive(seed, f"net {k}")
        set_all(net_seed)
        net = build_entity_embedding(
            count_codes(encoder.levels),
            inputs["numbers"].shape[1],
            hidden=(128, 64),
            dropout=0.1,
            embedding_dropout=0.1,
        )
        fit_net(
            net,
            inputs,
            (target - level).astype(np.float32),
            epochs=config.epochs,
            batch_size=128,
            learning_rate=3e-3,
            weight_decay=1e-4,
            seed=net_seed,
        )
        fill_unseen(net)
        nets.append(net)

    def predict(rows: np.ndarray) -> np.ndarray:
        inputs = encoder.encode(table.iloc[rows])
        return level + np.mean([predict_net(net, inputs) for net in nets], axis=0)

    return Fitted(predict, sum(net.count_params() for net in nets))


FITS: dict[str, Callable[..., Fitted]] = {
    "median": fit_median,
    "linear": fit_linear,
    "xgboost": fit_trees,
    "lightgbm": partial(fit_trees, library="lightgbm"),
    "embedding": fit_embedding,
    "casual_registered": fit_casual_registered,
}


def _log(counts: pd.Series) -> pd.Series:
    return np.log1p(counts)
