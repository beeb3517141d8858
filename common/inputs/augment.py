"""Alter pictures at train time: through OpenCV, by generators that are arguments.

    augment = compose(
        partial(flip, diagonally=True),
        partial(warp, turn_deg=30, zoom=0.2),
        partial(random_erase, largest=0.2),
    )
    make_picture_batches(pictures, labels, batch_size=32, seed=0, augment=augment)

Pictures stay uint8 until they are altered: TensorFlow's operations, of which each fills a new array
of float32, take about ten times as long on a CPU. Nothing is altered in place.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np

from common.checks import check_positive
from common.settings import check_setting

Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""((B, H, W, 3) uint8, generator of this batch) -> altered (B, H, W, 3) uint8."""

GREY = np.array([0.299, 0.587, 0.114])
"""What red, green and blue add to brightness (ITU-R BT.601)."""


def compose(*steps: Augment) -> Augment:
    """Do several steps one after another, each with a generator of its own."""

    def augment(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        for step, own in zip(steps, rng.spawn(len(steps)), strict=True):
            pictures = step(pictures, own)
        return pictures

    return augment


def flip(
    pictures: np.ndarray,
    rng: np.random.Generator,
    *,
    horizontally: bool = True,
    vertically: bool = False,
    diagonally: bool = False,
) -> np.ndarray:
    """Mirror every picture, or not, with equal chances, in each way that is allowed.

    All three ways together draw one of the eight symmetries of a square, quarter turns among them.

    Args:
        pictures: (B, H, W, 3) uint8.
        rng: draws the ways.
        horizontally: whether left and right may change places.
        vertically: whether top and bottom may.
        diagonally: whether rows and columns may; H = W then.

    Returns:
        (B, H, W, 3).

    Raises:
        ValueError: diagonally, of pictures that are not square.
    """
    height, width = pictures.shape[1:3]
    if diagonally and height != width:
        raise ValueError(f"H and W must be equal for diagonally, received {height} and {width}")
    is_drawn = rng.random((len(pictures), 3)) < 0.5
    is_drawn &= (horizontally, vertically, diagonally)
    altered = pictures.copy()
    for picture, (left_right, up_down, across) in zip(altered, is_drawn, strict=True):
        if left_right:
            picture[:] = cv2.flip(picture, 1)
        if up_down:
            picture[:] = cv2.flip(picture, 0)
        if across:
            picture[:] = cv2.transpose(picture)
    return altered


def warp(
    pictures: np.ndarray,
    rng: np.random.Generator,
    *,
    turn_deg: float = 0.0,
    zoom: float = 0.0,
    stretch: float = 0.0,
    shift: float = 0.0,
) -> np.ndarray:
    """Turn, zoom, stretch and shift every picture by amounts of its own, in one resampling.

    What comes into sight beyond the border is the picture's mirror image.

    Args:
        pictures: (B, H, W, 3) uint8.
        rng: draws the amounts.
        turn_deg: the largest angle, in degrees, either way.
        zoom: things get larger or smaller by a factor of up to 1 + zoom, >= 0.
        stretch: ... and wider than high, or higher than wide, by a factor of up to 1 + stretch,
            likewise.
        shift: the largest shift, as a share of the side, either way.

    Returns:
        (B, H, W, 3), interpolated by lines.

    Raises:
        ValueError: zoom or stretch is negative.
    """
    check_setting("zoom", zoom, error=ValueError)
    check_setting("stretch", stretch, error=ValueError)
    height, width = pictures.shape[1:3]
    amounts = rng.uniform(-1, 1, (len(pictures), 5))
    angle = amounts[:, 0] * math.radians(turn_deg)
    scale = np.exp(amounts[:, 1] * math.log1p(zoom))
    ratio = np.exp(amounts[:, 2] * math.log1p(stretch) / 2)
    # A pixel of the result is looked up in the picture: about the middle, by the inverse map.
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    from_x = middle_x + amounts[:, 3] * shift * width
    from_y = middle_y + amounts[:, 4] * shift * height
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    xx, xy, yx, yy = cos / ratio, -sin / ratio, sin * ratio, cos * ratio
    rows = (
        (xx, xy, middle_x - xx * from_x - xy * from_y),
        (yx, yy, middle_y - yx * from_x - yy * from_y),
    )
    maps = np.array(rows).transpose(2, 0, 1)  # (B, 2, 3)
    altered = np.empty(pictures.shape, np.uint8)
    for picture, result, inverse in zip(pictures, altered, maps, strict=True):
        cv2.warpAffine(
            picture,
            inverse,
            (width, height),
            dst=result,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
    return altered


def jitter_colour(
    pictures: np.ndarray,
    rng: np.random.Generator,
    *,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
) -> np.ndarray:
    """Make every picture brighter or darker, harder or softer, more or less colourful.

    Args:
        pictures: (B, H, W, 3) uint8.
        rng: draws the amounts.
        brightness: the most that is added or taken away, as a share of 255.
        contrast: distances from the picture's mean grey change by a factor in [1 - contrast, 1 +
            contrast].
        saturation: distances from each pixel's own grey likewise.

    Returns:
        (B, H, W, 3).
    """
    amounts = rng.uniform(-1, 1, (len(pictures), 3))
    added = amounts[:, 0] * brightness * 255
    hard, colourful = 1 + amounts[:, 1] * contrast, 1 + amounts[:, 2] * saturation
    # All three at once: a pixel's new colour is a linear map of its old one, and an offset.
    maps = np.zeros((len(pictures), 3, 4))
    own, grey = hard * colourful, hard * (1 - colourful)
    maps[..., :3] = own[:, None, None] * np.eye(3) + grey[:, None, None] * GREY
    altered = np.empty(pictures.shape, np.uint8)
    for k, picture in enumerate(pictures):
        mean = GREY @ cv2.mean(picture)[:3]
        maps[k, :, 3] = added[k] + (1 - hard[k]) * mean
        cv2.transform(picture, maps[k], dst=altered[k])
    return altered


def random_erase(
    pictures: np.ndarray,
    rng: np.random.Generator,
    *,
    chance: float = 0.5,
    smallest: float = 0.02,
    largest: float = 0.33,
) -> np.ndarray:
    """Hide a rectangle of some pictures under one colour: occlusion at train time.

    A net that may not see a part must know a thing by all of its parts.

    Args:
        pictures: (B, H, W, 3) uint8.
        rng: draws pictures, rectangles and colours.
        chance: that a picture has a rectangle, in [0, 1].
        smallest: of its area, as a share of the picture's, > 0.
        largest: likewise, from smallest to 1.

    Returns:
        (B, H, W, 3).

    Raises:
        ValueError: a number is out of range.

    Source: Zhong et al., "Random Erasing Data Augmentation", 2017. Each rectangle has one colour in
        place of noise, and is cut off where it would be longer than the picture; its ratio is drawn
        evenly by its logarithm, so that as many lie as stand.
    """
    check_positive("smallest", smallest)
    check_setting("largest", largest, least=smallest, most=1.0, error=ValueError)
    check_setting("chance", chance, most=1.0, error=ValueError)
    n = len(pictures)
    is_hidden = rng.random(n) < chance
    area = rng.uniform(smallest, largest, n)
    ratio = 0.3 ** rng.uniform(-1, 1, n)  # from 0.3 to 1 / 0.3
    colours = rng.integers(256, size=(n, 3), dtype=np.uint8)
    places = find_rectangles(
        pictures.shape[1:3], np.sqrt(area * ratio), np.sqrt(area / ratio), rng.random((n, 2))
    )
    altered = pictures.copy()
    for k in np.flatnonzero(is_hidden):
        altered[(k, *places[k])] = colours[k]
    return altered


def find_rectangles(
    size_px: tuple[int, int], height: np.ndarray, width: np.ndarray, corner: np.ndarray
) -> list[tuple[slice, slice]]:
    """Find the rows and columns of one rectangle in every picture.

    Args:
        size_px: (H, W) of all pictures.
        height: (B,) as a share of the picture's; more than 1 is 1.
        width: (B,) likewise.
        corner: (B, 2) of the upper left corner: 0 at the top or left, 1 as far down or right as the
            whole rectangle may be.

    Returns:
        B times (rows, columns). Sides are rounded to whole pixels.
    """
    sides = np.round(np.minimum(np.stack([height, width], axis=1), 1.0) * size_px)
    starts = np.round(corner * (size_px - sides))
    ends = (starts + sides).astype(int)
    return [
        (slice(top, bottom), slice(left, right))
        for (top, left), (bottom, right) in zip(starts.astype(int), ends, strict=True)
    ]
