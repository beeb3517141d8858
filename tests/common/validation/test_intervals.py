from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from common.contract import Metric
from common.validation.intervals import expected_score, expected_window_score, find_thin_strata
from tests.helpers.errors import MAE, MEAN, draw_days, make_oof


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
