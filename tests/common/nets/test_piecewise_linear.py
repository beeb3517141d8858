import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from common.nets.piecewise_linear import PiecewiseLinearEmbedding, learn_bins
from common.seeds import set_all
from common.training.fit import fit_net
from tests.helpers.gradients import check_gradients

# One, two and five bins.
EDGES = ([0.0, 2.0], [-1.0, 0.0, 3.0], [0.0, 0.5, 1.0, 2.0, 4.0, 8.0])


def make_numbers(n_rows, seed=0):
    """Inside the bins, outside on both sides, and on every edge."""
    numbers = np.random.default_rng(seed).uniform(-3, 10, size=(n_rows, len(EDGES)))
    for column, edges in enumerate(EDGES):
        numbers[: len(edges), column] = edges
    return numbers


def build_layer(edges=EDGES, dims=3, seed=0, **options):
    """A layer whose weights, those of the bins that fill up too, are chance."""
    layer = PiecewiseLinearEmbedding(edges, dims=dims, **options)
    layer.build((None, len(edges)))
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.get_weights()])
    return layer


def encode_by_loop(number, edges):
    """Equation 1 of the paper, bin by bin."""
    code = []
    for k in range(len(edges) - 1):
        left, right = edges[k], edges[k + 1]
        if number < left and k > 0:
            code.append(0.0)
        elif number >= right and k < len(edges) - 2:
            code.append(1.0)
        else:
            code.append((number - left) / (right - left))
    return np.array(code)


def read_code(numbers, edges):
    """Let weights of one column be the identity, so that the vector is the code."""
    layer = PiecewiseLinearEmbedding([edges], dims=len(edges) - 1)
    layer.build((None, 1))
    layer.set_weights([np.eye(len(edges) - 1)[None], np.zeros((1, len(edges) - 1))])
    return layer(np.array(numbers)[:, None]).numpy()[:, 0]


def test_bins_by_hand():
    """Quarters of 0 to 8 end at 2, 4, 6; of 0, 0, 0, 0, 0, 0, 0, 1, 5, at 0, 0, 0, so that one bin
    is left; a column of 7 gets one from 7 to 7 + 7, of -0.5 one that is 1 wide.
    """
    values = np.stack([np.arange(9), [0, 0, 0, 0, 0, 0, 0, 1, 5], [7] * 9, [-0.5] * 9], axis=1)

    edges = learn_bins(values, n_bins=4)

    assert [column.tolist() for column in edges] == [
        [0, 2, 4, 6, 8],
        [0, 5],
        [7, 14],
        [-0.5, 0.5],
    ]


def test_bins_hold_equally_many_rows():
    values = np.random.default_rng(0).lognormal(size=(1000, 2)).astype(np.float32)

    for column, edges in enumerate(learn_bins(values, n_bins=8)):
        held, _ = np.histogram(values[:, column], edges)
        assert held.sum() == 1000 and abs(held - 125).max() <= 1


def test_edges_stay_apart_in_float32():
    """1 and 1 + 1e-12 are one float32; a bin between them would have no width."""
    (edges,) = learn_bins(np.array([[1.0], [1 + 1e-12], [2.0]]), n_bins=2)

    assert edges.dtype == np.float32 and edges.tolist() == [1, 2]


def test_code_by_hand():
    """Bins 0 to 1 and 1 to 3: the first is left downwards and the last upwards without end."""
    code = read_code([-1.0, 0.5, 1.0, 2.0, 5.0], [0.0, 1.0, 3.0])

    np.testing.assert_allclose(code, [[-1, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 2]], atol=1e-7)


def test_a_constant_column_is_coded_as_zero():
    values = np.full((4, 1), 3.0)
    (edges,) = learn_bins(values, n_bins=4)

    np.testing.assert_array_equal(read_code(values[:, 0], edges), np.zeros((4, 1)))


@pytest.mark.parametrize("activation", [None, "relu"])
def test_vectors_equal_a_loop_over_rows_and_columns_and_their_graph(float64, activation):
    layer, numbers = build_layer(activation=activation), make_numbers(40)
    kernel, bias = layer.get_weights()

    vectors = layer(numbers).numpy()

    wanted = np.zeros((40, 3, 3))
    for row in range(40):
        for column, edges in enumerate(EDGES):
            code = encode_by_loop(numbers[row, column], edges)
            wanted[row, column] = code @ kernel[column, : len(code)] + bias[column]
    wanted = wanted if activation is None else wanted.clip(0)
    np.testing.assert_allclose(vectors, wanted, rtol=0, atol=1e-12)
    np.testing.assert_allclose(tf.function(layer)(numbers), vectors, rtol=0, atol=1e-12)
    fed = tf.data.Dataset.from_tensor_slices(numbers).batch(7).map(layer)
    np.testing.assert_allclose(np.concatenate(list(fed)), vectors, rtol=0, atol=1e-12)


