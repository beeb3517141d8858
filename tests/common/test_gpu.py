"""What must hold on a GPU too; without one, all of this is skipped."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from common.inference.grad_cam import grad_cam
from common.inputs.augment import compose, flip, jitter_colour, random_erase, warp
from common.inputs.stream import make_picture_batches
from common.nets.batch_norm import FusedBatchNormalization
from common.nets.transfer import build_backbone, build_classifier
from common.seeds import set_all
from common.training.fine_tuning import fit_pictures, predict_pictures

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not tf.config.list_physical_devices("GPU"), reason="there is no GPU"),
]
LABELS = np.arange(16) % 2
PICTURES = np.random.default_rng(0).integers(0, 100, (16, 16, 16, 3), np.uint8)
PICTURES += (150 * LABELS[:, None, None, None]).astype(np.uint8)
AUGMENT = compose(
    flip, partial(warp, turn_deg=20), partial(jitter_colour, brightness=0.1), random_erase
)


def train():
    set_all(0)
    net = build_classifier(build_backbone("tiny").model, n_classes=2)
    targets = np.eye(2, dtype=np.float32)[LABELS]
    batches = make_picture_batches(PICTURES, targets, batch_size=4, seed=0, augment=AUGMENT)
    fit_pictures(net, batches, epochs=40, learning_rate=1e-2, weight_decay=0.0)
    return net


def test_two_fits_from_one_seed_are_the_same_and_learn():
    one, other = predict_pictures(train(), PICTURES), predict_pictures(train(), PICTURES)
    assert one.tobytes() == other.tobytes()
    assert (one.argmax(axis=1) == LABELS).all()


def test_norms_learn_as_on_the_cpu():
    maps = np.random.default_rng(0).normal(3, 2, (8, 5, 4, 6)).astype(np.float32)

    def learn():
        layer = FusedBatchNormalization()
        return [layer(maps, training=True).numpy(), *layer.get_weights()]

    with tf.device("CPU"):
        wanted = learn()
    for one, other in zip(learn(), wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_maps_light_up_as_on_the_cpu():
    set_all(0)
    net = build_classifier(build_backbone("tiny").model, n_classes=2)
    maps = net.get_layer("head_relu").output
    lower, upper = keras.Model(net.input, maps), keras.Model(maps, net.get_layer("logits").output)
    look = partial(grad_cam, lower, upper, tf.constant(PICTURES, tf.float32), LABELS)
    with tf.device("CPU"):
        wanted = look()
    assert wanted.max() > 0
    np.testing.assert_allclose(look(), wanted, atol=1e-3 * wanted.max())
