"""What Rossmann's fits hand to trees and nets: rows, features, settings."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from common.checks import InputError
from common.features.encoder import learn_encoder
from common.training.fitted import Fitted
from competitions.rossmann_store_sales import fits, nets
from competitions.rossmann_store_sales.features import make_features
from competitions.rossmann_store_sales.fits import FITS
from competitions.rossmann_store_sales.learnt import choose_stores
from tests.helpers.rossmann_known import (
    HORIZON,
    NEW,
    STRANGE_DAY,
    TINY,
    find_fit_rows,
    find_held_rows,
    load_known,
)


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return load_known(tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="module")
def fit_rows(known):
    return find_fit_rows(known)


@pytest.fixture(scope="module")
def held(known):
    return find_held_rows(known)


@pytest.fixture(scope="module")
def table(known, fit_rows):
    """The features of the fit rows that sold something, and the log of their sales."""
    rows = fit_rows[known.days["Sales"].to_numpy()[fit_rows] > 0]
    features = make_features(known, fit_rows=fit_rows, rows=rows)
    return features, np.log(known.days["Sales"].to_numpy()[rows]), rows


@pytest.fixture
def recorded(monkeypatch):
    """What a library of trees was given, {library: {argument: value}}; they predict 0."""
    told = {}

    def record(library):
        def fit(features, target, **settings):
            told[library] = {"features": features, "target": target, **settings}

            def predict(asked):
                told[library]["asked"] = asked
                return np.zeros(len(asked), np.float32)

            return Fitted(predict, 1)

        return fit

    for library in ("xgboost", "lightgbm"):
        monkeypatch.setattr(fits, f"fit_{library}", record(library))
    return told


def fit_recorded(known, fit_rows, recorded, rows, **changes):
    """Fit trees that predict 0: (what they were given, what was predicted)."""
    config = replace(TINY, **changes)
    prediction = FITS["lightgbm"](known, config, fit_rows, 7).predict(rows)
    return recorded["lightgbm"], prediction


def test_ratio_learns_what_is_above_the_stores_mean_and_puts_it_back(
    known, fit_rows, held, table, recorded
):
    features, logs, _ = table
    has_past = features["mean_all"].notna().to_numpy()
    told, prediction = fit_recorded(known, fit_rows, recorded, held, ratio=True, outlier=99.0)
    np.testing.assert_allclose(told["target"], (logs - features["mean_all"])[has_past], atol=1e-5)
    pd.testing.assert_frame_equal(
        told["features"].reset_index(drop=True),
        features.loc[has_past, told["features"].columns].reset_index(drop=True),
    )
    mean = make_features(known, fit_rows=fit_rows, rows=held)["mean_all"]
    np.testing.assert_allclose(prediction, mean, atol=1e-5)
    plain, zero = fit_recorded(known, fit_rows, recorded, held, ratio=False, outlier=99.0)
    np.testing.assert_allclose(plain["target"], logs[has_past], atol=1e-5)
    assert (zero == 0).all()


def test_a_store_without_a_past_takes_the_mean_of_one_in_the_middle(known, recorded):
    train, test = np.flatnonzero(~known.is_test), np.flatnonzero(known.is_test)
    told, prediction = fit_recorded(known, train, recorded, test)
    is_new = (known.days["Store"].iloc[test] == NEW).to_numpy()
    assert told["asked"]["mean_all"].isna().tolist() == is_new.tolist()
    np.testing.assert_allclose(prediction[is_new], told["features"]["mean_all"].median(), atol=1e-5)


def test_outliers_are_left_out_whether_or_not_the_ratio_is_learnt(
    known, fit_rows, held, table, recorded
):
    """Store 4 sold 20 times as much on day 700: log 20 is 3. A narrow bound leaves out more."""
    features, logs, rows = table
    left = (logs - features["mean_all"]).abs()
    strange = rows[left.idxmax()]
    assert known.grid.day[strange] == STRANGE_DAY and left.max() > 2
    for outlier, n_out in ((9.0, 0), (1.0, 1), (0.1, int((left >= 0.1).sum()))):
        for ratio in (True, False):
            told, _ = fit_recorded(known, fit_rows, recorded, held, outlier=outlier, ratio=ratio)
            assert len(told["target"]) == left.notna().sum() - n_out


def test_without_leaves_out_a_feature_and_those_that_begin_with_its_name_and_a_line(
    known, fit_rows, held, recorded
):
    whole = fit_recorded(known, fit_rows, recorded, held)[0]
    names = list(whole["features"].columns)
    told, _ = fit_recorded(known, fit_rows, recorded, held, without=("left", "promo", "week"))
    left = [
        name
        for name in names
        if name not in ("promo", "week") and not name.startswith(("left_", "promo_", "week_"))
    ]
    assert {"left_7", "promo", "promo_since_start", "promo_effect", "week"} <= {*names} - {*left}
    assert {"weekday", "promo2_days", "promo2_interval"} <= set(left)
    assert list(told["features"].columns) == list(told["asked"].columns) == left
    assert told["target"].tolist() == whole["target"].tolist()


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"without": ("promo", "mean")}, "mean_all, received promo, mean"),
        ({"without": ("mean_all",), "ratio": False}, "mean_all, received mean_all"),
        ({"without": ("store",), "target_means": True}, "store, received store"),
        ({"without": ("month",), "target_means": True}, "month, received month"),
    ],
)
def test_a_feature_that_is_needed_cannot_be_left_out(changes, lost, known, fit_rows):
    with pytest.raises(InputError, match=f"^without must leave {lost}$"):
        FITS["lightgbm"](known, replace(TINY, **changes), fit_rows, 0)


@pytest.mark.parametrize("name", ["linear", "lightgbm"])
def test_features_that_models_spread_out_can_be_left_out(name, known, fit_rows, held):
    """Without target means neither store nor month is needed."""
    without = ("store", "month", "weekday", "promo")
    whole = FITS[name](known, TINY, fit_rows, 0).predict(held)
    fitted = FITS[name](known, replace(TINY, without=without), fit_rows, 0).predict(held)
    assert np.isfinite(fitted).all() and np.abs(fitted - whole).max() > 1e-4


def test_n_stores_chooses_evenly_among_the_tests(known, fit_rows, held, recorded):
    """Test stores are 1, 2, 4, 5 and 7, in places 0, 1, 3, 4 and 6; 0 fits the others too."""
    places = {0: [0, 1, 3, 4, 6], 1: [0], 2: [0, 6], 3: [0, 3, 6], 5: [0, 1, 3, 4, 6], 99: None}
    for n, wanted in places.items():
        assert choose_stores(known, n).tolist() == (wanted or places[0])
    stores = {}
    for n in (0, 3, 99):
        told, _ = fit_recorded(known, fit_rows, recorded, held, n_stores=n)
        stores[n] = sorted(told["features"]["store"].unique())
    # Place 4 is the new store, which no row can be fitted of.
    assert stores == {0: [0, 1, 2, 3, 5, 6], 3: [0, 3, 6], 99: [0, 1, 3, 6]}


def test_closed_days_are_not_fitted(known, fit_rows, held, recorded):
    told, _ = fit_recorded(known, fit_rows, recorded, held)
    sold = (known.days["Sales"].iloc[fit_rows] > 0).sum()
    assert np.isfinite(told["target"]).all() and len(told["target"]) <= sold


def test_summer_is_fitted_on_may_to_september(known, fit_rows, held, recorded):
    """And predicts any day."""
    for name, months in (("xgboost_summer", range(5, 10)), ("xgboost", range(1, 13))):
        FITS[name](known, TINY, fit_rows, 0).predict(held)
        told = recorded["xgboost"]
        assert sorted(told["features"]["month"].unique()) == list(months)
        assert len(told["asked"]) == len(held)


def test_trees_take_the_config_and_the_seed(known, fit_rows, held, recorded):
    changes = {"rounds": 17, "tree_rate": 0.03, "threads": 2}
    told, _ = fit_recorded(known, fit_rows, recorded, held, **changes)
    assert (told["rounds"], told["learning_rate"], told["threads"]) == (17, 0.03, 2)
    assert told["seed"] == 7
    deep, _ = fit_recorded(known, fit_rows, recorded, held, depth=6)
    assert deep["num_leaves"] == 2**6 / 2  # half as many as a tree of depth 6
    FITS["xgboost"](known, replace(TINY, depth=6), fit_rows, 0)
    assert recorded["xgboost"]["max_depth"] == 6


def test_epochs_are_chosen_on_the_last_horizon_of_the_fit_rows(
    known, fit_rows, held, table, monkeypatch
):
    """Its days alone, as many as a forecast has, of the rows that are learnt from."""
    asked = {}

    class FakeNets:
        n_parameters = 1

    def fit(features, target, config, seed, *, is_last=None):
        asked.update(is_last=is_last, n_members=config.n_members, n_nets=config.n_nets)
        return FakeNets()

    monkeypatch.setattr(nets, "fit_nets", fit)
    FakeNets.predict = staticmethod(lambda features: np.zeros(len(features)))
    features, _, rows = table
    rows = rows[features["mean_all"].notna()]
    FITS["tabm"](known, replace(TINY, stop=True, outlier=99.0), fit_rows, 0)
    origin = known.n_train_days - HORIZON
    wanted = known.grid.day[rows] >= origin - HORIZON
    assert asked["is_last"].tolist() == wanted.tolist() and 0 < wanted.sum() < len(wanted)
    assert asked["n_members"] > 1 and asked["n_nets"] == 1


def test_xgboost_on_embeddings_is_given_the_vectors_of_the_net(
    known, fit_rows, held, recorded, monkeypatch
):
    """Stands in for the net: the vector of code c of category k is (100 k + c, -c)."""
    asked = {}

    class FakeNets:
        n_parameters = 1000

        def __init__(self, encoder):
            self.encoder = encoder

        def make_tables(self):
            return {
                name: np.stack(
                    [100 * k + np.arange(len(levels) + 1), -np.arange(len(levels) + 1)], axis=1
                ).astype(np.float32)
                for k, (name, levels) in enumerate(self.encoder.levels.items())
            }

    def learn(features):
        return learn_encoder(features, [name for name in nets.CATEGORIES if name in features])

    def fit(features, target, config, seed):
        asked.update(features=features, n_nets=config.n_nets, seed=seed)
        # The first store's rows are hidden from the levels: it is unseen.
        return FakeNets(learn(features[features["store"] > 0]))

    monkeypatch.setattr(nets, "fit_nets", fit)
    config = replace(TINY, n_nets=3)
    fitted = FITS["xgboost_on_embeddings"](known, config, fit_rows, 5)
    fitted.predict(held)
    told = recorded["xgboost"]
    names = list(learn(asked["features"]).levels)
    for table in (told["features"], told["asked"]):
        # The features themselves stay, and two columns come for every category.
        assert list(table.columns[: -2 * len(names)]) == list(asked["features"].columns)
        stores = np.sort(asked["features"]["store"].unique())[1:]
        codes = np.array([0 if s == 0 else 1 + list(stores).index(s) for s in table["store"]])
        np.testing.assert_array_equal(table["store_1"], -codes)
        k = names.index("month")
        np.testing.assert_array_equal(table["month_0"], 100 * k + table["month"])
    assert asked["n_nets"] == 1 and asked["seed"] != told["seed"]
    assert fitted.n_parameters == 1001
