"""Small nets and their rows, of which much can be reckoned by hand."""

import keras
import numpy as np

from common.losses.distance import mean_distance
from common.seeds import set_all
from common.training.fit import fit_net


def build_linear(n_inputs=3):
    x = keras.layers.Input((n_inputs,), name="x")
    kernel = keras.initializers.Constant(0.5)
    y = keras.layers.Dense(1, use_bias=False, kernel_initializer=kernel)(x)
    return keras.Model({"x": x}, keras.layers.Reshape(())(y))


def fit_linear(n_rows=8, **options):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n_rows, 3)).astype(np.float32)
    target = (x @ [1.0, -2.0, 0.0]).astype(np.float32)
    model = build_linear()
    settings = {"epochs": 10, "batch_size": n_rows, "learning_rate": 0.3, "weight_decay": 0.2}
    fit_net(model, {"x": x}, target, seed=0, **settings | options)
    return model, x, target


def fit_places(inputs, target, **options):
    """Fit a net with a hidden layer and an output (B, 2)."""
    set_all(0)
    x = keras.layers.Input((3,), name="x")
    hidden = keras.layers.Dense(16, activation="relu")(x)
    model = keras.Model({"x": x}, keras.layers.Dense(2)(hidden))
    settings = {"loss": mean_distance, "batch_size": 50, "learning_rate": 0.02, "seed": 0}
    best = fit_net(model, inputs, target, weight_decay=0.0, **settings | options)
    return model, best


def make_places(n_rows=200):
    """Rows whose target is a place: the sum of two numbers, and 3 less the third."""
    x = np.random.default_rng(0).normal(size=(n_rows, 3)).astype(np.float32)
    return {"x": x}, np.stack([x[:, 0] + x[:, 1], 3 - x[:, 2]], axis=1)


def fit_members(kernel, x, target, **options):
    model = build_members(kernel)
    settings = {"epochs": 20, "batch_size": len(x), "learning_rate": 0.1, "weight_decay": 0.1}
    settings["has_members"] = True
    epochs = fit_net(model, {"x": x}, target, seed=0, **settings | options)
    return model, epochs


def build_members(kernel):
    """Linear nets without bias beside each other: (B, D) -> (B, K)."""
    x = keras.layers.Input((len(kernel),), name="x")
    members = keras.layers.Dense(np.shape(kernel)[1], use_bias=False)
    model = keras.Model({"x": x}, members(x))
    model.set_weights([np.array(kernel)])
    return model


def make_rows(n_rows, seed=0):
    rng = np.random.default_rng(seed)
    inputs = {
        "codes": rng.integers(4, size=(n_rows, 1)).astype(np.int32),
        "numbers": rng.normal(size=(n_rows, 2)).astype(np.float32),
    }
    return inputs, rng.normal(size=n_rows).astype(np.float32)
