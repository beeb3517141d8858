"""Train a Keras net whose output is a vector, such as a place on a map."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from common.checks import check_positive, check_shape
from common.training.fit import OneCycle, make_batches

# Steps between two returns to Python: fewer where a longer trace takes longer than it saves.
_STEPS, _FEW_STEPS = 16, 1000
# Any trace takes longer than so few steps without one.
_VERY_FEW_STEPS = 20
_WARM_UP = 0.2  # share of all steps that the rate takes to rise


def fit_vector_net(
    model: keras.Model,
    inputs: Mapping[str, np.ndarray],
    target: np.ndarray,
    *,
    loss: Callable[[Any, Any], Any],
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    seed: int,
) -> None:
    """Train a net in place with AdamW, a linear warm-up and a cosine down to zero.

    `fit.fit_net` takes a second axis of the output for members of an ensemble; here it is the
    target's own.

    Args:
        model: untrained, of outputs (B, D); compiled here.
        inputs: {input name: (n, ...)}.
        target: (n, D) float32.
        loss: (target (B, D), prediction (B, D)) -> scalar, of Keras' operations.
        epochs: passes over the rows.
        batch_size: rows in a step.
        learning_rate: the highest.
        weight_decay: of AdamW, as a share of the rate.
        seed: of the shuffling; weights have theirs from `seeds.set_all` before the net was built.

    Raises:
        ValueError: lengths differ, target has another width than the net's output, or epochs or
            batch_size is not positive.
    """
    check_positive("epochs", epochs)
    check_shape("target", target, (None, model.output_shape[-1]))
    batches = make_batches(inputs, target, batch_size=batch_size, seed=seed)
    n_steps = epochs * len(batches)
    rates = OneCycle(learning_rate, n_steps=n_steps, n_warm_up=int(_WARM_UP * n_steps))
    optimizer = keras.optimizers.AdamW(rates, weight_decay=weight_decay)
    is_eager = n_steps <= _VERY_FEW_STEPS
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    model.compile(
        optimizer,
        loss,
        run_eagerly=is_eager,
        jit_compile=has_gpu and not is_eager,
        steps_per_execution=_STEPS if len(batches) >= _STEPS and n_steps >= _FEW_STEPS else 1,
    )
    optimizer.build(model.trainable_variables)  # Else a first step makes them, traced apart.
    model.fit(batches, epochs=epochs, shuffle=False, verbose=0)  # They come shuffled.


def predict_vectors(
    model: keras.Model, inputs: Mapping[str, np.ndarray], *, batch_size: int = 8192
) -> np.ndarray:
    """Predict rows, a batch at a time.

    Args:
        model: of outputs (B, D).
        inputs: {input name: (n, ...)}, n >= 1.
        batch_size: rows that are held in memory at once.

    Returns:
        (n, D).

    Raises:
        ValueError: batch_size is not positive, or there are no rows.
    """
    check_positive("batch_size", batch_size)
    n_rows = len(next(iter(inputs.values())))
    check_positive("number of rows", n_rows)
    # Called as it is: `predict` would trace the net once more.
    return np.concatenate(
        [
            ops.convert_to_numpy(
                model({k: rows[i : i + batch_size] for k, rows in inputs.items()}, training=False)
            )
            for i in range(0, n_rows, batch_size)
        ]
    )
