import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import erf

from common.nets.entity_embedding import (
    build_entity_embedding,
    choose_embedding_dims,
    fill_unseen,
    make_embedding_tables,
)
from common.nets.piecewise_linear import PiecewiseLinearEmbedding
from common.seeds import set_all
from common.training.fit import fit_net
from tests.helpers.gradients import check_gradients

N_CODES = (3, 7)


def make_inputs(n_rows, seed=0, n_numbers=2):
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(size, size=n_rows) for size in N_CODES], axis=1)
    numbers = rng.normal(size=(n_rows, n_numbers))
    return {"codes": codes.astype(np.int32), "numbers": numbers.astype(np.float32)}


def build(hidden=(4, 3), n_numbers=2, **options):
    return build_entity_embedding(N_CODES, n_numbers, hidden=hidden, **options)


def shake(model, seed=0):
    """Give every weight, the zero biases too, a random value."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])


ACTIVATIONS = {
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "relu": lambda x: x.clip(0),
}


def predict_by_loop(weights, inputs, activation):
    """One row at a time: look up, lay side by side, and go through the layers.

    TensorFlow takes gelu's root of 2 in float32 even here, so only seven digits agree.
    """
    tables, dense = weights[: len(N_CODES)], weights[len(N_CODES) :]
    outputs = []
    for codes, numbers in zip(inputs["codes"], inputs["numbers"], strict=True):
        x = [value for table, code in zip(tables, codes, strict=True) for value in table[code]]
        x = np.array([*x, *numbers])
        for kernel, bias in zip(dense[:-2:2], dense[1:-2:2], strict=True):
            x = ACTIVATIONS[activation](x @ kernel + bias)
        outputs.append((x @ dense[-2] + dense[-1]).item())
    return np.array(outputs)


def test_dims_by_hand():
    """Half the codes rounded down, at least 1, at most 16 or what is asked for."""
    dims = [choose_embedding_dims(n) for n in (1, 2, 3, 4, 25, 32, 33, 900)]

    assert dims == [1, 1, 1, 2, 12, 16, 16, 16]
    assert choose_embedding_dims(25, largest=5) == 5


@pytest.mark.parametrize("options", [{}, {"activation": "relu"}])
def test_the_net_equals_a_loop_over_rows_and_its_graph(float64, options):
    model, inputs = build(**options), make_inputs(16)
    shake(model)

    eager = model(inputs).numpy()

    assert eager.dtype == np.float64
    wanted = predict_by_loop(model.get_weights(), inputs, options.get("activation", "gelu"))
    np.testing.assert_allclose(eager, wanted, rtol=0, atol=1e-7)
    np.testing.assert_allclose(tf.function(model)(inputs), eager, rtol=0, atol=1e-12)


def test_gradients_equal_central_differences(float64):
    """The tables' rows for codes that no example has must get a gradient of zero; both sides say
    so.
    """
    model, inputs = build(), make_inputs(5)
    shake(model)
    target = tf.constant(np.random.default_rng(1).normal(size=5))

    check_gradients(
        lambda: tf.reduce_mean((model(inputs) - target) ** 2),
        [variable.value for variable in model.trainable_variables],
    )


def test_weights_by_hand():
    """Tables 3 x 1 and 7 x 3; 1 + 3 + 2 numbers into 4 units, 4 into 3, 3 into 1: 3 + 21 + 28 + 15
    + 4 = 71.
    """
    assert build().count_params() == 71
    # A bound of 2 makes the second table 7 x 2, and one input of the first layer less.
    assert build(largest_embedding=2).count_params() == 71 - 7 - 4
    # Tables 3 x 2 and 7 x 5, and 2 + 5 + 2 into 4 units: 6 + 35 + 40 + 15 + 4.
    assert build(dims=(2, 5)).count_params() == 100


def test_numbers_go_through_their_layer():
    """The net with 2 vectors of 3 for the numbers equals one that is given these as 6 numbers."""
    set_all(0)
    edges = [[-1.0, 0.0, 2.0], [0.0, 0.5]]
    layer = PiecewiseLinearEmbedding(edges, dims=3)
    model, inputs = build(number_layer=layer), make_inputs(8)
    shake(model)
    vectors = layer(inputs["numbers"]).numpy().reshape(8, 6)
    plain = build(n_numbers=6)
    own = {id(weight) for weight in layer.weights}
    plain.set_weights([weight.numpy() for weight in model.weights if id(weight) not in own])

    np.testing.assert_allclose(
        model(inputs), plain({"codes": inputs["codes"], "numbers": vectors}), rtol=1e-5, atol=1e-6
    )


def test_output_range_by_hand():
    """From 2 to 6, the sigmoid of 0 is the middle, 4, and of ln 3, 3 / 4 of the way: 5.

    All kernels are zero, so the last bias is what is squashed.
    """
    model, inputs = build(output_range=(2.0, 6.0)), make_inputs(1)
    for bias, wanted in ((0.0, 4.0), (np.log(3), 5.0), (-np.log(3), 3.0), (90, 6.0), (-90, 2.0)):
        weights = [np.zeros(weight.shape) for weight in model.get_weights()]
        weights[-1][:] = bias
        model.set_weights(weights)
        np.testing.assert_allclose(model(inputs), [wanted], rtol=1e-6)


def test_no_weights_lead_out_of_the_output_range():
    model, inputs = build(output_range=(-1.0, 3.0)), make_inputs(64)
    free = build()
    shake(free)
    free.set_weights([9 * weight for weight in free.get_weights()])
    model.set_weights(free.get_weights())

    assert free(inputs).numpy().min() < -1 and free(inputs).numpy().max() > 3
    assert -1 <= model(inputs).numpy().min() < 0 and 2 < model(inputs).numpy().max() <= 3


def test_tables_are_those_that_rows_are_looked_up_in():
    """Adding to the vector of code 5 of column 1 moves the rows that have it, and no other."""
    model, inputs = build(dims=(2, 5)), make_inputs(40)
    before = model(inputs).numpy()

    tables = make_embedding_tables(model)
    assert {column: table.shape for column, table in tables.items()} == {0: (3, 2), 1: (7, 5)}
    tables[1][5] += 1.0
    np.testing.assert_array_equal(model(inputs), before)  # They are copies.
    weights = model.get_weights()
    model.set_weights([tables[0], tables[1], *weights[2:]])
    moved = np.abs(model(inputs).numpy() - before) > 1e-6

    assert moved.any()
    np.testing.assert_array_equal(moved, inputs["codes"][:, 1] == 5)


def fill_by_hand(**options):
    """Fill tables of 3 x 2 and 7 x 1 with rising numbers, and give these and those after it."""
    model = build(dims=(2, 1))
    before = [np.array([[9, 9], [1, 2], [3, 6]], "f4"), np.arange(7, dtype="f4")[:, None]]
    model.set_weights([*before, *model.get_weights()[2:]])
    rest = model.get_weights()[2:]
    fill_unseen(model, **options)
    for was, weight in zip(rest, model.get_weights()[2:], strict=True):
        np.testing.assert_array_equal(weight, was)
    return before, model.get_weights()[:2]


def test_the_unseen_is_the_mean_of_the_others_by_hand():
    """(1, 2) and (3, 6) have the mean (2, 4), and 1 to 6 that of 3.5; no other row moves."""
    before, after = fill_by_hand()

    assert after[0][0].tolist() == [2, 4] and after[1][0].tolist() == [3.5]
    for was, table in zip(before, after, strict=True):
        np.testing.assert_array_equal(table[1:], was[1:])


def test_a_column_whose_fit_rows_have_code_0_keeps_what_they_taught_it():
    before, after = fill_by_hand(codes=np.array([[1, 2], [2, 0], [1, 6]], np.int32))

    assert after[0][0].tolist() == [2, 4]
    np.testing.assert_array_equal(after[1], before[1])


def test_a_new_level_is_predicted_alike_whatever_its_row_began_with():
    model, other, inputs = build(dims=(2, 5)), build(dims=(2, 5)), make_inputs(6)
    inputs["codes"][:, 1] = 0
    shake(model)
    weights = model.get_weights()
    weights[1][0] += 3.0
    other.set_weights(weights)
    assert np.abs(model(inputs) - other(inputs)).max() > 0.1

    fill_unseen(model)
    fill_unseen(other)

    np.testing.assert_array_equal(model(inputs), other(inputs))


def test_a_table_of_one_row_stays_as_it_is():
    model = build_entity_embedding((1, 3), 2, hidden=(4,))
    before = make_embedding_tables(model)[0]
    fill_unseen(model)

    np.testing.assert_array_equal(make_embedding_tables(model)[0], before)


def test_a_row_is_predicted_alike_whatever_stands_beside_it():
    model, inputs = build(dropout=0.5, embedding_dropout=0.5), make_inputs(9)
    whole = model(inputs).numpy()

    for row in range(9):
        alone = model({name: array[[row]] for name, array in inputs.items()})
        assert alone.shape == (1,)
        np.testing.assert_allclose(alone, whole[[row]], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["dropout", "embedding_dropout"])
def test_each_dropout_acts_in_training_and_only_there(name):
    set_all(0)
    model, inputs = build(**{name: 0.5}), make_inputs(32)
    still = build()
    still.set_weights(model.get_weights())

    np.testing.assert_array_equal(model(inputs), still(inputs))
    np.testing.assert_array_equal(still(inputs, training=True), still(inputs))
    assert np.abs(model(inputs, training=True) - model(inputs)).max() > 1e-3


def test_embedding_dropout_leaves_the_numbers_alone():
    """With all but nothing of the embeddings left, rows that differ in their codes only become
    equal.
    """
    set_all(0)
    model, inputs = build(embedding_dropout=0.999999), make_inputs(16)
    same = {"codes": np.zeros_like(inputs["codes"]), "numbers": inputs["numbers"]}

    dropped = model(inputs, training=True).numpy()

    np.testing.assert_array_equal(dropped, model(same, training=True))
    assert len(np.unique(dropped)) == 16


# Keras on NumPy 2.4, whatever the net is.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_a_net_overfits_8_examples_saves_loads_and_predicts_the_same(tmp_path):
    set_all(1)
    inputs, target = make_inputs(8), np.random.default_rng(2).normal(size=8).astype(np.float32)
    model = build(hidden=(32,))
    before = np.mean((model.predict(inputs, verbose=0) - target) ** 2)

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
    )

    predicted = model.predict(inputs, verbose=0)
    assert before > 0.1 and np.mean((predicted - target) ** 2) < 1e-4
    model.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(loaded.predict(inputs, verbose=0), predicted)


@pytest.mark.parametrize(("n_codes", "n_numbers"), [((3,), 2), ((3, 7), 0)])
def test_one_category_or_no_numbers_are_enough(n_codes, n_numbers):
    model = build_entity_embedding(n_codes, n_numbers, hidden=(3,))
    inputs = make_inputs(6, n_numbers=n_numbers)
    inputs["codes"] = np.arange(6, dtype=np.int32)[:, None] % 3 * np.ones(len(n_codes), np.int32)

    output = model(inputs).numpy()

    assert np.unique(output[:3]).size == 3
    if not n_numbers:
        np.testing.assert_allclose(output[:3], output[3:], rtol=1e-6)


def test_errors_name_what_was_wanted():
    with pytest.raises(ValueError, match="number of hidden layers must be > 0, received 0"):
        build(hidden=())
    with pytest.raises(ValueError, match=r"n_codes\[1\] must be > 0, received 0"):
        build_entity_embedding((3, 0), 2, hidden=(4,))
    with pytest.raises(ValueError, match=r"dims\[0\] must be > 0, received 0"):
        build(dims=(0, 2))
    with pytest.raises(ValueError, match="dims must be one a table, 2, received 3"):
        build(dims=(1, 2, 3))
    with pytest.raises(ValueError, match=r"output_range must rise, received \(2.0, 2.0\)"):
        build(output_range=(2.0, 2.0))
