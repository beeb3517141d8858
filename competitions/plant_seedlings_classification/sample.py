"""Writes made-up seedlings in Kaggle's form, whose leaves tell the species, or nothing."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from common.data.images import write_picture
from competitions.plant_seedlings_classification.competition import SPECIES

SIDE_PX = 24
N_ROWS = 72
TEST_SHARE = 794 / 4750  # Kaggle's


def write_sample(raw: Path, seed: int, *, n_rows: int | None = None, signal: bool = True) -> None:
    """Write folders of train pictures, test pictures and the sample submission.

    Args:
        raw: an empty folder.
        seed: of everything made up.
        n_rows: pictures of train; the test has one of each species at least.
        signal: whether number and colour of the leaves tell the species.
    """
    rng = np.random.default_rng(seed)
    n_train = n_rows or N_ROWS
    n_test = max(len(SPECIES), round(TEST_SHARE * n_train))
    for number in range(n_train):
        species = number % len(SPECIES)
        folder = raw / "train" / SPECIES[species]
        write_picture(folder / f"{number:09x}.png", _draw(species, rng, signal=signal))
    names = [f"{number:09x}.png" for number in range(n_train, n_train + n_test)]
    for number, name in enumerate(names):
        write_picture(raw / "test" / name, _draw(number % len(SPECIES), rng, signal=signal))
    table = pd.DataFrame({"file": names, "species": SPECIES[-1]})
    table.to_csv(raw / "sample_submission.csv", index=False, lineterminator="\n")


def _draw(species: int, rng: np.random.Generator, *, signal: bool) -> np.ndarray:
    """Draw one seedling: leaves around a middle, on gravel."""
    picture = rng.normal((150, 120, 90), 25, (SIDE_PX, SIDE_PX, 3)).clip(0, 255).astype(np.uint8)
    kind = species if signal else int(rng.integers(len(SPECIES)))
    n_leaves, hue = 2 + kind % 4, 180 * kind // len(SPECIES)
    leaf = np.array([[[hue, 200, rng.integers(150, 230)]]], np.uint8)
    colour = tuple(int(v) for v in cv2.cvtColor(leaf, cv2.COLOR_HSV2RGB)[0, 0])
    middle = rng.uniform(0.4, 0.6, 2) * SIDE_PX
    angles = rng.uniform(0, 360) + np.arange(n_leaves) * 360 / n_leaves
    for angle in angles:
        way = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        place = tuple(int(v) for v in middle + way * SIDE_PX / 5)
        cv2.ellipse(picture, place, (SIDE_PX // 4, SIDE_PX // 8), angle, 0, 360, colour, -1)
    return picture
