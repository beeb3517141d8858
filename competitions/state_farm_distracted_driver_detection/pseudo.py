"""Fits that learn also from what the fit before them said of frames without a label."""

from collections.abc import Sequence
from dataclasses import fields, replace
from functools import partial

import numpy as np

from common.contract import add_costs
from common.data.folds import FoldStore
from common.seeds import derive
from common.training.cross_fit import CrossFitted, cross_fit
from common.training.pseudo_labels import label_soft, teach
from common.validation.folds import Fold
from competitions.state_farm_distracted_driver_detection.competition import Config
from competitions.state_farm_distracted_driver_detection.fits import FITS, SETTINGS_OF
from competitions.state_farm_distracted_driver_detection.known import Known
from competitions.state_farm_distracted_driver_detection.pools import smooth_pool

PSEUDO = (2.0, 2)  # bandwidth and passes of the answers that become pseudo-labels


def fit_with_pseudo(
    name: str,
    before: CrossFitted,
    known: Known,
    thumbnails: np.ndarray,
    folds: Sequence[Fold],
    config: Config,
    store: FoldStore,
    seed: int,
) -> CrossFitted:
    """Fit every fold's net anew, also on what its first net said of held and test frames.

    A fold's held drivers are to it what the test's are: seen without labels. Their answers come
    from the fit that was made without them. Of a test larger than train, as Kaggle's is, so many
    frames are drawn that half of what is learnt from still has true labels.
    """
    rng = np.random.default_rng(derive(seed, f"{name} pseudo"))
    test_rows = np.flatnonzero(known.frames.is_test)
    by_fold = []
    for fold, of_test in zip(folds, before.test, strict=True):
        pools = ((fold.held_rows, before.prediction[fold.held_rows]), (test_rows, of_test))
        rows = np.concatenate([rows for rows, _ in pools])
        smoothed = [
            smooth_pool(prediction, thumbnails[rows], config, (PSEUDO,))[0]
            for rows, prediction in pools
        ]
        some = np.sort(rng.permutation(len(rows))[: len(fold.fit_rows)])
        by_fold.append(label_soft(np.concatenate(smoothed)[some], rows[some]))
    # Labels hang on the neighbours, and what is predicted on what is compared.
    given = SETTINGS_OF[name] | {"after", "norms", "spaces", "n_neighbors"}
    others = {field.name for field in fields(config)} - given
    again = cross_fit(
        teach(partial(FITS[name], known, config), by_fold, folds),
        folds,
        known.frames.is_test,
        test_from="each",
        seed=derive(seed, f"{name} again"),
        keep=store.of(f"{name} again", config, without=others),
        name=f"{name} again",
    )
    return replace(again, cost=add_costs([before.cost, again.cost]))
