from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from common.contract import Metric, OutOfFold
from common.validation.significance import (
    expected_score,
    expected_window_score,
    find_thin_strata,
    holm,
    nadeau_bengio,
    paired_difference,
)

MAE = Metric("MAE", lambda target, prediction: np.mean(np.abs(target - prediction)), True)
MEAN = Metric("mean", lambda target, prediction: np.mean(prediction), True)


def make_oof(errors, group=None) -> OutOfFold:
    n = len(errors)
    return OutOfFold(np.arange(n), np.zeros(n, dtype=int), group, np.zeros(n), errors)


def draw_days(rng, n_days):
    """Errors of 4 to 12 hours a day, which share most of their variance within the day."""
    group = np.repeat(np.arange(n_days), rng.integers(4, 13, n_days))
    return rng.normal(size=n_days)[group] + rng.normal(scale=0.5, size=len(group)), group


def test_interval_holds_the_test_score_as_often_as_it_says():
    """300 worlds of 60 held-out and 80 test days: resampling days is right, rows see far too
    little.
    """
    hits = {"days": 0, "rows": 0}
    for seed in range(300):
        rng = np.random.default_rng(seed)
        held, day = draw_days(rng, 60)
        test, _ = draw_days(rng, 80)
        truth = np.mean(np.abs(test))
        for name, group in (("days", day), ("rows", None)):
            _, low, high = expected_score(
                make_oof(held, group), MAE, n_test_rows=len(test), seed=seed, n_resamples=300
            )
            hits[name] += low <= truth <= high

    assert 0.92 <= hits["days"] / 300 <= 0.98
    assert hits["rows"] / 300 < 0.75


@pytest.mark.parametrize("n_test_groups", [5, 50, 5000])
def test_interval_by_hand_for_a_mean(n_test_groups):
    """For the mean of 50 equal groups, whose means have variance v, both draws have a known
    variance.

    The first draw's mean varies by v / 50, and within it groups vary by v (1 - 1/50), so the second
    adds v (1 - 1/50) / n_test_groups. The interval goes t_49(0.975) sqrt(50/49) such standard
    deviations out.
    """
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=50), 3)
    variance = np.var(values) * (1 / 50 + (1 - 1 / 50) / n_test_groups)

    _, low, high = expected_score(
        make_oof(values, np.repeat(np.arange(50), 3)),
        MEAN,
        n_test_rows=3 * n_test_groups,
        seed=0,
        n_resamples=8000,
    )

    reach = stats.t.ppf(0.975, 49) * np.sqrt(50 / 49 * variance)
    assert (high - low) / 2 == pytest.approx(reach, rel=0.04)
    assert (high + low) / 2 == pytest.approx(values.mean(), abs=0.1 * reach)


def test_interval_equals_an_obvious_loop():
    rng = np.random.default_rng(1)
    errors, day = draw_days(rng, 30)
    shuffle = rng.permutation(len(day))
    oof = make_oof(errors[shuffle], day[shuffle])

    draw = np.random.default_rng(7)
    scores = []
    for _ in range(200):
        held = draw.choice(np.arange(30), 30)
        test = draw.choice(held, round(100 * 30 / len(day)))
        scores.append(np.mean(np.concatenate([np.abs(errors[day == d]) for d in test])))
    tail = stats.norm.sf(stats.t.ppf(0.9, 29) * np.sqrt(30 / 29))

    found = expected_score(oof, MAE, n_test_rows=100, seed=7, n_resamples=200, level=0.8)
    assert found == pytest.approx(np.quantile(scores, [0.5, tail, 1 - tail]))


