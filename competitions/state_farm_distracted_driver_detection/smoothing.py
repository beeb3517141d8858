"""What follows a fit: views, neighbours, temperature; and the choice among their settings.

A net errs on a frame and is right on the next, which shows the same driver a moment later. So the
answers of frames that lie near each other are averaged, in the space of the net's features, of the
pixels, or of both together. Only frames of one pool are averaged: those of a fold's held drivers,
or of the test; no label is looked at.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from common.ensemble.blend import nonnegative_weights, weighted_mean
from common.metrics.classification import log_loss
from common.neighbors.knn import NearestNeighbors, average
from competitions.state_farm_distracted_driver_detection.competition import Config

BANDWIDTHS = (1.0, 2.0, 4.0)
"""How far a frame's neighbours count, in median distances between a frame and its nearest one."""

PASSES = (1, 2, 4)
"""How often answers are averaged: the second time, neighbours bring in what theirs have said."""

CANDIDATES = tuple(product(BANDWIDTHS, PASSES))
"""What there is to choose from: (bandwidth, passes)."""

N_MEASURED = 2000
"""Places by which a gap is measured."""

FLOOR = 0.02
"""Share of every answer that is spread over all classes, so that no class is ruled out."""


class Neighbours(NamedTuple):
    """The nearest frames of each frame of a pool, itself first.

    Attributes:
        distances: (n, K), 1 being the pool's median distance from a frame to its nearest.
        indices: (n, K) int, positions in the pool.
    """

    distances: np.ndarray
    indices: np.ndarray


class Choice(NamedTuple):
    """What is chosen on held-out rows.

    Attributes:
        picks: (M,) int, positions in the candidates of each model.
        temperatures: (M,) of each model's answers.
        weights: (M,) of the models.
        temperature: of their mean; 1 for one model.
    """

    picks: tuple[int, ...]
    temperatures: tuple[float, ...]
    weights: np.ndarray
    temperature: float


def find_neighbours(spaces: Sequence[np.ndarray], *, n_neighbors: int) -> Neighbours:
    """Find frames that are near in all of several spaces.

    Each space is scaled so that the median distance to the nearest frame is 1; squared distances
    are then added up.

    Args:
        spaces: each (n, D) of the same pool, n >= 1.
        n_neighbors: K at most, itself counted.
    """
    own = np.arange(len(spaces[0]))[:, None]
    n_others = min(n_neighbors, len(own)) - 1
    if not n_others:
        return Neighbours(np.zeros(own.shape), own)
    joined = np.hstack([np.float32(space / measure_gap(space)) for space in spaces])
    distances, indices = NearestNeighbors(n_others).fit(joined).kneighbors()
    distances = distances / max(float(np.median(distances[:, 0])), 1e-9)
    return Neighbours(np.hstack([np.zeros(own.shape), distances]), np.hstack([own, indices]))


def smooth(
    probabilities: np.ndarray, near: Neighbours, *, bandwidth: float, passes: int = 1
) -> np.ndarray:
    """Average the answers of every frame's neighbours, (n, C), the nearer the more.

    Weights fall as a normal density does. The frame itself has the largest.

    Args:
        probabilities: (n, C) of the pool's frames.
        near: of the same pool.
        bandwidth: standard deviation of the weights, as a distance, > 0.
        passes: how often.
    """
    for _ in range(passes):
        probabilities = average(
            probabilities,
            near.distances,
            near.indices,
            weights=lambda distances: np.exp(-0.5 * (distances / bandwidth) ** 2),
        )
    return probabilities


def mix_uniform(probabilities: np.ndarray) -> np.ndarray:
    """Spread a share of every answer, (..., C), evenly over all classes: none ends at 0."""
    return (1 - FLOOR) * probabilities + FLOOR / probabilities.shape[-1]


def temper(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Raise probabilities to the power of 1 / temperature.

    Args:
        probabilities: (..., C), > 0.
        temperature: below 1 sharpens, above flattens.
    """
    powers = probabilities ** (1 / temperature)
    return powers / powers.sum(axis=-1, keepdims=True)


def find_temperature(probabilities: np.ndarray, target: np.ndarray) -> float:
    """Find the temperature in [1/4, 4] under which answers, > 0, score best on given rows.

    Source: Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", 2017.
    """
    found = minimize_scalar(
        lambda power: log_loss(target, temper(probabilities, np.exp(power))),
        bounds=(-np.log(4), np.log(4)),
        method="bounded",
        options={"xatol": 1e-3},
    )
    return float(np.exp(found.x))


def choose(parts: np.ndarray, target: np.ndarray, *, n_models: int) -> Choice:
    """Choose candidate and temperature of each model, then the blend's weights and temperature.

    Args:
        parts: (M R, m, C), of each model all its R candidates in turn.
        target: (m, C) one-hot.
        n_models: M.
    """
    candidates = mix_uniform(parts.reshape(n_models, -1, *parts.shape[1:]))
    picks, temperatures = [], []
    for of_model in candidates:
        found = [find_temperature(part, target) for part in of_model]
        scores = [log_loss(target, temper(*pair)) for pair in zip(of_model, found, strict=True)]
        picks.append(int(np.argmin(scores)))
        temperatures.append(found[picks[-1]])
    if n_models == 1:
        return Choice(tuple(picks), tuple(temperatures), np.ones(1), 1.0)
    picked = _pick(candidates, picks, temperatures)
    weights = nonnegative_weights(picked, target, score=log_loss)
    temperature = find_temperature(weighted_mean(picked, weights), target)
    return Choice(tuple(picks), tuple(temperatures), weights, temperature)


def apply(parts: np.ndarray, choice: Choice) -> np.ndarray:
    """Answer as was chosen, (m, C).

    Args:
        parts: (M R, m, C) as `choose` takes them.
        choice: of candidates, temperatures and weights.
    """
    candidates = mix_uniform(parts.reshape(len(choice.weights), -1, *parts.shape[1:]))
    picked = _pick(candidates, choice.picks, choice.temperatures)
    return temper(weighted_mean(picked, choice.weights), choice.temperature)


def describe(choice: Choice, config: Config) -> str:
    """Tell a choice in words, for the log."""
    told = []
    for k, name in enumerate(config.models):
        words = [f"temperature {choice.temperatures[k]:.2f}", f"weight {choice.weights[k]:.2f}"]
        if "neighbours" in config.after:
            bandwidth, passes = CANDIDATES[choice.picks[k]]
            words = [f"bandwidth {bandwidth:g}", f"passes {passes}", *words]
        told.append(f"{name} {', '.join(words)}")
    return f"{'; '.join(told)}; temperature of all {choice.temperature:.2f}"


def _pick(
    candidates: np.ndarray, picks: Sequence[int], temperatures: Sequence[float]
) -> np.ndarray:
    return np.stack(
        [
            temper(of_model[pick], temperature)
            for of_model, pick, temperature in zip(candidates, picks, temperatures, strict=True)
        ]
    )


def measure_gap(space: np.ndarray) -> float:
    """Measure the median distance between a place, (n, D), and its nearest one: of some places."""
    some = np.random.default_rng(0).permutation(len(space))[:N_MEASURED]
    distances, _ = NearestNeighbors(2).fit(space).kneighbors(space[some])
    return max(float(np.median(distances[:, 1])), 1e-9)  # The first is the place itself.
