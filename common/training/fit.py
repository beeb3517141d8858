"""Train a Keras net on arrays, and predict with it."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from common.checks import check_positive, check_same_length, check_shape
from common.inputs.permutation import permute_rows

Loss = str | Callable[[Any, Any], Any]
"""Keras' name, or a function of Keras' operations: (target (B, ...), prediction (B, ...)) -> scalar
or (B,).
"""

# Of the weights after the first step, in an average: Keras starts there and corrects nothing.
_LARGEST_SHARE = 0.01
# Steps between two returns to Python: fewer where a longer trace takes longer than it saves.
_STEPS, _FEW_STEPS = 16, 1000
# Any trace takes longer than so few steps without one.
_VERY_FEW_STEPS = 20


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
    return permute_rows(n_rows, min(batch_size, n_rows), seed).map(gather).prefetch(2)


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
    schedule: str = "one_cycle",
    warm_up: float = 0.2,
    loss: Loss = "mse",
    has_members: bool = False,
    ema_momentum: float | None = None,
    held: tuple[Mapping[str, np.ndarray], np.ndarray] | None = None,
) -> int:
    """Train a net in place with AdamW.

    The rate is fixed beforehand, and the net ends with the weights of the last epoch: `held` only
    tells which epoch was the best. So the number of epochs can be learnt: train on all but the last
    days, hold these, and train another net on all rows for as many epochs as this returns. Both
    must have the schedule "constant", under which an epoch does not hang on how many follow it: by
    "one_cycle", the net that is trained for fewer would have other rates from the first step on.

    Args:
        model: untrained, of outputs (B, ...), such as (B,) or (B, D); compiled here.
        inputs: {input name: (n, ...)}.
        target: (n, ...) float32, as wide as the output.
        epochs: passes over the rows.
        batch_size: rows in a step.
        learning_rate: the highest.
        weight_decay: of AdamW, as a share of the rate.
        seed: of the shuffling; weights have theirs from `seeds.set_all` before the net was built.
        schedule: "one_cycle", a linear warm-up and a cosine down to zero, or "constant".
        warm_up: share of all steps that the rate of "one_cycle" takes to rise, in [0, 1).
        loss: of target and output.
        has_members: whether outputs are (B, K), the second axis being members of an ensemble that
            learn each from its own loss; the target is (n,) then.
        ema_momentum: what the net ends with is then a moving average of the weights after every
            step, m * average + (1 - m) * weights, which begins at those after the first; in (0, 1),
            and so far from 1 that m ** steps is 0.01 or less, also in the fewest epochs that `held`
            may find best and another net is then trained for.
        held: inputs and target of other rows, whose loss is taken after every epoch, with averaged
            weights where they are asked for, and of the members' mean. It changes nothing in the
            training, which goes on to the last epoch. (n', ...) float32 as `target`.

    Returns:
        The number of epochs after which the loss of `held` was lowest; without it, `epochs`.

    Raises:
        ValueError: lengths differ, a target has another width than the output, outputs with
            members are not (B, K), epochs or batch_size is not positive, there is no such schedule,
            or ema_momentum ** steps is more than 0.01.

    Cost: with `held`, a prediction of its rows after every epoch, and its trace.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019; the cosine without
        restarts.
    """
    check_positive("epochs", epochs)
    _check_target(model, target, has_members=has_members)
    if has_members:
        target = target[:, None]  # Against every member: a (B,) target would be laid along them.
    batches = make_batches(inputs, target, batch_size=batch_size, seed=seed)
    n_steps = epochs * len(batches)
    if ema_momentum is not None and ema_momentum**n_steps > _LARGEST_SHARE:
        raise ValueError(
            f"ema_momentum ** steps must be <= {_LARGEST_SHARE}, received {ema_momentum} ** "
            f"{n_steps} = {ema_momentum**n_steps:.2g}"
        )
    optimizer = keras.optimizers.AdamW(
        _choose_rates(schedule, learning_rate, n_steps=n_steps, warm_up=warm_up),
        weight_decay=weight_decay,
        use_ema=ema_momentum is not None,
        ema_momentum=ema_momentum or 0.0,
    )
    _compile(model, optimizer, loss, n_batches=len(batches), n_steps=n_steps)
    watch = None
    if held is not None:
        _check_target(model, held[1], has_members=has_members)
        watch = _HeldLoss(*held, loss=loss, has_members=has_members)
    model.fit(  # They come shuffled.
        batches, epochs=epochs, shuffle=False, verbose=0, callbacks=[watch] if watch else None
    )
    return epochs if watch is None else int(np.argmin(watch.losses)) + 1


def predict_net(
    model: keras.Model,
    inputs: Mapping[str, np.ndarray],
    *,
    has_members: bool = False,
    batch_size: int = 8192,
) -> np.ndarray:
    """Predict rows, a batch at a time.

    Args:
        model: of outputs (B, ...).
        inputs: {input name: (n, ...)}.
        has_members: whether outputs are (B, K) of which the mean is taken, as in `fit_net`.
        batch_size: rows that are held in memory at once.

    Returns:
        (n, ...), or with members (n,).

    Raises:
        ValueError: lengths differ, batch_size is not positive, or there are no rows.
    """
    check_same_length(**inputs)
    check_positive("batch_size", batch_size)
    n_rows = len(next(iter(inputs.values())))
    check_positive("number of rows", n_rows)
    # `model.predict` would trace the net 16 times over, once for every step of an execution.
    output = np.concatenate(
        [
            model.predict_on_batch({k: rows[i : i + batch_size] for k, rows in inputs.items()})
            for i in range(0, n_rows, batch_size)
        ]
    )
    return output.mean(axis=1) if has_members else output


def _compile(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss: Loss,
    *,
    n_batches: int,
    n_steps: int,
) -> None:
    # XLA made an embedding net 20 times slower on a CPU (about 1,000 against 22,000 rows/s); 16
    # steps between returns to Python made it a fifth faster or more, for a longer trace.
    is_eager = n_steps <= _VERY_FEW_STEPS
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    model.compile(
        optimizer,
        loss,
        run_eagerly=is_eager,
        jit_compile=has_gpu and not is_eager,
        steps_per_execution=_STEPS if n_batches >= _STEPS and n_steps >= _FEW_STEPS else 1,
    )
    optimizer.build(model.trainable_variables)  # Else a first step makes them, traced apart.


class _HeldLoss(keras.callbacks.Callback):  # type: ignore[misc]
    """Take the loss of held-out rows after every epoch, as if training ended there."""

    def __init__(
        self,
        inputs: Mapping[str, np.ndarray],
        target: np.ndarray,
        *,
        loss: Loss,
        has_members: bool,
    ) -> None:
        super().__init__()
        check_same_length(target=target, **inputs)
        self.inputs, self.target, self.has_members = inputs, target, has_members
        self.loss = keras.losses.get(loss)
        self.losses: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        averaged = self.model.trainable_variables if self.model.optimizer.use_ema else []
        present = [variable.numpy() for variable in averaged]
        if averaged:  # They are laid over the present weights.
            self.model.optimizer.finalize_variable_values(averaged)
        predicted = predict_net(self.model, self.inputs, has_members=self.has_members)
        for variable, value in zip(averaged, present, strict=True):
            variable.assign(value)
        self.losses.append(float(ops.mean(self.loss(self.target, predicted))))


def _check_target(model: keras.Model, target: np.ndarray, *, has_members: bool) -> None:
    width = model.output_shape[1:]
    if has_members:
        check_shape("output", model.output, (None, None))
        width = ()
    check_shape("target", target, (None, *width))


def _choose_rates(schedule: str, highest: float, *, n_steps: int, warm_up: float) -> Any:
    """Choose the rate of every step: Keras' schedule, or a number."""
    if schedule == "constant":
        return highest
    if schedule != "one_cycle":
        raise ValueError(f'schedule must be "one_cycle" or "constant", received "{schedule}"')
    return OneCycle(highest, n_steps=n_steps, n_warm_up=int(warm_up * n_steps))


@keras.saving.register_keras_serializable(package="common")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A linear warm-up and a cosine down to zero.

    As Keras' CosineDecay with a warm-up, but without a branch in the graph: weight decay takes the
    rate once for every variable, and tracing as many branches took longer than a small net's fit.

    Args:
        highest: the rate at the end of the warm-up.
        n_steps: all of them, > 0.
        n_warm_up: steps of the warm-up, in [0, n_steps).

    Source: Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large
        Learning Rates", 2018, with a cosine in place of the second line; momentum stays as it is.
    """

    def __init__(self, highest: float, *, n_steps: int, n_warm_up: int) -> None:
        self.highest, self.n_steps, self.n_warm_up = highest, n_steps, n_warm_up

    def __call__(self, step: Any) -> Any:
        """Give the rate of a step, counted from 0."""
        step = ops.cast(step, "float32")
        lowest = self.highest / max(self.n_warm_up, 1)
        rising = lowest + (self.highest - lowest) * step / max(self.n_warm_up, 1)
        share = ops.clip((step - self.n_warm_up) / (self.n_steps - self.n_warm_up), 0.0, 1.0)
        falling = self.highest * (1 + ops.cos(np.pi * share)) / 2
        return ops.where(step < self.n_warm_up, rising, falling)

    def get_config(self) -> dict[str, Any]:
        """Tell the arguments, for saving."""
        return {"highest": self.highest, "n_steps": self.n_steps, "n_warm_up": self.n_warm_up}
