"""From raw frames to a submission."""

import logging
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from common.checks import InputError, check_choices
from common.contract import Cost, LeakCheck, Outcome, OutOfFold, add_costs
from common.data.folds import FoldStore
from common.data.imagenet import load_weights
from common.data.paths import load_home
from common.nets.transfer import check_backbone
from common.seeds import derive
from common.settings import check_once, check_setting
from common.stages import timed
from common.training.cross_fit import CrossFitted, cross_fit
from common.training.cross_select import cross_select
from common.training.features import make_features_once
from common.validation.folds import Fold, group_folds
from competitions.state_farm_distracted_driver_detection.competition import (
    CLASSES,
    METRIC,
    Config,
)
from competitions.state_farm_distracted_driver_detection.fits import (
    ENLARGED,
    FITS,
    NETS,
    OF_FRAMES,
    ON_FROZEN,
    SETTINGS_OF,
)
from competitions.state_farm_distracted_driver_detection.frames import (
    Frames,
    load_frames,
    load_pixels,
    load_thumbnails,
)
from competitions.state_farm_distracted_driver_detection.known import Known
from competitions.state_farm_distracted_driver_detection.nets import (
    OTHER_NORMS,
    compares,
    embed_frozen,
)
from competitions.state_farm_distracted_driver_detection.pools import (
    smooth_held,
    smooth_test,
)
from competitions.state_farm_distracted_driver_detection.pseudo import fit_with_pseudo
from competitions.state_farm_distracted_driver_detection.smoothing import (
    apply,
    choose,
    describe,
    find_neighbours,
)

AFTER = ("views", "neighbours", "pseudo")
SPACES = ("features", "pixels")
COUNTS = (
    *("height_px", "width_px", "batch_size", "steps", "scratch_steps"),
    *("n_neighbors", "n_voters", "threads"),
)
FIELDS = {field.name for field in fields(Config)}
LARGE = 4 / 3  # sides of what `cnn_large` sees, as a multiple
PHONE = (1, 2, 3, 4)  # classes of drivers who text or talk

log = logging.getLogger(__name__)


def run(config: Config, raw: Path, work: Path, seed: int) -> Outcome:
    """Go the whole road, from raw files to a submission.

    Args:
        config: a variant's settings.
        raw: the competition's files.
        work: where pictures of one size and finished fits are kept.
        seed: of everything drawn.

    Returns:
        The outcome; its groups are drivers.

    Raises:
        InputError: a file or a setting is not as it must be.
    """
    check_config(config)

    # 1. Read. Pictures are decoded once, in the sizes that are looked at.
    store = FoldStore(work, raw, code=Path(__file__).parent)
    with timed("read"):
        frames = load_frames(raw)
        known = load_known(frames, config, raw, work, store)
        thumbnails = np.empty((len(frames.names), 0), np.float32)
        if "neighbours" in config.after and "pixels" in config.spaces:
            thumbnails = load_thumbnails(frames, raw, work)

    # 2. Folds hold all frames of some drivers: the test's drivers are others, too.
    folds = make_folds(frames, config, derive(seed, "folds"))

    # 3. Fit every model on every fold. What each fold's fit says of the test is kept apart, for it
    # is smoothed among that fit's own features.
    fitted = []
    for name in config.models:
        with timed(name):
            seen = see_as(name, known, config, raw, work)
            fitted.append(fit_model(name, seen, thumbnails, folds, config, store, seed))

    # 4. Smooth within each pool of frames, and choose how far, how sharply and by which weights:
    # for each driver on the other drivers.
    is_held = fitted[0].fold >= 0
    target, driver = frames.one_hot[is_held], frames.driver[is_held]
    with timed("choose"):
        parts = np.concatenate([smooth_held(part, thumbnails, config) for part in fitted])
        select = partial(choose, n_models=len(fitted))
        chosen = cross_select(select, apply, parts, target, groups=driver)
    log.info("chosen for the test: %s", describe(chosen.choice, config))
    oof = OutOfFold(
        ids=frames.names[is_held],
        fold=fitted[0].fold[is_held],
        group=driver,
        target=target,
        prediction=chosen.prediction,
    )

    # 5. The test gets the mean of all folds' answers, each smoothed on its own.
    with timed("smooth the test"):
        answers = [
            apply(np.concatenate(parts), chosen.choice)
            for parts in smooth_test(fitted, thumbnails[frames.is_test], config)
        ]
    submission = pd.DataFrame(np.mean(answers, axis=0), columns=list(CLASSES))
    submission.insert(0, "img", frames.names[frames.is_test])
    return Outcome(
        submission=submission,
        score=oof.score(METRIC),
        fold_scores=oof.score_folds(METRIC),
        n_fit=tuple(len(fold.fit_rows) for fold in folds),
        oof=oof,
        cost=add_costs([known.frozen_cost, *(part.cost for part in fitted)]),
    )


