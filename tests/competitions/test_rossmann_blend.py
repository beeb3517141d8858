"""Rossmann's blend: weights and a factor, by hand."""

import numpy as np
import pytest

from competitions.rossmann_store_sales.competition import Config
from competitions.rossmann_store_sales.pipeline import (
    FACTORS,
    MEANS,
    apply_blend,
    choose_blend,
)


@pytest.fixture(scope="module")
def logs():
    """(logs of two models, sales): one errs by +0.2 and -0.2 in turn, the other the other way."""
    rng = np.random.default_rng(0)
    sales = rng.uniform(2000, 9000, 400)
    error = 0.2 * (-1.0) ** np.arange(400)
    return np.log(sales) + np.stack([error, -error]), sales


@pytest.mark.parametrize("mean", MEANS)
def test_blend_by_hand(mean, logs):
    """Geometric: half of each is right. Harmonic: 1 / ((e^0.2 + e^-0.2) / 2) too low, always.

    A factor puts right what is left, and a scale that all models err by: here the half.
    """
    values, sales = logs
    config = Config(mean=mean, factor="chosen")
    parts = MEANS[mean].of(values + np.log(2))
    blend = choose_blend(parts, sales, config=config)
    low = {"geometric": 1.0, "harmonic": 1 / np.cosh(0.2)}[mean]
    np.testing.assert_allclose(blend.weights, 0.5, atol=1e-3)
    assert blend.factor == pytest.approx(1 / (2 * low), rel=1e-3)
    np.testing.assert_allclose(apply_blend(parts, blend, config=config), sales, rtol=2e-3)


@pytest.mark.parametrize("factor", FACTORS)
def test_the_factor_of_one_model_by_hand(factor):
    """Half the days are forecast by e^0.3 too much, half by as much too little.

    The best factor is sum of r over sum of r squared, r the forecast's share of sales; without one
    it is 1; of log-normal errors with the variance 0.09 it is e^-0.135.
    """
    sales = np.array([1000.0, 3000, 5000, 7000])
    ratios = np.exp([0.3, -0.3, 0.3, -0.3])
    config = Config(factor=factor)
    blend = choose_blend(np.log(sales * ratios)[None], sales, config=config)
    wanted = {
        "chosen": ratios.sum() / (ratios**2).sum(),
        "none": 1.0,
        "lognormal": np.exp(-1.5 * 0.09),
    }
    assert blend.weights.tolist() == [1.0] and blend.factor == pytest.approx(wanted[factor])
    forecast = apply_blend(np.log([[100.0, 200.0]]), blend, config=config)
    np.testing.assert_allclose(forecast, np.array([100, 200]) * wanted[factor])


def test_a_useless_model_gets_no_weight(logs):
    """The first is right, the second far too high at random: it may not be used against itself."""
    _, sales = logs
    noise = 3 + np.random.default_rng(1).normal(0, 2, len(sales))
    parts = np.stack([np.log(sales), np.log(sales) + noise])
    blend = choose_blend(parts, sales, config=Config())
    np.testing.assert_allclose(blend.weights, [1, 0], atol=1e-3)
    assert blend.factor == pytest.approx(1, rel=1e-2)
