"""Cuts a test set out of Kaggle's train frames by its own rule: all frames of some drivers.

A fifth of the drivers becomes the test. Kaggle's test is several times as large as its train, and
has processed pictures among its frames; this one has not.
"""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from common.checks import InputError
from competitions.state_farm_distracted_driver_detection.competition import CLASSES
from competitions.state_farm_distracted_driver_detection.frames import load_frames

N_PARTS = 5


def write_split(kaggle: Path, raw: Path) -> pd.DataFrame:
    """Copy Kaggle's train frames to folders of train and test, and write the two lists.

    Args:
        kaggle: Kaggle's own files.
        raw: an empty folder.

    Returns:
        The answers: the test's frames, in the order of their names, and 1 for the true class.

    Raises:
        InputError: a list is not as it must be, a frame is missing, or there are fewer than two
            drivers.
    """
    frames = load_frames(kaggle)
    drivers = np.unique(frames.driver[~frames.is_test])
    if len(drivers) < 2:
        raise InputError(f"{kaggle}: a test needs frames of two drivers, received {len(drivers)}")
    rng = np.random.default_rng(0)
    held = rng.permutation(drivers)[: max(1, round(len(drivers) / N_PARTS))]
    listed = []
    for row in np.flatnonzero(~frames.is_test):
        driver, label, name = frames.driver[row], CLASSES[frames.label[row]], frames.names[row]
        listed.append((driver, label, name))
        path = raw / ("imgs/test" if driver in held else f"imgs/train/{label}") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _copy(kaggle / frames.paths[row], path)
    table = pd.DataFrame(listed, columns=["subject", "classname", "img"])
    is_test = table["subject"].isin(held)
    table[~is_test].to_csv(raw / "driver_imgs_list.csv", index=False)
    test = table[is_test].sort_values("img", ignore_index=True)
    one_hot = {name: (test["classname"] == name).astype(int) for name in CLASSES}
    answers = test[["img"]].assign(**one_hot)
    answers.assign(**dict.fromkeys(CLASSES, 0.1)).to_csv(raw / "sample_submission.csv", index=False)
    return answers


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError as error:
        raise InputError(f"{source} is missing") from error
