"""Fitting: steps against a NumPy loop, rates by hand, equal seeds."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from common.nets.entity_embedding import build_entity_embedding
from common.seeds import set_all
from common.training import fit
from common.training.fit import fit_net, predict_net
from tests.helpers.small_nets import (
    build_linear,
    build_members,
    fit_linear,
    fit_members,
    fit_places,
    make_places,
    make_rows,
)


def rate_by_hand(step, *, n_steps, n_warm_up, highest):
    """Rise in a straight line from highest / n_warm_up, then half a cosine wave from the highest to
    zero.
    """
    if step < n_warm_up:
        first = highest / n_warm_up
        return first + (highest - first) * step / n_warm_up
    return highest * (1 + np.cos(np.pi * (step - n_warm_up) / (n_steps - n_warm_up))) / 2


def read_rates(model, steps):
    rates = []
    for step in steps:
        model.optimizer.iterations.assign(step)
        rates.append(float(model.optimizer.learning_rate))
    return rates


def test_the_rate_warms_up_and_falls_to_zero_by_hand():
    """8 rows in batches of 4 for 10 epochs are 20 steps, 0.2 of them 4.

    From 0.3 / 4 = 0.075 it rises by 0.225 / 4 = 0.05625 a step up to 0.3 at step 4. Half-way down,
    at step 12, it is 0.15; at 8, a quarter down, 0.15 (1 + cos(pi / 4)) = 0.2560660; at 20 zero.
    """
    model, *_ = fit_linear(batch_size=4)

    rates = read_rates(model, [0, 1, 2, 3, 4, 8, 12, 20])

    wanted = [0.075, 0.13125, 0.1875, 0.24375, 0.3, 0.2560660, 0.15, 0.0]
    assert rates == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("warm_up", [0.0, 0.05, 0.5])
def test_any_share_of_steps_may_warm_up(warm_up):
    model, *_ = fit_linear(batch_size=4, warm_up=warm_up)
    assert int(model.optimizer.iterations) == 20

    wanted = [
        rate_by_hand(step, n_steps=20, n_warm_up=round(20 * warm_up), highest=0.3)
        for step in range(21)
    ]
    assert read_rates(model, range(21)) == pytest.approx(wanted, abs=1e-6)
    assert max(wanted) == 0.3


def squared_error(target, predicted):
    return keras.ops.mean(keras.ops.square(predicted - target))


@pytest.mark.parametrize("very_few", [0, 20], ids=["traced", "eager"])
@pytest.mark.parametrize(
    ("schedule", "loss", "ema_momentum"),
    [
        ("one_cycle", "mse", None),
        ("constant", squared_error, 0.6),
        ("one_cycle", "mae", 0.6),
    ],
)
def test_fitting_equals_a_numpy_loop_of_adamw(schedule, loss, ema_momentum, very_few, monkeypatch):
    """Every step sees all 8 rows, so the order does not matter.

    The decay takes its share of the rate off the weight first; then comes Adam's step with both
    moments freed of their bias. The average of weights begins with those after the first step.
    """
    monkeypatch.setattr(fit, "_VERY_FEW_STEPS", very_few)
    model, x, target = fit_linear(schedule=schedule, loss=loss, ema_momentum=ema_momentum)

    w, mean, square = np.full(3, 0.5), np.zeros(3), np.zeros(3)
    average = None
    for step in range(10):
        rate = 0.3
        if schedule == "one_cycle":
            rate = rate_by_hand(step, n_steps=10, n_warm_up=2, highest=0.3)
        miss = x.astype(float) @ w - target
        gradient = x.T.astype(float) @ (np.sign(miss) if loss == "mae" else 2 * miss) / 8
        w = w - rate * 0.2 * w
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        unbiased = mean / (1 - 0.9 ** (step + 1)), square / (1 - 0.999 ** (step + 1))
        w = w - rate * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-7)
        average = w if average is None else 0.6 * average + 0.4 * w

    assert model.run_eagerly is (very_few > 0)
    wanted = w if ema_momentum is None else average
    assert np.abs(average - w).max() > 0.01
    np.testing.assert_allclose(model.get_weights()[0][:, 0], wanted, rtol=1e-4, atol=1e-6)


def test_without_held_rows_the_epochs_are_those_asked_for():
    x = np.ones((2, 1), np.float32)

    assert fit_members([[0.0]], x, x[:, 0], epochs=3)[1] == 3


def test_a_prediction_is_the_mean_of_members_whatever_the_batches():
    """Weights (1, 2) and (3, -2) have the mean (2, 0)."""
    model = build_members([[1.0, 3.0], [2.0, -2.0]])
    x = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)

    for batch_size in (1, 3, 7, 100):
        predicted = predict_net(model, {"x": x}, has_members=True, batch_size=batch_size)
        np.testing.assert_allclose(predicted, 2 * x[:, 0], rtol=1e-5, atol=1e-6)
        every = predict_net(model, {"x": x}, batch_size=batch_size)
        np.testing.assert_allclose(every, x @ [[1.0, 3.0], [2.0, -2.0]], rtol=1e-4, atol=1e-5)
    single = build_linear(2)
    np.testing.assert_allclose(predict_net(single, {"x": x}), x.sum(axis=1) / 2, atol=1e-6)


def test_errors_name_what_was_wanted():
    x = np.zeros((3, 3), np.float32)
    with pytest.raises(
        ValueError, match='schedule must be "one_cycle" or "constant", received "x"'
    ):
        fit_linear(schedule="x")
    with pytest.raises(ValueError, match="lengths must be equal, received target 2, x 3"):
        fit_linear(held=({"x": x}, np.zeros(2)))
    with pytest.raises(ValueError, match="batch_size must be > 0, received 0"):
        predict_net(build_linear(), {"x": x}, batch_size=0)
    with pytest.raises(ValueError, match="number of rows must be > 0, received 0"):
        predict_net(build_linear(), {"x": x[:0]})


def test_an_average_must_forget_where_it_began():
    """0.63 ** 10 = 0.00985, and 0.64 ** 10 = 0.01153; 8 rows in batches of 4 are 20 steps in 10
    epochs: 0.8 ** 20 = 0.01153.
    """
    fit_linear(ema_momentum=0.63)
    for momentum, settings, told in (
        (0.64, {}, r"0\.64 \*\* 10 = 0\.012"),
        (0.8, {"batch_size": 4}, r"0\.8 \*\* 20 = 0\.012"),
        (1.0, {}, r"1\.0 \*\* 10 = 1"),
    ):
        wanted = rf"ema_momentum \*\* steps must be <= 0\.01, received {told}"
        with pytest.raises(ValueError, match=wanted):
            fit_linear(ema_momentum=momentum, **settings)


def test_epochs_must_be_positive():
    with pytest.raises(ValueError, match="epochs must be > 0, received 0"):
        fit_linear(epochs=0)


def fit_small_net(*, of_weights, of_order, epochs):
    """Fit a net with dropout, whose masks are chance too."""
    set_all(of_weights)
    inputs, target = make_rows(40)
    model = build_entity_embedding((4,), 2, hidden=(4,), dropout=0.3, embedding_dropout=0.3)
    fit_net(
        model,
        inputs,
        target,
        epochs=epochs,
        batch_size=8,
        learning_rate=0.05,
        weight_decay=0.01,
        seed=of_order,
    )
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


@pytest.mark.parametrize("epochs", [1, 5], ids=["eager", "traced"])
def test_equal_seeds_give_bit_equal_nets_and_either_other_seed_another(epochs):
    one = fit_small_net(of_weights=3, of_order=5, epochs=epochs)

    assert fit_small_net(of_weights=3, of_order=5, epochs=epochs).tobytes() == one.tobytes()
    assert np.abs(fit_small_net(of_weights=3, of_order=6, epochs=epochs) - one).max() > 1e-4
    assert np.abs(fit_small_net(of_weights=4, of_order=5, epochs=epochs) - one).max() > 1e-4


def test_few_steps_that_are_not_traced_are_those_that_are(monkeypatch):
    """20 steps: the most that are not."""
    inputs, target = make_places()
    eager, _ = fit_places(inputs, target, epochs=5)
    monkeypatch.setattr(fit, "_VERY_FEW_STEPS", 19)
    traced, _ = fit_places(inputs, target, epochs=5)

    assert eager.run_eagerly and not traced.run_eagerly
    np.testing.assert_allclose(predict_net(eager, inputs), predict_net(traced, inputs), atol=1e-4)


def test_16_steps_between_returns_to_python_give_the_same_net(monkeypatch):
    """18 batches in each of 2 epochs: one return after 16, and one after the 2 that are left."""
    options = {"n_rows": 36, "batch_size": 2, "epochs": 2, "ema_momentum": 0.5}
    one, *_ = fit_linear(**options)
    monkeypatch.setattr(fit, "_FEW_STEPS", 0)
    many, *_ = fit_linear(**options)

    assert (one.steps_per_execution, many.steps_per_execution) == (1, 16)
    assert int(one.optimizer.iterations) == int(many.optimizer.iterations) == 36
    np.testing.assert_allclose(one.get_weights()[0], many.get_weights()[0], rtol=1e-6)


def test_a_net_is_compiled_without_xla_where_there_is_no_gpu():
    """XLA made an embedding net 20 times slower on a CPU."""
    model, *_ = fit_linear(epochs=21)

    assert model.jit_compile is bool(tf.config.list_physical_devices("GPU"))
