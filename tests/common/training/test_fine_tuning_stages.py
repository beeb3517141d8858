"""Stages that learn slowly, not at all, or from kept activations; and pictures that grow."""

import keras
import numpy as np

from common.inputs.stream import make_picture_batches
from common.nets.transfer import build_backbone, build_classifier, find_rates, freeze, split
from common.seeds import set_all
from common.training.fine_tuning import fit_pictures, make_predict, predict_pictures
from tests.common.training.test_fine_tuning import build_net, make_batches, make_pictures


def test_a_rate_of_zero_stops_what_learns_but_no_statistics_and_smaller_rates_move_less():
    pictures, labels = make_pictures()
    set_all(0)
    backbone = build_backbone("tiny")
    net = build_classifier(backbone.model, n_classes=2)
    before = {v.path: v.numpy() for v in net.weights}

    fit_pictures(
        net,
        make_batches(pictures, labels),
        epochs=2,
        learning_rate=1e-2,
        weight_decay=0.1,
        rates=find_rates(backbone, [0.0, 0.01, 1.0, 1.0]),
    )

    moved = {v.path: np.abs(v.numpy() - before[v.path]).max() for v in net.weights}
    stem = {name: change for name, change in moved.items() if name.startswith("stem_")}
    assert {name for name, change in stem.items() if change == 0} == {
        *("stem_conv/kernel", "stem_bn/gamma", "stem_bn/beta")
    }
    assert {name for name, change in stem.items() if change > 0} == {
        *("stem_bn/moving_mean", "stem_bn/moving_variance")
    }
    assert 0 < 20 * moved["block00_project_conv/kernel"] < moved["head_conv/kernel"]
    assert moved["logits/kernel"] > 0


def test_a_frozen_stage_stays_as_it_is_with_its_statistics():
    pictures, labels = make_pictures()
    set_all(0)
    backbone = build_backbone("tiny")
    freeze(backbone, n_stages=2, norms_learn=True)
    net = build_classifier(backbone.model, n_classes=2)
    before = {v.path: v.numpy() for v in net.weights}

    fit_pictures(
        net, make_batches(pictures, labels), epochs=2, learning_rate=1e-2, weight_decay=0.1
    )

    stayed = {v.path for v in net.weights if np.array_equal(v.numpy(), before[v.path])}
    lower, _ = split(backbone, 2)
    assert stayed == {v.path for v in lower.weights}


def test_kept_activations_train_the_same_net_as_frozen_stages():
    """Two stages are computed once; what is trained above them, at rates of its own, is the net
    that sees the pictures through frozen stages, batch for batch.
    """
    pictures, labels = make_pictures(n=16)
    found = []
    for is_kept in (True, False):
        set_all(0)
        backbone = build_backbone("tiny")
        lower, upper = split(backbone, 2)
        if not is_kept:
            freeze(backbone, n_stages=2, norms_learn=True)
        net = build_classifier(upper if is_kept else backbone.model, n_classes=2)
        seen = predict_pictures(lower, pictures) if is_kept else pictures
        start = net.get_layer("head_conv").get_weights()[0]
        fit_pictures(
            net,
            make_picture_batches(seen, labels, batch_size=4, seed=0),
            epochs=2,
            learning_rate=0.01,
            weight_decay=0.1,
            rates=find_rates(backbone, [1.0, 1.0, 0.1, 0.3]),
        )
        joined = keras.Sequential([lower, net]) if is_kept else net
        moved = net.get_layer("head_conv").get_weights()[0] - start
        found.append((moved, predict_pictures(joined, pictures)))

    (kept_moved, kept), (frozen_moved, frozen) = found
    assert np.abs(kept_moved).max() > 1e-3 and kept.std() > 0.01
    np.testing.assert_allclose(kept_moved, frozen_moved, atol=1e-5)
    np.testing.assert_allclose(kept, frozen, atol=1e-4)


def test_larger_pictures_carry_on_from_what_was_learnt_on_small_ones():
    """Progressive resizing: the same scenes at 8 and at 16 pixels, one net."""
    large, labels = make_pictures(n=16)
    small = large.reshape(16, 8, 2, 8, 2, 3).mean(axis=(2, 4)).astype(np.uint8)
    net = build_net()
    predict = make_predict(net)

    def measure_loss():
        return -np.log(predict(large)[labels > 0]).mean()

    losses = [measure_loss()]
    for pictures in (small, large):
        batches = make_picture_batches(pictures, labels, batch_size=8, seed=0)
        before = [variable.numpy() for variable in net.trainable_variables]
        options = {"epochs": 1, "weight_decay": 0.0}
        fit_pictures(net, batches, learning_rate=1e-12, **options)
        for variable, old in zip(net.trainable_variables, before, strict=True):
            np.testing.assert_allclose(variable.numpy(), old, atol=1e-9)
        fit_pictures(net, batches, learning_rate=0.01, **options | {"epochs": 20})
        losses.append(measure_loss())

    assert losses[1] < 0.9 * losses[0] and losses[2] < 0.9 * losses[1]
