import keras
import numpy as np
import pytest
import tensorflow as tf

from common.nets.inception import build_inception
from common.nets.resnet import build_resnet
from common.seeds import set_all
from tests.common.nets.test_resnet import convolve, make_pictures, shake
from tests.helpers.gradients import check_gradients


def look_four_ways(net, name, x, stride):
    def step(part, x, stride=1):
        return np.maximum(convolve(net, f"{name}_{part}", x, stride), 0)

    one = step("one", x, stride)
    three = step("three", step("three_in", x), stride)
    five = step("five", step("five_first", step("five_in", x)), stride)
    pooled = step("pooled", tf.nn.max_pool2d(x, 3, stride, "SAME").numpy())
    return np.concatenate([one, three, five, pooled], axis=-1)


def test_equals_its_two_modules_step_by_step():
    net, pictures = shake(build_inception((4, 8), n_classes=5)), make_pictures()

    x = np.maximum(convolve(net, "stem", (pictures - 127) / 128, 2), 0)
    x = look_four_ways(net, "stage0_block0", x, 1)
    x = look_four_ways(net, "stage1_block0", x, 2)
    kernel, bias = net.get_layer("logits").get_weights()
    wanted = tf.nn.softmax(x.mean(axis=(1, 2)) @ kernel + bias)

    np.testing.assert_allclose(net(pictures), wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(tf.function(net)(pictures), wanted, rtol=1e-4, atol=1e-6)


def test_has_as_many_parameters_as_the_residual_net():
    mine, other = (b(n_classes=10).count_params() for b in (build_inception, build_resnet))

    assert mine == pytest.approx(other, rel=0.01)


def test_the_maps_have_the_size_of_the_residual_nets():
    pictures = make_pictures(1, 60, 80)
    mine = build_inception((4, 8, 12))(pictures)
    other = build_resnet((4, 8, 12))(pictures)

    assert mine.shape == other.shape == (1, 8, 10, 12)


def test_a_way_sees_as_far_as_its_name_says():
    """Nudge one pixel: two strides of 1 after the stem's, so the maps' own steps can be counted."""
    set_all(0)
    net = build_inception((16,))
    module = keras.Model(net.get_layer("stem_relu").output, net.output)
    x = np.ones((1, 11, 11, 16), np.float32)
    nudged = x.copy()
    nudged[0, 5, 5] += 1
    changed = np.abs(module(nudged) - module(x))[0]  # (11, 11, 16)

    for way, reach in enumerate((0, 1, 2, 1)):
        seen = np.argwhere(changed[:, :, 4 * way : 4 * way + 4].max(axis=2) > 1e-6)
        assert np.abs(seen - 5).max() == reach, way


@pytest.mark.usefixtures("float64")
def test_gradients_are_those_of_central_differences():
    set_all(0)
    net, pictures = build_inception((4,), n_classes=3), make_pictures(2, 4, 4).astype(np.float64)

    weights = [variable.value for variable in net.trainable_variables]
    check_gradients(lambda: tf.reduce_sum(tf.math.log(net(pictures, training=True))[:, 0]), weights)


# Keras on NumPy 2.4, whatever the net is.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_learns_eight_pictures_saves_and_loads(tmp_path):
    set_all(0)
    net, labels = build_inception((8, 16), n_classes=4), np.arange(8) % 4
    pictures = make_pictures(8)
    net.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", jit_compile=False)
    net.fit(pictures, labels, epochs=100, batch_size=8, verbose=0)

    predicted = net(pictures).numpy()
    np.testing.assert_array_equal(predicted.argmax(axis=1), labels)
    net.save(tmp_path / "net.keras")
    np.testing.assert_array_equal(
        keras.models.load_model(tmp_path / "net.keras")(pictures), predicted
    )


def test_a_width_that_cannot_be_quartered_is_refused():
    with pytest.raises(ValueError, match=r"widths must be multiples of 4, received \(8, 10\)"):
        build_inception((8, 10))
