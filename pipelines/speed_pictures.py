"""The races of pictures: from files to altered batches, through nets, and at growing numbers."""

import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipelines.speed import OURS, Race

OURS_AGAIN = "ours, from the cache"
TF_DATA, KERAS_FOLDER = "tf.data, from_tensor_slices and map", "keras image_dataset_from_directory"
KERAS_FIT, KERAS_PREDICT = "keras fit, unaltered float32 arrays", "keras predict, float32 arrays"
LIBRARIES = ()
"""Packages whose version matters beside those that all figures depend on."""

BATCH = 32
N_CLOUDS = 50
N_FILES = 1000  # of which larger numbers are repetitions
SIDE_PX, FEATURES_PX = 96, 160
BRIGHTER = 25.5  # of 255, at the most
Runs = Mapping[str, Callable[[], Any]]


class Seen(NamedTuple):
    """What came out of a stream: how many pictures, and their mean."""

    n: int
    mean: float


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

    net = "lite0" if share >= 0.1 else "tiny"
    about = {"lite0": "EfficientNet-Lite0", "tiny": "two blocks"}[net]
    n_read, n_fit, n_features = pictures(4096), pictures(1280), pictures(512)
    races = [
        Race(
            "decode, resize, alter",
            f"{n_read:,} JPEGs of {width} x {height} to {SIDE_PX} x {SIDE_PX}",
            n_read,
            partial(_make_reading, n_read, height, width),
            _differ_in_pictures,
            unit="pictures",
        )
        for height, width in ((480, 640), (SIDE_PX, SIDE_PX))
    ]
    races += [
        Race(
            "a fine-tuning epoch",
            f"{about}, {n_fit:,} pictures of {SIDE_PX} x {SIDE_PX}",
            n_fit,
            partial(_make_fitting, n_fit, net),
            _differ_in_steps,
            unit="pictures",
        ),
        Race(
            "features",
            f"{about}, {n_features:,} pictures of {FEATURES_PX} x {FEATURES_PX}",
            n_features,
            partial(_make_features, n_features, net),
            _differ_in_features,
            unit="pictures",
        ),
    ]
    races += [
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
    return races


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
        picture = np.full((height, width, 3), 128, np.float32)
        for octave in range(1, 7):
            small = (max(1, height >> octave), max(1, width >> octave))
            noise = rng.normal(size=(*small, 1)) + 0.3 * rng.normal(size=(*small, 3))
            noise = (0.5 * 2.4**octave * noise).astype(np.float32)
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

    n, total = 0, 0.0
    for pictures, _ in batches:
        n += len(pictures)
        total += float(tf.reduce_mean(pictures)) * len(pictures)
    return Seen(n, total / n)


def _feed(pictures: np.ndarray, labels: np.ndarray) -> Any:
    from common.inputs.augment import compose, flip, jitter_colour
    from common.inputs.stream import make_picture_batches

    augment = compose(flip, partial(jitter_colour, brightness=BRIGHTER / 255, contrast=0.1))
    return make_picture_batches(pictures, labels, batch_size=BATCH, seed=0, augment=augment)


def _make_reading(n: int, height: int, width: int) -> Runs:
    from common.data.images import load_pictures

    album = _make_album(n, height, width, n_files=n)
    load = partial(load_pictures, album.root, album.names, height_px=SIDE_PX, width_px=SIDE_PX)

    def run_first() -> Seen:
        with tempfile.TemporaryDirectory(dir=album.folder) as cache:
            return _look(_feed(load(Path(cache)), album.labels))

    def run_again() -> Seen:
        return _look(_feed(load(album.folder / "kept"), album.labels))

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
    # All are made smaller in different ways, and each is brighter or darker by chance, evenly
    # within BRIGHTER: five standard errors of the difference of two means.
    most = 1 + 5 * BRIGHTER * np.sqrt(2 / 3 / ours.n)
    apart = abs(ours.mean - theirs.mean)
    return "" if apart < most else f"pictures are brighter or darker by {apart:.1f} of 255"


def _make_fitting(n: int, net: str) -> Runs:
    import keras

    from common.nets.transfer import build_backbone, build_classifier

    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (n, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    labels = np.eye(10, dtype=np.float32)[rng.integers(10, size=n)]
    arrays = pictures.astype(np.float32)
    model = build_classifier(build_backbone(net).model, n_classes=10)
    model.compile(keras.optimizers.AdamW(1e-4), "categorical_crossentropy")
    batches = _feed(pictures, labels)

    def run_ours() -> int:
        return len(batches) * len(model.fit(batches, shuffle=False, verbose=0).epoch)

    def run_arrays() -> int:
        return n // BATCH * len(model.fit(arrays, labels, batch_size=BATCH, verbose=0).epoch)

    return {OURS: run_ours, KERAS_FIT: run_arrays}


def _differ_in_steps(ours: int, theirs: int) -> str:
    return "" if ours == theirs else f"{theirs} steps, ours are {ours}"


def _make_features(n: int, net: str) -> Runs:
    import keras

    from common.nets.transfer import build_backbone, build_classifier
    from common.training.fine_tuning import predict_pictures

    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (n, FEATURES_PX, FEATURES_PX, 3), dtype=np.uint8)
    arrays = pictures.astype(np.float32)
    classifier = build_classifier(build_backbone(net).model, n_classes=10)
    model = keras.Model(classifier.inputs, classifier.get_layer("features").output)
    return {
        OURS: lambda: predict_pictures(model, pictures),
        KERAS_PREDICT: lambda: model.predict(arrays, batch_size=64, verbose=0),
    }


def _differ_in_features(ours: np.ndarray, theirs: np.ndarray) -> str:
    apart = np.abs(ours - theirs).max() / np.abs(ours).max()
    return "" if apart < 1e-4 else f"features are up to {apart:.1e} apart"


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
            return _look(_feed(pictures, album.labels[:n_pictures]))

    run(2 * BATCH)  # What any use of TensorFlow takes is not the pictures'.
    return {OURS: run}
