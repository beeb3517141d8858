import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.metrics import f1_score
from sklearn.metrics import log_loss as reference

from common.metrics.classification import log_loss, log_loss_constant, micro_f1


def test_micro_f1_equals_scikit_learn():
    rng = np.random.default_rng(0)
    names = np.array(["beet", "cress", "wheat"])
    target, prediction = names[rng.integers(3, size=(2, 200))]

    expected = f1_score(target, prediction, average="micro")
    assert micro_f1(target, prediction) == pytest.approx(expected, rel=1e-12)


def test_micro_f1_by_hand():
    """Three of four right: 3 true positives, 1 false positive, 1 false negative: 6 / 8."""
    assert micro_f1(np.array([0, 1, 2, 2]), np.array([0, 1, 2, 0])) == 6 / 8
    assert micro_f1(np.array(["a", "b"]), np.array(["a", "c"], object)) == 1 / 2


def test_log_loss_equals_scikit_learn():
    rng = np.random.default_rng(1)
    labels = rng.integers(4, size=300)
    prediction = rng.dirichlet(np.ones(4), 300)

    received = log_loss(np.eye(4)[labels], prediction)
    assert received == pytest.approx(reference(labels, prediction), rel=1e-12)


def test_log_loss_by_hand():
    """-log of 1 / 2 and 1 / 4: 1.5 log 2. Rows need not sum to 1, and shares may be true."""
    target = np.array([[1.0, 0.0], [0.0, 1.0]])
    prediction = np.array([[2.0, 2.0], [0.75, 0.25]])

    assert log_loss(target, prediction) == pytest.approx(1.5 * np.log(2))
    half = np.array([[0.5, 0.5]])
    assert log_loss(half, np.array([[0.25, 0.75]])) == pytest.approx(
        -0.5 * np.log(0.25) - 0.5 * np.log(0.75)
    )


def test_of_one_class_is_that_of_two():
    rng = np.random.default_rng(2)
    target, prediction = rng.integers(2, size=50), rng.uniform(0.01, 0.99, 50)

    both = log_loss(np.stack([1 - target, target], 1), np.stack([1 - prediction, prediction], 1))
    assert log_loss(target, prediction) == pytest.approx(both)
    assert both == pytest.approx(reference(target, prediction))


def test_nobody_loses_more_than_kaggles_bound():
    """-log(1e-15) = 34.54; and a sure right row costs as good as nothing."""
    target = np.array([[1.0, 0.0]])

    assert log_loss(target, np.array([[0.0, 1.0]])) == pytest.approx(-np.log(1e-15))
    assert log_loss(target, np.array([[1.0, 0.0]])) == pytest.approx(1e-15, rel=0.2)


def test_the_constant_is_the_minimum():
    target = np.random.default_rng(3).integers(2, size=200).astype(float)
    found = minimize_scalar(
        lambda p: log_loss(target, np.full(200, p)), bounds=(0.01, 0.99), method="bounded"
    )
    assert log_loss_constant(target) == pytest.approx(found.x, abs=1e-4)

    classes = np.eye(10)[np.arange(30) % 10]
    assert log_loss_constant(classes) == 0.1
    for value in (0.1, 0.7):
        assert log_loss(classes, np.full((30, 10), value)) == pytest.approx(np.log(10))


@pytest.mark.parametrize(
    ("score", "target", "prediction", "told"),
    [
        (micro_f1, [[1]], [[1]], r"target must have shape \(any\), received \(1, 1\)"),
        (micro_f1, [], [], "target must have at least one row, received none"),
        (log_loss, [[1, 0]], [[0.5]], r"prediction must have shape \(1, 2\), received \(1, 1\)"),
        (log_loss, [[1, 0]], [[0.5, -0.5]], "prediction must be finite and >= 0, received -0.5"),
        (log_loss, [[1, 0]], [[0.5, np.nan]], "prediction must be finite and >= 0, received nan"),
        (log_loss, [[1, 0]], [[0.0, 0.0]], "prediction must not be 0 in all of a row, received 1"),
        (log_loss, [[0, 0]], [[1, 1]], "rows of target must sum to 1, received 0$"),
        (
            log_loss,
            [1.0],
            [1.5],
            r"prediction must be in \[0, 1\], received 1\.5 \(1 such values\)",
        ),
        (log_loss, [-1.0], [0.5], r"target must be in \[0, 1\], received -1\.0"),
        (log_loss, [1.0], [np.nan], r"prediction must be in \[0, 1\], received nan"),
        (log_loss, [[1, 0]], [[np.inf, 0]], "prediction must be finite and >= 0, received inf"),
        (micro_f1, ["1"], [1], "prediction must hold words as target does, received numbers"),
        (micro_f1, [1], ["1"], "prediction must hold numbers as target does, received words"),
        (log_loss, [], [], "target must have at least one row, received none"),
    ],
)
def test_what_cannot_be_scored_is_refused(score, target, prediction, told):
    with pytest.raises(ValueError, match=told):
        score(np.array(target), np.array(prediction))


def test_no_rows_have_no_constant():
    with pytest.raises(ValueError, match="target must have at least one row, received none"):
        log_loss_constant(np.empty((0, 3)))
