"""What every model learns from: features and target of the rows that it is fitted on."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from common.checks import InputError
from common.training.fitted import Fitted
from competitions.rossmann_store_sales.competition import Config
from competitions.rossmann_store_sales.features import make_features
from competitions.rossmann_store_sales.store_days import StoreDays

BASELINE = "mean_all"
"""The store's mean log sales on days with the same weekday and promo, known at the origin."""

ALL_YEAR = (1, 12)  # months


class Learnt(NamedTuple):
    """What a fit learns from, and how to make the same of other rows.

    Attributes:
        features: (n, D) of the fit rows that have a past.
        target: (n,) float32 log sales, without the baseline where `ratio` says so.
        rows: (n,) which they are.
        make: rows (m,) -> their features (m, D).
        ratio: as in the config.
    """

    features: pd.DataFrame
    target: np.ndarray
    rows: np.ndarray
    make: Callable[[np.ndarray], pd.DataFrame]
    ratio: bool

    @classmethod
    def of(
        cls,
        known: StoreDays,
        config: Config,
        fit_rows: np.ndarray,
        *,
        months: tuple[int, int] = ALL_YEAR,
        without: tuple[str, ...] = ("year_wave",),
    ) -> "Learnt":
        """Choose rows and columns as the config says, and make features and target of them.

        Args:
            known: everything.
            config: a variant's settings.
            fit_rows: (m,) rows that may be learnt from, closed days among them.
            months: the first and the last that are learnt from.
            without: features that this model does not take.

        Raises:
            InputError: `config.without` names a feature that is needed.
        """
        month = known.dates.month.to_numpy()[known.grid.day[fit_rows]]
        is_chosen = is_learnt_from(known, config)[fit_rows]
        is_chosen &= (months[0] <= month) & (month <= months[1])
        rows = fit_rows[is_chosen]
        features = make_features(known, fit_rows=fit_rows, rows=rows)
        residual = np.log(known.days["Sales"].to_numpy()[rows]) - features[BASELINE].to_numpy()
        keep = np.isfinite(residual) & (np.abs(residual) < config.outlier)
        target = residual if config.ratio else residual + features[BASELINE].to_numpy()
        columns = _choose_columns(features, config, without)

        def make(rows: np.ndarray) -> pd.DataFrame:
            return make_features(known, fit_rows=fit_rows, rows=rows)[columns]

        target = target[keep].astype(np.float32)
        return cls(features.loc[keep, columns], target, rows[keep], make, config.ratio)

    def finish(self, predict: Callable[[pd.DataFrame], np.ndarray], n_parameters: int) -> Fitted:
        """Put the baseline back; a store without a past is taken for one in the middle."""
        middle = self.features[BASELINE].median()

        def predict_rows(rows: np.ndarray) -> np.ndarray:
            features = self.make(rows)
            predicted = np.asarray(predict(features), dtype=float)
            baseline = features[BASELINE].fillna(middle).to_numpy()
            return predicted + baseline if self.ratio else predicted

        return Fitted(predict_rows, n_parameters)


def is_learnt_from(known: StoreDays, config: Config) -> np.ndarray:
    """Tell which rows have sales and a store that the config takes: (n,) bool."""
    is_taken = known.days["Sales"].to_numpy() > 0
    if config.n_stores:
        is_taken &= np.isin(known.grid.series, choose_stores(known, config.n_stores))
    return is_taken


def choose_stores(known: StoreDays, n_stores: int) -> np.ndarray:
    """Choose stores evenly among those that the test asks for; 0 takes all of these.

    Args:
        known: everything.
        n_stores: how many, >= 0.

    Returns:
        (min(n_stores, all),) int, their places in a grid.
    """
    asked = known.asked
    if not n_stores or n_stores >= len(asked):
        return asked
    return asked[np.linspace(0, len(asked) - 1, n_stores).round().astype(int)]


def _choose_columns(features: pd.DataFrame, config: Config, without: tuple[str, ...]) -> list[str]:
    """List the features to keep; one that no row has a value of says nothing."""
    left_out = config.without + without
    columns = [
        name
        for name in features.columns[features.notna().any()]
        if not any(name == group or name.startswith(f"{group}_") for group in left_out)
    ]
    needed = (BASELINE, "store", "month") if config.target_means else (BASELINE,)
    if lost := [name for name in needed if name not in columns]:
        raise InputError(f"without must leave {lost[0]}, received {', '.join(config.without)}")
    return columns
