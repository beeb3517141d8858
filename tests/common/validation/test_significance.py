from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from common.contract import OutOfFold
from common.validation.significance import holm, mantel, nadeau_bengio, paired_difference
from tests.helpers.errors import MAE, MEAN, draw_days, make_oof


def test_paired_difference_finds_nothing_where_there_is_nothing_as_often_as_it_says():
    """Two variants whose errors come from one law, alike within days: p < 0.05 in about 5 % of 400
    worlds.
    """
    n_found = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        a, day = draw_days(rng, 30)
        b = rng.normal(size=30)[day] + rng.normal(scale=0.5, size=len(day))
        result = paired_difference(make_oof(a, day), make_oof(b, day), MAE, seed=0, n_resamples=200)
        # The interval and p say the same, but for what the steps of a share of 200 can hide.
        assert (result.p < 0.05) == (result.low > 0 or result.high < 0) or 0.03 < result.p < 0.07
        n_found += result.p < 0.05

    assert 0.02 <= n_found / 400 <= 0.08


def test_paired_difference_sees_a_small_gain_on_the_same_rows():
    """b errs by 2 % less on every row: days differ far more than that, but equally for both."""
    errors, day = draw_days(np.random.default_rng(0), 40)
    a, b = make_oof(errors, day), make_oof(0.98 * errors, day)

    found = paired_difference(a, b, MAE, seed=0)

    assert found.value == pytest.approx(0.02 * np.mean(np.abs(errors)))
    assert 0 < found.low < found.value < found.high
    assert found.p < 0.005


def test_paired_difference_by_hand_for_two_groups():
    """Groups with differences 1 and -3 give 1, -1, -1 or -3 when two are drawn: a quarter is above
    zero.

    A quarter is 0.6745 standard deviations out; times sqrt(1 - 1/2) on the t curve with 1 degree of
    freedom, whose two-sided p is 1 - 2 atan(t) / pi. Two groups say so little that the interval is
    all that was drawn.
    """
    a = make_oof(np.array([1.0, -3.0]))

    found = paired_difference(a, make_oof(np.zeros(2)), MEAN, seed=0, n_resamples=10_000)

    assert found[:3] == (-1, -3, 1)
    assert found.p == pytest.approx(1 - 2 * np.arctan(0.6745 * np.sqrt(0.5)) / np.pi, abs=0.02)


def test_paired_difference_laws():
    rng = np.random.default_rng(0)
    errors, day = draw_days(rng, 20)
    a, b = make_oof(errors, day), make_oof(errors + rng.normal(scale=0.3, size=len(day)), day)
    order = rng.permutation(len(day))
    shuffled = OutOfFold(b.ids[order], b.fold[order], day[order], b.target, b.prediction[order])

    forth, back = paired_difference(a, b, MAE, seed=0), paired_difference(b, a, MAE, seed=0)

    assert forth == pytest.approx((-back.value, -back.high, -back.low, back.p))
    assert forth == pytest.approx(paired_difference(a, shuffled, MAE, seed=0))
    assert paired_difference(a, a, MAE, seed=0) == (0, 0, 0, 1)


def test_paired_difference_errors():
    a = make_oof(np.arange(6.0), np.array([0, 0, 1, 1, 2, 2]))

    for name, other in (
        ("ids", replace(a, ids=a.ids + 1)),
        ("target", replace(a, target=a.target + 1)),
        ("group", replace(a, group=None)),
    ):
        with pytest.raises(ValueError, match=f"a and b must have the same {name}"):
            paired_difference(a, other, MAE, seed=0)
    with pytest.raises(ValueError, match="ids must differ"):
        paired_difference(replace(a, ids=a.ids // 2), a, MAE, seed=0)


def test_nadeau_bengio_by_hand():
    """Differences 1, 2, 3: mean 2, variance 1, and with n_test / n_train = 1/2 the error is
    sqrt(1/3 + 1/2).

    So t^2 = 4 / (5/6) = 4.8, and with 2 degrees of freedom p = 1 - t / sqrt(2 + t^2)
    = 1 - sqrt(4.8 / 6.8).
    """
    found = nadeau_bengio(np.array([1.0, 2, 3]), test_over_train=0.5)

    assert found.value == pytest.approx(2)
    assert found.p == pytest.approx(1 - np.sqrt(4.8 / 6.8))
    # The 97.5 % point of t with 2 degrees of freedom is 0.95 sqrt(2 / (1 - 0.95^2)).
    reach = 0.95 * np.sqrt(2 / (1 - 0.95**2)) * np.sqrt(5 / 6)
    assert (found.low, found.high) == pytest.approx((2 - reach, 2 + reach))


def test_nadeau_bengio_without_correction_is_the_t_test():
    differences = np.random.default_rng(0).normal(0.5, 1, 8)

    found = nadeau_bengio(differences, test_over_train=1e-12)

    expected = stats.ttest_1samp(differences, 0)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()))


