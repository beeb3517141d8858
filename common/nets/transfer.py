"""Trained nets for pictures, taken apart at their stages and given another head.

    backbone = build_backbone("lite0", weights=load_weights("lite0", packages))
    freeze(backbone, n_stages=3, norms_learn=False)
    net = build_classifier(backbone.model, n_classes=12, dropout=0.3)
    fit_pictures(net, batches, epochs=8, learning_rate=1e-3, weight_decay=0.01,
                 rates=find_rates(backbone, factors))            # common.training.fine_tuning
    probabilities, features = predict_pictures(build_embedder(net), pictures)

Where the first stages stay frozen and pictures are not altered, activations are computed once:

    lower, upper = split(backbone, n_stages=3)
    maps = predict_pictures(lower, pictures)                     # for all folds and epochs
    net = build_classifier(upper, n_classes=12)                  # takes maps in place of pictures

`split` shares layers and weights with the backbone: what is trained in one is trained in the other.
Build a new backbone for every fit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops

from common.checks import InputError, check_choices
from common.nets.efficientnet_lite import (
    LITE0,
    TINY,
    assign_weights,
    build_efficientnet_lite,
    find_group_ends,
)

LAYOUTS = {"lite0": LITE0, "tiny": TINY}


class Application(NamedTuple):
    """A net of `keras.applications`."""

    function: str  # that builds it
    smallest_px: int  # side of a picture, below which nothing would be left of it
    stages: tuple[str, ...]  # layers at which it is narrow enough to be cut


_RESNET = ("pool1_pool", "conv2_block3_out", "conv3_block4_out")
APPLICATIONS = {
    "resnet50": Application("ResNet50", 32, (*_RESNET, "conv4_block6_out", "conv5_block3_out")),
    "resnet101": Application("ResNet101", 32, (*_RESNET, "conv4_block23_out", "conv5_block3_out")),
    "inception_v3": Application("InceptionV3", 75, ("mixed2", "mixed7", "mixed10")),
    "inception_resnet_v2": Application(
        "InceptionResNetV2", 75, ("mixed_5b", "mixed_6a", "mixed_7a", "conv_7b_ac")
    ),
}

CAFFE_MEANS = (103.939, 116.779, 123.68)  # of blue, green and red, which ResNets subtract
POOLINGS = ("mean", "max")


@dataclass(frozen=True)
class Backbone:
    """A net from pixels to feature maps, and where its stages end.

    Attributes:
        model: (B, H, W, 3) pixels in 0..255 -> (B, h, w, D).
        stages: names of the layers whose outputs end the stages, from the pixels upwards; the last
            is the net's own end.
    """

    model: keras.Model
    stages: tuple[str, ...]


def build_backbone(
    name: str,
    *,
    weights: Mapping[str, np.ndarray] | None = None,
    size_px: tuple[int, int] | None = None,
) -> Backbone:
    """Build a net without its classes, and lay trained weights over it.

    Args:
        name: "lite0" or "tiny" (EfficientNet-Lite0, and two blocks of one, for tests), "resnet50",
            "resnet101", "inception_v3" or "inception_resnet_v2".
        weights: as `common.data.imagenet` gives them, for "lite0" or one of `keras.applications`;
            None leaves chance, drawn by the global seed.
        size_px: (H, W) of the smallest pictures that it will see, where they are known: 75 x 75 is
            the least for Inception, 32 x 32 for ResNet, and others take any.

    Returns:
        The backbone. Pixels are scaled inside, each net's own way. Stages of "lite0": the stem,
        seven groups of blocks, the head; "tiny" has two groups.

    Raises:
        InputError: there is no such net, or pictures are too small.
        ValueError: the weights are another's.
    """
    check_backbone(name, size_px)
    if name in LAYOUTS:
        model = build_efficientnet_lite(LAYOUTS[name])
        if weights is not None:
            assign_weights(model, weights)
        return Backbone(model, find_group_ends(LAYOUTS[name]))
    function, _, stages = APPLICATIONS[name]
    pixels = layers.Input((None, None, 3), name="pixels")
    if name.startswith("resnet"):
        scaled = layers.Rescaling(1.0, offset=[-mean for mean in CAFFE_MEANS])(
            ops.flip(pixels, axis=-1)
        )
    else:
        scaled = layers.Rescaling(1 / 127.5, offset=-1.0)(pixels)
    build = getattr(keras.applications, function)
    model = build(include_top=False, weights=None, input_tensor=scaled)
    if weights is not None:
        model.set_weights(list(weights.values()))
    return Backbone(keras.Model(pixels, model.output), stages)


def check_backbone(name: str, size_px: tuple[int, int] | None = None) -> None:
    """Check that there is a net of that name, and that it takes pictures of that size.

    Args:
        name: as `build_backbone` takes it.
        size_px: (H, W), likewise.

    Raises:
        InputError: there is none, or it does not.
    """
    check_choices("backbone", name, [*LAYOUTS, *APPLICATIONS], error=InputError)
    smallest_px = APPLICATIONS[name].smallest_px if name in APPLICATIONS else 1
    if size_px is not None and min(size_px) < smallest_px:
        raise InputError(
            f"pictures for {name} must be at least {smallest_px} x {smallest_px}, received "
            f"{size_px[0]} x {size_px[1]}"
        )


def split(backbone: Backbone, n_stages: int) -> tuple[keras.Model, keras.Model]:
    """Cut a backbone behind its first stages.

    Args:
        backbone: whole.
        n_stages: of the lower part, in [1, number of stages).

    Returns:
        The lower model, from pixels to maps, and the upper one, from these maps to the backbone's
        own. Both share the backbone's layers and weights.

    Raises:
        ValueError: a part would be empty.
    """
    if not 1 <= n_stages < len(backbone.stages):
        raise ValueError(
            f"n_stages must be in [1, {len(backbone.stages) - 1}], received {n_stages}"
        )
    cut = backbone.model.get_layer(backbone.stages[n_stages - 1]).output
    lower = keras.Model(backbone.model.input, cut)
    return lower, keras.Model(cut, backbone.model.output)


def find_stage_layers(backbone: Backbone) -> list[list[str]]:
    """Name the layers of each stage, those with an input to scale among the first stage's."""
    known: set[str] = set()
    found = []
    for end in backbone.stages:
        output = backbone.model.get_layer(end).output
        names = [layer.name for layer in keras.Model(backbone.model.input, output).layers]
        found.append([name for name in names if name not in known])
        known |= set(names)
    return found


