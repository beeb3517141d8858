"""Pseudo-labels: what a model says of rows without labels, as labels for the next model.

Those that are used in a fold come from a model that was fitted without the fold, so that the labels
of its held rows are in neither of the two fits and the out-of-fold score stays honest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from common.checks import check_same_length, check_shape
from common.training.fitted import Fitted
from common.validation.folds import Fold


@dataclass(frozen=True)
class PseudoLabels:
    """Labels that a model gave.

    Attributes:
        rows: (m,) int, rows of the frame, m >= 0.
        target: (m, C) float32, which sum to 1.
    """

    rows: np.ndarray
    target: np.ndarray


def label_hard(probabilities: np.ndarray, rows: np.ndarray, *, threshold: float) -> PseudoLabels:
    """Take the likeliest class of each row for true, where the model is sure of it.

    Args:
        probabilities: (n, C) a model's answer for the rows.
        rows: (n,) int, their numbers in the frame.
        threshold: least probability of the likeliest class, in [0, 1].

    Returns:
        One-hot targets of the rows that pass.

    Raises:
        ValueError: shapes do not fit, a row holds no probabilities, or threshold is outside [0, 1].

    Source: Lee, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep
        Neural Networks", 2013. It takes all rows; the threshold is as in Sohn et al., "FixMatch",
        2020.
    """
    _check(probabilities, rows)
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be in [0, 1], received {threshold}")
    is_sure = probabilities.max(axis=1) >= threshold
    classes = probabilities[is_sure].argmax(axis=1)
    return PseudoLabels(rows[is_sure], np.eye(probabilities.shape[1], dtype=np.float32)[classes])


def label_soft(probabilities: np.ndarray, rows: np.ndarray) -> PseudoLabels:
    """Take the probabilities of every row as its target, brought to a sum of 1.

    A doubtful row then teaches little instead of something wrong, and none is left out.

    Args:
        probabilities: (n, C) >= 0, a model's answer for the rows.
        rows: (n,) int, their numbers in the frame.

    Raises:
        ValueError: shapes do not fit, or a row holds no probabilities.
    """
    _check(probabilities, rows)
    scaled = probabilities / probabilities.max(axis=1, keepdims=True)
    return PseudoLabels(rows, (scaled / scaled.sum(axis=1, keepdims=True)).astype(np.float32))


def teach(
    fit: Callable[..., Fitted], by_fold: Sequence[PseudoLabels], folds: Sequence[Fold]
) -> Callable[[np.ndarray, int], Fitted]:
    """Make of a fit that takes pseudo-labels one for `cross_fit`, which gets those of its fold.

    Args:
        fit: (fit_rows (n,) int, seed, *, labelled PseudoLabels) -> Fitted.
        by_fold: of each fold, given by the model that was fitted on `fold.fit_rows`.
        folds: in the same order.

    Returns:
        (fit_rows, seed) -> Fitted; it raises ValueError where no fold has these rows, or a row with
        a label of its own has a pseudo-label too.

    Raises:
        ValueError: lengths differ.
    """
    check_same_length(by_fold=by_fold, folds=folds)

    def fit_taught(fit_rows: np.ndarray, seed: int) -> Fitted:
        pairs = zip(by_fold, folds, strict=True)
        own = [labels for labels, fold in pairs if np.array_equal(fold.fit_rows, fit_rows)]
        if not own:
            raise ValueError(f"fit_rows must be those of a fold, received {len(fit_rows)} others")
        labelled = own[0]
        if len(shared := np.intersect1d(labelled.rows, fit_rows)):
            raise ValueError(
                f"pseudo-labels must be of rows without a label, received {shared[0]} with one"
            )
        return fit(fit_rows, seed, labelled=labelled)

    return fit_taught


def _check(probabilities: np.ndarray, rows: np.ndarray) -> None:
    check_shape("probabilities", probabilities, (None, None))
    check_same_length(probabilities=probabilities, rows=rows)
    is_good = np.isfinite(probabilities) & (probabilities >= 0)
    is_good = is_good.all(axis=1) & (probabilities > 0).any(axis=1)
    if not is_good.all():
        raise ValueError(
            "probabilities must be finite, >= 0 and not all 0 in a row, received "
            f"{probabilities[~is_good][0]}"
        )
