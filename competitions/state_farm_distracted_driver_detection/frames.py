"""Frames from disk: which there are, who drives, what the driver does, and the pictures."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from common.checks import InputError
from common.data.images import check_listed, load_pictures
from common.data.tables import check_labels, load_table
from competitions.state_farm_distracted_driver_detection.competition import CLASSES

THUMBNAIL_PX, N_THUMBNAIL_DIMS = (15, 20), 64
N_LEARNT = 5000  # frames that principal components are learnt from
MOST_RAM_MIB = 256  # of pictures; more stay on disk, where all workers read the same ones


@dataclass(frozen=True)
class Frames:
    """All frames, of train and then of the test, in the order of their lists.

    Attributes:
        names: (n,) text, file names.
        paths: (n,) text, below the raw folder.
        label: (n,) int in [0, 10), -1 in the test.
        driver: (n,) text, "" in the test, where it is not told.
    """

    names: np.ndarray
    paths: np.ndarray
    label: np.ndarray
    driver: np.ndarray

    @property
    def is_test(self) -> np.ndarray:
        return self.label < 0

    @property
    def one_hot(self) -> np.ndarray:
        """The labels as (n, 10) float32, 0 in the test."""
        known = np.eye(len(CLASSES), dtype=np.float32)
        return np.where(self.is_test[:, None], np.float32(0), known[self.label])

    @property
    def sequence(self) -> np.ndarray:
        """What the frames of train come in, (n,) text: one driver doing one thing."""
        return np.array([f"{d} {k}" for d, k in zip(self.driver, self.label, strict=True)])


def load_frames(raw: Path) -> Frames:
    """Read the list of drivers and the sample submission.

    Raises:
        InputError: a file is missing, a class is none, or a frame is listed twice.
    """
    path = raw / "driver_imgs_list.csv"
    listed = load_table(path, columns=("subject", "classname", "img"), dtypes={"subject": "str"})
    check_labels(path, listed, ["classname"], allowed=CLASSES)
    if (is_blank := listed["subject"].fillna("").str.strip() == "").any():
        line = int(is_blank.to_numpy().argmax()) + 2
        raise InputError(f"{path}: subject must name a driver, received none in line {line}")
    asked = load_table(raw / "sample_submission.csv", columns=("img", *CLASSES))
    check_listed(path, listed["img"])
    check_listed(raw / "sample_submission.csv", asked["img"])
    names = pd.concat([listed["img"], asked["img"]]).astype(str)
    if (twice := names.duplicated()).any():
        raise InputError(
            f"{raw / 'sample_submission.csv'}: a frame must be in train or in the test, "
            f"received {names[twice].iloc[0]} in both"
        )
    train = "imgs/train/" + listed["classname"] + "/" + listed["img"].astype(str)
    return Frames(
        names=names.to_numpy(str),
        paths=np.concatenate([train, "imgs/test/" + asked["img"].astype(str)]).astype(str),
        label=np.concatenate(
            [[CLASSES.index(name) for name in listed["classname"]], np.full(len(asked), -1)]
        ).astype(int),
        driver=np.concatenate([listed["subject"].astype(str), np.full(len(asked), "")]).astype(str),
    )


def load_pixels(frames: Frames, raw: Path, work: Path, *, size_px: tuple[int, int]) -> np.ndarray:
    """Load all frames in one size, (n, H, W, 3) uint8.

    Args:
        frames: which.
        raw: the raw folder.
        work: where they are kept, so that they are decoded once.
        size_px: height and width.

    Raises:
        InputError: a frame is missing or is no picture.
    """
    height, width = size_px
    return load_pictures(
        raw,
        frames.paths.tolist(),
        work / "pictures",
        height_px=height,
        width_px=width,
        most_ram_mib=MOST_RAM_MIB,
    )


def load_thumbnails(frames: Frames, raw: Path, work: Path) -> np.ndarray:
    """Load where all frames lie among each other by what is alike in a sequence: (n, D) float32.

    Frames are made so small that hands are gone, and brought to their principal components, by
    which a search takes a fraction of the time and finds nearly the same neighbours.

    Raises:
        InputError: a frame is missing or is no picture.
    """
    pixels = load_pixels(frames, raw, work, size_px=THUMBNAIL_PX)
    flat = pixels.reshape(len(pixels), -1)
    some = np.sort(np.random.default_rng(0).permutation(len(flat))[:N_LEARNT])
    n_dims = min(N_THUMBNAIL_DIMS, len(some))
    components = PCA(n_dims, svd_solver="covariance_eigh").fit(flat[some].astype(np.float32))
    blocks = np.array_split(flat, -(-len(flat) // N_LEARNT))
    found = [components.transform(block.astype(np.float32)) for block in blocks]
    return np.concatenate(found).astype(np.float32)
