"""The races of pictures: from files to altered batches, through nets, and at growing numbers."""

import shutil
import tempfile
import weakref
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipelines.speed import OURS, Race
from pipelines.speed_tuning import (
    BATCH,
    BRIGHTER,
    FEATURES_PX,
    SIDE_PX,
    Runs,
    differ_in_features,
    differ_in_learning,
    differ_in_steps,
    feed,
    make_features,
    make_fitting,
    make_keeping,
)

OURS_AGAIN = "ours, from the cache"
TF_DATA, KERAS_FOLDER = "tf.data, from_tensor_slices and map", "keras image_dataset_from_directory"
LIBRARIES = ()
"""Packages whose version matters beside those that all figures depend on."""

N_CLOUDS = 50
N_FILES = 1000  # of which larger numbers are repetitions
HUE = (156, 128, 100)  # the mean red, green and blue of clouds, that swapped channels be seen


HUE_APART = 3.0  # of 255
LEAST_SPREAD = BRIGHTER / 4  # of the pictures' means; an even draw within BRIGHTER has 0.58 of it


class Seen(NamedTuple):
    """What came out of a stream."""

    n: int  # pictures
    colour: np.ndarray  # (3,) mean red, green and blue
    spread: float  # standard deviation of the pictures' means
    counts: np.ndarray  # (2,) pictures of each class


@dataclass(frozen=True)
class Album:
    """JPEG files in folders by class, which are deleted with the last reference.

    Attributes:
        folder: holds all that belongs to it.
        names: (N,) of files below `root`; some may come more than once.
        labels: (N, 2) float32, one-hot.
    """

    folder: Path
    names: tuple[str, ...]
    labels: np.ndarray

    def __post_init__(self) -> None:
        weakref.finalize(self, shutil.rmtree, self.folder)

    @property
    def root(self) -> Path:
        return self.folder / "files"


def make_races(*, share: float = 1.0) -> list[Race]:
    """List all races.

    Args:
        share: of the pictures, in (0, 1]; less than 1 for a quick look. Nets are tiny below 0.1.
    """

    def pictures(n: int) -> int:
        return max(int(n * share), 2 * BATCH) // BATCH * BATCH

    reading = [
        Race(
            "decode, resize, alter",
            f"{pictures(4096):,} JPEGs of {width} x {height} to {SIDE_PX} x {SIDE_PX}",
            pictures(4096),
            partial(_make_reading, pictures(4096), height, width),
            _differ_in_pictures,
            unit="pictures",
        )
        for height, width in ((480, 640), (SIDE_PX, SIDE_PX))
    ]
    net = "lite0" if share >= 0.1 else "tiny"
    nets = _race_nets(net, n_fit=pictures(1280), n_features=pictures(512))
    growing = [
        Race(
            "decode and an epoch from disk",
            f"{pictures(n):,} JPEGs of 640 x 480 to 80 x 60",
            pictures(n),
            partial(_make_growing, pictures(n)),
            _differ_in_pictures,
            slow=(OURS,),
            unit="pictures",
        )
        for n in (1024, 10_240, 102_400)
    ]
    return [*reading, *nets, *growing]


def _race_nets(net: str, *, n_fit: int, n_features: int) -> list[Race]:
    about = {"lite0": "EfficientNet-Lite0", "tiny": "two blocks"}[net]
    seen = f"{n_fit:,} pictures of {SIDE_PX} x {SIDE_PX}"
    return [
        Race(
            "a fine-tuning epoch",
            f"{about}, {seen}",
            n_fit,
            partial(make_fitting, n_fit, net),
            differ_in_steps,
            unit="pictures",
        ),
        Race(
            "an epoch from kept activations",
            f"{about} above two thirds of its stages, {seen}",
            n_fit,
            partial(make_keeping, n_fit, net),
            differ_in_learning,
            unit="pictures",
        ),
        Race(
            "features",
            f"{about}, {n_features:,} pictures of {FEATURES_PX} x {FEATURES_PX}",
            n_features,
            partial(make_features, n_features, net),
            differ_in_features,
            unit="pictures",
        ),
    ]


def _make_album(n: int, height: int, width: int, *, n_files: int) -> Album:
    """Write clouds in all sizes, as large as photographs of that many pixels are; they repeat."""
    import cv2

    rng = np.random.default_rng(0)
    folder = Path(tempfile.mkdtemp(prefix="speed-"))
    names = [f"{'ab'[k % 2]}/{k:05d}.jpg" for k in range(n_files)]
    for k, name in enumerate(names):
        path = folder / "files" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        if k >= N_CLOUDS:
            path.write_bytes((folder / "files" / names[k % N_CLOUDS]).read_bytes())
            continue
        picture = np.full((height, width, 3), HUE[::-1], np.float32)
        for octave in range(1, 7):
            small = (max(1, height >> octave), max(1, width >> octave))
            noise = rng.normal(size=(*small, 1)) + 0.3 * rng.normal(size=(*small, 3))
            noise = (0.5 * 2.4**octave * (noise - noise.mean(axis=(0, 1)))).astype(np.float32)
            picture += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
        pixels = picture.clip(0, 255).astype(np.uint8)
        data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
        path.write_bytes(data.tobytes())
    rows = np.arange(n) % n_files
    labels = np.eye(2, dtype=np.float32)[rows % 2]
    return Album(folder, tuple(names[row] for row in rows), labels)


