"""Rossmann's features of all rows, and of tables that are altered."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd

from common.features.daily_grid import forecast_blocks
from competitions.rossmann_store_sales.days import HOLIDAYS
from competitions.rossmann_store_sales.features import make_features
from competitions.rossmann_store_sales.store_days import StoreDays


def find_train(known: StoreDays) -> np.ndarray:
    return np.flatnonzero(~known.is_test)


def make(known: StoreDays, fit_rows: np.ndarray | None = None) -> pd.DataFrame:
    """Make the features of all rows; without a warning."""
    fit_rows = find_train(known) if fit_rows is None else fit_rows
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return make_features(known, fit_rows=fit_rows, rows=np.arange(len(known.days)))


def cut_blocks(known: StoreDays, every: int = 3) -> list[tuple[int, int]]:
    """Every third forecast, and the last two, which are the newest window and the test."""
    blocks = forecast_blocks(
        len(known.dates), n_known=known.n_train_days, horizon_days=known.horizon_days
    )
    return [(b.start, b.end) for b in sorted({*blocks[1::every], *blocks[-2:]})]


def alter_sales(known: StoreDays, is_altered: np.ndarray, how: str) -> StoreDays:
    """Multiply, lose or shuffle sales and customers of some rows."""
    rng = np.random.default_rng(5)
    days = known.days.copy()
    for column in ("Sales", "Customers"):
        values = days.loc[is_altered, column].to_numpy()
        days.loc[is_altered, column] = {
            "multiplied": lambda v: v * rng.uniform(2, 9, len(v)).astype(np.float32),
            "lost": lambda v: np.full(len(v), np.nan, np.float32),
            "shuffled": rng.permutation,
        }[how](values)
    return replace(known, days=days)


def alter_plans(known: StoreDays, is_altered: np.ndarray, *columns: str) -> StoreDays:
    """Turn some rows' plans around, whatever the weekday, and draw other weather."""
    rng = np.random.default_rng(6)
    days = known.days.copy()
    for column in columns:
        if column == "StateHoliday":
            codes = days[column].cat.codes.to_numpy().copy()
            codes[is_altered] = (codes[is_altered] + 1) % len(HOLIDAYS)
            days[column] = pd.Categorical.from_codes(codes, dtype=days[column].dtype)
        elif column == "Promo":  # all stores have their promos on the same days
            days.loc[is_altered, column] = 1 - days.loc[is_altered, column]
        else:
            days.loc[is_altered, column] = rng.integers(0, 2, int(is_altered.sum()), dtype=np.int8)
    return replace(known, days=days)


def find_moved(before: pd.DataFrame, after: pd.DataFrame) -> np.ndarray:
    """Find the rows that differ: (n,) bool. NaN equals NaN."""
    assert list(before.columns) == list(after.columns)
    return ~((before == after) | (before.isna() & after.isna())).all(axis=1).to_numpy()


def name_moved(before: pd.DataFrame, after: pd.DataFrame, rows: np.ndarray) -> list[str]:
    same = (before == after) | (before.isna() & after.isna())
    return list(same.columns[~same.to_numpy()[rows].all(axis=0)])
