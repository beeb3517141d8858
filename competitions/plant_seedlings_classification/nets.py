"""The nets: a pretrained one, fine-tuned, and two small ones from scratch."""

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from common.data.imagenet import load_weights
from common.data.images import resize_picture
from common.data.paths import load_home
from common.inference.tta import View, predict_views
from common.inputs.augment import Augment, compose, flip, jitter_colour, random_erase, warp
from common.inputs.mixing import Mix, cutmix, mixup
from common.inputs.stream import make_picture_batches
from common.nets.inception import build_inception
from common.nets.resnet import build_resnet
from common.nets.transfer import (
    Backbone,
    build_backbone,
    build_classifier,
    find_rates,
    freeze,
    split,
)
from common.seeds import derive, set_all
from common.training.fine_tuning import fit_pictures, make_predict, smooth_labels
from common.training.pseudo_labels import PseudoLabels
from competitions.plant_seedlings_classification.competition import SPECIES, Config
from competitions.plant_seedlings_classification.plants import Plants

BATCH = 32


class Settings(NamedTuple):
    """In what one net differs from another."""

    net: str  # transfer, resnet or inception
    erase: float = 0.0  # chance that a rectangle of a picture is hidden
    mix: Mix | None = None  # how pictures are mixed with others


SETTINGS = {
    "finetune": Settings("transfer"),
    "finetune_occlusion": Settings("transfer", erase=0.5),
    "finetune_mixup": Settings("transfer", mix=partial(mixup, alpha=0.2)),
    "finetune_cutmix": Settings("transfer", mix=partial(cutmix, alpha=1.0)),
    "pseudo_labels": Settings("transfer"),
    "pseudo_labels_hard": Settings("transfer"),
    "resnet_small": Settings("resnet"),
    "inception_small": Settings("inception"),
}
FROM_SCRATCH = {name for name, settings in SETTINGS.items() if settings.net != "transfer"}

DROPOUT, WEIGHT_DECAY = 0.3, 0.02  # of the pretrained net
# Of nets from scratch.
SCRATCH_RATE, SCRATCH_DECAY = 3e-3, 0.05
TINY_WIDTHS = (4, 8)
EPOCHS = {"resnet": 1.0, "inception": 0.35}  # as a share of the config's: in the same minutes
LABEL_SMOOTHING = 0.1  # share of a certain label that is spread over all species


