import numpy as np
import pytest

from common.metrics.classification import log_loss
from competitions.state_farm_distracted_driver_detection.competition import Config
from competitions.state_farm_distracted_driver_detection.smoothing import (
    BANDWIDTHS,
    FLOOR,
    Choice,
    Neighbours,
    apply,
    choose,
    describe,
    find_neighbours,
    find_temperature,
    measure_gap,
    mix_uniform,
    smooth,
    temper,
)


def make_answers(n=300, n_classes=4, seed=0, sure=2.0):
    """Labels, and answers of a net that is right more often than not."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_classes, size=n)
    scores = rng.normal(size=(n, n_classes)) + sure * np.eye(n_classes)[labels]
    powers = np.exp(scores)
    return np.eye(n_classes)[labels], powers / powers.sum(axis=1, keepdims=True)


def test_neighbours_by_hand():
    """On a line at 0, 1, 3, 4: the nearest lie 1 away each, so 1 is the unit in the first space;
    in the second, twice as wide, too. Joined, squares add up: sqrt(2), which is the unit again.
    """
    line = np.array([[0.0], [1.0], [3.0], [4.0]])
    near = find_neighbours([line, 2 * line], n_neighbors=3)

    np.testing.assert_array_equal(near.indices[:, 0], np.arange(4))
    np.testing.assert_allclose(
        near.distances, [[0, 1, 3], [0, 1, 2], [0, 1, 2], [0, 1, 3]], rtol=1e-6
    )


def test_scale_of_a_space_does_not_matter():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(50, 3)), rng.normal(size=(50, 5))
    one, other = (
        find_neighbours([first, scale * second], n_neighbors=6) for scale in (1.0, 1000.0)
    )

    np.testing.assert_array_equal(one.indices, other.indices)
    np.testing.assert_allclose(one.distances, other.distances, rtol=1e-6)


def test_a_pool_smaller_than_k_is_taken_whole_and_copies_are_no_trouble():
    near = find_neighbours([np.zeros((3, 2))], n_neighbors=40)

    assert near.indices.shape == (3, 3)
    np.testing.assert_array_equal(near.distances, 0)
    np.testing.assert_array_equal(near.indices[:, 0], np.arange(3))


def test_a_frame_alone_has_itself():
    near = find_neighbours([np.ones((1, 2))], n_neighbors=5)

    answers = np.array([[0.3, 0.7]])
    np.testing.assert_array_equal(smooth(answers, near, bandwidth=1.0), answers)


def test_smoothing_is_the_weighted_mean():
    """At distance 2 and bandwidth 1 a neighbour weighs exp(-2)."""
    near = Neighbours(np.array([[0.0, 2.0], [0.0, 2.0]]), np.array([[0, 1], [1, 0]]))
    answers = np.array([[1.0, 0.0], [0.0, 1.0]])
    weight = np.exp(-2) / (1 + np.exp(-2))

    np.testing.assert_allclose(
        smooth(answers, near, bandwidth=1.0), [[1 - weight, weight], [weight, 1 - weight]]
    )


def test_the_larger_the_bandwidth_the_more_changes():
    rng = np.random.default_rng(2)
    near = find_neighbours([rng.normal(size=(60, 4))], n_neighbors=10)
    answers = rng.dirichlet(np.ones(3), 60)

    changes = [np.abs(smooth(answers, near, bandwidth=r) - answers).mean() for r in BANDWIDTHS]
    assert changes == sorted(changes) and changes[-1] > 1.2 * changes[0]
    np.testing.assert_allclose(smooth(answers, near, bandwidth=1e-3), answers, atol=1e-9)
    np.testing.assert_allclose(smooth(answers, near, bandwidth=4.0).sum(axis=1), 1)


def test_passes_go_on_from_each_other():
    rng = np.random.default_rng(7)
    near = find_neighbours([rng.normal(size=(30, 2))], n_neighbors=5)
    answers = rng.dirichlet(np.ones(3), 30)

    once = smooth(answers, near, bandwidth=2.0)
    np.testing.assert_allclose(
        smooth(answers, near, bandwidth=2.0, passes=2), smooth(once, near, bandwidth=2.0)
    )


def test_sequences_of_one_thing_are_freed_of_noise():
    """Six sequences in a plane, noisy answers: each frame's mean is better than its own."""
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(6) % 3, 20)
    places = np.repeat(rng.normal(scale=20, size=(6, 2)), 20, axis=0) + rng.normal(size=(120, 2))
    scores = np.eye(3)[labels] + rng.normal(size=(120, 3))
    answers = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)

    smoothed = smooth(answers, find_neighbours([places], n_neighbors=15), bandwidth=2.5)
    assert log_loss(np.eye(3)[labels], smoothed) < 0.85 * log_loss(np.eye(3)[labels], answers)