def test_gradients_equal_central_differences(float64):
    """Bins that fill up must get a gradient of zero; both sides say so."""
    layer, numbers = build_layer(activation="relu"), tf.Variable(make_numbers(9)[6:])

    check_gradients(
        lambda: tf.reduce_sum(tf.sin(layer(numbers))),
        [numbers, *(variable.value for variable in layer.trainable_variables)],
    )


def test_weights_begin_within_their_bounds_and_unlike():
    """The most bins are 5: all begin in +-1 / sqrt(5)."""
    set_all(0)
    layer = PiecewiseLinearEmbedding(EDGES, dims=50)
    layer.build((None, 3))

    for weight in layer.get_weights():
        assert 0.95 / 5**0.5 < np.abs(weight).max() <= 1 / 5**0.5
        assert len(np.unique(weight)) == weight.size


def test_a_straight_line_is_what_it_begins_as():
    """The curve is zero at first; afterwards both are added, before the activation."""
    set_all(0)
    numbers = make_numbers(20).astype(np.float32)
    layer = build_layer(activation="relu", linear=True)
    line = numbers[:, :, None] * layer.slope.numpy() + layer.bias.numpy()
    assert PiecewiseLinearEmbedding.from_config(layer.get_config()).linear
    kernel = layer.kernel.numpy()
    layer.kernel.assign(0 * kernel)
    np.testing.assert_allclose(layer(numbers), line.clip(0), atol=1e-6)

    layer.kernel.assign(kernel)
    curve = build_layer(activation=None)
    curve.set_weights([kernel, 0 * layer.bias.numpy()])
    np.testing.assert_allclose(layer(numbers), (line + curve(numbers).numpy()).clip(0), atol=1e-6)

    fresh = PiecewiseLinearEmbedding(EDGES, dims=50, linear=True)
    fresh.build((None, 3))
    assert not fresh.kernel.numpy().any()
    for weight in (fresh.slope.numpy(), fresh.bias.numpy()):
        assert 0.9 / 50**0.5 < np.abs(weight).max() <= 1 / 50**0.5


# Keras on NumPy 2.4, whatever the net is.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_it_learns_a_curve_with_bends_saves_loads_and_predicts_the_same(tmp_path):
    """|x| and a step between two edges are sums of bins, so nothing but the weights is missing."""
    set_all(0)
    numbers = np.random.default_rng(0).uniform(-1, 1, size=(4000, 2)).astype(np.float32)
    target = np.abs(numbers[:, 0]) + np.clip(numbers[:, 1] * 4, 0, 1)
    layer = PiecewiseLinearEmbedding([[-1, 0, 1], [-1, 0, 0.25, 1]], dims=1)
    x = keras.layers.Input((2,), name="numbers")
    model = keras.Model({"numbers": x}, keras.ops.sum(layer(x), axis=(1, 2)))

    fit_net(
        model,
        {"numbers": numbers},
        target,
        epochs=4,
        batch_size=16,
        learning_rate=0.1,
        weight_decay=0.0,
        seed=0,
    )

    predicted = model.predict({"numbers": numbers}, verbose=0)
    assert np.abs(predicted - target).max() < 1e-2
    model.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(loaded.predict({"numbers": numbers}, verbose=0), predicted)


def test_a_layer_is_made_again_from_its_config():
    layer = build_layer([np.array([0.0, 0.1], np.float32), [0, 1, 2]], activation="relu", name="a")

    config = json.loads(json.dumps(layer.get_config()))
    again = PiecewiseLinearEmbedding.from_config(config)
    again.build((None, 2))
    again.set_weights(layer.get_weights())

    numbers = make_numbers(8)[:, :2].astype(np.float32)
    np.testing.assert_array_equal(again(numbers), layer(numbers))
    assert again.name == "a" and config["activation"] == "relu"
    assert layer.compute_output_shape((None, 2)) == (None, 2, 3)


def test_errors_name_the_column():
    with pytest.raises(ValueError, match="n_bins must be > 0, received 0"):
        learn_bins(np.zeros((3, 1)), n_bins=0)
    with pytest.raises(ValueError, match="values must be finite, received NaN or inf in column 1"):
        learn_bins(np.array([[0.0, 1.0], [1.0, np.nan]]), n_bins=2)
    with pytest.raises(ValueError, match="number of columns with edges must be > 0, received 0"):
        PiecewiseLinearEmbedding([], dims=2)
    with pytest.raises(ValueError, match="dims must be > 0, received 0"):
        PiecewiseLinearEmbedding(EDGES, dims=0)
    for edges in ([1.0], [], [0.0, 0.0], [0.0, 2.0, 1.0]):
        with pytest.raises(ValueError, match=r"edges\[1\] must be 2 or more that rise, received"):
            PiecewiseLinearEmbedding([[0.0, 1.0], edges], dims=2)
    with pytest.raises(ValueError, match="edges are of 3 columns, received 2"):
        PiecewiseLinearEmbedding(EDGES, dims=2)(np.zeros((4, 2)))
