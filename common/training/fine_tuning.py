"""Train a net for pictures on a stream of batches: a new head fast, trained layers gently.

    batches = make_picture_batches(pictures, labels, batch_size=32, seed=seed, augment=augment)
    fit_pictures(net, batches, epochs=8, learning_rate=1e-3, weight_decay=0.01, rates=rates)
    probabilities = predict_pictures(net, pictures)      # uint8 in, batch by batch
    predict = make_predict(net)                          # the same for many calls: one trace

Progressive resizing: call `fit_pictures` once with batches of small pictures and again with larger
ones; the net takes any size.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from common.checks import check_positive
from common.inputs.pages import release_pages
from common.training.fit import OneCycle

# Any trace takes longer than so few steps without one.
_VERY_FEW_STEPS = 12


def fit_pictures(
    model: keras.Model,
    batches: tf.data.Dataset,
    *,
    epochs: int,
    learning_rate: float,
    weight_decay: float,
    rates: Mapping[str, float] | None = None,
    warm_up: float = 0.2,
) -> None:
    """Train a classifier in place with AdamW, a linear warm-up and a cosine down to zero.

    Args:
        model: -> (B, C) probabilities; compiled here. Frozen layers stay as they are.
        batches: of known number, ((B, ...) inputs, (B, C) shares of the classes, which sum to 1),
            shuffled anew every epoch.
        epochs: passes over the batches, > 0.
        learning_rate: the highest, > 0.
        weight_decay: as a share of the rate, >= 0. Only what has two axes or more decays: kernels,
            but no biases and no batch norms.
        rates: {layer name: factor on the rate, >= 0}; layers that are not named have 1. A part that
            was split off may be named. A factor of 0 stops what learns, but not the statistics of
            batch norms, which still follow the batches: `freeze` stops both.
        warm_up: share of all steps that the rate takes to rise, in [0, 1).

    Raises:
        ValueError: a number is out of its range, batches have no end or are none, or rates knows no
            layer of the net.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019; Howard and Ruder,
        "Universal Language Model Fine-tuning for Text Classification", 2018.
    """
    check_positive("epochs", epochs)
    check_positive("learning_rate", learning_rate)
    _check_share("warm_up", warm_up)
    rates = rates or {}
    _check_not_negative(
        {"weight_decay": weight_decay, **{f"rate of {k}": r for k, r in rates.items()}}
    )
    check_positive("number of batches", batches.cardinality().numpy())  # Negative where unknown.
    n_steps = epochs * len(batches)
    schedule = OneCycle(learning_rate, n_steps=n_steps, n_warm_up=int(warm_up * n_steps))
    optimizer = StagedAdamW(schedule, decay=weight_decay)
    is_eager = n_steps <= _VERY_FEW_STEPS
    model.compile(
        optimizer,
        keras.losses.CategoricalCrossentropy(),
        run_eagerly=is_eager,
        jit_compile="auto",  # XLA on GPUs, but not where `set_all` made operations deterministic.
    )
    optimizer.build_for(model, rates)
    model.fit(batches, epochs=epochs, shuffle=False, verbose=0)  # They come shuffled.


def smooth_labels(labels: np.ndarray, share: float) -> np.ndarray:
    """Spread a share of each label over all classes, so that a net need not become certain.

    Args:
        labels: (n, C) float32, one-hot or shares of classes.
        share: in [0, 1).

    Returns:
        (n, C) float32, whose rows have the same sum.

    Raises:
        ValueError: share is out of range.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016.
    """
    _check_share("share", share)
    smoothed: np.ndarray = labels * np.float32(1 - share) + np.float32(share / labels.shape[1])
    return smoothed


def make_predict(
    model: keras.Model, *, batch_size: int = 64, dtype: Any = np.float32
) -> Callable[[np.ndarray], Any]:
    """Make a function that predicts pictures batch by batch, traced once for all of its calls.

    Args:
        model: of one input, and of one output or several.
        batch_size: pictures at a time, so many of which are held as floats.
        dtype: of the results; half as wide does for maps that are kept.

    Returns:
        (N, ...) arrays of any numbers, N > 0 -> (N, ...), or a tuple of such, one for each output.
        Pictures may be of any size from call to call; a memory map is read where it is looked at,
        and no page of it stays in memory, unless it is a private one (mode "c").

    Raises:
        ValueError: batch_size is not positive; the function itself: there are no pictures.
    """
    check_positive("batch_size", batch_size)
    shape = (None, *(None,) * (len(model.input_shape) - 2), model.input_shape[-1])

    def call(batch: tf.Tensor) -> Any:
        return tf.nest.flatten(model(batch, training=False))

    traced = tf.function(call, input_signature=[tf.TensorSpec(shape, tf.float32)])

    def predict(pictures: np.ndarray) -> Any:
        check_positive("number of pictures", len(pictures))
        n_rows, results = len(pictures), list[np.ndarray]()
        for start in range(0, n_rows, batch_size):
            batch = np.asarray(pictures[start : start + batch_size], np.float32)
            found = [array.numpy() for array in traced(tf.constant(batch))]
            release_pages(pictures)
            if not results:
                results = [np.empty((n_rows, *array.shape[1:]), dtype) for array in found]
            for result, array in zip(results, found, strict=True):
                result[start : start + batch_size] = array
        return results[0] if len(results) == 1 else tuple(results)

    return predict


def predict_pictures(
    model: keras.Model, pictures: np.ndarray, *, batch_size: int = 64, dtype: Any = np.float32
) -> Any:
    """Predict pictures once, as the function of `make_predict` does."""
    return make_predict(model, batch_size=batch_size, dtype=dtype)(pictures)


@keras.saving.register_keras_serializable(package="common")
class StagedAdamW(keras.optimizers.Adam):  # type: ignore[misc]
    """AdamW whose rate differs from layer to layer, and which decays kernels only.

    Keras' own takes the rate anew for the decay of every variable, which makes a trace long.

    Args:
        learning_rate: a number or a schedule.
        decay: as a share of each variable's rate.
        factors: on the rate, one for each variable that learns, in the net's order, as `build_for`
            finds them; none: 1 for all.
    """

    def __init__(
        self,
        learning_rate: Any,
        *,
        decay: float = 0.0,
        factors: Sequence[float] = (),
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.decay, self.factors = decay, list(factors)

    def build_for(self, model: keras.Model, rates: Mapping[str, float]) -> None:
        """Make the moments of a net's variables and give each variable its layer's factor.

        Raises:
            ValueError: no name is a layer of the net.
        """
        variables = model.trainable_variables
        layers = {layer.name: layer for layer in model.layers}
        known = rates.keys() & layers.keys()
        if rates and not known:
            raise ValueError(f"rates must name layers of the net, received {', '.join(rates)}")
        factor_of = {
            id(variable): rates[name]
            for name in known
            for variable in layers[name].trainable_variables
        }
        self.factors = [float(factor_of.get(id(variable), 1.0)) for variable in variables]
        self.build(variables)

    def build(self, variables: Sequence[Any]) -> None:
        """Make the moments, as Keras does.

        Raises:
            ValueError: there are other factors than variables, as in a net that was frozen since.
        """
        if self.factors and len(self.factors) != len(variables):
            raise ValueError(
                f"factors must be {len(variables)}, one for each variable, received "
                f"{len(self.factors)}"
            )
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable."""
        index = self._get_variable_index(variable)
        rate = learning_rate * self.factors[index] if self.factors else learning_rate
        if self.decay and len(variable.shape) > 1:
            self.assign_sub(variable, variable * ops.cast(rate * self.decay, variable.dtype))
        super().update_step(gradient, variable, rate)

    def get_config(self) -> dict[str, Any]:
        """Tell the arguments, for saving."""
        return super().get_config() | {"decay": self.decay, "factors": self.factors}


def _check_share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be in [0, 1), received {value}")


def _check_not_negative(values: Mapping[str, float]) -> None:
    for name, value in values.items():
        if not value >= 0:
            raise ValueError(f"{name} must be >= 0, received {value}")
