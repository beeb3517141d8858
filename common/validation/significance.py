"""How far a difference of scores can be trusted: tests of one variant against another."""

from typing import NamedTuple

import numpy as np
from scipy import stats

from common.checks import check_positive, check_shape
from common.contract import Metric, OutOfFold
from common.validation.intervals import Groups, expanded_tail


class Difference(NamedTuple):
    """A difference of two scores with its interval and the two-sided p of there being none."""

    value: float
    low: float
    high: float
    p: float


def paired_difference(
    a: OutOfFold, b: OutOfFold, metric: Metric, *, seed: int, n_resamples: int = 2000
) -> Difference:
    """Compare two variants on the same held-out rows by a paired bootstrap over groups.

    Both are scored on the same resampled groups, so what makes a day hard for both cancels out.

    Args:
        a: held-out rows of one variant.
        b: those of the other: the same ids in any order, with equal targets and groups.
        metric: scored on all rows of a resample together.
        seed: draws the resamples.
        n_resamples: >= 1; p can be no less than about 2 / n_resamples.

    Returns:
        The score of a minus that of b, its 95 % interval, and p: twice the share of resamples on
        the rarer side of zero, made larger as the interval is made wider where groups are few.

    Raises:
        ValueError: ids repeat or differ, targets or groups differ, or there are fewer than 2
            groups.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993; widened after
        Hesterberg, as `expanded_tail` says.
    """
    a, b = _by_id(a), _by_id(b)
    for name in ("ids", "target", "group"):
        if not np.array_equal(getattr(a, name), getattr(b, name)):
            raise ValueError(f"a and b must have the same {name}, received different ones")
    groups = Groups(a)
    rng = np.random.default_rng(seed)
    differences = np.empty(n_resamples)
    for resample in range(n_resamples):
        rows = groups.rows(rng.integers(groups.n, size=groups.n))
        differences[resample] = metric(a.target[rows], a.prediction[rows]) - metric(
            b.target[rows], b.prediction[rows]
        )
    tail = expanded_tail(0.95, groups.n)
    low, high = np.quantile(differences, [tail, 1 - tail])
    n_rare = min(np.sum(differences <= 0), np.sum(differences >= 0))
    share = min(0.5, (n_rare + 1) / (n_resamples + 1))
    # The same widening as the interval's, read backwards.
    p = 2 * stats.t.sf(stats.norm.isf(share) * np.sqrt(1 - 1 / groups.n), groups.n - 1)
    value = metric(a.target, a.prediction) - metric(b.target, b.prediction)
    return Difference(value, float(low), float(high), float(p))


def nadeau_bengio(differences: np.ndarray, *, test_over_train: float) -> Difference:
    """Compare two variants by their scores on folds, with the corrected resampled t-test.

    Fits of different folds share most of their rows, so their scores vary less than those of
    independent experiments would, and the plain t-test finds differences where there are none. The
    correction adds n_test / n_train to the 1 / n_folds of the variance.

    Args:
        differences: (n_folds,) score of one variant minus the other on each fold, n_folds >= 2.
            Runs with other seeds on the same folds are no new folds: average them first.
        test_over_train: held rows over fit rows of a fold, > 0.

    Returns:
        The mean difference, its 95 % interval and the two-sided p.

    Raises:
        ValueError: fewer than 2 folds, or test_over_train is not positive.

    Source: Nadeau and Bengio, "Inference for the Generalization Error", 2003.
    """
    check_positive("test_over_train", test_over_train)
    n_folds = len(differences)
    if n_folds < 2:
        raise ValueError(f"differences must have at least 2 folds, received {n_folds}")
    mean = float(np.mean(differences))
    error = float(np.sqrt((1 / n_folds + test_over_train) * np.var(differences, ddof=1)))
    if error == 0:
        return Difference(mean, mean, mean, 1.0 if mean == 0 else 0.0)
    reach = float(stats.t.ppf(0.975, n_folds - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, n_folds - 1))
    return Difference(mean, mean - reach, mean + reach, p)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Correct p-values of several comparisons for the chance of any false find among them.

    The smallest is multiplied by their number m, the next by m - 1, and so on; none becomes smaller
    than the one before it.

    Args:
        p_values: (m,) in [0, 1].

    Returns:
        (m,) corrected, in the order given.

    Source: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979.
    """
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(factors * p_values[order]))
    return adjusted


def _by_id(oof: OutOfFold) -> OutOfFold:
    """Sort held-out rows by id."""
    order = np.argsort(oof.ids, kind="stable")
    ids = oof.ids[order]
    if np.any(ids[1:] == ids[:-1]):
        raise ValueError("ids must differ, received one twice")
    return OutOfFold(
        ids=ids,
        fold=oof.fold[order],
        group=None if oof.group is None else oof.group[order],
        target=oof.target[order],
        prediction=oof.prediction[order],
    )


class Correlation(NamedTuple):
    """A correlation, and the one-sided p of there being none."""

    value: float
    p: float


def mantel(a: np.ndarray, b: np.ndarray, *, seed: int, n_permutations: int = 9999) -> Correlation:
    """Tell whether things that are close by one measure are close by another.

    Distances that share a thing are not independent, so the things of one matrix are permuted.

    Args:
        a: (n, n) symmetric distances between n >= 3 things.
        b: (n, n) others between the same things.
        seed: draws the permutations.
        n_permutations: >= 1.

    Returns:
        Pearson's correlation of the distances, each pair taken once, and the share of permutations,
        the given order among them, that correlate as much or more.

    Raises:
        ValueError: a matrix is not (n, n) with n >= 3, they differ in n, one is not symmetric, or
            all distances of one are equal.

    Cost: O(n_permutations n^2).

    Source: Mantel, "The Detection of Disease Clustering and a Generalized Regression Approach",
        1967.
    """
    check_positive("n_permutations", n_permutations)
    n = len(a)
    for name, distances in (("a", a), ("b", b)):
        check_shape(name, distances, (n, n))
        if n < 3 or not np.array_equal(distances, distances.T):
            raise ValueError(f"{name} must be symmetric distances of 3 things or more")
    pairs = np.triu_indices(n, 1)
    first, second = (_standardise(d[pairs]) for d in (a, b))
    if not (first.any() and second.any()):
        raise ValueError("a and b must have unequal distances, received equal ones")
    value = float(first @ second)
    rng = np.random.default_rng(seed)
    n_as_high = 1
    for _ in range(n_permutations):
        order = rng.permutation(n)
        # Ties of the order that was given must not be lost to rounding.
        n_as_high += _standardise(a[np.ix_(order, order)][pairs]) @ second >= value - 1e-12
    return Correlation(value, n_as_high / (n_permutations + 1))


def _standardise(values: np.ndarray) -> np.ndarray:
    """Give a vector mean 0 and length 1; a constant one becomes 0."""
    if np.ptp(values) == 0:
        return np.zeros(len(values))
    centred = values - values.mean()
    return centred / np.linalg.norm(centred)
