"""Feed pictures to a net: gathered by whole batches, altered, mixed."""

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from common.checks import check_positive, check_same_length, check_shape
from common.inputs.augment import Augment
from common.inputs.mixing import Mix
from common.inputs.pages import release_pages
from common.inputs.permutation import permute_rows
from common.seeds import derive

_AT_ONCE = 2  # batches that are made while the net works on another


def make_picture_batches(
    pictures: np.ndarray,
    labels: np.ndarray,
    *,
    batch_size: int,
    seed: int,
    rows: np.ndarray | None = None,
    augment: Augment | None = None,
    mix: Mix | None = None,
) -> tf.data.Dataset:
    """Feed shuffled batches of altered and mixed pictures, others in every epoch.

    Pictures stay where they are, in memory or on disk: no more than a few batches are copied, and
    of a memmap no page stays in memory, as long as it is no private one (mode "c").

    Args:
        pictures: (N, H, W, 3) uint8; any (N, ...) of numbers, such as kept activations, where
            nothing is altered or mixed.
        labels: (N, C), one-hot or shares of classes; (n, C) of the rows where these are given.
        batch_size: B, > 0; where there are more rows, the last, smaller batch of an epoch is
            dropped.
        seed: of the shuffling and of all that is drawn.
        rows: (n,) int in [0, N), of the pictures that are fed, in place of a copy of them; None:
            all.
        augment: alters the pictures of a batch: see `common.inputs.augment`. TensorFlow never lets
            go of it, so it must hold nothing large.
        mix: then mixes them: see `common.inputs.mixing`. Likewise.

    Returns:
        A dataset of ((B, H, W, 3) float32 in 0..255, (B, C) float32).

    Raises:
        ValueError: lengths, ranks or numbers differ from the above, a row is out of range, there
            are no rows, or batch_size is not positive; or what `augment` and `mix` raise or give
            in another shape, for both are tried on a picture here.
    """
    fed: dict[str, Any] = {"pictures": pictures} if rows is None else {"rows": rows}
    check_same_length(**fed, labels=labels)
    check_shape("labels", labels, (None, None))
    if rows is not None:
        _check_rows(rows, len(pictures))
    check_positive("batch_size", batch_size)
    check_positive("number of pictures", len(labels))
    alters = augment is not None or mix is not None
    if alters:
        check_shape("pictures", pictures, (None, None, None, 3))
        _check_type("pictures", pictures, np.uint8)
    targets = tf.constant(labels, tf.float32)
    places = tf.constant(np.arange(len(pictures)) if rows is None else rows, tf.int64)
    batch_size = min(batch_size, len(labels))
    shape, dtype = (batch_size, *pictures.shape[1:]), tf.as_dtype(pictures.dtype)
    work = _make_work(pictures, augment, mix)
    if alters:
        seen, said = work(places.numpy()[:1], targets.numpy()[:1], np.arange(4))
        check_shape("altered pictures", seen, (1, *shape[1:]))
        _check_type("altered pictures", seen, np.uint8)
        check_shape("mixed labels", said, (1, labels.shape[1]))
        _check_type("mixed labels", said, np.float32)

    def make(order: tf.Tensor, seeds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        asked = [tf.gather(places, order), tf.gather(targets, order), seeds]
        batch, chosen = tf.numpy_function(work, asked, (dtype, tf.float32), stateful=False)
        chosen = tf.ensure_shape(chosen, (batch_size, targets.shape[1]))
        return tf.cast(tf.ensure_shape(batch, shape), tf.float32), chosen

    orders = permute_rows(len(labels), batch_size, seed)
    draws = tf.data.Dataset.random(derive(seed, "altering"), rerandomize_each_iteration=True)
    batches = tf.data.Dataset.zip(orders, draws.batch(4))
    batches = batches.map(make, num_parallel_calls=_AT_ONCE, deterministic=True).prefetch(_AT_ONCE)
    batches.pictures = pictures
    return batches


def _check_rows(rows: np.ndarray, n: int) -> None:
    is_out = (rows < 0) | (rows >= n)
    if is_out.any():
        raise ValueError(f"rows must be in [0, {n}), received {rows[is_out][0]}")


def _check_type(name: str, array: np.ndarray, dtype: Any) -> None:
    if array.dtype != dtype:
        raise ValueError(f"{name} must be {np.dtype(dtype)}, received {array.dtype}")


def _make_work(
    pictures: np.ndarray, augment: Augment | None, mix: Mix | None
) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Make a function that copies rows out of an array, alters and mixes them, and does not keep
    the array alive.
    """
    # TensorFlow never lets go of a Python function: this one must not hold what is large.
    find_pictures: Any = weakref.ref(pictures)

    def work(
        rows: np.ndarray, labels: np.ndarray, seeds: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        found = find_pictures()
        batch = np.take(found, rows, axis=0)
        release_pages(found)
        if augment is not None:
            batch = augment(batch, np.random.default_rng(seeds[:2]))
        if mix is not None:
            batch, labels = mix(batch, labels, np.random.default_rng(seeds[2:]))
        return batch, labels

    return work
