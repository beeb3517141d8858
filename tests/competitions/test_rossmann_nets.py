"""Rossmann's nets: their mean, their seeds, and how the number of epochs is learnt."""

from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest

from common.features.encoder import learn_encoder
from common.nets.entity_embedding import make_embedding_tables
from common.training.fit import predict_net
from competitions.rossmann_store_sales import nets
from competitions.rossmann_store_sales.competition import Config
from tests.helpers.tables import make_gappy_table

TINY = Config(epochs=1, n_nets=1, hidden=(8,), batch_size=256)


@pytest.fixture
def small():
    return make_gappy_table()


def make_constant(value):
    """A net that says the same of every row."""
    inputs = {
        "codes": keras.Input((2,), dtype="int32", name="codes"),
        "numbers": keras.Input((3,), name="numbers"),
    }
    return keras.Model(inputs, 0 * inputs["numbers"][:, 0] + value)


def test_nets_are_averaged_above_their_level(small):
    """Two nets that say 1 and 4, above 10: 12.5."""
    encoder = learn_encoder(small, ("store", "weekday"))
    both = nets.Nets(encoder, [make_constant(1.0), make_constant(4.0)], 10.0, has_members=False)
    assert both.predict(small).tolist() == [12.5] * 6


def test_every_net_has_its_own_seed_and_an_output_range_holds(small):
    """TabM nets on piecewise-linear numbers: no output is past 1.2 times the target's ends.

    However large weights are: times 100 outputs lie at those ends.
    """
    config = replace(TINY, n_nets=2, n_members=2, n_bins=3, output_range=True, net_rate=0.01)
    config = replace(config, batch_size=8, epochs=2, store_dims=7)
    many = pd.concat([small] * 8, ignore_index=True)
    target = np.tile(np.array([0.0, 0, 0, 0, 0, 6], np.float32), 8)
    fitted = nets.fit_nets(many, target, config, 3)
    inputs = fitted.encoder.encode(many)
    one, two = (predict_net(net, inputs, has_members=True) for net in fitted.models)
    assert len(fitted.models) == 2 and np.abs(one - two).max() > 1e-3
    np.testing.assert_allclose(fitted.predict(many), 1 + (one + two) / 2, rtol=1e-6)
    low, high = 1 + 1.2 * (0 - 1), 1 + 1.2 * (6 - 1)
    assert fitted.n_parameters == 2 * fitted.models[0].count_params()
    tables = fitted.make_tables()
    shapes = {name: rows.shape for name, rows in tables.items()}
    assert shapes == {"store": (3, 7), "weekday": (4, 6)}
    for net in fitted.models:  # what was not seen is an average one
        for vectors in make_embedding_tables(net).values():
            np.testing.assert_allclose(vectors[0], vectors[1:].mean(axis=0), atol=1e-7)
            assert np.ptp(vectors[1:], axis=0).max() > 1e-3
    for net in fitted.models:
        net.set_weights([100 * weights for weights in net.get_weights()])
    predicted = fitted.predict(many)
    assert low - 1e-4 <= predicted.min() <= predicted.max() <= high + 1e-4
    ends = np.minimum(np.abs(predicted - low), np.abs(predicted - high))
    assert ends.min() < 0.1


@pytest.fixture
def trainings(monkeypatch):
    """What every call of `fit_net` was given; where rows are held, its second epoch is the best."""
    told = []

    def fit_net(model, inputs, target, *, epochs, held=None, **settings):
        told.append({"inputs": inputs, "target": target, "epochs": epochs, "held": held} | settings)
        return 2 if held else epochs

    monkeypatch.setattr(nets, "fit_net", fit_net)
    return told


def test_stop_learns_the_number_of_epochs_and_fits_again_on_all_rows(small, trainings):
    """Stands in for the training: the last two of six rows choose, net by net."""
    is_last = np.array([False] * 4 + [True] * 2)
    target = np.arange(6, dtype=np.float32)
    config = replace(TINY, n_nets=2, epochs=5, stop=True)
    fitted = nets.fit_nets(small, target, config, 0, is_last=is_last)
    whole = fitted.encoder.encode(small)
    assert len(fitted.models) == 2 and [told["epochs"] for told in trainings] == [5, 2, 5, 2]
    for choice, final in (trainings[:2], trainings[2:]):
        assert choice["target"].tolist() == [-2.5, -1.5, -0.5, 0.5]
        assert choice["held"][1].tolist() == [1.5, 2.5]
        for name, values in whole.items():
            np.testing.assert_array_equal(choice["inputs"][name], values[:4])
            np.testing.assert_array_equal(choice["held"][0][name], values[4:])
            np.testing.assert_array_equal(final["inputs"][name], values)
        assert final["held"] is None and final["target"].tolist() == (target - 2.5).tolist()
        assert final["seed"] == choice["seed"]
    assert trainings[0]["seed"] != trainings[2]["seed"]


@pytest.mark.parametrize(("stop", "told_last"), [(False, True), (True, False)])
def test_nets_are_fitted_once_where_no_epoch_is_chosen(small, trainings, stop, told_last):
    config = replace(TINY, epochs=5, stop=stop)
    is_last = np.arange(6) > 3 if told_last else None
    nets.fit_nets(small, np.arange(6, dtype=np.float32), config, 0, is_last=is_last)
    assert [(told["epochs"], told["held"], len(told["target"])) for told in trainings] == [
        (5, None, 6)
    ]