def test_nadeau_bengio_at_the_edges():
    assert nadeau_bengio(np.zeros(3), test_over_train=0.5) == (0, 0, 0, 1)
    assert nadeau_bengio(np.full(3, 0.5), test_over_train=0.5) == (0.5, 0.5, 0.5, 0)
    with pytest.raises(ValueError, match="at least 2 folds, received 1"):
        nadeau_bengio(np.ones(1), test_over_train=0.5)
    with pytest.raises(ValueError, match="test_over_train must be > 0"):
        nadeau_bengio(np.ones(3), test_over_train=0)


def test_holm_by_hand():
    """0.01 * 3 = 0.03; 0.03 * 2 = 0.06; 0.04 * 1 would be below that, so 0.06. 0.9 * 2 and 0.8 * 3
    stop at 1.
    """
    assert holm(np.array([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])
    assert holm(np.array([0.9, 0.8, 0.95])) == pytest.approx([1, 1, 1])


def test_holm_rejects_what_the_step_down_rejects():
    """Holm's own wording: go up from the smallest p while p_k <= level / (m - k), and reject those
    passed.
    """
    rng = np.random.default_rng(0)
    for _ in range(200):
        p_values = rng.beta(0.3, 2, 6)
        rejected = np.zeros(6, dtype=bool)
        for k, comparison in enumerate(np.argsort(p_values)):
            if p_values[comparison] > 0.05 / (6 - k):
                break
            rejected[comparison] = True
        assert ((holm(p_values) <= 0.05) == rejected).all()


def make_distances(places):
    return np.linalg.norm(places[:, None] - places[None], axis=-1)


def test_mantel_by_hand():
    """Distances 1, 2, 3 against 1, 3, 2 correlate by 1/2; of the six orders of three things these
    are all correlations that there are: 1, 1/2, 1/2, -1/2, -1/2, -1.
    """
    a = np.array([[0.0, 1, 2], [1, 0, 3], [2, 3, 0]])
    b = np.array([[0.0, 1, 3], [1, 0, 2], [3, 2, 0]])

    correlation = mantel(a, b, seed=0)

    assert correlation.value == pytest.approx(0.5)
    assert correlation.p == pytest.approx(0.5, abs=0.02)
    assert mantel(a, a, seed=0).p == pytest.approx(1 / 6, abs=0.015)


def test_mantel_equals_pearson_and_does_not_hang_on_scale():
    rng = np.random.default_rng(0)
    a, b = (make_distances(rng.normal(size=(9, 2))) for _ in "ab")
    pairs = np.triu_indices(9, 1)

    found = mantel(a, 8 * b, seed=1, n_permutations=99)

    assert found.value == pytest.approx(stats.pearsonr(a[pairs], b[pairs]).statistic)
    assert found == mantel(a, b, seed=1, n_permutations=99)


def test_mantel_finds_nothing_where_there_is_nothing_as_often_as_it_says():
    found = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        a, b = (make_distances(rng.normal(size=(10, 2))) for _ in "ab")
        found.append(mantel(a, b, seed=0, n_permutations=99).p <= 0.05)
    assert 0.02 < np.mean(found) < 0.09


def test_mantel_refuses_what_is_no_distances():
    even = np.ones((3, 3)) - np.eye(3)
    a = make_distances(np.arange(3.0)[:, None])
    with pytest.raises(ValueError, match=r"b must have shape \(3, 3\), received \(4, 4\)"):
        mantel(a, np.zeros((4, 4)), seed=0)
    with pytest.raises(ValueError, match="a must be symmetric distances of 3 things or more"):
        mantel(np.zeros((2, 2)), np.zeros((2, 2)), seed=0)
    with pytest.raises(ValueError, match="b must be symmetric"):
        mantel(a, np.arange(9.0).reshape(3, 3), seed=0)
    with pytest.raises(ValueError, match="a and b must have unequal distances"):
        mantel(a, even, seed=0)
    with pytest.raises(ValueError, match="n_permutations must be > 0, received 0"):
        mantel(a, a, seed=0, n_permutations=0)