def check_config(config: Config) -> None:
    """Check settings.

    Raises:
        InputError: one is none of those that there are or out of its range, or two do not go
            together.
    """
    for name in COUNTS:
        check_setting(name, getattr(config, name), least=1)
    check_setting("n_folds", config.n_folds, least=2)
    check_choices("models", config.models, FITS, error=InputError)
    check_once("models", config.models)
    for name in config.models:
        check_backbone(config.backbone, find_backbone_px(name, config))
    check_choices("norms", config.norms, ("pool", *OTHER_NORMS), error=InputError)
    check_choices("folds", config.folds, ("drivers", "random"), error=InputError)
    if config.after:
        check_choices("after", config.after, AFTER, error=InputError)
    check_choices("spaces", config.spaces, SPACES, error=InputError)
    check_once("spaces", config.spaces)
    if config.norms != "pool" and config.after:
        raise InputError(
            f"norms must be pool where {config.after[0]} follow, received {config.norms}"
        )
    of_nets = (
        {"views", "pseudo"}.intersection(config.after)
        or config.norms != "pool"
        or ("neighbours" in config.after and config.spaces == ("features",))
    )
    if of_nets and (others := sorted(set(config.models) - set(NETS))):
        raise InputError(
            f"models must be nets ({', '.join(NETS)}) for views, pseudo, other norms and "
            f"neighbours by features alone, received {others[0]}"
        )


def fit_model(
    name: str,
    known: Known,
    thumbnails: np.ndarray,
    folds: Sequence[Fold],
    config: Config,
    store: FoldStore,
    seed: int,
) -> CrossFitted:
    """Fit one model on every fold; once more where pseudo-labels follow."""
    shelf = f"{name}, compared" if compares(config) else name
    found = cross_fit(
        partial(FITS[name], known, config),
        folds,
        known.frames.is_test,
        test_from="each",
        seed=derive(seed, name),
        keep=store.of(shelf, config, without=FIELDS - SETTINGS_OF[name]),
        name=name,
    )
    if "pseudo" in config.after:
        return fit_with_pseudo(name, found, known, thumbnails, folds, config, store, seed)
    return found


def see_as(name: str, known: Known, config: Config, raw: Path, work: Path) -> Known:
    """Load frames in the size in which a model sees them, where that is another."""
    size_px = find_size_px(name, config)
    if size_px == known.pixels.shape[1:3]:
        return known
    return replace(known, pixels=load_pixels(known.frames, raw, work, size_px=size_px))


def find_size_px(name: str, config: Config) -> tuple[int, int]:
    """Find the height and width at which a net sees frames."""
    factor = LARGE if name == "cnn_large" else 1.0
    return round(factor * config.height_px), round(factor * config.width_px)


def find_backbone_px(name: str, config: Config) -> tuple[int, int] | None:
    """Find the height and width at which a model's backbone sees frames; None: it has none."""
    if name == "resnet":
        return None
    height, width = find_size_px(name, config)
    return (ENLARGED * height, ENLARGED * width) if name in ON_FROZEN else (height, width)