def test_a_test_with_more_holidays_is_expected_to_score_as_its_own_mix():
    """Errors are 1 on 36 plain days and 3 on 4 holidays; 1 test day in 2 is a holiday.

    The root mean square of the test is sqrt((1 + 9) / 2) whatever is drawn; the held-out mix gives
    sqrt(1.8).
    """
    day = np.repeat(np.arange(40), 5)
    is_holiday = day >= 36
    oof = make_oof(np.where(is_holiday, 3.0, 1.0), day)
    root = Metric("RMS", lambda target, prediction: np.sqrt(np.mean(prediction**2)), True)
    test = np.repeat([True, False], 50)

    found = expected_score(
        replace(oof, stratum=is_holiday), root, n_test_rows=100, seed=0, test_stratum=test
    )
    plain = expected_score(oof, root, n_test_rows=100, seed=0)

    assert found == pytest.approx([np.sqrt(5)] * 3)
    assert plain.low < np.sqrt(1.8) < plain.high < np.sqrt(5)


def test_a_stratum_that_was_never_held_out_is_drawn_from_all_groups():
    errors, day = draw_days(np.random.default_rng(3), 20)
    oof = make_oof(errors, day)

    known = expected_score(oof, MAE, n_test_rows=50, seed=0)
    strata = replace(oof, stratum=np.zeros(len(day), dtype=int))
    unknown = expected_score(
        strata, MAE, n_test_rows=50, seed=0, test_stratum=np.ones(50, dtype=int)
    )

    assert unknown == known


def test_strata_that_were_hardly_held_out_are_named():
    """40 days of 5 rows, 4 of them holidays: 4 is few, and 20 of 40 test days are holidays, 1 of 41
    is not many.
    """
    day = np.repeat(np.arange(40), 5)
    oof = replace(make_oof(np.ones(200), day), stratum=np.where(day >= 36, "holiday", "plain"))

    many = find_thin_strata(oof, np.repeat(["holiday", "plain"], 100))
    few = find_thin_strata(oof, np.repeat(["holiday", "plain"], [5, 200]))
    unknown = find_thin_strata(oof, np.repeat(["plain", "storm"], 100))

    assert many == (("holiday", 4, 20),) and few == () and unknown == (("storm", 0, 20),)


def test_interval_errors():
    oof = make_oof(np.ones(4), np.zeros(4))

    with pytest.raises(ValueError, match="at least 2 groups, received 1"):
        expected_score(oof, MAE, n_test_rows=5, seed=0)
    with pytest.raises(ValueError, match="n_test_rows must be > 0"):
        expected_score(replace(oof, group=None), MAE, n_test_rows=0, seed=0)
    mixed = replace(oof, group=np.array([0, 0, 1, 1]), stratum=np.array([0, 1, 1, 1]))
    with pytest.raises(ValueError, match="constant within a group"):
        expected_score(mixed, MAE, n_test_rows=4, seed=0, test_stratum=np.ones(4))
    with pytest.raises(ValueError, match="both held-out and test rows"):
        expected_score(mixed, MAE, n_test_rows=4, seed=0)


def test_window_interval_by_hand():
    """Logs -1 and 1: mean 0, standard deviation sqrt(2), and Student's t with 1 degree of freedom
    reaches 12.706 (95 %): half a width of 12.706 * sqrt(2) * sqrt(1 + 1/2).
    """
    expected = expected_window_score(np.exp([-1.0, 1.0]))

    reach = 12.7062 * np.sqrt(3)
    assert np.log(expected) == pytest.approx([0, -reach, reach], rel=1e-5)


def test_window_interval_holds_the_next_window_as_often_as_it_says():
    """4,000 worlds of five log-normal windows: the sixth lies inside in 95 % of them."""
    logs = np.random.default_rng(0).normal(-2, 0.1, (4000, 6))
    inside = [
        low <= np.exp(world[-1]) <= high
        for world in logs
        for _, low, high in [expected_window_score(np.exp(world[:-1]))]
    ]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize("scores", [[0.1], [0.1, 0.0]])
def test_window_interval_errors(scores):
    with pytest.raises(ValueError, match="scores must be 2 or more and > 0, received"):
        expected_window_score(scores)


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
