"""Cuts a test set out of Kaggle's train pictures: a sixth of them, as large as Kaggle's test.

Kaggle drew its test picture by picture. Here pictures that are nearly the same stay together, so
that a test answers for plants that train does not show.
"""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from common.validation.folds import group_folds
from competitions.plant_seedlings_classification.competition import SPECIES
from competitions.plant_seedlings_classification.plants import THUMBNAIL_PX, load_plants

N_PARTS = 6


def write_split(kaggle: Path, raw: Path) -> pd.DataFrame:
    """Copy Kaggle's train pictures to folders of train and test, and write the sample submission.

    Args:
        kaggle: Kaggle's own files.
        raw: an empty folder.

    Returns:
        The answers: file and species of the test pictures.

    Raises:
        InputError: a file is not as it must be.
    """
    with TemporaryDirectory(dir=raw) as work:
        plants = load_plants(kaggle, Path(work), side_px=THUMBNAIL_PX)
    is_train = ~plants.is_test
    held_rows = group_folds(
        plants.group, n_folds=N_PARTS, seed=0, can_hold=is_train, is_train=is_train
    )[0].held_rows
    species = np.array(SPECIES)[plants.label]
    for row in np.flatnonzero(is_train):
        below = "test" if row in held_rows else f"train/{species[row]}"
        (raw / below).mkdir(parents=True, exist_ok=True)
        name = plants.names[row]
        shutil.copyfile(kaggle / "train" / species[row] / name, raw / below / name)
    answers = pd.DataFrame({"file": plants.names[held_rows], "species": species[held_rows]})
    answers = answers.sort_values("file", ignore_index=True)
    answers.assign(species=SPECIES[-1]).to_csv(raw / "sample_submission.csv", index=False)
    return answers
