"""Train a Keras net on arrays."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from common.checks import check_positive, check_same_length


def make_batches(
    inputs: Mapping[str, np.ndarray], target: np.ndarray, *, batch_size: int, seed: int
) -> tf.data.Dataset:
    """Feed shuffled batches, each gathered at once by its row numbers.

    Gathering whole batches beats slicing rows and batching them again. Every epoch is shuffled
    anew; the last, smaller batch is dropped where there are others.

    Args:
        inputs: {name: (n, ...)}.
        target: (n, ...).
        batch_size: rows in a batch.
        seed: of the shuffling.

    Returns:
        A dataset of ({name: (B, ...)}, (B, ...)).

    Raises:
        ValueError: lengths differ, or batch_size is not positive.
    """
    check_same_length(target=target, **inputs)
    check_positive("batch_size", batch_size)
    tensors = {name: tf.constant(array) for name, array in inputs.items()}
    wanted = tf.constant(target)

    def gather(rows: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        return {k: tf.gather(t, rows) for k, t in tensors.items()}, tf.gather(wanted, rows)

    n_rows = len(target)
    rows = tf.data.Dataset.range(n_rows).shuffle(n_rows, seed=seed, reshuffle_each_iteration=True)
    return rows.batch(min(batch_size, n_rows), drop_remainder=True).map(gather).prefetch(2)


def fit_net(
    model: keras.Model,
    inputs: Mapping[str, np.ndarray],
    target: np.ndarray,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    seed: int,
    warm_up: float = 0.2,
) -> None:
    """Train a net in place on squared error: AdamW, a linear warm-up, a cosine down to zero.

    The schedule is fixed beforehand, so no held-out row is needed to stop it.

    Args:
        model: untrained; compiled here.
        inputs: {input name: (n, ...)}.
        target: (n, ...) float32.
        epochs: passes over the rows.
        batch_size: rows in a step.
        learning_rate: the highest.
        weight_decay: of AdamW, as a share of the rate.
        seed: of the shuffling; weights have theirs from `seeds.set_all` before the net was built.
        warm_up: share of all steps that the rate takes to rise, in [0, 1).

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019; the cosine without
        restarts.
    """
    check_positive("epochs", epochs)
    batches = make_batches(inputs, target, batch_size=batch_size, seed=seed)
    n_steps = epochs * len(batches)
    n_warm_up = int(warm_up * n_steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        learning_rate / max(n_warm_up, 1),
        decay_steps=n_steps - n_warm_up,
        warmup_target=learning_rate,
        warmup_steps=n_warm_up,
    )
    # XLA made an embedding net 20 times slower on a CPU (about 1,000 against 22,000 rows/s).
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=weight_decay)
    model.compile(optimizer, "mse", jit_compile=has_gpu)
    model.fit(batches, epochs=epochs, shuffle=False, verbose=0)  # They come shuffled.
