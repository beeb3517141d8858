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
from competitions.plant_seedlings_classification.plants import list_train, load_groups

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
    train = list_train(kaggle)
    with TemporaryDirectory(dir=raw) as work:
        group = load_groups(kaggle, train, Path(work))
    each = np.ones(len(train), bool)
    folds = group_folds(group, n_folds=N_PARTS, seed=0, can_hold=each, is_train=each)
    is_held = np.isin(np.arange(len(train)), folds[0].held_rows)
    answers = []
    for path, held in zip(train, is_held, strict=True):
        _, species, name = path.split("/")
        copy = raw / (f"test/{name}" if held else path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kaggle / path, copy)
        if held:
            answers.append((name, species))
    table = pd.DataFrame(answers, columns=["file", "species"])
    table = table.sort_values("file", ignore_index=True)
    table.assign(species=SPECIES[-1]).to_csv(raw / "sample_submission.csv", index=False)
    return table
