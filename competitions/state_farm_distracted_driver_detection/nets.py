"""The nets: one that was pretrained on ImageNet, and one from scratch."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from common.inference.adapt_norms import adapt_norms
from common.inference.tta import View, identity, predict_views, shift
from common.inputs.augment import compose, jitter_colour, random_erase, warp
from common.inputs.pages import release_pages
from common.inputs.stream import make_picture_batches
from common.nets.resnet import build_resnet
from common.nets.transfer import build_backbone, build_classifier, build_embedder, freeze
from common.seeds import set_all
from common.training.fine_tuning import fit_pictures, predict_pictures, smooth_labels
from common.training.fitted import Fitted
from common.training.pseudo_labels import PseudoLabels
from competitions.state_farm_distracted_driver_detection.competition import CLASSES, Config
from competitions.state_farm_distracted_driver_detection.fits import ENLARGED
from competitions.state_farm_distracted_driver_detection.known import Known

N_DIMS = 64
"""Of the space in which a net's neighbours are sought."""

VIEWS = (identity(), shift(0, -4), shift(0, 4))
"""What is looked at of a frame; no mirror image, in which left hands are right ones, and no other
size, for which batch norms have other statistics.
"""

OTHER_NORMS = ("clean", "fit")
"""Statistics of batch norms that are compared with those of the pool that is asked about."""

AUGMENT = compose(
    partial(warp, turn_deg=7, zoom=0.22, stretch=0.1, shift=0.1),
    partial(jitter_colour, brightness=0.2, contrast=0.4, saturation=0.5),
    partial(random_erase, chance=0.5, smallest=0.03, largest=0.25),
)
LABEL_SMOOTHING = 0.1  # share of a true label that is spread over all classes
ADAPT_FRAMES, ADAPT_BATCH = 2560, 64  # by which batch norms are brought to a pool
_BLOCK = 1024  # frames that are held in memory at once


class Settings(NamedTuple):
    """How a net is trained."""

    learning_rate: float  # the highest
    weight_decay: float  # as a share of the rate
    dropout: float  # share of pooled features dropped
    starts_trained: bool  # or from scratch


SETTINGS = {
    "cnn": Settings(3e-3, 0.05, 0.3, True),
    "cnn_large": Settings(3e-3, 0.05, 0.3, True),
    "resnet": Settings(3e-3, 0.05, 0.2, False),
}


def compares(config: Config) -> bool:
    """Tell whether nets answer also for other views and by other norms."""
    return config.norms != "pool" or "views" in config.after


def fit_net(
    known: Known,
    config: Config,
    fit_rows: np.ndarray,
    seed: int,
    *,
    name: str,
    labelled: PseudoLabels | None = None,
) -> Fitted:
    """Fit a net to frames; it answers for others, and tells where they lie among each other.

    Where variants are compared, it answers also for shifted frames, and by other statistics of its
    batch norms: those of the fit's frames as they are, and as they were seen in training, altered.

    Args:
        known: of all frames.
        config: sizes and steps.
        fit_rows: (m,) int, rows to learn from.
        seed: of weights, shuffling and augmentation.
        name: a key of SETTINGS.
        labelled: other rows with labels that another net gave, taken as they are: that net was
            taught with label smoothing already.

    Returns:
        The fitted net, whose `predict` gives (rows, C + N_DIMS): probabilities and coordinates; or
        (rows, (V + 2) C + N_DIMS): probabilities of each of VIEWS, by the norms of OTHER_NORMS, and
        coordinates.
    """
    net = train(known, config, fit_rows, seed, name=name, labelled=labelled)
    answer = make_answer(net)
    as_fitted, is_test = net.get_weights(), known.frames.is_test

    def predict(asked: np.ndarray) -> np.ndarray:
        views, others = VIEWS if compares(config) else VIEWS[:1], list[np.ndarray]()
        if compares(config):
            for norms in OTHER_NORMS:
                net.set_weights(as_fitted)
                if norms == "clean":
                    adapt(net, known, fit_rows)
                others.append(look(answer, known, asked, VIEWS[:1])[:, : len(CLASSES)])
        found = np.empty((len(asked), len(views) * len(CLASSES) + N_DIMS))
        # Held and test frames are of different drivers: two pools, as for neighbours.
        for here in (is_test[asked], ~is_test[asked]):
            if here.any():
                adapt(net, known, asked[here])
                found[here] = look(answer, known, asked[here], views)
        return np.hstack([found[:, :-N_DIMS], *others, found[:, -N_DIMS:]])

    return Fitted(predict, net.count_params())


