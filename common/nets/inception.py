"""A small Inception net, for small pictures and training from scratch."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from common.nets.resnet import build_stages, convolve

WIDTHS = (72, 160, 324, 648)
"""With one module a stage about as many parameters as `resnet.build_resnet` has by default."""


def build_inception(
    widths: Sequence[int] = WIDTHS, *, n_blocks: int = 1, n_classes: int | None = None
) -> keras.Model:
    """Build an untrained Inception net.

    A module looks at its input in four ways at once, through one pixel, 3 x 3, 5 x 5 (as two times
    3 x 3) and pooled, and lays the results side by side: the next one chooses the scale. Strides,
    scaling and the end are those of `resnet.build_resnet`, so that the two differ in their blocks
    only.

    Args:
        widths: of each stage, multiples of 4, each way a quarter.
        n_blocks: modules in each stage.
        n_classes: ends in a softmax over so many classes; None: in the last stage's feature maps.

    Returns:
        (B, H, W, 3) pixels in 0..255 -> (B, C), or (B, H / 2^S, W / 2^S, widths[-1]) for S stages.
        Layers that end a stage are named "stage0_out", "stage1_out", ..., the one before the
        softmax "logits".

    Raises:
        ValueError: a width is no multiple of 4.

    Source: Szegedy et al., "Going Deeper with Convolutions", 2015; Szegedy et al., "Rethinking the
        Inception Architecture for Computer Vision", 2016 (5 x 5 as two times 3 x 3, batch norm,
        strides within the module).
    """
    if any(width % 4 or width <= 0 for width in widths):
        raise ValueError(f"widths must be multiples of 4, received {tuple(widths)}")
    return build_stages("inception", _add_module, widths, n_blocks=n_blocks, n_classes=n_classes)


def _add_module(x: Any, name: str, width: int, *, stride: int, out: str) -> Any:
    """Look four ways, each of a quarter of the width; the last 3 x 3 of each takes the stride."""
    quarter = width // 4
    one = convolve(x, f"{name}_one", quarter, kernel=1, stride=stride)
    three = convolve(x, f"{name}_three_in", quarter, kernel=1)
    three = convolve(three, f"{name}_three", quarter, kernel=3, stride=stride)
    five = convolve(x, f"{name}_five_in", quarter, kernel=1)
    five = convolve(five, f"{name}_five_first", quarter, kernel=3)
    five = convolve(five, f"{name}_five", quarter, kernel=3, stride=stride)
    pooled = layers.MaxPooling2D(3, strides=stride, padding="same", name=f"{name}_pool")(x)
    pooled = convolve(pooled, f"{name}_pooled", quarter, kernel=1)
    return layers.Concatenate(name=out)([one, three, five, pooled])
