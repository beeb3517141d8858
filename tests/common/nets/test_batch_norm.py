import keras
import numpy as np
import pytest
import tensorflow as tf

from common.nets.batch_norm import FusedBatchNormalization

MAPS = np.random.default_rng(0).normal(3, 2, (8, 5, 4, 6)).astype(np.float32)
OPTIONS = {"epsilon": 1e-3, "momentum": 0.7, "gamma_initializer": "random_normal"}


def build(kind, **options):
    keras.utils.set_random_seed(0)
    layer = kind(**{**OPTIONS, **options})
    layer.build(MAPS.shape)
    layer.beta.assign(np.arange(MAPS.shape[-1]))
    return layer


def learn(layer, maps):
    """A training step's output, gradients by input, scale and offset, and statistics after it."""
    given, weights = tf.Variable(maps), np.random.default_rng(1).normal(size=maps.shape)
    with tf.GradientTape() as tape:
        output = layer(given, training=True)
        value = tf.reduce_sum(output * tf.cast(weights, output.dtype))
    gradients = tape.gradient(value, [given, *(v.value for v in layer.trainable_variables)])
    return [output, *gradients, layer.moving_mean, layer.moving_variance]


@pytest.mark.parametrize("maps", [MAPS, MAPS[:1, :1, :1]], ids=["batch", "one place"])
def test_a_step_of_training_is_keras_own(maps):
    layers = [build(kind) for kind in (FusedBatchNormalization, keras.layers.BatchNormalization)]
    for layer in layers:
        learn(layer, MAPS)  # Statistics are none of their first values.

    ours, wanted = (learn(layer, maps) for layer in layers)

    assert len(ours) == len(wanted) == 6
    for one, other in zip(ours, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_prediction_is_keras_own_and_so_is_what_is_frozen():
    ours, theirs = build(FusedBatchNormalization), build(keras.layers.BatchNormalization)
    for layer in (ours, theirs):
        learn(layer, MAPS)
        layer.trainable = False
    for training in (True, False):
        np.testing.assert_allclose(
            ours(MAPS, training=training), theirs(MAPS, training=training), atol=1e-5
        )
    np.testing.assert_allclose(ours.moving_mean, theirs.moving_mean, atol=1e-5)


@pytest.mark.parametrize(
    ("maps", "options"),
    [
        (MAPS, {"center": False}),
        (MAPS, {"scale": False}),
        (MAPS[:, 0, 0], {}),
        (MAPS.swapaxes(1, 3), {"axis": 1}),
        (MAPS.astype(np.float16), {"dtype": "float16"}),
        (MAPS, {"renorm": True}),
    ],
    ids=["no offset", "no scale", "vectors", "another axis", "float16", "renorm"],
)
def test_what_the_operation_does_not_know_goes_keras_way(maps, options):
    found = []
    for kind in (FusedBatchNormalization, keras.layers.BatchNormalization):
        layer = kind(**options)
        found.append([layer(maps, training=True).numpy(), *layer.get_weights()])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_masked_places_count_for_nothing():
    mask = np.arange(20).reshape(1, 5, 4).repeat(8, axis=0) < 12
    found = []
    for kind in (FusedBatchNormalization, keras.layers.BatchNormalization):
        layer = kind()
        found.append([layer(MAPS, training=True, mask=mask).numpy(), *layer.get_weights()])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_a_net_with_it_is_traced_saved_and_loaded(tmp_path):
    pixels = keras.Input((None, None, 6))
    net = keras.Model(pixels, FusedBatchNormalization(momentum=0.5)(pixels))
    net.compile("sgd", "mse")
    net.fit(MAPS, np.zeros_like(MAPS), epochs=2, verbose=0)

    net.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")

    assert np.abs(net.layers[-1].moving_mean.numpy()).min() > 1
    np.testing.assert_array_equal(loaded.predict(MAPS, verbose=0), net.predict(MAPS, verbose=0))
    assert isinstance(loaded.layers[-1], FusedBatchNormalization)


def test_training_takes_one_operation_for_the_norm_and_one_for_its_gradient():
    """What it is there for: Keras' own layer has neither of them."""

    def list_operations(layer):
        @tf.function
        def step(maps):
            with tf.GradientTape() as tape:
                tape.watch(maps)
                value = tf.reduce_sum(layer(maps, training=True) ** 2)
            return tape.gradient(value, maps)

        graph = step.get_concrete_function(tf.TensorSpec(MAPS.shape, tf.float32)).graph
        return [op.type for op in graph.get_operations() if "FusedBatchNorm" in op.type]

    assert list_operations(build(FusedBatchNormalization)) == [
        "FusedBatchNormV3",
        "FusedBatchNormGradV3",
    ]
    assert list_operations(build(keras.layers.BatchNormalization)) == []
    assert list_operations(build(FusedBatchNormalization, synchronized=True)) == []
