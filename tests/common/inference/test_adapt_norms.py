import keras
import numpy as np
import pytest

from common.inference.adapt_norms import adapt_norms
from common.nets.batch_norm import FusedBatchNormalization
from common.nets.resnet import build_resnet
from common.seeds import set_all


def make_pictures(n=60, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (n, 6, 8, 3)).astype(np.float32)


def build_norm(kind=FusedBatchNormalization):
    """A net that is one batch norm."""
    pixels = keras.Input((None, None, 3))
    return keras.Model(pixels, kind(name="norm")(pixels))


def adapt(net, pictures, *, batch_size=20, n_batches=3, seed=0):
    adapt_norms(net, pictures, batch_size=batch_size, n_batches=n_batches, seed=seed)
    return net


@pytest.mark.parametrize("kind", [FusedBatchNormalization, keras.layers.BatchNormalization])
def test_a_pool_in_one_batch_is_normalized_by_its_own_statistics(kind):
    net, pictures = build_norm(kind), make_pictures()
    adapt(net, pictures, batch_size=60, n_batches=1)

    norm = net.get_layer("norm")
    np.testing.assert_allclose(norm.moving_mean, pictures.mean(axis=(0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, pictures.var(axis=(0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(np.mean(net(pictures), axis=(0, 1, 2)), 0, atol=1e-4)


def test_batches_that_go_once_through_the_pool_have_its_mean():
    """Three batches of 20 of 60; of their variances the mean is taken."""
    net, pictures = adapt(build_norm(), make_pictures()), make_pictures()

    norm = net.get_layer("norm")
    np.testing.assert_allclose(norm.moving_mean, pictures.mean(axis=(0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, pictures.var(axis=(0, 1, 2)), rtol=0.02)


def test_light_and_colour_of_the_pool_do_not_matter():
    """A net that begins with a norm says the same of pictures and of their darker, bluer copies,
    each adapted to its own; one that is not adapted does not.
    """
    set_all(0)
    pixels = keras.Input((None, None, 3))
    x = keras.layers.BatchNormalization(epsilon=1e-6)(pixels)
    x = keras.layers.GlobalMaxPooling2D()(x)
    net = keras.Model(pixels, keras.layers.Dense(4, activation="softmax")(x))
    pictures = make_pictures()
    other = pictures * [0.2, 0.3, 0.5] + [5, 0, 60]

    first = adapt(net, pictures)(pictures).numpy()
    astray = net(other).numpy()
    second = adapt(net, other)(other).numpy()
    np.testing.assert_allclose(second, first, atol=1e-3)
    assert np.abs(astray - first).max() > 0.1


def test_the_pool_before_leaves_nothing_behind():
    set_all(0)
    net, pictures = build_resnet((4, 8), n_classes=3), make_pictures()
    straight = adapt(net, pictures)(pictures).numpy()
    adapt(net, 50 + 0.1 * make_pictures(seed=1))
    back = adapt(net, pictures)(pictures).numpy()

    np.testing.assert_allclose(back, straight, rtol=1e-5)


def test_nothing_else_of_the_net_is_changed():
    set_all(0)
    net = build_resnet((4, 8), n_classes=3)
    net.get_layer("stem_bn").trainable = False
    before = [variable.numpy() for variable in net.trainable_variables]
    settings = [getattr(layer, "momentum", None) for layer in net.layers]
    adapt(net, make_pictures())

    assert not net.get_layer("stem_bn").trainable
    assert settings == [getattr(layer, "momentum", None) for layer in net.layers]
    for variable, value in zip(net.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_a_pool_smaller_than_a_batch_will_do():
    net = adapt(build_norm(), make_pictures(5), batch_size=64, n_batches=2)

    np.testing.assert_allclose(
        net.get_layer("norm").moving_mean, make_pictures(5).mean(axis=(0, 1, 2)), rtol=1e-4
    )


def test_a_failure_leaves_the_settings_as_they_were():
    net = build_resnet((4, 8), n_classes=3)
    net.get_layer("stem_bn").trainable = False
    settings = [(layer.trainable, getattr(layer, "momentum", None)) for layer in net.layers]
    with pytest.raises(ValueError, match="incompatible"):
        adapt(net, make_pictures()[..., :2])

    assert settings == [(layer.trainable, getattr(layer, "momentum", None)) for layer in net.layers]
    before = net.get_layer("stem_bn").moving_mean.numpy()
    net(make_pictures(), training=False)
    np.testing.assert_array_equal(net.get_layer("stem_bn").moving_mean, before)


def test_after_it_the_norms_train_and_predict_as_before():
    """In training by the batch's own statistics, in prediction by the pool's."""
    net, pictures = adapt(build_norm(), make_pictures()), make_pictures()
    other = 3 * pictures + 100

    np.testing.assert_allclose(np.mean(net(other, training=True)), 0, atol=1e-4)
    assert np.mean(net(other)) > 1


@pytest.mark.parametrize("within", [False, True], ids=["flat", "a model within"])
def test_norms_are_found_within_models_too(within):
    """One that was left out would stay at 0 and 1, after a norm whose result has a mean of 1."""
    pixels = keras.Input((None, None, 3))
    x = keras.layers.BatchNormalization(beta_initializer="ones", name="first")(pixels)
    end = keras.layers.BatchNormalization(name="second")
    if within:
        start = keras.Input((None, None, 3))
        x = keras.Model(start, end(start), name="inner")(x)
    else:
        x = end(x)
    adapt(keras.Model(pixels, x), make_pictures(), batch_size=60, n_batches=1)

    np.testing.assert_allclose(end.moving_mean, 1, atol=1e-4)
    np.testing.assert_allclose(end.moving_variance, 1, atol=1e-3)


def test_what_cannot_be_looked_at_is_refused():
    for options, told in (
        ({"batch_size": 0}, "batch_size must be > 0, received 0"),
        ({"n_batches": 0}, "n_batches must be > 0, received 0"),
        ({"pictures": make_pictures(0)}, "number of pictures must be > 0, received 0"),
    ):
        with pytest.raises(ValueError, match=told):
            adapt(build_norm(), **({"pictures": make_pictures()} | options))
    pixels = keras.Input((None, None, 3))
    net = keras.Model(pixels, keras.layers.ReLU()(pixels))
    with pytest.raises(ValueError, match="number of batch norms must be > 0, received 0"):
        adapt(net, make_pictures())
