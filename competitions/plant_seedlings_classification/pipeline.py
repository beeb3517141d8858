"""From raw pictures to a submission."""

import dataclasses
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from common.checks import InputError, check_choices
from common.contract import Cost, Outcome, OutOfFold, add_costs
from common.data.folds import FoldStore
from common.data.imagenet import load_weights
from common.data.paths import load_home
from common.ensemble.blend import nonnegative_weights, weighted_mean
from common.inference.tta import geometric_mean_views, mean_views
from common.metrics.classification import log_loss
from common.nets.transfer import check_backbone
from common.seeds import derive
from common.settings import check_once, check_setting
from common.training.cross_fit import CrossFitted, cross_fit
from common.training.cross_select import cross_select
from common.training.features import make_features_once
from common.training.fine_tuning import smooth_labels
from common.training.pseudo_labels import (
    PseudoLabels,
    label_hard,
    label_soft,
    teach,
)
from common.validation.folds import Fold, group_folds
from competitions.plant_seedlings_classification.competition import METRIC, SPECIES, Config
from competitions.plant_seedlings_classification.fits import (
    FEATURE_FITS,
    MADE_OF,
    MAKE,
    NET_FITS,
    VIEWS,
)
from competitions.plant_seedlings_classification.nets import (
    FROM_SCRATCH,
    LABEL_SMOOTHING,
    find_first_px,
)
from competitions.plant_seedlings_classification.plants import Plants, load_plants

log = logging.getLogger(__name__)

MEANS: dict[str, Callable[..., np.ndarray]] = {
    "arithmetic": mean_views,
    "geometric": geometric_mean_views,
}
TEACHER = "finetune"
LEAST_SURE = 0.7  # A net that is taught with smoothed labels says about 0.91 where it is sure.
LOOK_EPOCHS = 4  # of the net that is trained for the pictures: enough to see where it looks
FIELDS = {field.name for field in dataclasses.fields(Config)}
OF_FEATURES = {"backbone", "side_px", "threads"}
OF_TRAINING = {"epochs", "learning_rate", "lowest_rate", "norms_learn"}
SETTINGS_OF = {
    **dict.fromkeys(NET_FITS, OF_FEATURES | OF_TRAINING | {"first_share"}),
    **dict.fromkeys(FROM_SCRATCH, OF_FEATURES | {"scratch_epochs", "scratch_px"}),
    "features_logistic": OF_FEATURES,
    "features_knn": OF_FEATURES | {"n_neighbors"},
    "finetune_upper": OF_FEATURES | OF_TRAINING,
}
"""What each fit is given: only where one of these differs is it another fit."""


def run(config: Config, raw: Path, work: Path, seed: int) -> Outcome:
    """Go the whole road, from raw pictures to a submission.

    Args:
        config: a variant's settings.
        raw: the competition's files.
        work: where pictures in one size and finished fits are kept.
        seed: of everything drawn.

    Returns:
        The outcome; its groups are pictures, nearly equal ones together.

    Raises:
        InputError: a file or a setting is not as it must be.
    """
    check_config(config)

    # 1. Read: all pictures in one size, decoded once for all runs.
    store = FoldStore(work, raw, code=Path(__file__).parent)
    plants = load_plants(raw, work, side_px=config.side_px)

    # 2. Folds: some pictures are shots of the same moment, and one would give the other away.
    n_groups = len(np.unique(plants.group[~plants.is_test]))
    why = f"as there are {n_groups:,} pictures that are not nearly the same"
    check_setting("n_folds", config.n_folds, least=2, most=n_groups, why=why)
    folds = group_folds(
        plants.group,
        n_folds=config.n_folds,
        seed=derive(seed, "folds"),
        can_hold=~plants.is_test,
        is_train=~plants.is_test,
    )

    # 3. Fit every model on every fold; each predicts every view. The test gets the mean over folds.
    fitted = [fit_model(name, plants, config, folds, store, seed) for name in config.models]

    # 4. Average the views that are asked for; the weights of each fold are chosen on the others, by
    # the log loss: the share of right answers moves in steps that no slope shows.
    mean = MEANS[config.mean]
    shares = np.stack([mean(part.prediction[:, : config.views]) for part in fitted])
    is_held = ~plants.is_test
    target = np.eye(len(SPECIES))[plants.label[is_held]]
    blend = cross_select(
        partial(nonnegative_weights, score=log_loss),
        weighted_mean,
        shares[:, is_held],
        target,
        groups=fitted[0].fold[is_held],
    )
    if len(config.models) > 1:
        weights = dict(zip(config.models, blend.choice.round(3).tolist(), strict=True))
        log.info("weights for the test: %s", weights)

    # 5. Hand over the likeliest species.
    oof = OutOfFold(
        ids=plants.names[is_held],
        fold=fitted[0].fold[is_held],
        group=plants.group[is_held],
        target=plants.label[is_held],
        prediction=blend.prediction.argmax(axis=1),
    )
    found = weighted_mean(shares[:, plants.is_test], blend.choice).argmax(axis=1)
    submission = pd.DataFrame({"file": plants.names[plants.is_test]})
    submission["species"] = np.array(SPECIES)[found]
    return Outcome(
        submission=submission,
        score=oof.score(METRIC),
        fold_scores=oof.score_folds(METRIC),
        n_fit=tuple(len(fold.fit_rows) for fold in folds),
        oof=oof,
        cost=add_costs(part.cost for part in fitted),
    )


