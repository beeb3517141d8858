import keras
import numpy as np
import pytest
import tensorflow as tf

from common.losses.distance import mean_distance
from common.nets.cluster_softmax import ClusterSoftmax
from common.seeds import set_all
from tests.helpers.gradients import check_gradients

CENTRES = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])


def build_layer(n_inputs=5, seed=0, **options):
    """A layer whose weights are chance."""
    layer = ClusterSoftmax(CENTRES, **options)
    layer.build((None, n_inputs))
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.get_weights()])
    return layer


def predict_by_loop(x, kernel, bias):
    """Row by row and centre by centre."""
    places = []
    for row in x:
        weights = [np.exp(row @ kernel[:, k] + bias[k]) for k in range(len(CENTRES))]
        places.append(sum(w * c for w, c in zip(weights, CENTRES, strict=True)) / sum(weights))
    return np.array(places)


def test_begins_at_the_mean_of_the_centres_by_their_shares():
    """Inputs of zero leave the shares: of 2, 1, 1 in 4, (4 / 4, 4 / 4); of equal ones, 4 / 3."""
    zeros = np.zeros((2, 5))

    np.testing.assert_allclose(ClusterSoftmax(CENTRES, shares=[2, 1, 1])(zeros), 1, rtol=1e-6)
    np.testing.assert_allclose(ClusterSoftmax(CENTRES)(zeros), 4 / 3, rtol=1e-6)


def test_equals_the_loop_in_and_out_of_a_graph():
    layer, x = build_layer(), np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)

    expected = predict_by_loop(x, *layer.get_weights())
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5)
    np.testing.assert_allclose(tf.function(layer)(x), expected, rtol=1e-5)


def test_stays_within_the_hull_however_far_the_inputs_go():
    """x >= 0, y >= 0 and x + y <= 4."""
    places = build_layer()(1e4 * np.random.default_rng(2).normal(size=(50, 5))).numpy()

    assert places.min() >= 0 and places.sum(axis=1).max() <= 4 + 1e-5


def test_order_of_the_centres_does_not_matter():
    layer, x = build_layer(), np.random.default_rng(3).normal(size=(6, 5))
    kernel, bias = layer.get_weights()
    other = ClusterSoftmax(CENTRES[::-1])
    other.build((None, 5))
    other.set_weights([kernel[:, ::-1], bias[::-1]])

    np.testing.assert_allclose(other(x), layer(x), rtol=1e-5)


@pytest.mark.usefixtures("float64")
def test_gradients_are_those_of_central_differences():
    layer, rng = build_layer(), np.random.default_rng(4)
    x, target = rng.normal(size=(4, 5)), rng.normal(size=(4, 2))

    variables = [variable.value for variable in layer.trainable_variables]
    check_gradients(lambda: mean_distance(target, layer(x)), variables)


# Keras on NumPy 2.4, whatever the net is.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_learns_eight_places_saves_and_loads(tmp_path):
    set_all(0)
    rng = np.random.default_rng(5)
    x = rng.normal(size=(8, 5)).astype(np.float32)
    target = rng.dirichlet([0.3, 0.3, 0.3], 8) @ CENTRES
    inputs = keras.Input((5,))
    hidden = keras.layers.Dense(32, activation="relu")(inputs)
    net = keras.Model(inputs, ClusterSoftmax(CENTRES, shares=[3, 2, 1])(hidden))
    net.compile(keras.optimizers.Adam(0.02), mean_distance, jit_compile=False)
    net.fit(np.tile(x, (300, 1)), np.tile(target, (300, 1)), batch_size=8, verbose=0)

    predicted = net(x).numpy()
    assert np.linalg.norm(predicted - target, axis=1).mean() < 0.1
    net.save(tmp_path / "net.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "net.keras")(x), predicted)


@pytest.mark.parametrize(
    ("centres", "shares", "told"),
    [
        ([1.0, 2.0], None, r"centres must have shape \(any, any\), received \(2,\)"),
        (np.zeros((0, 2)), None, "centres must be finite and at least one, received"),
        ([[0.0, np.nan]], None, "centres must be finite and at least one, received"),
        (CENTRES, [1, 2], "lengths must be equal, received centres 3, shares 2"),
        (CENTRES, [1, 0, 2], r"shares must be > 0 and finite, received \[1. 0. 2.\]"),
        (CENTRES, [1, np.inf, 2], r"shares must be > 0 and finite, received \[ 1. inf  2.\]"),
        (CENTRES, [[1], [2], [3]], r"shares must have shape \(any\), received \(3, 1\)"),
    ],
)
def test_what_makes_no_layer_is_refused(centres, shares, told):
    with pytest.raises(ValueError, match=told):
        ClusterSoftmax(centres, shares=shares)