def _look(batches: Any) -> Seen:
    """Take one epoch."""
    import tensorflow as tf

    colours, counts = list[np.ndarray](), np.zeros(2)
    for pictures, labels in batches:
        # One axis after the other: three times as fast as both at once.
        colours.append(tf.reduce_mean(tf.reduce_mean(pictures, axis=1), axis=1).numpy())
        counts += labels.numpy().sum(axis=0)
    found = np.concatenate(colours).astype(float)  # (N, 3)
    return Seen(len(found), found.mean(axis=0), float(found.mean(axis=1).std()), counts)


def _make_reading(n: int, height: int, width: int) -> Runs:
    few = 2 * BATCH  # What any use of TensorFlow takes is not the pictures'.
    for run in _read_all_ways(_make_album(few, height, width, n_files=few)).values():
        run()
    return _read_all_ways(_make_album(n, height, width, n_files=n))


def _read_all_ways(album: Album) -> Runs:
    from common.data.images import load_pictures

    load = partial(load_pictures, album.root, album.names, height_px=SIDE_PX, width_px=SIDE_PX)
    load(album.folder / "kept")

    def run_first() -> Seen:
        with tempfile.TemporaryDirectory(dir=album.folder) as cache:
            return _look(feed(load(Path(cache)), album.labels))

    def run_again() -> Seen:
        return _look(feed(load(album.folder / "kept"), album.labels))

    return {
        OURS: run_first,
        OURS_AGAIN: run_again,
        TF_DATA: lambda: _look(_feed_by_tf_data(album)),
        KERAS_FOLDER: lambda: _look(_feed_by_keras(album)),
    }


def _feed_by_tf_data(album: Album) -> Any:
    """Picture by picture, with what `tf.image` offers."""
    import tensorflow as tf

    def load(path: Any, label: Any) -> Any:
        picture = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        picture = tf.image.resize(picture, (SIDE_PX, SIDE_PX))
        picture = tf.image.random_flip_left_right(picture)
        picture = tf.image.random_contrast(tf.image.random_brightness(picture, BRIGHTER), 0.9, 1.1)
        return tf.clip_by_value(picture, 0.0, 255.0), label

    paths = [str(album.root / name) for name in album.names]
    files = tf.data.Dataset.from_tensor_slices((paths, album.labels)).shuffle(len(paths), seed=0)
    pictures = files.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    return pictures.batch(BATCH, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def _feed_by_keras(album: Album) -> Any:
    """Decoded picture by picture, altered by Keras' layers."""
    import keras
    import tensorflow as tf

    alter = keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal", seed=0),
            keras.layers.RandomBrightness(0.1, seed=0),
            keras.layers.RandomContrast(0.1, value_range=(0, 255), seed=0),
        ]
    )
    batches = keras.utils.image_dataset_from_directory(
        album.root,
        label_mode="categorical",
        image_size=(SIDE_PX, SIDE_PX),
        batch_size=BATCH,
        seed=0,
        verbose=False,
    )
    batches = batches.map(
        lambda pictures, labels: (alter(pictures, training=True), labels),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    return batches.prefetch(tf.data.AUTOTUNE)


def _differ_in_pictures(ours: Seen, theirs: Seen) -> str:
    if ours.n != theirs.n:
        return f"{theirs.n} pictures, ours are {ours.n}"
    if not np.array_equal(ours.counts, theirs.counts):
        return f"{theirs.counts} pictures of the classes, ours are {ours.counts}"
    # All are made smaller in different ways, and each is brighter or darker by chance, evenly
    # within BRIGHTER: five standard errors of the difference of two means.
    most = 1 + 5 * BRIGHTER * np.sqrt(2 / 3 / ours.n)
    apart = abs(ours.colour.mean() - theirs.colour.mean())
    if apart >= most:
        return f"pictures are brighter or darker by {apart:.1f} of 255"
    hues = [seen.colour - seen.colour.mean() for seen in (ours, theirs)]
    if (off := np.abs(hues[0] - hues[1]).max()) >= HUE_APART:
        return f"colours are {off:.1f} of 255 apart"
    if (least := min(ours.spread, theirs.spread)) < LEAST_SPREAD:
        return f"pictures vary in brightness by {least:.1f} of 255, as if unaltered"
    return ""


def _make_growing(n: int) -> Runs:
    """A cache that stays on disk however small it is, so that all sizes go one way."""
    from common.data.images import load_pictures

    album = _make_album(n, 480, 640, n_files=min(n, N_FILES))

    def run(n_pictures: int = n) -> Seen:
        with tempfile.TemporaryDirectory(dir=album.folder) as cache:
            pictures = load_pictures(
                album.root,
                album.names[:n_pictures],
                Path(cache),
                height_px=60,
                width_px=80,
                most_ram_mib=0,
            )
            return _look(feed(pictures, album.labels[:n_pictures]))

    run(2 * BATCH)  # What any use of TensorFlow takes is not the pictures'.
    return {OURS: run}
