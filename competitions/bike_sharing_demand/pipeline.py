"""From raw hours to a submission."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from common.checks import InputError, check_choices
from common.contract import LeakCheck, Outcome, OutOfFold, add_costs
from common.data.folds import FoldStore
from common.ensemble.blend import nonnegative_weights, weighted_mean
from common.seeds import derive
from common.training.cross_fit import cross_fit
from common.training.cross_select import cross_select
from common.validation.folds import Fold, group_folds, past_folds
from competitions.bike_sharing_demand.competition import METRIC, Config
from competitions.bike_sharing_demand.features import load_hours, make_features, make_strata
from competitions.bike_sharing_demand.fits import FITS

LATE_DAYS = 6  # how many of a month's train days look most like the test that follows them
WEEK = 6  # days; a month's 19 train days make three blocks, the last one a day longer


def run(config: Config, raw: Path, work: Path, seed: int) -> Outcome:
    """Go the whole road, from raw files to a submission.

    Args:
        config: a variant's settings.
        raw: the competition's files.
        work: where finished fits are kept.
        seed: of everything drawn.

    Returns:
        The outcome; its groups are days.

    Raises:
        InputError: a file or a setting is not as it must be.
    """
    check_choices("models", config.models, FITS, error=InputError)

    # 1. Read: the test's days lie between the train's and its weather is given: both are one frame.
    store = FoldStore(work, raw, code=Path(__file__).parent)
    hours, is_test = load_hours(raw)
    features = make_features(hours)

    # 2. Folds: whole days, a week at a time, as the test comes. They depend on seed and data, never
    # on the model.
    folds = make_folds(config, hours, is_test, derive(seed, "folds"))

    # 3. Fit every model on every fold; the test gets a fit on all train rows, but month by month
    # where only the past may be used.
    fitted = [
        cross_fit(
            partial(FITS[name], features, hours, config),
            folds,
            is_test,
            test_from="held" if config.folds == "past" else "refit",
            seed=derive(seed, name),
            keep=store.of(name, config, without=("models",)),
            name=name,
        )
        for name in config.models
    ]

    # 4. Blend on the log scale, where the metric is a root mean square: weights that are learnt
    # without a month blend that month, so the score owes nothing to rows that chose.
    logs = np.stack([part.prediction for part in fitted])  # (M, n)
    is_held = (fitted[0].fold >= 0) & ~is_test
    months = hours["datetime"].dt.strftime("%Y-%m").to_numpy()
    blend = cross_select(
        partial(nonnegative_weights, score=lambda target, log: METRIC(target, _count(log))),
        weighted_mean,
        logs[:, is_held],
        hours["count"].to_numpy()[is_held],
        groups=months[is_held],
    )

    # 5. Hand over on the competition's own scale.
    names = hours["datetime"].dt.strftime("%Y-%m-%d %H:%M:%S")
    strata = make_strata(hours, features)
    oof = OutOfFold(
        ids=names[is_held].to_numpy(),
        fold=fitted[0].fold[is_held],
        group=hours["datetime"].dt.strftime("%Y-%m-%d")[is_held].to_numpy(),
        target=hours["count"].to_numpy()[is_held],
        prediction=_count(blend.prediction),
        stratum=strata[is_held],
    )
    counts = _count(weighted_mean(logs[:, is_test], blend.choice))
    return Outcome(
        submission=pd.DataFrame({"datetime": names[is_test], "count": counts}),
        score=oof.score(METRIC),
        fold_scores=oof.score_folds(METRIC),
        n_fit=tuple(len(folds[k].fit_rows) for k in np.unique(oof.fold)),
        oof=oof,
        cost=add_costs(part.cost for part in fitted),
        test_stratum=strata[is_test],
    )


def make_folds(config: Config, hours: pd.DataFrame, is_test: np.ndarray, seed: int) -> list[Fold]:
    """Deal rows to folds, as `config.folds` says.

    "weeks": every train day is held once, in blocks of about a week, the same week of both years
    together: the test's weeks (Thanksgiving, Christmas) are in no year's train days either.
    "late_days": only the last six train days of each month are held. "past": these days, and the
    test's, month by month, each from what lies before. "random_hours": hours one by one, so that
    their neighbours give them away: a diagnostic.
    """
    time = hours["datetime"].dt
    day, month = time.day.to_numpy(), (12 * time.year + time.month).to_numpy()
    week = 3 * time.month.to_numpy() + np.minimum((day - 1) // WEEK, 2)
    last = pd.Series(np.where(is_test, 0, day)).groupby(month).transform("max").to_numpy()
    is_late = ~is_test & (day > last - LATE_DAYS)
    deal = partial(group_folds, n_folds=config.n_folds, seed=seed, is_train=~is_test)
    match config.folds:
        case "weeks":
            return deal(week, can_hold=~is_test)
        case "late_days":
            return deal(month, can_hold=is_late)
        case "random_hours":
            return deal(np.arange(len(hours)), can_hold=~is_test)
        case "past":
            blocks = np.where(is_test, 2 * month + 1, np.where(is_late, 2 * month, -1))
            return past_folds(hours["datetime"].to_numpy(), blocks, is_train=~is_test)
    raise InputError(
        f"folds must be weeks, late_days, past or random_hours, received {config.folds}"
    )


def make_leak_check(config: Config, raw: Path, seed: int) -> LeakCheck:
    """Hand the leak alarm the features and folds of a run."""
    hours, is_test = load_hours(raw)

    def make(counts: np.ndarray) -> np.ndarray:
        return make_features(hours.assign(count=counts)).to_numpy(dtype=float)

    return LeakCheck(
        make_features=make,
        target=hours["count"].to_numpy(),
        folds=make_folds(config, hours, is_test, seed),
        groups=hours["datetime"].dt.strftime("%Y-%m-%d").to_numpy(),
    )


def draw(outcome: Outcome, raw: Path, out: Path) -> None:
    """Draw the worst days, and where in the day and in which sort of day the errors lie."""
    from matplotlib.figure import Figure

    oof = outcome.oof
    rows = pd.DataFrame({"time": pd.to_datetime(oof.ids), "day": oof.group, "sort": oof.stratum})
    rows["count"], rows["prediction"] = oof.target, oof.prediction
    rows["error"] = (np.log1p(oof.prediction) - np.log1p(oof.target)) ** 2
    worst = rows.groupby("day")["error"].mean().nlargest(8).index
    figure = Figure(figsize=(12, 6), layout="constrained")
    panels = figure.subplots(2, 4, sharex=True, sharey=True)
    for axes, day in zip(panels.flat, worst, strict=False):
        shown = rows[rows["day"] == day]
        axes.plot(shown["time"].dt.hour, shown["count"], "k.-", label="true")
        axes.plot(shown["time"].dt.hour, shown["prediction"], "r.-", label="out of fold")
        axes.set(title=f"{day} ({shown['sort'].iloc[0]})", yscale="symlog", xticks=range(0, 24, 6))
    figure.supxlabel("hour")
    figure.supylabel("rentals")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    figure.savefig(out / "worst_days.png", dpi=100)

    figure = Figure(figsize=(12, 4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    by_hour = rows.groupby(rows["time"].dt.hour)["error"].mean() ** 0.5
    by_sort = rows.groupby("sort")["error"].mean().sort_values() ** 0.5
    n_days = rows.groupby("sort")["day"].nunique()
    left.bar(by_hour.index, by_hour)
    left.set(xlabel="hour", ylabel="RMSLE, out of fold", title="by hour")
    right.bar([f"{name}\n{n_days[name]} days" for name in by_sort.index], by_sort)
    right.set(title="by sort of day")
    figure.savefig(out / "errors.png", dpi=100)


def _count(log: np.ndarray) -> np.ndarray:
    return np.expm1(log).clip(0)