def adapt(net: Any, known: Known, pool: np.ndarray) -> None:
    """Bring a net's batch norms to the drivers of a pool."""
    rows = np.sort(np.random.default_rng(0).permutation(pool)[:ADAPT_FRAMES])
    n_batches = max(1, len(rows) // ADAPT_BATCH)
    adapt_norms(net, copy_frames(known, rows), batch_size=ADAPT_BATCH, n_batches=n_batches, seed=0)


def look(
    answer: Callable[[np.ndarray], np.ndarray],
    known: Known,
    asked: np.ndarray,
    views: Sequence[View],
) -> np.ndarray:
    """Let a net answer for views of frames, a block at a time: (n, V C + N_DIMS)."""
    found = np.empty((len(asked), len(views) * len(CLASSES) + N_DIMS))
    for start in range(0, len(asked), _BLOCK):
        rows = asked[start : start + _BLOCK]
        seen = predict_views(answer, copy_frames(known, rows), views, batch_size=64)
        probabilities = seen[:, :, : len(CLASSES)].reshape(len(rows), -1)
        found[start : start + _BLOCK] = np.hstack([probabilities, seen[:, 0, len(CLASSES) :]])
    return found


def copy_frames(known: Known, rows: np.ndarray) -> np.ndarray:
    """Copy some frames, and let go of the cache that they may lie in: (n, H, W, 3) uint8."""
    frames = known.pixels[rows]
    release_pages(known.pixels)
    return frames


def train(
    known: Known,
    config: Config,
    fit_rows: np.ndarray,
    seed: int,
    *,
    name: str,
    labelled: PseudoLabels | None = None,
) -> Any:
    """Train one of the nets, as `fit_net` takes it: a Keras classifier."""
    settings = SETTINGS[name]
    rows = fit_rows
    labels = smooth_labels(known.frames.one_hot[fit_rows], LABEL_SMOOTHING)
    if labelled is not None:
        rows = np.concatenate([rows, labelled.rows])
        labels = np.concatenate([labels, labelled.target])
    set_all(seed)
    net = build_net(known, config, name)
    batches = make_picture_batches(
        known.pixels,
        labels,
        rows=rows,
        batch_size=config.batch_size,
        seed=seed,
        augment=AUGMENT,
    )
    fit_pictures(
        net,
        batches.repeat().take(config.steps if settings.starts_trained else config.scratch_steps),
        epochs=1,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    return net


def build_net(known: Known, config: Config, name: str) -> Any:
    """Build an untrained classifier, or one of which all but the last layer is trained."""
    if SETTINGS[name].starts_trained:
        size_px = known.pixels.shape[1:3]
        backbone = build_backbone(config.backbone, weights=known.weights, size_px=size_px)
        freeze(backbone, n_stages=0, norms_learn=True)
        body = backbone.model
    else:
        body = build_resnet((4, 8)) if config.backbone == "tiny" else build_resnet()
    return build_classifier(body, n_classes=len(CLASSES), dropout=SETTINGS[name].dropout)


def make_answer(net: Any) -> Any:
    """Let a net answer for pictures of any size: (B, H, W, 3) -> (B, C + N_DIMS).

    Features are brought to length 1, for their directions tell classes and drivers apart, and then
    to fewer dimensions by a random projection, which keeps distances to about a tenth on average.
    """
    embedder = build_embedder(net)
    n_features = embedder.output[1].shape[-1]
    drawn = np.random.default_rng(0).normal(size=(n_features, N_DIMS)) / np.sqrt(N_DIMS)
    projection = tf.constant(drawn, tf.float32)

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)])  # type: ignore[untyped-decorator]
    def answer(pictures: tf.Tensor) -> tf.Tensor:
        probabilities, features = embedder(tf.cast(pictures, tf.float32), training=False)
        directions = tf.math.l2_normalize(features, axis=1)
        return tf.concat([probabilities, directions @ projection], axis=1)

    return lambda pictures: answer(tf.constant(np.ascontiguousarray(pictures))).numpy()


def embed_frozen(known: Known, config: Config) -> np.ndarray:
    """Look at all frames, enlarged to about the size that the pretrained net learnt from, with the
    net as it came: (n, D) float32 features.
    """
    set_all(0)
    height, width = (ENLARGED * side for side in known.pixels.shape[1:3])
    backbone = build_backbone(config.backbone, weights=known.weights, size_px=(height, width))
    embedder = build_embedder(build_classifier(backbone.model, n_classes=len(CLASSES)))
    frames = keras.Input((None, None, 3))
    _, features = embedder(keras.layers.Resizing(height, width)(frames))
    found = predict_pictures(keras.Model(frames, features), known.pixels)
    return np.asarray(found, np.float32)
