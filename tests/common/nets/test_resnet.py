import keras
import numpy as np
import pytest
import tensorflow as tf

from common.nets.resnet import build_resnet
from common.seeds import set_all
from tests.helpers.gradients import check_gradients


def make_pictures(n=3, height=8, width=12, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (n, height, width, 3)).astype(np.float32)


def shake(net, seed=1):
    """Give every weight, those of batch norms too, a value of its own."""
    rng = np.random.default_rng(seed)
    net.set_weights(
        [rng.uniform(0.1, 0.5, w.shape) - 0.2 * (w.ndim == 4) for w in net.get_weights()]
    )
    return net


def normalize(net, name, x):
    gain, bias, mean, variance = net.get_layer(f"{name}_bn").get_weights()
    return (x - mean) / np.sqrt(variance + 1e-3) * gain + bias


def convolve(net, name, x, stride=1):
    kernel = net.get_layer(f"{name}_conv").get_weights()[0]
    return normalize(net, name, tf.nn.conv2d(x, kernel, stride, "SAME").numpy())


def test_equals_its_two_stages_step_by_step():
    """The first block keeps its shape and adds its input; the second strides, and resizes it."""
    net, pictures = shake(build_resnet((4, 6), n_classes=5)), make_pictures()

    x = np.maximum(convolve(net, "stem", (pictures - 127) / 128, 2), 0)
    inner = np.maximum(convolve(net, "stage0_block0_first", x), 0)
    x = np.maximum(convolve(net, "stage0_block0_second", inner) + x, 0)
    skip = convolve(net, "stage1_block0_skip", x, 2)
    inner = np.maximum(convolve(net, "stage1_block0_first", x, 2), 0)
    x = np.maximum(convolve(net, "stage1_block0_second", inner) + skip, 0)
    kernel, bias = net.get_layer("logits").get_weights()
    wanted = tf.nn.softmax(x.mean(axis=(1, 2)) @ kernel + bias)

    np.testing.assert_allclose(net(pictures), wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(tf.function(net)(pictures), wanted, rtol=1e-4, atol=1e-6)


def test_blocks_that_add_nothing_leave_the_stem():
    """Gains of zero in each block's last batch norm: what is left is the way around it."""
    net, pictures = build_resnet((4,), n_blocks=3), make_pictures()
    for block in range(3):
        net.get_layer(f"stage0_block{block}_second_bn").gamma.assign(np.zeros(4))

    stem = keras.Model(net.input, net.get_layer("stem_relu").output)
    assert np.abs(stem(pictures)).max() > 0.1
    np.testing.assert_array_equal(net(pictures), stem(pictures))


def test_middle_grey_is_nothing():
    grey = np.full((1, 8, 8, 3), 127, np.float32)

    np.testing.assert_allclose(build_resnet((4, 8))(grey), 0, atol=1e-6)


def test_stages_halve_the_picture_and_end_where_their_names_say():
    net = build_resnet((4, 6, 8), n_blocks=2)
    ends = keras.Model(net.input, [net.get_layer(f"stage{k}_out").output for k in range(3)])

    shapes = [maps.shape for maps in ends(make_pictures(1, 32, 48))]
    assert shapes == [(1, 16, 24, 4), (1, 8, 12, 6), (1, 4, 6, 8)]
    np.testing.assert_array_equal(ends(make_pictures(1, 32, 48))[-1], net(make_pictures(1, 32, 48)))


@pytest.mark.usefixtures("float64")
def test_gradients_are_those_of_central_differences():
    set_all(0)
    net, pictures = build_resnet((2,), n_classes=3), make_pictures(2, 4, 4).astype(np.float64)

    weights = [variable.value for variable in net.trainable_variables]
    check_gradients(lambda: tf.reduce_sum(tf.math.log(net(pictures, training=True))[:, 0]), weights)


# Keras on NumPy 2.4, whatever the net is.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_learns_eight_pictures_saves_and_loads(tmp_path):
    set_all(0)
    net, pictures, labels = build_resnet((8, 16), n_classes=4), make_pictures(8), np.arange(8) % 4
    net.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", jit_compile=False)
    net.fit(pictures, labels, epochs=100, batch_size=8, verbose=0)

    predicted = net(pictures).numpy()
    np.testing.assert_array_equal(predicted.argmax(axis=1), labels)
    net.save(tmp_path / "net.keras")
    np.testing.assert_array_equal(
        keras.models.load_model(tmp_path / "net.keras")(pictures), predicted
    )
