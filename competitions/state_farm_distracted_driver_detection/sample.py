"""Writes made-up frames in Kaggle's form: a hand at its place before a driver, or anywhere.

No figure of it is ever shown as a score.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from common.data.images import write_picture
from competitions.state_farm_distracted_driver_detection.competition import CLASSES

SIZE_PX = (30, 40)
N_FRAMES, N_DRIVERS, N_TEST_DRIVERS = 5, 5, 2  # of a sequence, of train, of the test
KAGGLE_FRAMES = 86  # of a sequence, on average
TEST_SHARE = 3.5  # Kaggle's test, as a multiple of train
HAND_PX = 4  # radius


def write_sample(raw: Path, seed: int, *, n_rows: int | None = None, signal: bool = True) -> None:
    """Write frames, the list of drivers and the sample submission.

    Args:
        raw: an empty folder.
        seed: of everything made up.
        n_rows: frames of train, about. There are five drivers at least, and more where their
            sequences would be longer than Kaggle's; the test is as much larger as Kaggle's.
        signal: whether the place of the hand tells what the driver does. Without, each sequence has
            a place of its own.
    """
    rng = np.random.default_rng(seed)
    n_drivers, n_test, n_frames = N_DRIVERS, N_TEST_DRIVERS, N_FRAMES
    if n_rows:
        n_drivers = max(N_DRIVERS, round(n_rows / (KAGGLE_FRAMES * len(CLASSES))))
        n_test = round(TEST_SHARE * n_drivers)
        n_frames = max(1, round(n_rows / (n_drivers * len(CLASSES))))
    places = rng.uniform([5, 5], [SIZE_PX[0] - 5, SIZE_PX[1] - 5], (len(CLASSES), 2))
    numbers = rng.permutation((n_drivers + n_test) * len(CLASSES) * n_frames)
    names = iter(f"img_{number}.jpg" for number in numbers)
    listed, asked = [], []
    for driver in range(n_drivers + n_test):
        scene = _make_scene(rng)
        for k, label in enumerate(CLASSES):
            place = places[k] if signal else rng.uniform([5, 5], np.subtract(SIZE_PX, 5))
            for picture in _film(scene, place, n_frames, rng):
                name = next(names)
                is_test = driver >= n_drivers
                folder = raw / "imgs" / ("test" if is_test else f"train/{label}")
                write_picture(folder / name, picture)
                if is_test:
                    asked.append(name)
                else:
                    listed.append((f"p{driver:03d}", label, name))
    train = pd.DataFrame(listed, columns=["subject", "classname", "img"])
    train.to_csv(raw / "driver_imgs_list.csv", index=False, lineterminator="\n")
    sample = pd.DataFrame({"img": sorted(asked)}).assign(**dict.fromkeys(CLASSES, 0.1))
    sample.to_csv(raw / "sample_submission.csv", index=False, lineterminator="\n")


def _make_scene(rng: np.random.Generator) -> np.ndarray:
    """Make what all frames of a driver share, (H, W, 3): some soft patches of colour."""
    coarse = rng.uniform(30, 160, (4, 5, 3))
    height, width = SIZE_PX
    return np.repeat(np.repeat(coarse, -(-height // 4), 0), width // 5, 1)[:height, :width]


def _film(
    scene: np.ndarray, place: np.ndarray, n_frames: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Make a sequence: the hand goes about its place in small steps."""
    y, x = np.indices(SIZE_PX)
    light = rng.uniform(0.9, 1.1)
    hand = place + rng.normal(scale=1.0, size=2)
    pictures = []
    for _ in range(n_frames):
        hand = hand + rng.normal(scale=0.3, size=2)
        is_hand = np.hypot(y - hand[0], x - hand[1]) < HAND_PX
        picture = np.where(is_hand[..., None], [250, 220, 190], scene * light)
        noise = rng.normal(scale=2.0, size=picture.shape)
        pictures.append(np.clip(picture + noise, 0, 255).astype(np.uint8))
    return pictures
