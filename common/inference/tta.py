"""Test-time augmentation: predict several views of a picture and average.

What is predicted in a view's coordinates, masks and boxes, is brought back to the picture's:
exactly, but for masks of `scale`, which are resampled. What a view does not show (a shift pushes a
strip out) is NaN in the inverse and left out of the mean.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from common.checks import check_positive, check_shape
from common.inputs.pages import release_pages

Size = tuple[int, int]


@dataclass(frozen=True)
class View:
    """One way to look at a picture of H x W pixels.

    Attributes:
        name: for tables and logs.
        apply: pictures (B, H, W, C) -> (B, H', W', C), of the same dtype.
        invert_masks: (masks (B, H', W', C), (H, W)) -> (B, H, W, C) float32, NaN where the view
            does not show the picture.
        invert_boxes: (boxes (n, 4), (H, W)) -> (n, 4) float64. A box is top, left, bottom, right,
            in pixels from the upper left corner of the view, of the picture.
    """

    name: str
    apply: Callable[[np.ndarray], np.ndarray]
    invert_masks: Callable[[np.ndarray, Size], np.ndarray]
    invert_boxes: Callable[[np.ndarray, Size], np.ndarray]


def identity() -> View:
    """Look at the picture as it is."""
    return View(
        "identity",
        lambda pictures: pictures,
        lambda masks, size: masks.astype(np.float32),
        lambda boxes, size: np.asarray(boxes, np.float64),
    )


def flip(axis: str) -> View:
    """Mirror the picture.

    Args:
        axis: "horizontal" swaps left and right, "vertical" top and bottom.

    Raises:
        ValueError: there is no such axis.
    """
    if axis not in ("horizontal", "vertical"):
        raise ValueError(f'axis must be "horizontal" or "vertical", received "{axis}"')
    along = 2 if axis == "horizontal" else 1

    def invert_boxes(boxes: np.ndarray, size: Size) -> np.ndarray:
        flipped = np.array(boxes, np.float64)
        low, high = along - 1, along + 1
        flipped[:, [low, high]] = size[along - 1] - flipped[:, [high, low]]
        return flipped

    return View(
        f"{axis} flip",
        lambda pictures: np.flip(pictures, along),
        lambda masks, size: np.flip(masks, along).astype(np.float32),
        invert_boxes,
    )


def turn(quarters: int) -> View:
    """Turn the picture counter-clockwise; H and W change places with every quarter.

    Args:
        quarters: of a full turn, any int.
    """

    def invert_boxes(boxes: np.ndarray, size: Size) -> np.ndarray:
        turned = np.array(boxes, np.float64)
        for k in range(quarters % 4):  # Undo one quarter: (y, x) of the view is (x, width - y).
            width = size[1] if (quarters - k) % 2 else size[0]
            top, left, bottom, right = turned.T
            turned = np.stack([left, width - bottom, right, width - top], axis=1)
        return turned

    return View(
        f"{quarters} quarter turns",
        lambda pictures: np.rot90(pictures, quarters, axes=(1, 2)),
        lambda masks, size: np.rot90(masks, -quarters, axes=(1, 2)).astype(np.float32),
        invert_boxes,
    )


def shift(down_px: int, right_px: int) -> View:
    """Move the picture; the rows and columns at its edge are repeated where it leaves a gap.

    Args:
        down_px: upwards where negative; less than H in size, or a view raises ValueError.
        right_px: to the left where negative; less than W in size, likewise.
    """

    def check(size: Size) -> None:
        if not (abs(down_px) < size[0] and abs(right_px) < size[1]):
            raise ValueError(
                f"a shift must be less than a picture's {size[0]} x {size[1]} pixels, received "
                f"{down_px:+d}, {right_px:+d}"
            )

    def apply(pictures: np.ndarray) -> np.ndarray:
        check((pictures.shape[1], pictures.shape[2]))
        rows, columns = (
            np.clip(np.arange(n) - by, 0, n - 1)
            for n, by in zip(pictures.shape[1:3], (down_px, right_px), strict=True)
        )
        return pictures[:, rows][:, :, columns]

    def invert_masks(masks: np.ndarray, size: Size) -> np.ndarray:
        check(size)
        found = np.full(masks.shape, np.nan, np.float32)
        here, there = (
            tuple(
                slice(max(sign * by, 0), n + min(sign * by, 0))
                for n, by in zip(size, (down_px, right_px), strict=True)
            )
            for sign in (-1, 1)
        )
        found[(slice(None), *here)] = masks[(slice(None), *there)]
        return found

    def invert_boxes(boxes: np.ndarray, size: Size) -> np.ndarray:
        return np.asarray(boxes, np.float64) - [down_px, right_px, down_px, right_px]

    return View(f"shift {down_px:+d} {right_px:+d}", apply, invert_masks, invert_boxes)


def scale(factor: float) -> View:
    """Resize the picture, bilinearly, without anti-aliasing.

    Back again it is the same where the factor is an odd whole number: each of the picture's pixels
    then has its middle on one of the view's. In between it is as sharp as the view.

    Args:
        factor: > 0, of both sides; these are rounded.

    Raises:
        ValueError: factor is not positive.
    """
    check_positive("factor", factor)

    def grow(size: Size) -> Size:
        return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))

    def apply(pictures: np.ndarray) -> np.ndarray:
        resized = _resize(pictures, grow((pictures.shape[1], pictures.shape[2])))
        return np.rint(resized).astype(pictures.dtype) if pictures.dtype == np.uint8 else resized

    def invert_boxes(boxes: np.ndarray, size: Size) -> np.ndarray:
        by = np.divide(size, grow(size))
        return np.asarray(boxes, np.float64) * np.tile(by, 2)

    return View(f"scale {factor:g}", apply, _resize, invert_boxes)


def predict_views(
    predict: Callable[[np.ndarray], np.ndarray],
    pictures: np.ndarray,
    views: Sequence[View],
    *,
    batch_size: int = 512,
) -> np.ndarray:
    """Predict every view of every picture.

    Args:
        predict: (B, H', W', C) pictures -> (B, ...) predictions.
        pictures: (N, H, W, C), N >= 1; of a memmap no page stays in memory.
        views: V of them, V >= 1.
        batch_size: pictures that are looked at together.

    Returns:
        (N, V, ...).

    Raises:
        ValueError: batch_size is not positive, or there are no pictures or views.
    """
    check_positive("batch_size", batch_size)
    check_positive("number of pictures", len(pictures))
    check_positive("number of views", len(views))
    found = np.empty(0)
    for first in range(0, len(pictures), batch_size):
        batch = np.asarray(pictures[first : first + batch_size])
        for number, view in enumerate(views):
            part = np.asarray(predict(view.apply(batch)))
            if not found.size:
                found = np.empty((len(pictures), len(views), *part.shape[1:]), part.dtype)
            found[first : first + batch_size, number] = part
        release_pages(pictures)
    return found


def mean_views(predictions: np.ndarray) -> np.ndarray:
    """Average over views what was predicted of whole pictures, or of pixels where there is one.

    Args:
        predictions: (N, V, ...). Of masks, which have four axes or more, NaN is where a view does
            not show the pixel, as inverses have it.

    Returns:
        (N, ...). NaN where no view shows the pixel; without pixels, (N, V) or (N, V, C), where any
        view's prediction is NaN.
    """
    is_shown = ~np.isnan(predictions) | (predictions.ndim <= 3)
    total = np.where(is_shown, predictions, 0).sum(axis=1)
    n_shown = is_shown.sum(axis=1)
    return np.where(n_shown > 0, total / np.maximum(n_shown, 1), np.nan)


def geometric_mean_views(probabilities: np.ndarray, *, least: float = 1e-7) -> np.ndarray:
    """Average the logarithms of probabilities over views; rows sum to 1 again.

    A view that rules a class out counts for more than in the arithmetic mean: of all answers p it
    is the one with the least mean divergence KL(p, p_v) from the views' answers.

    Args:
        probabilities: (N, V, C).
        least: what smaller probabilities are raised to, in (0, 1).

    Returns:
        (N, C) which sum to 1.

    Raises:
        ValueError: the rank is another, or least is not in (0, 1).

    Source: Heskes, "Selecting Weighting Factors in Logarithmic Opinion Pools", 1998.
    """
    check_shape("probabilities", probabilities, (None, None, None))
    if not 0 < least < 1:
        raise ValueError(f"least must be in (0, 1), received {least}")
    logs = np.log(np.maximum(probabilities, least)).mean(axis=1)
    found = np.exp(logs - logs.max(axis=1, keepdims=True))
    return found / found.sum(axis=1, keepdims=True)


def _resize(pictures: np.ndarray, size: Size) -> np.ndarray:
    return np.asarray(tf.image.resize(pictures, size, method="bilinear"), np.float32)
