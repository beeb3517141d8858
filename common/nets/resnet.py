"""A small residual net, for small pictures and training from scratch."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

from common.nets.batch_norm import FusedBatchNormalization

WIDTHS = (32, 64, 128, 256)


def build_resnet(
    widths: Sequence[int] = WIDTHS, *, n_blocks: int = 1, n_classes: int | None = None
) -> keras.Model:
    """Build an untrained residual net.

    A block learns what to add to its input, so that many of them stack without hiding the gradient
    from the first. The large nets' first strides of 4 would leave little of a small picture: here
    the stem strides by 2, and each stage but the first by 2 again. Pixels are scaled inside, by
    (x - 127) / 128.

    Args:
        widths: of each stage.
        n_blocks: in each stage.
        n_classes: ends in a softmax over so many classes; None: in the last stage's feature maps.

    Returns:
        (B, H, W, 3) pixels in 0..255 -> (B, C), or (B, H / 2^S, W / 2^S, widths[-1]) for S stages.
        Layers that end a stage are named "stage0_out", "stage1_out", ..., the one before the
        softmax "logits".

    Source: He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", 2016: basic
        blocks, batch norm after each convolution.
    """
    return build_stages("resnet", _add_block, widths, n_blocks=n_blocks, n_classes=n_classes)


def build_stages(
    name: str,
    add_block: Callable[..., Any],
    widths: Sequence[int],
    *,
    n_blocks: int,
    n_classes: int | None,
) -> keras.Model:
    """Build a stem, stages of blocks, and the end, as `build_resnet` has them.

    Args:
        name: of the net.
        add_block: (x, name, width, stride=, out=) -> maps of that width; `out` names its last
            layer.
        widths: of each stage.
        n_blocks: in each stage.
        n_classes: as `build_resnet` takes it.
    """
    pixels = layers.Input((None, None, 3), name="pixels")
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="rescaling")(pixels)
    x = convolve(x, "stem", widths[0], kernel=3, stride=2)
    for stage, width in enumerate(widths):
        for block in range(n_blocks):
            is_last = block == n_blocks - 1
            stride = 2 if stage > 0 and block == 0 else 1
            here = f"stage{stage}_block{block}"
            out = f"stage{stage}_out" if is_last else f"{here}_out"
            x = add_block(x, here, width, stride=stride, out=out)
    return keras.Model(pixels, classify(x, n_classes), name=name)


def convolve(
    x: Any, name: str, filters: int, *, kernel: int, stride: int = 1, is_linear: bool = False
) -> Any:
    """Convolve, normalize, and cut what is negative."""
    x = layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    x = FusedBatchNormalization(name=f"{name}_bn")(x)
    return x if is_linear else layers.ReLU(name=f"{name}_relu")(x)


def classify(x: Any, n_classes: int | None) -> Any:
    """Take feature maps (B, h, w, D) to class probabilities (B, C) by their mean over the picture.

    Args:
        x: the maps.
        n_classes: None leaves them as they are.
    """
    if n_classes is None:
        return x
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    logits = layers.Dense(n_classes, name="logits")(x)
    return layers.Activation("softmax", name="classes")(logits)


def _add_block(x: Any, name: str, width: int, *, stride: int, out: str) -> Any:
    """Add two convolutions to the input, which is resized by a 1 x 1 one where it does not fit."""
    start = x
    if stride > 1 or start.shape[-1] != width:
        start = convolve(x, f"{name}_skip", width, kernel=1, stride=stride, is_linear=True)
    x = convolve(x, f"{name}_first", width, kernel=3, stride=stride)
    x = convolve(x, f"{name}_second", width, kernel=3, is_linear=True)
    return layers.ReLU(name=out)(layers.Add(name=f"{name}_add")([x, start]))
