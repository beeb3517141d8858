"""From raw trips to a submission."""

import logging
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from common.checks import InputError, check_choices
from common.contract import Outcome, OutOfFold, add_costs
from common.data.folds import FoldStore
from common.ensemble.blend import nonnegative_weights, weighted_mean
from common.geo import project_km, unproject_km
from common.seeds import derive
from common.stages import timed
from common.training.cross_fit import cross_fit
from common.training.cross_select import cross_select
from common.validation.folds import Fold, group_folds
from competitions.pkdd_15_predict_taxi_service_trajectory_i.competition import METRIC, Config
from competitions.pkdd_15_predict_taxi_service_trajectory_i.features import PORTO, Rows, make_rows
from competitions.pkdd_15_predict_taxi_service_trajectory_i.fits import FITS
from competitions.pkdd_15_predict_taxi_service_trajectory_i.trips import load_test, load_train

DAY_S = 24 * 60 * 60

log = logging.getLogger(__name__)


def run(config: Config, raw: Path, work: Path, seed: int) -> Outcome:
    """Go the whole road, from raw files to a submission.

    Args:
        config: a variant's settings.
        raw: the competition's files.
        work: where finished fits are kept.
        seed: of everything drawn.

    Returns:
        The outcome; its groups are taxis.

    Raises:
        InputError: a file or a setting is not as it must be.
    """
    check_choices("models", config.models, FITS, error=InputError)

    # 1. Read, and cut train trips as the test's were. From here on nothing knows a point behind a
    # cut but the target, and memory hangs on the number of prefixes, not of trips.
    store = FoldStore(work, raw, code=Path(__file__).parent)
    with timed("read"):
        train = load_train(raw)
        test = load_test(raw, start=np.median(train.points[train.offsets[:-1]], axis=0))
    with timed("cut"):
        rows = make_rows(train, test, config, seed=derive(seed, "cuts"))
        log.info("%d train trips, %d prefixes", len(train.ids), np.sum(~rows.is_test))
    del train, test

    # 2. Folds hold all trips of some taxis: a taxi's next trip begins where the last one ended.
    folds = make_folds(rows, config, derive(seed, "folds"))

    # 3. Fit every model on every fold; the test gets the mean, since taxis are exchangeable.
    fitted = []
    for name in config.models:
        with timed(name):
            fitted.append(
                cross_fit(
                    partial(FITS[name], rows, config),
                    folds,
                    rows.is_test,
                    test_from="folds",
                    seed=derive(seed, name),
                    keep=store.of(name, config, without=("models",)),
                    name=name,
                )
            )

    # 4. Blend on the map: the weights of each fold are chosen on the others.
    places = np.stack([part.prediction for part in fitted])  # (M, n, 2)
    is_held = (fitted[0].fold >= 0) & ~rows.is_test
    with timed("blend"):
        blend = cross_select(
            partial(nonnegative_weights, score=score_km),
            weighted_mean,
            places[:, is_held],
            rows.target[is_held],
            groups=fitted[0].fold[is_held],
        )

    # 5. Hand over in degrees.
    oof = OutOfFold(
        ids=rows.ids[is_held],
        fold=fitted[0].fold[is_held],
        group=rows.taxi[is_held],
        target=unproject_km(rows.target[is_held], PORTO),
        prediction=unproject_km(blend.prediction, PORTO),
    )
    found = unproject_km(weighted_mean(places[:, rows.is_test], blend.choice), PORTO)
    submission = {"TRIP_ID": rows.ids[rows.is_test]}
    submission |= {"LATITUDE": found[:, 0], "LONGITUDE": found[:, 1]}
    return Outcome(
        submission=pd.DataFrame(submission),
        score=oof.score(METRIC),
        fold_scores=oof.score_folds(METRIC),
        n_fit=tuple(len(fold.fit_rows) for fold in folds),
        oof=oof,
        cost=add_costs(part.cost for part in fitted),
    )


def score_km(target: np.ndarray, prediction: np.ndarray) -> float:
    """Score places on the map by their mean distance in km."""
    return float(np.linalg.norm(prediction - target, axis=1).mean())


def make_folds(rows: Rows, config: Config, seed: int) -> list[Fold]:
    """Hold the trips of some taxis, and of these, where train is long enough, the latest only.

    The test comes after train. So where train is four times as long as `held_days`, only trips that
    start in its last days are held, and fitted is on trips of other taxis that ended before these
    days. A shorter train cannot spare so much: all trips of the fold's taxis are held.
    """
    last_s = rows.start[~rows.is_test].max()
    late_s = last_s - config.held_days * DAY_S
    is_long = last_s - rows.start.min() >= 4 * config.held_days * DAY_S
    can_hold, can_fit = rows.can_hold, ~rows.is_test
    if is_long:
        can_hold, can_fit = can_hold & (rows.start >= late_s), can_fit & (rows.end < late_s)
    folds = group_folds(
        rows.taxi, n_folds=config.n_folds, seed=seed, can_hold=can_hold, is_train=~rows.is_test
    )
    made = []
    for fold in folds:
        is_held_taxi = np.isin(rows.taxi, rows.taxi[fold.held_rows])
        made.append(Fold(np.flatnonzero(can_fit & ~is_held_taxi), fold.held_rows))
    return made


def draw(outcome: Outcome, raw: Path, out: Path) -> None:
    """Draw the map: where trips end, and where they were said to."""
    from competitions.pkdd_15_predict_taxi_service_trajectory_i.nets import find_centres
    from competitions.pkdd_15_predict_taxi_service_trajectory_i.pictures import draw_map

    train = load_train(raw)
    ends = project_km(train.points[train.offsets[1:] - 1], PORTO)
    centres, n_members = find_centres(ends, bandwidth_km=Config().bandwidth_km)
    draw_map(train, outcome.oof, centres, n_members, out / "map.png")