def freeze(backbone: Backbone, *, n_stages: int, norms_learn: bool) -> None:
    """Fix the first stages of a backbone, and perhaps all of its batch norms.

    A frozen batch norm scales by what it learnt on ImageNet, in training as in prediction. Others
    scale by each batch, which asks for batches of some tens of pictures that are like those of the
    prediction.

    Args:
        backbone: changed in place; call it before the net is compiled.
        n_stages: that do not learn, in [0, number of stages].
        norms_learn: whether batch norms of the other stages do.

    Raises:
        ValueError: n_stages is out of range.
    """
    if not 0 <= n_stages <= len(backbone.stages):
        raise ValueError(f"n_stages must be in [0, {len(backbone.stages)}], received {n_stages}")
    for number, names in enumerate(find_stage_layers(backbone)):
        for layer in map(backbone.model.get_layer, names):
            is_norm = isinstance(layer, layers.BatchNormalization)
            layer.trainable = number >= n_stages and (norms_learn or not is_norm)


def find_rates(backbone: Backbone, factors: Sequence[float]) -> dict[str, float]:
    """Give every layer its stage's share of the learning rate, for `fit_pictures`.

    Args:
        backbone: whose layers.
        factors: one for each stage, from the pixels upwards; a head that is put on it later has 1.

    Returns:
        {layer name: factor}.

    Raises:
        ValueError: there are not as many factors as stages.

    Source: Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018:
        lower layers, which see what all pictures share, learn more slowly.
    """
    if len(factors) != len(backbone.stages):
        raise ValueError(
            f"factors must be {len(backbone.stages)}, one for each stage, received {len(factors)}"
        )
    stages = find_stage_layers(backbone)
    return {name: factor for names, factor in zip(stages, factors, strict=True) for name in names}


def build_classifier(
    body: keras.Model, *, n_classes: int, pooling: str = "mean", dropout: float = 0.0
) -> keras.Model:
    """Put a new head on a backbone's model, or on the upper part of one.

    Args:
        body: -> (B, h, w, D) maps.
        n_classes: C.
        pooling: "mean" or "max" over the maps' places.
        dropout: share of the D features dropped in training.

    Returns:
        What `body` takes -> (B, C) float32 probabilities. The pooled features are the output of its
        layer "features", what the softmax takes that of "logits".

    Raises:
        ValueError: there is no such pooling.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, received {pooling}")
    pool = layers.GlobalAveragePooling2D if pooling == "mean" else layers.GlobalMaxPooling2D
    x: Any = pool(name="features", dtype="float32")(body.output)  # (B, D)
    x = layers.Dropout(dropout, name="dropout")(x)
    logits = layers.Dense(n_classes, name="logits", dtype="float32")(x)  # (B, C)
    shares = layers.Activation("softmax", name="classes", dtype="float32")(logits)
    return keras.Model(body.input, shares)


def build_embedder(classifier: keras.Model) -> keras.Model:
    """Let a classifier give its features too: -> (B, C) probabilities and (B, D) features."""
    features = classifier.get_layer("features").output
    return keras.Model(classifier.input, [classifier.output, features])
