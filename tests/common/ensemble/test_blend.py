import numpy as np
import pytest
from scipy.optimize import nnls

from common.ensemble.blend import nonnegative_weights, weighted_mean


def mse(target, prediction):
    return float(np.mean((target - prediction) ** 2))


def rmsle(target, prediction):
    return float(np.sqrt(np.mean((np.log1p(target) - np.log1p(prediction)) ** 2)))


def make_members(n_models=4, n_rows=400, seed=0):
    """Counts, and models that err by unlike factors, some of them alike in their errors."""
    rng = np.random.default_rng(seed)
    target = rng.gamma(2, 50, n_rows)
    shared = rng.normal(scale=0.2, size=n_rows)
    scales = np.linspace(0.1, 0.6, n_models)[:, None]
    noise = (
        shared + scales * rng.normal(size=(n_models, n_rows)) + 0.1 * rng.normal(size=(n_models, 1))
    )
    return target * np.exp(noise), target


def test_weighted_mean_by_hand():
    """0.25 * 4 + 0.75 * 8 = 7 and 0.25 * 0 + 0.75 * 2 = 1.5, in rows of any shape."""
    predictions = np.array([[[4.0], [0.0]], [[8.0], [2.0]]])

    assert weighted_mean(predictions, np.array([0.25, 0.75])).tolist() == [[7.0], [1.5]]
    with pytest.raises(ValueError, match="weights must have shape"):
        weighted_mean(predictions, np.ones(3))


@pytest.mark.parametrize("bias", [0.0, 3.0])
def test_two_members_have_the_closed_form(bias):
    """|y - w a - (1 - w) b|^2 is least at w = (y - b)(a - b) / |a - b|^2, cut to [0, 1].

    Without a bias both members help; with it, the second only harms.
    """
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    a, b = y + rng.normal(size=200), y + rng.normal(size=200) + bias

    expected = np.clip((y - b) @ (a - b) / ((a - b) @ (a - b)), 0, 1)
    weights = nonnegative_weights(np.stack([a, b]), y, score=mse)

    assert weights == pytest.approx([expected, 1 - expected], abs=1e-4)


def test_squared_error_equals_nnls():
    """A row 1e4 (1, ..., 1) w = 1e4 makes non-negative least squares keep the sum at 1. Some
    weights are 0.
    """
    predictions, target = make_members(6)

    big = 1e4 * np.abs(target).max()
    expected, _ = nnls(
        np.vstack([predictions.T, np.full(6, big)]), np.append(target, big), maxiter=1000
    )
    weights = nonnegative_weights(predictions, target, score=mse)

    assert weights == pytest.approx(expected, abs=1e-3)
    assert 0 < np.sum(expected > 1e-6) < 6


def test_no_step_along_the_simplex_helps_rmsle():
    """At a minimum, moving a little weight from any member to any other makes the score no
    better.
    """
    predictions, target = make_members(5)

    weights = nonnegative_weights(predictions, target, score=rmsle)

    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
    best = rmsle(target, weighted_mean(predictions, weights))
    for step in (np.eye(5)[i] - np.eye(5)[j] for i in range(5) for j in range(5)):
        moved = weights + 1e-3 * step
        if (moved >= 0).all():
            assert rmsle(target, weighted_mean(predictions, moved)) >= best - 1e-9


def test_the_order_of_members_and_the_unit_do_not_matter():
    predictions, target = make_members()
    order = np.array([2, 0, 3, 1])

    weights = nonnegative_weights(predictions, target, score=mse)

    moved = nonnegative_weights(predictions[order], target, score=mse)
    assert moved == pytest.approx(weights[order], abs=1e-4)
    tiny = nonnegative_weights(predictions * 1e-6, target * 1e-6, score=mse)
    assert tiny == pytest.approx(weights, abs=1e-4)


def test_a_score_to_be_raised_gets_the_same_weights():
    predictions, target = make_members()

    up = nonnegative_weights(
        predictions, target, score=lambda t, p: -mse(t, p), lower_is_better=False
    )
    assert up.tolist() == nonnegative_weights(predictions, target, score=mse).tolist()


def test_one_member_and_equal_members():
    predictions, target = make_members()

    assert nonnegative_weights(predictions[:1], target, score=mse).tolist() == [1.0]
    same = np.stack([predictions[0]] * 3)
    assert nonnegative_weights(same, target, score=mse) == pytest.approx(np.full(3, 1 / 3))
    doubled = np.concatenate([predictions, predictions[:1]])
    weights = nonnegative_weights(doubled, target, score=mse)
    once = nonnegative_weights(predictions, target, score=mse)
    assert [weights[0] + weights[4], *weights[1:4]] == pytest.approx(once, abs=1e-3)
    assert nonnegative_weights(np.stack([target, target + 1]), target, score=mse).tolist() == [1, 0]


@pytest.mark.parametrize("seed", range(5))
def test_never_worse_than_equal_weights_or_the_best_member(seed):
    """Also for a score in steps, on which slopes are of no use."""
    predictions, target = make_members(seed=seed)

    def share_far_off(target, prediction):
        return float(np.mean(np.abs(np.log(prediction / target)) > 0.3))

    for score in (rmsle, share_far_off):
        weights = nonnegative_weights(predictions, target, score=score)
        found = score(target, weighted_mean(predictions, weights))
        assert found <= score(target, predictions.mean(axis=0)) + 1e-12
        assert found <= min(score(target, member) for member in predictions)


def test_predictions_that_cannot_be_blended_are_refused():
    predictions, target = make_members()

    with pytest.raises(ValueError, match="predictions must have shape"):
        nonnegative_weights(predictions[:, 1:], target, score=mse)
    predictions[1, 3] = np.nan
    with pytest.raises(ValueError, match="predictions must be finite"):
        nonnegative_weights(predictions, target, score=mse)
