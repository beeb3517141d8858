import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import erf

from common.nets.piecewise_linear import PiecewiseLinearEmbedding
from common.nets.tabm import BatchEnsembleDense, MemberHeads, build_tabm
from common.seeds import set_all
from common.training.fit import fit_net, predict_net
from tests.helpers.gradients import check_gradients

N_CODES = (3, 7)


def make_inputs(n_rows, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(size, size=n_rows) for size in N_CODES], axis=1)
    numbers = rng.normal(size=(n_rows, 2))
    return {"codes": codes.astype(np.int32), "numbers": numbers.astype(np.float32)}


def build(n_members=3, hidden=(4, 3), **options):
    return build_tabm(N_CODES, 2, n_members=n_members, hidden=hidden, **options)


def shake(model, seed=0):
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])


ACTIVATIONS = {
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "relu": lambda x: x.clip(0),
}


def predict_by_loop(weights, inputs, n_layers, activation):
    """One row and one member at a time, each with its own adapters and head.

    TensorFlow takes gelu's root of 2 in float32 even here, so only seven digits agree.
    """
    tables, rest = weights[: len(N_CODES)], weights[len(N_CODES) :]
    head, head_bias = rest[4 * n_layers :]
    outputs = np.zeros((len(inputs["codes"]), len(head_bias)))
    for row, (codes, numbers) in enumerate(zip(inputs["codes"], inputs["numbers"], strict=True)):
        vector = [value for table, code in zip(tables, codes, strict=True) for value in table[code]]
        for member in range(len(head_bias)):
            x = np.array([*vector, *numbers])
            for layer in range(n_layers):
                kernel, r, s, bias = rest[4 * layer : 4 * layer + 4]
                x = s[member] * ((r[member] * x) @ kernel) + bias[member]
                x = ACTIVATIONS[activation](x)
            outputs[row, member] = x @ head[member, :, 0] + head_bias[member]
    return outputs


def test_a_layer_by_hand():
    """x = (1, 2), W = (3, 5). Member 0 with r = (1, -1), s = 2, b = 1: 2 (3 - 10) + 1 = -13, and 0
    after ReLU; member 1 with r = (0, 1), s = -1, b = 0.5: -10 + 0.5 = -9.5.
    """
    for activation, wanted in ((None, [-13, -9.5]), ("relu", [0, 0])):
        layer = BatchEnsembleDense(1, 2, activation=activation)
        layer.build((None, 2))
        layer.set_weights(
            [
                np.array([[3.0], [5.0]]),
                np.array([[1.0, -1.0], [0.0, 1.0]]),
                np.array([[2.0], [-1.0]]),
                np.array([[1.0], [0.5]]),
            ]
        )
        np.testing.assert_allclose(layer(np.array([[1.0, 2.0]]))[:, 0, 0], wanted)


@pytest.mark.parametrize("shape", [(6, 5), (4, 6, 5)])
def test_a_layer_equals_a_dense_layer_for_each_member(float64, shape):
    layer, rng = BatchEnsembleDense(3, 4, activation="tanh"), np.random.default_rng(0)
    layer.build(shape)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.get_weights()])
    kernel, r, s, bias = layer.get_weights()
    x = rng.normal(size=shape)

    output = layer(x).numpy()

    assert output.shape == (4, 6, 3) == layer.compute_output_shape(shape)
    for member in range(4):
        seen = x if len(shape) == 2 else x[member]
        wanted = np.tanh(s[member] * ((seen * r[member]) @ kernel) + bias[member])
        np.testing.assert_allclose(output[member], wanted, rtol=0, atol=1e-12)


def test_heads_equal_a_product_for_each_member(float64):
    heads, rng = MemberHeads(), np.random.default_rng(0)
    heads.build((4, None, 5))
    heads.set_weights([rng.normal(size=weight.shape) for weight in heads.get_weights()])
    kernel, bias = heads.get_weights()
    x = rng.normal(size=(4, 6, 5))

    output = heads(x).numpy()

    assert output.shape == (6, 4) == heads.compute_output_shape(x.shape)
    for member in range(4):
        np.testing.assert_allclose(
            output[:, member], x[member] @ kernel[member, :, 0] + bias[member], rtol=0, atol=1e-12
        )