def train_net(
    plants: Plants,
    config: Config,
    fit_rows: np.ndarray,
    seed: int,
    *,
    name: str,
    labelled: PseudoLabels | None = None,
) -> keras.Model:
    """Train a net, in as many steps as its own rows fill, whatever it learns from besides.

    Args:
        plants: all pictures.
        config: sizes and epochs.
        fit_rows: (m,) int, rows to learn from.
        seed: of weights, shuffling and all that is drawn.
        name: a key of SETTINGS.
        labelled: other rows that are learnt from too, with the labels that a model gave them,
            which are not smoothed here.

    Returns:
        Pictures, as `see` gives them, to (B, C) probabilities.
    """
    settings = SETTINGS[name]
    one_hot = np.eye(len(SPECIES), dtype=np.float32)[plants.label[fit_rows]]
    rows, labels = fit_rows, smooth_labels(one_hot, LABEL_SMOOTHING)
    if labelled is not None:
        rows = np.concatenate([rows, labelled.rows])
        labels = np.concatenate([labels, labelled.target])
    set_all(seed)
    pictures = see(plants.pictures, config, name)
    make = partial(
        make_picture_batches,
        labels=labels,
        rows=rows,
        batch_size=BATCH,
        augment=make_augment(settings),
        mix=settings.mix,
    )
    n_steps = max(1, len(fit_rows) // BATCH)  # of an epoch; each takes them from another order
    batches = make(pictures, seed=seed).take(n_steps)
    if settings.net != "transfer":
        return _train_from_scratch(batches, config, settings)
    backbone = build_pretrained(config)
    freeze(backbone, n_stages=0, norms_learn=config.norms_learn)
    net = build_classifier(backbone.model, n_classes=len(SPECIES), dropout=DROPOUT)
    n_first = config.epochs // 2 if config.first_share < 1 else 0
    if n_first:
        small = shrink(pictures, find_first_px(config))
        first = make(small, seed=derive(seed, "small")).take(n_steps)
        _fine_tune(net, backbone, first, config, epochs=n_first)
    _fine_tune(net, backbone, batches, config, epochs=config.epochs - n_first)
    return net


def train_upper(
    maps: np.ndarray, plants: Plants, config: Config, fit_rows: np.ndarray, seed: int
) -> keras.Model:
    """Train the upper stages of the pretrained net, on what the lower ones, frozen, made of views.

    Args:
        maps: (n, V, H, W, C), as `make_maps` gives them.
        plants: all pictures.
        config: epochs; as many steps as `train_net` takes.
        fit_rows: (m,) int, rows to learn from.
        seed: of the head's weights and of shuffling.

    Returns:
        (B, H, W, C) maps to (B, C) probabilities.
    """
    n_views = maps.shape[1]
    one_hot = np.eye(len(SPECIES), dtype=np.float32)[plants.label[fit_rows]]
    set_all(seed)
    batches = make_picture_batches(
        maps.reshape(-1, *maps.shape[2:]),
        smooth_labels(np.repeat(one_hot, n_views, axis=0), LABEL_SMOOTHING),
        rows=(fit_rows[:, None] * n_views + np.arange(n_views)).ravel(),
        batch_size=BATCH,
        seed=seed,
    ).take(max(1, len(fit_rows) // BATCH))
    backbone = build_pretrained(config)
    n_frozen = count_frozen(backbone)
    freeze(backbone, n_stages=n_frozen, norms_learn=config.norms_learn)
    _, upper = split(backbone, n_frozen)
    net = build_classifier(upper, n_classes=len(SPECIES), dropout=DROPOUT)
    _fine_tune(net, backbone, batches, config, epochs=config.epochs)
    return net


def make_maps(plants: Plants, config: Config, views: Sequence[View]) -> np.ndarray:
    """Look at every view of every picture with the lower two thirds of the pretrained net's stages.

    Returns:
        (n, V, H, W, C) float16, the same for all folds, epochs and seeds.
    """
    set_all(0)  # The tiny net has random weights.
    backbone = build_pretrained(config)
    lower, _ = split(backbone, count_frozen(backbone))
    return predict_views(make_predict(lower, dtype=np.float16), plants.pictures, views)


def count_frozen(backbone: Backbone) -> int:
    """Count the stages that `finetune_upper` freezes: two thirds."""
    return 2 * len(backbone.stages) // 3


def see(pictures: np.ndarray, config: Config, name: str) -> np.ndarray:
    """Make pictures as large as a net sees them: smaller, by areas, for nets from scratch.

    Args:
        pictures: (n, S, S, 3) uint8.
        config: of the sides.
        name: a key of SETTINGS.
    """
    if name not in FROM_SCRATCH or pictures.shape[1] <= config.scratch_px:
        return pictures
    return shrink(pictures, config.scratch_px)


def find_first_px(config: Config) -> int:
    """Find the side of the smallest pictures that the pretrained net sees."""
    return max(1, round(config.first_share * config.side_px))


def shrink(pictures: np.ndarray, side_px: int) -> np.ndarray:
    """Make pictures, (n, S, S, 3) uint8, smaller by the mean over areas."""
    return np.stack([resize_picture(picture, side_px, side_px) for picture in pictures])


def build_pretrained(config: Config) -> Backbone:
    """Build the net that the config names, with what it learnt on ImageNet.

    Raises:
        InputError: there is no such net, its weights are neither here nor to be had, or pictures
            are too small for it.
    """
    weights = load_weights(config.backbone, load_home().packages)
    size_px = (config.side_px, config.side_px)
    return build_backbone(config.backbone, weights=weights, size_px=size_px)


def make_augment(settings: Settings) -> Augment:
    """Alter what does not make a species: the side that is up, the size, the light."""
    steps: list[Augment] = [
        partial(flip, vertically=True, diagonally=True),
        partial(warp, turn_deg=45, zoom=0.25, shift=0.1),
        partial(jitter_colour, brightness=0.07, contrast=0.15, saturation=0.15),
    ]
    if settings.erase:
        steps.append(partial(random_erase, chance=settings.erase))
    return compose(*steps)


def _fine_tune(
    net: keras.Model, backbone: Backbone, batches: tf.data.Dataset, config: Config, *, epochs: int
) -> None:
    """Train the pretrained net on, lower stages more slowly."""
    factors = np.geomspace(config.lowest_rate, 1, len(backbone.stages)).tolist()
    fit_pictures(
        net,
        batches,
        epochs=epochs,
        learning_rate=config.learning_rate,
        weight_decay=WEIGHT_DECAY,
        rates=find_rates(backbone, factors),
    )


def _train_from_scratch(
    batches: tf.data.Dataset, config: Config, settings: Settings
) -> keras.Model:
    build = build_resnet if settings.net == "resnet" else build_inception
    if config.backbone == "tiny":
        net = build(TINY_WIDTHS, n_classes=len(SPECIES))
    else:
        net = build(n_classes=len(SPECIES))
    fit_pictures(
        net,
        batches,
        epochs=math.ceil(config.scratch_epochs * EPOCHS[settings.net]),
        learning_rate=SCRATCH_RATE,
        weight_decay=SCRATCH_DECAY,
    )
    return net