def check_config(config: Config) -> None:
    """Check settings, and fetch weights that are not here: once, before many fits ask for them.

    Raises:
        InputError: a setting is none that there is, or weights are not to be had.
    """
    check_choices("models", config.models, [*FEATURE_FITS, *NET_FITS], error=InputError)
    check_once("models", config.models)
    check_choices("mean", config.mean, MEANS, error=InputError)
    check_setting("views", config.views, least=1, most=len(VIEWS))
    for name in ("side_px", "scratch_px", "n_neighbors", "epochs", "scratch_epochs", "threads"):
        check_setting(name, getattr(config, name), least=1)
    check_setting("n_folds", config.n_folds, least=2)
    if not config.learning_rate > 0:
        raise InputError(f"learning_rate must be > 0, received {config.learning_rate:g}")
    for name in ("lowest_rate", "first_share"):
        if not 0 < getattr(config, name) <= 1:
            raise InputError(f"{name} must be in (0, 1], received {getattr(config, name):g}")
    from_scratch = FROM_SCRATCH.issuperset(config.models)
    side_px = find_first_px(config)
    check_backbone(config.backbone, None if from_scratch else (side_px, side_px))
    if not from_scratch:
        load_weights(config.backbone, load_home().packages)


def label_hard_smoothed(probabilities: np.ndarray, rows: np.ndarray) -> PseudoLabels:
    """Take what the teacher is sure of for true, and smooth it as true labels are."""
    found = label_hard(probabilities, rows, threshold=LEAST_SURE)
    return dataclasses.replace(found, target=smooth_labels(found.target, LABEL_SMOOTHING))


# The teacher's probabilities are smooth already: it was taught so.
TAUGHT: dict[str, Callable[..., PseudoLabels]] = {
    "pseudo_labels": label_soft,
    "pseudo_labels_hard": label_hard_smoothed,
}


def fit_model(
    name: str,
    plants: Plants,
    config: Config,
    folds: Sequence[Fold],
    store: FoldStore,
    seed: int,
) -> CrossFitted:
    """Fit one model on every fold, (n, V, C).

    What it needs first, pretrained features or another model's word on the test, is made or found
    among what is kept.
    """
    cross: Any = partial(
        cross_fit,
        folds=folds,
        is_test=plants.is_test,
        test_from="each",
        seed=derive(seed, name),
        keep=store.of(name, config, without=FIELDS - SETTINGS_OF[name]),
        name=name,
    )
    if name in FEATURE_FITS:
        features, cost = load_features(name, plants, config, store)
        part = cross(partial(FEATURE_FITS[name], features, plants, config))
        return dataclasses.replace(part, cost=add_costs([part.cost, cost]))
    if name not in TAUGHT:
        return cross(partial(NET_FITS[name], plants, config))
    teacher = fit_model(TEACHER, plants, config, folds, store, seed)
    test_rows = np.flatnonzero(plants.is_test)
    by_fold = [TAUGHT[name](mean_views(test), test_rows) for test in teacher.test]
    part = cross(teach(partial(NET_FITS[name], plants, config), by_fold, folds))
    return dataclasses.replace(part, cost=add_costs([part.cost, teacher.cost]))


def load_features(
    name: str, plants: Plants, config: Config, store: FoldStore
) -> tuple[np.ndarray, Cost]:
    """Load what a fit takes of all views from the pretrained net, (n, V, ...), made once."""
    kept = store.of(MADE_OF[name], config, without=FIELDS - OF_FEATURES)
    return make_features_once(partial(MAKE[MADE_OF[name]], plants, config), keep=kept)


def draw(outcome: Outcome, raw: Path, out: Path) -> None:
    """Draw what is mixed up with what, and of a net trained anew the worst mistakes and looks."""
    from common.inference.drawings import draw_confusions
    from competitions.plant_seedlings_classification import pictures

    config = Config(epochs=LOOK_EPOCHS)
    log.info("training a net for the pictures, %d epochs", config.epochs)
    with TemporaryDirectory(dir=out) as work:
        plants = load_plants(raw, Path(work), side_px=config.side_px)
    oof = outcome.oof
    confusions = draw_confusions(oof.target, oof.prediction, SPECIES)
    confusions.savefig(out / "confusions.png")
    net, held_rows = pictures.train_without_first(oof, plants, config)
    pictures.draw_worst(net, plants, held_rows, out / "worst.png")
    pictures.draw_looks(net, plants, held_rows, out / "looks.png")
