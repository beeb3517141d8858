"""EfficientNet-Lite: inverted residual blocks, for pictures of any size.

net = build_efficientnet_lite(LITE0, n_classes=1000)     # or TINY, of two blocks, for tests
assign_weights(net, load_lite0_weights(packages))        # common.data.imagenet
net.predict(pixels)                                      # (B, H, W, 3) in 0..255 -> (B, 1000)
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

from common.nets.batch_norm import FusedBatchNormalization

EPSILON = 1e-3  # of batch norms, as in the trained net


class Group(NamedTuple):
    """Blocks that differ only in that the first of them strides and changes the width."""

    kernel: int
    stride: int
    expansion: int  # width of the depthwise convolution, as a multiple of the input's
    filters: int
    repeats: int


class Layout(NamedTuple):
    """What an EfficientNet-Lite is made of."""

    stem: int
    groups: tuple[Group, ...]
    head: int


LITE0 = Layout(
    stem=32,
    groups=(
        Group(3, 1, 1, 16, 1),
        Group(3, 2, 6, 24, 2),
        Group(5, 2, 6, 40, 2),
        Group(3, 2, 6, 80, 3),
        Group(5, 1, 6, 112, 3),
        Group(5, 2, 6, 192, 4),
        Group(3, 1, 6, 320, 1),
    ),
    head=1280,
)
TINY = Layout(stem=8, groups=(Group(3, 1, 1, 8, 1), Group(3, 2, 2, 16, 1)), head=32)


def build_efficientnet_lite(layout: Layout = LITE0, *, n_classes: int | None = None) -> keras.Model:
    """Build an untrained EfficientNet-Lite.

    Lite leaves out what small devices cannot do: no squeeze and excitation, and ReLU6 in place of
    swish. Pixels are scaled inside, by (x - 127) / 128.

    Args:
        layout: LITE0, TINY or another.
        n_classes: ends in a softmax over so many classes; None: in the head's feature maps.

    Returns:
        (B, H, W, 3) pixels in 0..255 -> (B, C), or (B, H / 32, W / 32, head) for LITE0. Layers are
        named "stem_conv", "block00_depthwise_conv", "block01_expand_conv", ...; each group ends
        with "block.._out" of its last block.

    Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
        2019; the Lite layout of Google's TPU repository. Without stochastic depth.
    """
    pixels = layers.Input((None, None, 3), name="pixels")
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="rescaling")(pixels)
    x = _convolve(x, "stem", layout.stem, kernel=3, stride=2)
    number = 0
    for group in layout.groups:
        for repeat in range(group.repeats):
            stride = group.stride if repeat == 0 else 1
            x = _add_block(x, f"block{number:02d}", group, stride=stride)
            number += 1
    x = _convolve(x, "head", layout.head, kernel=1, stride=1)  # (B, h, w, head)
    if n_classes is not None:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dense(n_classes, activation="softmax", name="classes_fc")(x)  # (B, C)
    return keras.Model(pixels, x, name="efficientnet_lite")


def find_group_ends(layout: Layout) -> tuple[str, ...]:
    """Name the layers at whose outputs the stem, each group and the head end."""
    ends = np.cumsum([group.repeats for group in layout.groups]) - 1
    return ("stem_relu", *(f"block{end:02d}_out" for end in ends), "head_relu")


def assign_weights(model: keras.Model, weights: Mapping[str, np.ndarray]) -> None:
    """Lay given arrays over all weights of a net.

    Args:
        model: with layers of distinct names.
        weights: {"layer/variable": array}; what the net has no layer for is left aside, so that
            weights with classes do for a net without them.

    Raises:
        ValueError: a weight of the net is not given, or is of another shape.
    """
    for layer in model.layers:
        for variable in layer.weights:
            name = f"{layer.name}/{variable.name}"
            if name not in weights:
                raise ValueError(f"weights must hold {name}, received none of that name")
            if weights[name].shape != tuple(variable.shape):
                raise ValueError(
                    f"{name} must have shape {tuple(variable.shape)}, received "
                    f"{weights[name].shape}"
                )
            variable.assign(weights[name])


def _add_block(x: Any, name: str, group: Group, *, stride: int) -> Any:
    """Widen, convolve each channel alone, narrow; add the input where it has the same shape."""
    start, width = x, x.shape[-1]
    if group.expansion > 1:
        x = _convolve(x, f"{name}_expand", width * group.expansion, kernel=1, stride=1)
    x = _convolve(x, f"{name}_depthwise", None, kernel=group.kernel, stride=stride)
    x = _convolve(x, f"{name}_project", group.filters, kernel=1, stride=1, is_linear=True)
    if stride == 1 and width == group.filters:
        return layers.Add(name=f"{name}_out")([x, start])
    return layers.Activation("linear", name=f"{name}_out")(x)


def _convolve(
    x: Any, name: str, filters: int | None, *, kernel: int, stride: int, is_linear: bool = False
) -> Any:
    """Convolve (each channel alone if no filters are given), normalize, clip to [0, 6]."""
    options: dict[str, Any] = {"strides": stride, "padding": "same", "use_bias": False}
    if filters is None:
        x = layers.DepthwiseConv2D(kernel, name=f"{name}_conv", **options)(x)
    else:
        x = layers.Conv2D(filters, kernel, name=f"{name}_conv", **options)(x)
    x = FusedBatchNormalization(epsilon=EPSILON, name=f"{name}_bn")(x)
    return x if is_linear else layers.ReLU(6.0, name=f"{name}_relu")(x)
