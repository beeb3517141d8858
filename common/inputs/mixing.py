"""Mix the pictures of a batch, and their labels with them."""

from collections.abc import Callable

import cv2
import numpy as np

from common.checks import check_positive
from common.inputs.augment import find_rectangles

Mix = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]
"""((B, H, W, 3) uint8, (B, C) labels, generator of this batch) -> mixed pictures and labels."""


def mixup(
    pictures: np.ndarray, labels: np.ndarray, rng: np.random.Generator, *, alpha: float = 0.2
) -> tuple[np.ndarray, np.ndarray]:
    """Lay every picture over the one before it, as if through glass, and their labels likewise.

    The share that a picture keeps is drawn from Beta(alpha, alpha), for each its own: near 0 or 1
    for a small alpha.

    Args:
        pictures: (B, H, W, 3) uint8, of a shuffled batch.
        labels: (B, C) float32, one-hot or shares of classes.
        rng: draws the shares.
        alpha: > 0.

    Returns:
        Pictures (B, H, W, 3) uint8, rounded, and labels (B, C) float32.

    Raises:
        ValueError: alpha is not positive.

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018; the partner is the
        neighbour in the batch, and each pair has its own share.
    """
    check_positive("alpha", alpha)
    kept = rng.beta(alpha, alpha, len(pictures))
    mixed = np.empty(pictures.shape, np.uint8)
    for k, share in enumerate(kept):
        cv2.addWeighted(pictures[k], share, pictures[k - 1], 1 - share, 0.0, dst=mixed[k])
    return mixed, _mix_labels(labels, kept)


def cutmix(
    pictures: np.ndarray, labels: np.ndarray, rng: np.random.Generator, *, alpha: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Put a rectangle of the picture before into every picture; labels count by area.

    The share that a picture keeps is drawn from Beta(alpha, alpha), for each its own. Rectangles
    have the picture's own shape and lie wholly in it.

    Args:
        pictures: (B, H, W, 3) uint8, of a shuffled batch.
        labels: (B, C) float32, one-hot or shares of classes.
        rng: draws shares and places.
        alpha: > 0.

    Returns:
        Pictures (B, H, W, 3) uint8, and labels (B, C) float32, by the pixels that are kept.

    Raises:
        ValueError: alpha is not positive.

    Source: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with
        Localizable Features", 2019; the partner is the neighbour in the batch, and rectangles are
        not cut off at the border.
    """
    check_positive("alpha", alpha)
    side = np.sqrt(1 - rng.beta(alpha, alpha, len(pictures)))
    corner = rng.random((len(pictures), 2))
    mixed, kept = pictures.copy(), np.ones(len(pictures))
    for k, place in enumerate(find_rectangles(pictures.shape[1:3], side, side, corner)):
        mixed[(k, *place)] = pictures[(k - 1, *place)]
        kept[k] -= pictures[(k, *place)].size / pictures[k].size
    return mixed, _mix_labels(labels, kept)


def _mix_labels(labels: np.ndarray, kept: np.ndarray) -> np.ndarray:
    share = kept[:, None]
    return (share * labels + (1 - share) * np.roll(labels, 1, axis=0)).astype(np.float32)
