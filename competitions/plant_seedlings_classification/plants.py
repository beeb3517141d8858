"""The pictures as arrays, and which of them are nearly the same."""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from common.checks import InputError
from common.data.images import load_pictures
from common.data.tables import load_table
from common.neighbors.knn import NearestNeighbors
from competitions.plant_seedlings_classification.competition import SPECIES

THUMBNAIL_PX = 24
NEARLY_SAME = 0.1  # 1 less the correlation of two thumbnails: the same shot, cropped or saved anew


class Plants(NamedTuple):
    """All pictures, train rows before test rows.

    Attributes:
        names: (n,) the files' names.
        pictures: (n, S, S, 3) uint8.
        label: (n,) int, a number of SPECIES; -1 in test rows.
        is_test: (n,) bool.
        group: (n,) int; train rows that are nearly the same picture share one.
    """

    names: np.ndarray
    pictures: np.ndarray
    label: np.ndarray
    is_test: np.ndarray
    group: np.ndarray


def load_plants(raw: Path, work: Path, *, side_px: int) -> Plants:
    """Load all pictures in one size.

    Args:
        raw: the competition's files.
        work: where the resized pictures are kept.
        side_px: of the squares that they become.

    Raises:
        InputError: a folder of train is no species, a test picture is missing, or a file is no
            picture.
    """
    train = sorted(path.relative_to(raw).as_posix() for path in raw.glob("train/*/*"))
    species = [name.split("/")[1] for name in train]
    if unknown := sorted(set(species) - set(SPECIES)):
        raise InputError(
            f"{raw / 'train'} must hold folders named {', '.join(SPECIES)}, received {unknown[0]}"
        )
    sample = load_table(raw / "sample_submission.csv", columns=("file", "species"))
    test = [f"test/{name}" for name in sample["file"]]
    pictures = load_pictures(
        raw, [*train, *test], work / "pictures", height_px=side_px, width_px=side_px
    )
    numbers = {name: number for number, name in enumerate(SPECIES)}
    n_train = len(train)
    group = np.arange(len(pictures))
    group[:n_train] = find_near_duplicates(pictures[:n_train])
    return Plants(
        names=np.array([name.rpartition("/")[2] for name in [*train, *test]]),
        pictures=pictures,
        label=np.array([numbers[name] for name in species] + [-1] * len(test)),
        is_test=np.arange(len(pictures)) >= n_train,
        group=group,
    )


def find_near_duplicates(pictures: np.ndarray) -> np.ndarray:
    """Group pictures that are nearly the same: (n,) int, equal within a group.

    Thumbnails less their means are compared by the cosine, which is their correlation; whatever is
    linked through others is one group.

    Args:
        pictures: (n, S, S, 3) uint8.
    """
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    small = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in pictures]
    flat = np.stack(small).reshape(len(small), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    flat[np.abs(flat).max(axis=1) == 0] = 1.0  # One colour has no correlation.
    found = NearestNeighbors(metric="cosine").fit(flat).radius_neighbors(radius=NEARLY_SAME)[1]
    first = np.repeat(np.arange(len(flat)), [len(rows) for rows in found])
    links = coo_matrix((np.ones(len(first)), (first, np.concatenate(found))), 2 * (len(flat),))
    group: np.ndarray = connected_components(links)[1]
    return group
