"""The races of pictures through nets: an epoch of fine-tuning, kept activations, features."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from pipelines.speed import OURS

KERAS_FIT, KERAS_PREDICT = "keras fit, unaltered float32 arrays", "keras predict, float32 arrays"
OURS_WHOLE = "ours, whole net"

BATCH = 32
N_CLASSES = 10
SIDE_PX, FEATURES_PX = 96, 160
BRIGHTER = 25.5  # of 255, at the most
RATE, DECAY, LOWEST_RATE = 1e-4, 0.02, 0.3
Runs = Mapping[str, Callable[[], Any]]


def make_fitting(n: int, net: str) -> Runs:
    """Fit an epoch as competitions do, by nets of one kind that are compiled and traced: what is
    raced is how they are fed and how they step.
    """
    import keras

    from common.nets.transfer import build_backbone, build_classifier, find_rates, freeze
    from common.training.fine_tuning import fit_pictures

    pictures, labels = _make_noise(n, SIDE_PX)
    arrays = pictures.astype(np.float32)
    ours, theirs = build_backbone(net), build_backbone(net)
    for body in (ours, theirs):
        freeze(body, n_stages=0, norms_learn=True)
    model, other = (build_classifier(body.model, n_classes=N_CLASSES) for body in (ours, theirs))
    batches = feed(pictures, labels)
    rates = find_rates(ours, np.geomspace(LOWEST_RATE, 1, len(ours.stages)).tolist())
    fit_pictures(model, batches, epochs=1, learning_rate=RATE, weight_decay=DECAY, rates=rates)
    other.compile(keras.optimizers.AdamW(RATE, DECAY), keras.losses.CategoricalCrossentropy())

    def run_ours() -> int:
        model.optimizer.iterations.assign(0)
        model.fit(batches, shuffle=False, verbose=0)
        return int(model.optimizer.iterations)

    def run_arrays() -> int:
        other.optimizer.iterations.assign(0)
        other.fit(arrays, labels, batch_size=BATCH, verbose=0)
        return int(other.optimizer.iterations)

    return {OURS: run_ours, KERAS_FIT: run_arrays}


def differ_in_steps(ours: int, theirs: int) -> str:
    return "" if ours == theirs else f"{theirs} steps, ours are {ours}"


def make_keeping(n: int, net: str) -> Runs:
    """Fit an epoch of what is above frozen stages: from kept maps, or from pictures through all."""
    from common.inference.adapt_norms import adapt_norms
    from common.inputs.stream import make_picture_batches
    from common.nets.transfer import build_backbone, build_classifier, freeze, split
    from common.training.fine_tuning import fit_pictures, predict_pictures

    pictures, labels = _make_noise(n, SIDE_PX)
    backbone = build_backbone(net)
    # Else next to nothing of a picture would come through a net of chance, and nothing be learnt.
    adapt_norms(backbone.model, pictures, batch_size=BATCH, n_batches=2, seed=0)
    n_stages = 2 * len(backbone.stages) // 3
    freeze(backbone, n_stages=n_stages, norms_learn=False)
    lower, upper = split(backbone, n_stages)
    whole, above = (build_classifier(body, n_classes=N_CLASSES) for body in (backbone.model, upper))
    maps = predict_pictures(lower, pictures)
    weights, head = backbone.model.get_weights(), whole.get_layer("logits").get_weights()
    make = partial(make_picture_batches, labels=labels, batch_size=BATCH, seed=0)
    for model, seen in ((above, maps), (whole, pictures)):
        fit_pictures(model, make(seen), epochs=1, learning_rate=RATE, weight_decay=DECAY)

    def run(model: Any, seen: np.ndarray) -> np.ndarray:
        backbone.model.set_weights(weights)
        model.get_layer("logits").set_weights(head)
        for variable in model.optimizer.variables:
            variable.assign(np.zeros(variable.shape))
        model.fit(make(seen), shuffle=False, verbose=0)
        return np.asarray(model.get_layer("logits").get_weights()[0] - head[0])

    return {OURS: partial(run, above, maps), OURS_WHOLE: partial(run, whole, pictures)}


def differ_in_learning(ours: np.ndarray, theirs: np.ndarray) -> str:
    apart = np.abs(ours - theirs).max() / np.abs(ours).max()
    return "" if apart < 0.01 else f"what the last layer learnt is up to {apart:.1e} apart"


def make_features(n: int, net: str) -> Runs:
    """Take the features of pictures."""
    import keras

    from common.nets.transfer import build_backbone, build_classifier
    from common.training.fine_tuning import predict_pictures

    pictures, _ = _make_noise(n, FEATURES_PX)
    arrays = pictures.astype(np.float32)
    classifier = build_classifier(build_backbone(net).model, n_classes=N_CLASSES)
    model = keras.Model(classifier.inputs, classifier.get_layer("features").output)
    return {
        OURS: lambda: predict_pictures(model, pictures),
        KERAS_PREDICT: lambda: model.predict(arrays, batch_size=64, verbose=0),
    }


def differ_in_features(ours: np.ndarray, theirs: np.ndarray) -> str:
    apart = np.abs(ours - theirs).max() / np.abs(ours).max()
    return "" if apart < 1e-4 else f"features are up to {apart:.1e} apart"


def feed(pictures: np.ndarray, labels: np.ndarray) -> Any:
    """Feed altered batches."""
    from common.inputs.augment import compose, flip, jitter_colour
    from common.inputs.stream import make_picture_batches

    augment = compose(flip, partial(jitter_colour, brightness=BRIGHTER / 255, contrast=0.1))
    return make_picture_batches(pictures, labels, batch_size=BATCH, seed=0, augment=augment)


def _make_noise(n: int, side_px: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (n, side_px, side_px, 3), dtype=np.uint8)
    return pictures, np.eye(N_CLASSES, dtype=np.float32)[rng.integers(N_CLASSES, size=n)]
