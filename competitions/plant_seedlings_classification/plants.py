"""The pictures as arrays, and which of them are nearly the same."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from common.checks import InputError
from common.data.images import check_listed, load_pictures
from common.data.tables import load_table
from common.neighbors.knn import NearestNeighbors
from competitions.plant_seedlings_classification.competition import SPECIES

THUMBNAIL_PX = 24
NEARLY_SAME = 0.1  # 1 less the correlation of two thumbnails: one shot, cropped, turned, saved anew


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
        InputError: folders of train are not the species, a name is there twice, a test picture is
            missing, or a file is no picture.
    """
    train = list_train(raw)
    sample = load_table(raw / "sample_submission.csv", columns=("file", "species"))
    check_listed(raw / "sample_submission.csv", sample["file"])
    test = [f"test/{name}" for name in sample["file"]]
    names = np.array([path.rpartition("/")[2] for path in [*train, *test]])
    n_train = len(train)
    if both := sorted({*names[:n_train]} & {*names[n_train:]}):
        raise InputError(f"{raw} must hold each name once, received {both[0]} in train and test")
    cache = work / "pictures"
    pictures = load_pictures(raw, [*train, *test], cache, height_px=side_px, width_px=side_px)
    numbers = {name: number for number, name in enumerate(SPECIES)}
    group = np.arange(len(pictures))
    group[:n_train] = load_groups(raw, train, work)
    return Plants(
        names=names,
        pictures=pictures,
        label=np.array([numbers[path.split("/")[1]] for path in train] + [-1] * len(test)),
        is_test=np.arange(len(pictures)) >= n_train,
        group=group,
    )


def list_train(raw: Path) -> list[str]:
    """List the train pictures, "train/<species>/<name>" in the order of these paths.

    Raises:
        InputError: folders are not the species, or a name is there twice.
    """
    train = sorted(path.relative_to(raw).as_posix() for path in raw.glob("train/*/*"))
    _check_train(raw / "train", train)
    return train


def load_groups(raw: Path, train: Sequence[str], work: Path) -> np.ndarray:
    """Load train pictures as thumbnails, and group those that are nearly the same: (n,) int."""
    return find_near_duplicates(
        load_pictures(raw, train, work / "pictures", height_px=THUMBNAIL_PX, width_px=THUMBNAIL_PX)
    )


def find_near_duplicates(thumbnails: np.ndarray) -> np.ndarray:
    """Group pictures that are nearly the same: (n,) int, equal within a group.

    Thumbnails less their means are compared by the cosine, which is their correlation, upright,
    turned and mirrored, since nets learn from pictures in all of these positions. Whatever is
    linked through others is one group.

    Args:
        thumbnails: (n, S, S, 3) uint8.
    """
    n = len(thumbnails)
    search = NearestNeighbors(metric="cosine").fit(_flatten(thumbnails))
    links = coo_matrix((n, n))
    for sides in (thumbnails, np.flip(thumbnails, 2)):
        for quarters in range(4):
            asked = _flatten(np.rot90(sides, quarters, axes=(1, 2)))
            found = search.radius_neighbors(asked, radius=NEARLY_SAME)[1]
            first = np.repeat(np.arange(n), [len(rows) for rows in found])
            links += coo_matrix((np.ones(len(first)), (first, np.concatenate(found))), (n, n))
    group: np.ndarray = connected_components(links)[1]
    return group


def _flatten(thumbnails: np.ndarray) -> np.ndarray:
    """Make rows whose cosine is their correlation: (n, 3 S^2) float32."""
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    flat[np.abs(flat).max(axis=1) == 0] = 1.0  # One colour has no correlation.
    return flat


def _check_train(folder: Path, train: list[str]) -> None:
    """Check the folders and names of train pictures, which are ids without their folders."""
    received = {name.split("/")[1] for name in train}
    if unknown := sorted(received - set(SPECIES)):
        raise InputError(
            f"{folder} must hold folders named {', '.join(SPECIES)}, received {unknown[0]}"
        )
    if missing := [name for name in SPECIES if name not in received]:
        raise InputError(
            f"{folder} must hold pictures of all species, received none of {missing[0]}"
        )
    at: dict[str, str] = {}
    for path in train:
        name = path.rpartition("/")[2]
        if name in at:
            raise InputError(f"{folder} must hold each name once, received {at[name]} and {path}")
        at[name] = path
