"""Gradient-boosted trees: XGBoost and LightGBM behind one signature, all chance fixed."""

import lightgbm
import numpy as np
import pandas as pd
import xgboost

from common.checks import check_positive, check_same_length
from common.training.fitted import Fitted


def fit_xgboost(
    table: pd.DataFrame,
    target: np.ndarray,
    *,
    rounds: int,
    learning_rate: float,
    max_depth: int,
    seed: int,
    threads: int,
    min_child_weight: float = 1.0,
    subsample: float = 1.0,
    colsample: float = 1.0,
) -> Fitted:
    """Fit XGBoost on squared error.

    Args:
        table: (N, D) numeric and category columns; the levels of a category column must be fixed
            beforehand.
        target: (N,).
        rounds: trees.
        learning_rate: shrinkage of each tree, > 0.
        max_depth: of a tree.
        seed: of the row and column samples.
        threads: fixed, since sums depend on it.
        min_child_weight: least rows in a leaf.
        subsample: share of rows for each tree, in (0, 1].
        colsample: share of columns for each tree, in (0, 1].

    Returns:
        `predict` takes an (M, D) table with the same columns and returns (M,).

    Raises:
        ValueError: lengths differ, or rounds is not positive.

    Source: Chen and Guestrin, "XGBoost: A Scalable Tree Boosting System", 2016.
    """
    check_same_length(table=table, target=target)
    check_positive("rounds", rounds)
    params = {
        "eta": learning_rate,
        "max_depth": max_depth,
        "min_child_weight": min_child_weight,
        "subsample": subsample,
        "colsample_bytree": colsample,
        "seed": seed,
        "nthread": threads,
        "tree_method": "hist",
        "verbosity": 1,
    }
    data = xgboost.DMatrix(table, target, enable_categorical=True, nthread=threads)
    booster = xgboost.train(params, data, num_boost_round=rounds)

    def predict(rows: pd.DataFrame) -> np.ndarray:
        return booster.predict(xgboost.DMatrix(rows, enable_categorical=True, nthread=threads))

    n_leaves = sum(tree.count("leaf=") for tree in booster.get_dump())
    return Fitted(predict, n_leaves, booster.get_score(importance_type="total_gain"))


def fit_lightgbm(
    table: pd.DataFrame,
    target: np.ndarray,
    *,
    rounds: int,
    learning_rate: float,
    num_leaves: int,
    seed: int,
    threads: int,
    min_data_in_leaf: int = 20,
    subsample: float = 1.0,
    colsample: float = 1.0,
) -> Fitted:
    """Fit LightGBM on squared error.

    Args:
        table: (N, D) numeric and category columns.
        target: (N,).
        rounds: trees.
        learning_rate: shrinkage of each tree, > 0.
        num_leaves: most leaves in a tree, which grows leaf by leaf.
        seed: of the row and column samples.
        threads: fixed, since sums depend on it.
        min_data_in_leaf: least rows in a leaf.
        subsample: share of rows, drawn anew for every tree, in (0, 1].
        colsample: share of columns for each tree, in (0, 1].

    Returns:
        `predict` takes an (M, D) table with the same columns and returns (M,).

    Raises:
        ValueError: lengths differ, or rounds is not positive.

    Source: Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", 2017.
    """
    check_same_length(table=table, target=target)
    check_positive("rounds", rounds)
    params = {
        "objective": "l2",
        "learning_rate": learning_rate,
        "num_leaves": num_leaves,
        "min_data_in_leaf": min_data_in_leaf,
        "bagging_fraction": subsample,
        "bagging_freq": 1 if subsample < 1 else 0,
        "feature_fraction": colsample,
        "seed": seed,
        "num_threads": threads,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    booster = lightgbm.train(params, lightgbm.Dataset(table, target), rounds)
    n_leaves = sum(tree["num_leaves"] for tree in booster.dump_model()["tree_info"])
    columns = list(table.columns)

    def predict(rows: pd.DataFrame) -> np.ndarray:
        # LightGBM itself goes by position, whatever the names are.
        return np.asarray(booster.predict(rows[columns], num_threads=threads))

    gains = dict(zip(columns, booster.feature_importance("gain").tolist(), strict=True))
    return Fitted(predict, n_leaves, gains)
