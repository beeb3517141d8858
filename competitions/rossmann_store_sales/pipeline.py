"""From raw tables to a submission."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from common.checks import InputError, check_choices
from common.contract import LeakCheck, Outcome, OutOfFold, add_costs
from common.data.folds import FoldStore
from common.data.rscript import load_r_versions
from common.ensemble.blend import nonnegative_weights, weighted_mean
from common.metrics.regression import rmspe_factor
from common.seeds import derive
from common.training.cross_fit import cross_fit
from common.training.cross_select import cross_select
from common.validation.folds import Fold, past_folds
from competitions.rossmann_store_sales.competition import METRIC, Config
from competitions.rossmann_store_sales.features import make_features
from competitions.rossmann_store_sales.fits import FITS, R_FITS
from competitions.rossmann_store_sales.history import YEAR
from competitions.rossmann_store_sales.learnt import is_learnt_from
from competitions.rossmann_store_sales.store_days import StoreDays, load_store_days


def run(config: Config, raw: Path, work: Path, seed: int) -> Outcome:
    """Go the whole road, from raw files to a submission.

    Args:
        config: a variant's settings.
        raw: the competition's files.
        work: where finished fits are kept.
        seed: of everything drawn.

    Returns:
        The outcome; its groups are stores, its folds windows as long as the test.

    Raises:
        InputError: a file or a setting is not as it must be.
    """
    check_config(config)

    # 1. Read: test days carry on from train days, so they are one frame; horizons are the test's.
    store = FoldStore(work, raw, code=Path(__file__).parent)
    known = load_store_days(raw)

    # 2. Folds: windows as long as the test, each forecast from the days before it only.
    folds = make_folds(config, known)
    if len(folds) < 2:
        raise InputError(f"windows must be two or more, received {len(folds)}")

    # 3. Fit every model before every window, and once more before the test. Features are made
    # inside the fit, since each origin knows another past.
    fitted = [
        cross_fit(
            partial(FITS[name], known, config),
            folds,
            known.is_test,
            test_from="refit",
            seed=derive(seed, name),
            keep=store.of(
                name,
                config,
                without=("models", "mean", "factor", "windows", "year_ago"),
                versions=load_r_versions(*R_FITS[name]) if name in R_FITS else None,
            ),
            name=name,
        )
        for name in config.models
    ]

    # 4. Blend and scale: what a window gets is chosen on the others.
    logs = np.stack([part.prediction for part in fitted])  # (M, n)
    parts = MEANS[config.mean].of(logs)
    fold = fitted[0].fold
    is_held = (fold >= 0) & ~known.is_test
    sales = known.days["Sales"].to_numpy(float)
    apply = partial(apply_blend, config=config)
    blend = cross_select(
        partial(choose_blend, config=config),
        apply,
        parts[:, is_held],
        sales[is_held],
        groups=fold[is_held],
    )

    # 5. Hand over: closed stores sell nothing.
    is_fitted = is_learnt_from(known, config)
    oof = OutOfFold(
        ids=_name_rows(known, is_held),
        fold=fold[is_held],
        group=known.days["Store"].to_numpy()[is_held],
        target=sales[is_held],
        prediction=blend.prediction,
    )
    test = known.days[known.is_test]
    forecast = np.where(test["Open"] == 1, apply(parts[:, known.is_test], blend.choice), 0)
    submission = pd.DataFrame({"Id": test["Id"], "Sales": forecast}).sort_values("Id")
    return Outcome(
        submission=submission.reset_index(drop=True),
        score=oof.score(METRIC),
        fold_scores=oof.score_folds(METRIC),
        n_fit=tuple(int(is_fitted[folds[k].fit_rows].sum()) for k in np.unique(oof.fold)),
        oof=oof,
        cost=add_costs(part.cost for part in fitted),
        folds_are_windows=True,
    )


def check_config(config: Config) -> None:
    """Check the settings that name something.

    Raises:
        InputError: one names what there is not.
    """
    check_choices("models", config.models, FITS, error=InputError)
    check_choices("mean", config.mean, MEANS, error=InputError)
    check_choices("factor", config.factor, FACTORS, error=InputError)


class Blend(NamedTuple):
    """Weights of models, (M,), and the factor that a squared percentage error rewards."""

    weights: np.ndarray
    factor: float


class Mean(NamedTuple):
    """A mean of sales as a weighted mean of something else: log sales -> that -> sales."""

    of: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray]


MEANS = {
    "geometric": Mean(np.asarray, np.exp),
    "harmonic": Mean(lambda logs: np.exp(-logs), np.reciprocal),
}
FACTORS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "none": lambda sales, mean: 1.0,
    "chosen": rmspe_factor,
    "lognormal": lambda sales, mean: float(np.exp(-1.5 * np.var(np.log(mean / sales)))),
}


def choose_blend(parts: np.ndarray, sales: np.ndarray, *, config: Config) -> Blend:
    """Choose weights, each judged with the factor that goes with it.

    Args:
        parts: (M, n) of held-out rows, what the config's mean is taken of.
        sales: (n,).
        config: names mean and factor. "chosen" is the best factor on these rows; "lognormal" is
            what would be best if errors were log-normal with the spread that they have here.
    """
    back, choose_factor = MEANS[config.mean].back, FACTORS[config.factor]

    def score(target: np.ndarray, part: np.ndarray) -> float:
        mean = back(part)
        return METRIC(target, mean * choose_factor(target, mean))

    weights = nonnegative_weights(parts, sales, score=score)
    return Blend(weights, choose_factor(sales, back(weighted_mean(parts, weights))))


def apply_blend(parts: np.ndarray, blend: Blend, *, config: Config) -> np.ndarray:
    """Predict sales: (M, n) -> (n,)."""
    return MEANS[config.mean].back(weighted_mean(parts, blend.weights)) * blend.factor


def make_folds(config: Config, known: StoreDays) -> list[Fold]:
    """Hold windows of one horizon each; window k ends k - 1 horizons before the test begins.

    Held are the days that are scored, of the stores that the test asks for. Fit rows are all days
    before the window. Windows are named, not drawn: the two latest, which know the longest past,
    and the two in which the test's days lie a year earlier.

    Raises:
        InputError: a window has no day to hold or none before it.
    """
    horizon = known.horizon_days
    window = (known.n_train_days - 1 - known.grid.day) // horizon + 1
    can_hold = is_learnt_from(known, config) & np.isin(known.grid.series, known.asked)
    held = np.unique(window[can_hold & (window < window.max())])
    year_ago = -(-YEAR // horizon)
    windows = {*config.windows, *((year_ago - 1, year_ago) if config.year_ago else ())}
    if not windows or not windows <= set(held):
        raise InputError(
            "windows must have days to hold and days before them, as have "
            f"{_name_span(held)}; received {', '.join(map(str, sorted(windows))) or 'none'}"
        )
    can_hold &= np.isin(window, list(windows))
    blocks = np.where(can_hold, window.max() - window, -1)
    return past_folds(-window, blocks, is_train=~known.is_test)


def _name_span(held: np.ndarray) -> str:
    return f"{held.min()} to {held.max()}" if len(held) else "none, since train is too short"


def make_leak_check(config: Config, raw: Path, seed: int) -> LeakCheck:
    """Hand the leak alarm the features and folds of a run."""
    known = load_store_days(raw)
    train = np.flatnonzero(~known.is_test)
    sales = known.days["Sales"].to_numpy(float)

    def make(target: np.ndarray) -> np.ndarray:
        altered = replace(known, days=known.days.assign(Sales=target))
        return make_features(altered, fit_rows=train, rows=np.arange(len(sales))).to_numpy()

    return LeakCheck(make_features=make, target=sales, folds=make_folds(config, known), groups=None)


def draw(outcome: Outcome, raw: Path, out: Path) -> None:
    """Draw the worst stores, XGBoost's gains and a net's vectors: two fits, some minutes."""
    from competitions.rossmann_store_sales.pictures import (
        draw_gains,
        draw_vectors,
        draw_worst_stores,
    )

    known = load_store_days(raw)
    draw_worst_stores(outcome.oof, out / "worst_stores.png")
    draw_gains(known, Config(), out / "gains.png")
    draw_vectors(known, Config(), out / "embeddings.png")


def _name_rows(known: StoreDays, is_held: np.ndarray) -> np.ndarray:
    rows = known.days[is_held]
    return (rows["Store"].astype(str) + " " + rows["Date"].dt.strftime("%Y-%m-%d")).to_numpy(str)
