"""Nets of several members, and epochs that are chosen on held rows."""

import numpy as np
import pytest

from common.losses.distance import mean_distance
from common.training.fit import fit_net, predict_net
from tests.helpers.small_nets import build_linear, fit_linear, fit_members, fit_places, make_places


def test_members_are_trained_each_on_its_own_loss():
    """Adam takes no notice of a gradient's scale, so a member in the mean of three losses learns
    what it learns alone. A loss of the members' mean would give them all one gradient.
    """
    rng = np.random.default_rng(0)
    x, target = rng.normal(size=(16, 3)).astype("f4"), rng.normal(size=16).astype("f4")
    kernel = rng.normal(size=(3, 3))

    together, _ = fit_members(kernel, x, target)

    for member in range(3):
        alone, _ = fit_members(kernel[:, [member]], x, target)
        np.testing.assert_allclose(
            together.get_weights()[0][:, member], alone.get_weights()[0][:, 0], rtol=1e-3, atol=1e-5
        )


def test_held_rows_are_judged_by_the_mean_of_members_by_hand():
    """Of weights 1 and -1, the first is right. Adam moves the other by about 0.1 a step, so that
    the mean passes 0.5 when it is at 0, after 10 steps or so; by itself it passes 0.5 after 15.
    """
    one = np.ones((1, 1), np.float32)

    _, best = fit_members(
        [[1.0, -1.0]],
        one,
        one[0],
        schedule="constant",
        weight_decay=0.0,
        held=({"x": one}, np.array([0.5], np.float32)),
    )

    assert best in (10, 11, 12)


@pytest.mark.parametrize("ema_momentum", [None, 0.4])
def test_the_best_epoch_is_that_of_a_net_that_is_trained_for_so_long(ema_momentum):
    """The held rows' targets are what a net predicts that was trained for three epochs."""
    options = {"schedule": "constant", "ema_momentum": ema_momentum, "batch_size": 4}
    held = {"x": np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)}
    short, x, target = fit_linear(epochs=3, **options)
    plain, *_ = fit_linear(epochs=5, **options)
    watched = build_linear()

    best = fit_net(
        watched,
        {"x": x},
        target,
        epochs=5,
        learning_rate=0.3,
        weight_decay=0.2,
        seed=0,
        held=(held, predict_net(short, held)),
        **options,
    )

    assert best == 3
    # Looking does not disturb: the weights are those of the last epoch, to the bit.
    np.testing.assert_array_equal(watched.get_weights()[0], plain.get_weights()[0])
    assert np.abs(plain.get_weights()[0] - short.get_weights()[0]).max() > 0.01


def test_a_net_learns_a_target_of_two_columns_as_one():
    inputs, target = make_places()
    model, _ = fit_places(inputs, target, epochs=60)

    assert mean_distance(target, predict_net(model, inputs)) < 0.15


@pytest.mark.parametrize("loss", [mean_distance, "mse"])
def test_the_best_epoch_is_found_for_places_too(loss):
    inputs, target = make_places()
    options = {"loss": loss, "schedule": "constant"}
    short, _ = fit_places(inputs, target, epochs=3, **options)

    _, best = fit_places(
        inputs, target, epochs=6, held=(inputs, predict_net(short, inputs)), **options
    )

    assert best == 3


def test_a_second_axis_holds_members_only_where_that_is_said():
    """A net of weights (1, 0) and (0, 1) hands on what it is given, and learns to give (3, 5); its
    members would both learn one number.
    """
    x = np.ones((800, 2), np.float32)
    places = np.tile(np.array([3.0, 5.0], np.float32), (800, 1))
    settings = {"epochs": 2, "batch_size": 8, "schedule": "constant", "weight_decay": 0.0}

    apart, _ = fit_members(np.eye(2), x, places, has_members=False, **settings)
    together, _ = fit_members(np.eye(2), x, places[:, 0], **settings)

    one = {"x": x[:1]}
    np.testing.assert_allclose(predict_net(apart, one), [[3.0, 5.0]], atol=0.01)
    np.testing.assert_allclose(predict_net(apart, one, has_members=True), [4.0], atol=0.01)
    np.testing.assert_allclose(predict_net(together, one), [[3.0, 3.0]], atol=0.01)


def test_a_target_of_another_width_is_refused():
    x, two = np.ones((4, 2), np.float32), np.zeros((4, 2), np.float32)
    narrow, wide = (r"target must have shape " + shape for shape in (r"\(any\)", r"\(any, 2\)"))
    for options, target, told in (
        ({}, two, rf"{narrow}, received \(4, 2\)"),
        ({"has_members": False}, two[:, 0], rf"{wide}, received \(4,\)"),
        ({"held": ({"x": x}, two)}, two[:, 0], rf"{narrow}, received \(4, 2\)"),
        ({"has_members": False, "held": ({"x": x}, two[:, 0])}, two, rf"{wide}, received \(4,\)"),
    ):
        with pytest.raises(ValueError, match=told):
            fit_members(np.eye(2), x, target, **options)
    with pytest.raises(
        ValueError, match=r"output must have shape \(any, any\), received \(None,\)"
    ):
        fit_linear(has_members=True)
