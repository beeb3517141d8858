"""Where a classifier looks: cover a part of the picture and see what it loses."""

from collections.abc import Callable

import numpy as np

from common.checks import check_positive, check_shape


def occlusion_map(
    predict: Callable[[np.ndarray], np.ndarray],
    picture: np.ndarray,
    *,
    label: int,
    patch_px: int,
    stride_px: int,
    fill: np.ndarray | float | None = None,
    batch_size: int = 256,
) -> np.ndarray:
    """Measure how much a class's probability falls when a square about each pixel is covered.

    The square slides over the whole picture; a pixel gets the mean fall over all squares that cover
    it. Negative values mark what speaks against the class.

    Args:
        predict: (B, H, W, C) pictures of the picture's dtype -> (B, K) probabilities or scores.
        picture: (H, W, C).
        label: the class, in [0, K).
        patch_px: side of the square; cut off at the larger sides of the picture.
        stride_px: between two squares, <= patch_px, so that each pixel is covered.
        fill: colour of the square, one number or (C,); None: the picture's mean colour.
        batch_size: covered pictures that are predicted together.

    Returns:
        (H, W) float64.

    Raises:
        ValueError: the picture has another rank, a size is not positive, stride_px is larger than
            patch_px, or label is no class.

    Cost: about H W / stride_px^2 predictions.

    Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014. The
        mean over all covering squares is ours; theirs are shown where their middles are.
    """
    check_shape("picture", picture, (None, None, None))
    check_positive("patch_px", patch_px)
    check_positive("stride_px", stride_px)
    check_positive("batch_size", batch_size)
    if stride_px > patch_px:
        raise ValueError(f"stride_px must be <= patch_px = {patch_px}, received {stride_px}")
    whole = np.asarray(predict(picture[None]))
    if not 0 <= label < whole.shape[1]:
        raise ValueError(f"label must be in [0, {whole.shape[1]}), received {label}")
    colour = _find_mean(picture) if fill is None else fill
    squares = _place_squares(picture.shape[0], picture.shape[1], patch_px, stride_px)
    fall, n_covering = np.zeros((2, *picture.shape[:2]))
    for first in range(0, len(squares), batch_size):
        here = squares[first : first + batch_size]
        covered = np.repeat(picture[None], len(here), axis=0)
        for one, square in zip(covered, here, strict=True):
            one[square] = colour
        lost = whole[0, label] - np.asarray(predict(covered))[:, label]
        for square, by in zip(here, lost, strict=True):
            fall[square] += by
            n_covering[square] += 1
    return fall / n_covering


def _find_mean(picture: np.ndarray) -> np.ndarray:
    """Find the mean colour, rounded where the picture is of whole numbers."""
    mean = picture.mean(axis=(0, 1))
    return np.rint(mean) if np.issubdtype(picture.dtype, np.integer) else mean


def _place_squares(height: int, width: int, side: int, stride: int) -> list[tuple[slice, slice]]:
    """Place squares from the upper left on, the last ones flush with the lower and right edge."""
    tops, lefts = (
        np.unique(np.append(np.arange(0, max(n - side, 0), stride), max(n - side, 0)))
        for n in (height, width)
    )
    return [(slice(t, t + side), slice(left, left + side)) for t in tops for left in lefts]
