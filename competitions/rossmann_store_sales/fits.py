"""The models: each fits the log of a day's sales on given rows and predicts it for others.

A squared error on that scale is nearly the competition's squared percentage error. All have one
signature, so that `cross_fit` can run any: (known, config, fit_rows (m,) int, seed) -> Fitted,
whose `predict` takes row numbers, none later than the first forecast after the fit rows, and
returns log sales, (rows,).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from common.data.rscript import run_rscript
from common.features.categories import (
    learn_target_means,
    make_codes,
    make_out_of_fold_means,
)
from common.seeds import derive
from common.training.boosting import fit_lightgbm, fit_xgboost
from common.training.fitted import Fitted
from competitions.rossmann_store_sales.competition import Config
from competitions.rossmann_store_sales.learnt import ALL_YEAR, Learnt, is_learnt_from
from competitions.rossmann_store_sales.store_days import StoreDays

BASELINE_R = Path(__file__).with_name("baseline.R")
STORE_MONTH_PRIOR = 20.0  # days
ONE_HOT = ("weekday", "day_of_month", "month", "promo_since_start", "store_type", "assortment")
SUMMER = (5, 9)  # months
N_MEMBERS = 8  # of a TabM


def fit_median(known: StoreDays, config: Config, fit_rows: np.ndarray, seed: int) -> Fitted:
    """Take the median of the store's days with the same weekday and promo."""
    days = known.days
    keys = [days["Store"], days["Date"].dt.day_of_week, days["Promo"]]
    fit_rows = fit_rows[is_learnt_from(known, config)[fit_rows]]
    log_sales = np.log(days["Sales"].iloc[fit_rows])
    medians = log_sales.groupby([key.iloc[fit_rows] for key in keys]).median()
    by_store = log_sales.groupby(days["Store"].iloc[fit_rows]).median()

    def predict(rows: np.ndarray) -> np.ndarray:
        wanted = pd.MultiIndex.from_arrays([key.iloc[rows] for key in keys])
        store = by_store.reindex(days["Store"].iloc[rows]).fillna(by_store.median())
        found = medians.reindex(wanted).to_numpy()
        return np.where(np.isfinite(found), found, store.to_numpy())

    return Fitted(predict, len(medians))


def fit_linear(known: StoreDays, config: Config, fit_rows: np.ndarray, seed: int) -> Fitted:
    """Fit a ridge on all features, some categories as one column a level."""
    learnt = Learnt.of(known, config, fit_rows, without=())
    names = [name for name in ONE_HOT if name in learnt.features]
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32)
    encoder.fit(learnt.features[names])
    scaler = StandardScaler().fit(learnt.features)

    def make_design(features: pd.DataFrame) -> np.ndarray:
        numbers = np.nan_to_num(scaler.transform(features)).astype(np.float32)
        return np.hstack([numbers, encoder.transform(features[names])])

    ridge = Ridge(config.ridge).fit(make_design(learnt.features), learnt.target)
    return learnt.finish(
        lambda features: ridge.predict(make_design(features)), len(ridge.coef_) + 1
    )


def fit_trees(
    known: StoreDays,
    config: Config,
    fit_rows: np.ndarray,
    seed: int,
    *,
    library: str = "xgboost",
    months: tuple[int, int] = ALL_YEAR,
) -> Fitted:
    """Fit boosted trees with a fixed number of rounds, so that no held-out row stops them."""
    learnt = Learnt.of(known, config, fit_rows, months=months)
    if not config.target_means:
        fitted = _boost(library, config, learnt.features, learnt.target, seed)
        return learnt.finish(fitted.predict, fitted.n_parameters)
    features, add = _add_target_means(known, learnt)
    fitted = _boost(library, config, features, learnt.target, seed)
    return learnt.finish(lambda rows: fitted.predict(add(rows)), fitted.n_parameters)


def fit_embedding(known: StoreDays, config: Config, fit_rows: np.ndarray, seed: int) -> Fitted:
    """Fit entity-embedding nets and average them."""
    # TensorFlow takes seconds to import, in every worker; other models do without it.
    from competitions.rossmann_store_sales.nets import fit_nets

    learnt = Learnt.of(known, config, fit_rows)
    last = known.grid.day[learnt.rows] > known.grid.day[fit_rows].max() - known.horizon_days
    nets = fit_nets(learnt.features, learnt.target, config, seed, is_last=last)
    return learnt.finish(nets.predict, nets.n_parameters)


def fit_xgboost_on_embeddings(
    known: StoreDays, config: Config, fit_rows: np.ndarray, seed: int
) -> Fitted:
    """Fit XGBoost with the vectors that an entity-embedding net has learnt beside the features."""
    from competitions.rossmann_store_sales.nets import fit_nets

    learnt = Learnt.of(known, config, fit_rows)
    nets = fit_nets(learnt.features, learnt.target, replace(config, n_nets=1), derive(seed, "net"))
    levels, tables = nets.encoder.levels, nets.make_tables()

    def add_vectors(features: pd.DataFrame) -> pd.DataFrame:
        codes = make_codes(features, levels)
        vectors = np.hstack([tables[name][codes[:, k]] for k, name in enumerate(levels)])
        names = [f"{name}_{d}" for name in levels for d in range(tables[name].shape[1])]
        return features.join(pd.DataFrame(vectors, index=features.index, columns=names))

    trees = _boost("xgboost", config, add_vectors(learnt.features), learnt.target, seed)
    return learnt.finish(
        lambda features: trees.predict(add_vectors(features)),
        trees.n_parameters + nets.n_parameters,
    )


