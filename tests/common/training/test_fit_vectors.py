import keras
import numpy as np
import pytest

from common.losses.distance import mean_distance
from common.seeds import set_all
from common.training import fit_vectors
from common.training.fit_vectors import fit_vector_net, predict_vectors

SETTINGS = {"loss": mean_distance, "batch_size": 50, "learning_rate": 0.02, "weight_decay": 0.0}


def build_net(seed=0):
    set_all(seed)
    inputs = {"x": keras.Input((3,), name="x")}
    hidden = keras.layers.Dense(16, activation="relu")(inputs["x"])
    return keras.Model(inputs, keras.layers.Dense(2)(hidden))


def make_rows(n_rows=200, seed=0):
    x = np.random.default_rng(seed).normal(size=(n_rows, 3)).astype(np.float32)
    return {"x": x}, np.stack([x[:, 0] + x[:, 1], 3 - x[:, 2]], axis=1)


def test_learns_both_columns_of_the_target():
    inputs, target = make_rows()
    net = build_net()

    fit_vector_net(net, inputs, target, epochs=60, seed=0, **SETTINGS)

    assert mean_distance(target, predict_vectors(net, inputs)) < 0.15


def test_equal_seeds_give_equal_nets():
    inputs, target = make_rows()
    first, second, other = build_net(), build_net(), build_net()
    for net, seed in ((first, 3), (second, 3), (other, 4)):
        fit_vector_net(net, inputs, target, epochs=2, seed=seed, **SETTINGS)

    a, b, c = (predict_vectors(net, inputs) for net in (first, second, other))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_few_steps_that_are_not_traced_are_those_that_are(monkeypatch):
    inputs, target = make_rows(200)
    net, traced = build_net(), build_net()
    fit_vector_net(net, inputs, target, epochs=5, seed=0, **SETTINGS)
    monkeypatch.setattr(fit_vectors, "_VERY_FEW_STEPS", 0)
    fit_vector_net(traced, inputs, target, epochs=5, seed=0, **SETTINGS)

    assert net.run_eagerly and not traced.run_eagerly
    np.testing.assert_allclose(
        predict_vectors(net, inputs), predict_vectors(traced, inputs), atol=1e-4
    )


def test_batches_do_not_change_a_prediction():
    inputs, _ = make_rows()
    net = build_net()

    np.testing.assert_allclose(
        predict_vectors(net, inputs, batch_size=7), predict_vectors(net, inputs), rtol=1e-5
    )


def test_what_cannot_be_fitted_is_refused():
    inputs, target = make_rows()
    for rows, settings, told in (
        (target[:, 0], {}, r"target must have shape \(any, 2\), received \(200,\)"),
        (target[:9], {}, "lengths must be equal"),
        (target, {"epochs": 0}, "epochs must be > 0, received 0"),
        (target, {"batch_size": 0}, "batch_size must be > 0, received 0"),
    ):
        with pytest.raises(ValueError, match=told):
            options = {**SETTINGS, "epochs": 1, "seed": 0, **settings}
            fit_vector_net(build_net(), inputs, rows, **options)
    with pytest.raises(ValueError, match="number of rows must be > 0, received 0"):
        predict_vectors(build_net(), {"x": np.zeros((0, 3))})