def test_temperature_by_hand():
    """Squares of 0.8 and 0.2 go as 16 to 1."""
    np.testing.assert_allclose(temper(np.array([[0.8, 0.2]]), 0.5), [[16 / 17, 1 / 17]])
    np.testing.assert_allclose(mix_uniform(np.array([[1.0, 0.0]])), [[1 - FLOOR / 2, FLOOR / 2]])


def test_temperature_is_found_again():
    """Labels drawn from the answers themselves, which are then made too sure by a square."""
    rng = np.random.default_rng(4)
    answers = rng.dirichlet(2 * np.ones(4), 4000)
    labels = (rng.random((4000, 1)) > answers.cumsum(axis=1)).sum(axis=1)
    powers = answers**2
    too_sure = powers / powers.sum(axis=1, keepdims=True)

    assert find_temperature(answers, np.eye(4)[labels]) == pytest.approx(1.0, abs=0.1)
    assert find_temperature(too_sure, np.eye(4)[labels]) == pytest.approx(2.0, abs=0.2)


def test_the_best_candidate_and_the_better_model_are_chosen():
    """Of each model three candidates, one of which has not been spoilt."""
    target, good = make_answers()
    _, other = make_answers(seed=5)
    rng = np.random.default_rng(6)
    spoilt = rng.dirichlet(np.ones(4), (2, 300))
    parts = np.stack([spoilt[0], good, spoilt[1], *spoilt, other])
    choice = choose(parts, target, n_models=2)

    assert choice.picks[0] == 1 and choice.weights[0] > 0.9
    mixed = mix_uniform(good)
    best = log_loss(target, temper(mixed, find_temperature(mixed, target)))
    assert log_loss(target, apply(parts, choice)) <= best + 0.01


def test_apply_is_what_the_choice_says():
    _, answers = make_answers(20)
    parts = np.stack([answers, answers[::-1], answers**2, answers])
    choice = Choice((1, 0), (0.5, 2.0), np.array([0.25, 0.75]), 1.5)

    blend = 0.25 * temper(mix_uniform(answers[::-1]), 0.5) + 0.75 * temper(
        mix_uniform(answers**2), 2.0
    )
    np.testing.assert_allclose(apply(parts, choice), temper(blend, 1.5))


def test_one_model_has_all_the_weight():
    target, answers = make_answers(sure=0.5)
    choice = choose(answers[None], target, n_models=1)

    assert choice.picks == (0,) and choice.weights.tolist() == [1.0]
    wanted = temper(mix_uniform(answers), find_temperature(mix_uniform(answers), target))
    np.testing.assert_allclose(apply(answers[None], choice), wanted)


def test_a_gap_is_that_of_some_places():
    """Of a grid of distance 3, with copies of two places, whose gap is 0."""
    grid = 3.0 * np.indices((80, 80)).reshape(2, -1).T
    assert measure_gap(np.vstack([grid, grid[:2]])) == 3.0


def test_a_choice_is_told_in_words():
    choice = Choice((4, 0), (0.5, 2.0), np.array([0.25, 0.75]), 1.5)
    config = Config(models=("cnn", "resnet"), after=("neighbours",))
    assert describe(choice, config) == (
        "cnn bandwidth 2, passes 2, temperature 0.50, weight 0.25; "
        "resnet bandwidth 1, passes 1, temperature 2.00, weight 0.75; temperature of all 1.50"
    )
    assert describe(choice, Config(models=("cnn", "resnet"))).startswith("cnn temperature 0.50, w")