def load_known(frames: Frames, config: Config, raw: Path, work: Path, store: FoldStore) -> Known:
    """Load what the models of a config look at, and nothing else."""
    size_px = (config.height_px, config.width_px)
    is_frozen = any(name in ON_FROZEN for name in config.models)
    is_seen = any(find_size_px(name, config) == size_px for name in config.models)
    starts_trained = {*config.models} != {"resnet"}
    weights = load_weights(config.backbone, load_home().packages) if starts_trained else None
    known = Known(
        frames=frames,
        pixels=load_pixels(frames, raw, work, size_px=size_px)
        if is_seen
        else np.empty((0, *size_px, 3), np.uint8),
        weights=weights,
        frozen=np.empty((len(frames.names), 0), np.float32),
        frozen_cost=Cost(0.0, peak_mib=0.0, n_parameters=0),
    )
    if not is_frozen:
        return known
    # The same for all folds: computed once.
    keep = store.of("frozen features", config, without=FIELDS - OF_FRAMES)
    features, cost = make_features_once(partial(embed_frozen, known, config), keep=keep)
    return replace(known, frozen=features, frozen_cost=cost)


def make_folds(frames: Frames, config: Config, seed: int) -> list[Fold]:
    """Hold all frames of some drivers, as the test does; or random ones."""
    is_train = ~frames.is_test
    groups = frames.driver if config.folds == "drivers" else frames.names
    n_groups = len(np.unique(groups[is_train]))
    why = f"as there are {n_groups:,} {'drivers' if config.folds == 'drivers' else 'frames'}"
    check_setting("n_folds", config.n_folds, least=2, most=n_groups, why=why)
    return group_folds(
        groups, n_folds=config.n_folds, seed=seed, can_hold=is_train, is_train=is_train
    )


def make_leak_check(config: Config, raw: Path, seed: int) -> LeakCheck:
    """Hand the leak alarm the pictures and folds of a run, and who is at the phone as a target.

    Sequences exchange their targets, so nothing can be learnt of one driver from another; folds
    that split a sequence let a probe know its frames again.
    """
    frames = load_frames(raw)
    with TemporaryDirectory() as work:
        thumbnails = load_thumbnails(frames, raw, Path(work))
    return LeakCheck(
        make_features=lambda target: thumbnails,
        target=np.isin(frames.label, PHONE).astype(float),
        folds=make_folds(frames, config, seed),
        groups=frames.sequence,
    )


def draw(outcome: Outcome, raw: Path, out: Path) -> None:
    """Draw confusions, mistakes, where a net looks in frames of new drivers, and neighbours."""
    from common.inference.drawings import draw_confusions
    from competitions.state_farm_distracted_driver_detection import nets, pictures

    frames, config = load_frames(raw), Config()
    target, predicted = (of.argmax(axis=1) for of in (outcome.oof.target, outcome.oof.prediction))
    draw_confusions(target, predicted, pictures.DOES).savefig(out / "confusions.png")
    with TemporaryDirectory(dir=out) as work:
        store = FoldStore(Path(work), raw, code=Path(__file__).parent)
        known = load_known(frames, config, raw, Path(work), store)
        thumbnails = load_thumbnails(frames, raw, Path(work))
    row_of = {name: row for row, name in enumerate(frames.names)}
    worst = pictures.find_worst(outcome.oof)
    shown = known.pixels[[row_of[name] for name in outcome.oof.ids[worst]]]
    pictures.draw_worst(outcome.oof, shown, worst, out / "worst.png")

    # A net that has not seen the drivers of the run's first fold.
    log.info("training a net for the pictures, %d steps", config.steps)
    rows_of = np.array([row_of[name] for name in outcome.oof.ids])
    is_first = outcome.oof.fold == outcome.oof.fold.min()
    held = rows_of[is_first]
    net = nets.train(known, config, rows_of[~is_first], derive(0, "pictures"), name="cnn")
    answer = nets.make_answer(net)
    nets.adapt(net, known, held)
    _, first = np.unique(frames.label[held], return_index=True)
    rows = held[first]
    pictures.draw_occlusions(
        answer, known.pixels[rows], frames.label[rows].tolist(), out / "occlusions.png"
    )
    test = np.flatnonzero(frames.is_test)
    nets.adapt(net, known, test)
    features = nets.look(answer, known, test, nets.VIEWS[:1])[:, -nets.N_DIMS :]
    near = find_neighbours([features, thumbnails[test]], n_neighbors=config.n_neighbors)
    pictures.draw_neighbours(near, known.pixels, test, out / "neighbours.png")
