import numpy as np
import pytest

from common.training.pseudo_labels import PseudoLabels, label_hard, label_soft, teach
from common.validation.folds import Fold

PROBABILITIES = np.array([[0.9, 0.1, 0.0], [0.4, 0.3, 0.3], [0.1, 0.1, 0.8]])
ROWS = np.array([7, 3, 5])


def test_hard_labels_by_hand():
    """0.9 and 0.8 pass 0.8, and 0.4 does not."""
    labels = label_hard(PROBABILITIES, ROWS, threshold=0.8)

    np.testing.assert_array_equal(labels.rows, [7, 5])
    np.testing.assert_array_equal(labels.target, [[1, 0, 0], [0, 0, 1]])
    assert labels.target.dtype == np.float32
    assert len(label_hard(PROBABILITIES, ROWS, threshold=0.95).rows) == 0
    assert len(label_hard(PROBABILITIES, ROWS, threshold=0.0).rows) == 3


def test_soft_labels_are_the_probabilities_of_all_rows():
    labels = label_soft(3 * PROBABILITIES, ROWS)

    np.testing.assert_array_equal(labels.rows, ROWS)
    np.testing.assert_allclose(labels.target, PROBABILITIES, rtol=1e-6)
    assert labels.target.dtype == np.float32


def test_a_fit_gets_the_labels_of_its_own_fold():
    folds = [Fold(np.array([0, 1]), np.array([2, 3])), Fold(np.array([2, 3]), np.array([0, 1]))]
    by_fold = [label_soft(PROBABILITIES, rows) for rows in (np.array([2, 3, 9]), np.arange(7, 10))]

    fit = teach(lambda rows, seed, *, labelled: (rows, seed, labelled), by_fold, folds)
    for fold, wanted in zip(folds, by_fold, strict=True):
        rows, seed, labelled = fit(fold.fit_rows.copy(), 5)
        assert rows.tolist() == fold.fit_rows.tolist() and seed == 5 and labelled is wanted


def test_labels_that_a_fit_must_not_have_are_refused():
    folds = [Fold(np.array([0, 1]), np.array([2, 3]))]
    labels = [PseudoLabels(np.array([1, 5]), np.eye(2, dtype=np.float32))]

    def never(*_, **__):
        pytest.fail("fitted")

    with pytest.raises(ValueError, match="rows without a label, received 1 with one"):
        teach(never, labels, folds)(np.array([0, 1]), 0)
    with pytest.raises(ValueError, match="fit_rows must be those of a fold, received 3 others"):
        teach(never, labels, folds)(np.array([0, 1, 2]), 0)
    with pytest.raises(ValueError, match="lengths must be equal, received by_fold 1, folds 2"):
        teach(never, labels, folds * 2)


@pytest.mark.parametrize(
    ("label", "told"),
    [
        (lambda p, r: label_hard(p, r, threshold=1.1), r"threshold must be in \[0, 1\], received"),
        (lambda p, r: label_soft(p[0], r), "probabilities must have shape"),
        (lambda p, r: label_hard(p, r[:2], threshold=0.5), "received probabilities 3, rows 2"),
        (lambda p, r: label_soft(0 * p, r), r"not all 0 in a row, received \[0. 0. 0.\]"),
        (lambda p, r: label_soft(p - 0.2, r), "probabilities must be finite, >= 0 and"),
        (lambda p, r: label_hard(p * np.nan, r, threshold=0), "received .nan nan nan"),
    ],
)
def test_what_makes_no_labels_is_refused(label, told):
    with pytest.raises(ValueError, match=told):
        label(PROBABILITIES, ROWS)
