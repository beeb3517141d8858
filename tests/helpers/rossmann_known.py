"""Seven of Rossmann's stores with more than two years, and the rows that fits are shown."""

from pathlib import Path

import numpy as np

from competitions.rossmann_store_sales.competition import Config
from competitions.rossmann_store_sales.store_days import StoreDays
from tests.helpers.rossmann import make_tables

HORIZON = 28
NEW, STRANGE_STORE, STRANGE_DAY = 5, 4, 700
"""A store without a train day; a store and its day on which it sold 20 times as much."""
TINY = Config(rounds=10, epochs=1, n_nets=1, hidden=(8,), batch_size=256, r_rows=300, r_trees=5)


def load_known(folder: Path) -> StoreDays:
    """Write the tables into a folder and load them; every feature has values."""
    tables = make_tables(7, 800, HORIZON)
    train = tables.train[tables.train["Store"] != NEW]
    day = (train["Date"] - train["Date"].min()).dt.days
    is_strange = (train["Store"] == STRANGE_STORE) & (day == STRANGE_DAY)
    assert train.loc[is_strange, "Sales"].gt(0).all() and is_strange.sum() == 1
    tables.train = train.assign(Sales=train["Sales"] * np.where(is_strange, 20, 1))
    return tables.load(folder)


def find_fit_rows(known: StoreDays) -> np.ndarray:
    """All days before the last four weeks of train."""
    return np.flatnonzero(known.grid.day < known.n_train_days - HORIZON)


def find_held_rows(known: StoreDays) -> np.ndarray:
    """The last four weeks of train, closed days too."""
    start = known.n_train_days - HORIZON
    return np.flatnonzero((known.grid.day >= start) & ~known.is_test)