def fit_ranger(known: StoreDays, config: Config, fit_rows: np.ndarray, seed: int) -> Fitted:
    """Fit a random forest in R, on some of the rows; it is grown anew for every prediction."""
    learnt = Learnt.of(known, config, fit_rows)
    rng = np.random.default_rng(seed)
    some = np.sort(rng.permutation(len(learnt.target))[: config.r_rows])
    table = learnt.features.iloc[some].assign(target=learnt.target[some])

    def predict(features: pd.DataFrame) -> np.ndarray:
        # To ranger, seed 0 is none.
        arguments = (str(config.r_trees), str(config.threads), str(max(seed, 1)))
        tables = {"fit": table, "rows": features}
        return run_rscript(BASELINE_R, tables, arguments=arguments)["prediction"].to_numpy()

    return learnt.finish(predict, config.r_trees)


def fit_vectors(
    known: StoreDays, config: Config, fit_rows: np.ndarray, seed: int
) -> dict[str, pd.DataFrame]:
    """Fit one entity-embedding net and take its vectors.

    Returns:
        {category: (its levels, dims)}, the levels as index.
    """
    from competitions.rossmann_store_sales.nets import fit_nets

    learnt = Learnt.of(known, config, fit_rows)
    nets = fit_nets(learnt.features, learnt.target, replace(config, n_nets=1), seed)
    tables = nets.make_tables()
    return {
        name: pd.DataFrame(tables[name][1:], index=levels)
        for name, levels in nets.encoder.levels.items()
    }


def score_gains(known: StoreDays, config: Config, fit_rows: np.ndarray, seed: int) -> pd.Series:
    """Fit XGBoost and sum up how much each feature's splits gain."""
    learnt = Learnt.of(known, config, fit_rows)
    fitted = _boost("xgboost", config, learnt.features, learnt.target, seed)
    return pd.Series(fitted.gains)


def _fit_with(
    fit: Callable[..., Fitted],
    changes: Mapping[str, Any],
    known: StoreDays,
    config: Config,
    fit_rows: np.ndarray,
    seed: int,
) -> Fitted:
    """Fit with some settings changed: a model of its own, which can be blended with the first."""
    return fit(known, replace(config, **changes), fit_rows, seed)


def _add_target_means(
    known: StoreDays, learnt: Learnt
) -> tuple[pd.DataFrame, Callable[[pd.DataFrame], pd.DataFrame]]:
    """Add the target's mean in the store's month, for fit rows out of their own forecast.

    So a fit row does not see itself, but it sees later forecasts, which no test row does.

    Returns:
        The fit rows' features with it, and a function that adds it to others.
    """

    def make_codes_of(features: pd.DataFrame) -> np.ndarray:
        return (12 * features["store"] + features["month"] - 1).to_numpy(int)

    def add(features: pd.DataFrame, means: np.ndarray) -> pd.DataFrame:
        return features.assign(store_month=means)

    codes = make_codes_of(learnt.features)
    block = (known.n_train_days - 1 - known.grid.day[learnt.rows]) // known.horizon_days
    fitted = make_out_of_fold_means(codes, learnt.target, block, prior=STORE_MONTH_PRIOR)
    means = learn_target_means(
        codes, learnt.target, n_codes=12 * len(known.stores), prior=STORE_MONTH_PRIOR
    )
    return add(learnt.features, fitted), lambda features: add(
        features, means[make_codes_of(features)]
    )


FITS: dict[str, Callable[..., Fitted]] = {
    "median": fit_median,
    "linear": fit_linear,
    "xgboost": fit_trees,
    "xgboost_sales": partial(_fit_with, fit_trees, {"ratio": False}),
    "xgboost_summer": partial(fit_trees, months=SUMMER),
    "lightgbm": partial(fit_trees, library="lightgbm"),
    "xgboost_on_embeddings": fit_xgboost_on_embeddings,
    "embedding": fit_embedding,
    "tabm": partial(_fit_with, fit_embedding, {"n_members": N_MEMBERS}),
    "r_ranger": fit_ranger,
}

R_FITS = {"r_ranger": ("ranger", "data.table")}
"""The fits that R makes, and the packages that they load."""


def _boost(
    library: str, config: Config, features: pd.DataFrame, target: np.ndarray, seed: int
) -> Fitted:
    fit = (
        partial(fit_xgboost, max_depth=config.depth, min_child_weight=config.leaf)
        if library == "xgboost"
        else partial(fit_lightgbm, num_leaves=2 ** (config.depth - 1), min_data_in_leaf=config.leaf)
    )
    return fit(
        features,
        target,
        rounds=config.rounds,
        learning_rate=config.tree_rate,
        subsample=config.subsample,
        colsample=config.colsample,
        seed=seed,
        threads=config.threads,
    )