def test_only_the_first_adapters_and_the_heads_begin_unlike():
    """64 x 18 fair signs have a mean of 0, within four standard errors of 1 / sqrt(1152) = 0.03."""
    set_all(0)
    model = build(n_members=64, hidden=(4, 3), dims=(9, 7))
    first, second = (layer for layer in model.layers if isinstance(layer, BatchEnsembleDense))
    (heads,) = (layer for layer in model.layers if isinstance(layer, MemberHeads))

    signs = first.r.numpy()
    assert set(np.unique(signs)) == {-1.0, 1.0} and abs(signs.mean()) < 0.12
    assert len(np.unique(signs, axis=0)) == 64
    for ones in (first.s, second.r, second.s):
        np.testing.assert_array_equal(ones, np.ones(ones.shape))
    for zeros in (first.bias, second.bias, heads.bias):
        np.testing.assert_array_equal(zeros, np.zeros(zeros.shape))
    assert len(np.unique(heads.kernel.numpy())) == 64 * 3
    assert 0.95 / 3**0.5 < np.abs(heads.kernel.numpy()).max() <= 1 / 3**0.5


@pytest.mark.parametrize("options", [{}, {"activation": "relu"}])
def test_the_net_equals_a_loop_over_rows_and_members_and_its_graph(float64, options):
    model, inputs = build(**options), make_inputs(12)
    shake(model)

    eager = model(inputs).numpy()

    activation = options.get("activation", "gelu")
    wanted = predict_by_loop(model.get_weights(), inputs, n_layers=2, activation=activation)
    np.testing.assert_allclose(eager, wanted, rtol=0, atol=1e-7)
    np.testing.assert_allclose(tf.function(model)(inputs), eager, rtol=0, atol=1e-12)


def test_gradients_equal_central_differences(float64):
    layer = PiecewiseLinearEmbedding([[-1.0, 0.0, 1.0], [0.0, 2.0]], dims=2)
    model, inputs = build(2, hidden=(2, 2), number_layer=layer), make_inputs(5)
    shake(model)
    target = tf.constant(np.random.default_rng(1).normal(size=(5, 1)))

    check_gradients(
        lambda: tf.reduce_mean((model(inputs) - target) ** 2),
        [variable.value for variable in model.trainable_variables],
    )


def test_weights_by_hand():
    """Tables 3 x 1 and 7 x 3 are 24. The 1 + 3 + 2 = 6 inputs into 4 units share 24 and have 3 (6
    + 4 + 4) = 42; 4 into 3 share 12 and have 3 (4 + 3 + 3) = 30; heads have 3 (3 + 1) = 12: 144.
    """
    assert build().count_params() == 144


def test_dropout_acts_in_training_and_only_there():
    set_all(0)
    model, inputs = build(dropout=0.5), make_inputs(32)
    still = build()
    still.set_weights(model.get_weights())

    np.testing.assert_array_equal(model(inputs), still(inputs))
    np.testing.assert_array_equal(still(inputs, training=True), still(inputs))
    assert np.abs(model(inputs, training=True) - model(inputs)).max() > 1e-3


def test_every_member_stays_within_the_output_range():
    model, inputs = build(output_range=(-1.0, 3.0)), make_inputs(64)
    shake(model)
    model.set_weights([9 * weight for weight in model.get_weights()])

    output = model(inputs).numpy()

    assert -1 <= output.min() < -0.9 and 2.9 < output.max() <= 3


# Keras on NumPy 2.4, whatever the net is.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_all_members_overfit_8_examples_and_the_net_saves_loads_and_predicts_the_same(tmp_path):
    set_all(1)
    inputs, target = make_inputs(8), np.random.default_rng(2).normal(size=8).astype(np.float32)
    layer = PiecewiseLinearEmbedding([[-1.0, 0.0, 1.0], [-1.0, 1.0]], dims=2, activation="relu")
    model = build(hidden=(32,), number_layer=layer, output_range=(-4.0, 4.0))
    before = np.mean((model.predict(inputs, verbose=0) - target[:, None]) ** 2, axis=0)

    # Each example 100 times over, since an epoch costs more than its steps.
    fit_net(
        model,
        {name: np.tile(array, (100, 1)) for name, array in inputs.items()},
        np.tile(target, 100),
        epochs=3,
        batch_size=8,
        learning_rate=0.03,
        weight_decay=0.0,
        seed=0,
        has_members=True,
    )

    members = model.predict(inputs, verbose=0)
    after = np.mean((members - target[:, None]) ** 2, axis=0)
    assert before.min() > 0.1 and after.max() < 1e-3
    assert np.std(members, axis=1).min() > 0
    model.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    mean = predict_net(model, inputs, has_members=True)
    np.testing.assert_array_equal(predict_net(loaded, inputs, has_members=True), mean)
    np.testing.assert_allclose(mean, members.mean(axis=1), rtol=1e-5)


def test_errors_name_what_was_wanted():
    with pytest.raises(ValueError, match="number of hidden layers must be > 0, received 0"):
        build(hidden=())
    with pytest.raises(ValueError, match="n_members must be > 0, received 0"):
        build(n_members=0)
    with pytest.raises(ValueError, match="units must be > 0, received 0"):
        build(hidden=(0,))
