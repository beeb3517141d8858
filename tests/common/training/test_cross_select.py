import numpy as np
import pytest

from common.training.cross_select import cross_select


def choose_shift(parts, target):
    """How far the first part lies below the target, on average."""
    return float(np.mean(target - parts[0]))


def apply_shift(parts, shift):
    return parts[0] + shift


def choose_best(parts, target):
    axes = tuple(range(1, parts.ndim))
    return int(np.argmin(((parts - target) ** 2).mean(axis=axes)))


def apply_best(parts, best):
    return parts[best]


def test_by_hand():
    """Shifts are 1 and 3 in "mon", 8 in "tue"; 0 in "wed". Their means without one group and with
    all:

    without mon (8 + 0) / 2 = 4, without tue (1 + 3 + 0) / 3 = 4/3, without wed (1 + 3 + 8) / 3 = 4,
    all 12 / 4 = 3.
    """
    parts = np.array([[10.0, 20.0, 30.0, 40.0]])
    target = np.array([38.0, 21.0, 30.0, 43.0]) - [20, 0, 0, 0]
    groups = np.array(["tue", "mon", "wed", "mon"])

    selected = cross_select(choose_shift, apply_shift, parts, target, groups=groups)

    assert selected.choice == pytest.approx(3)
    assert selected.prediction == pytest.approx([10 + 4 / 3, 24, 34, 44])


def make_rows(n_rows=60, n_models=5, n_groups=4, seed=0, shape=()):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(n_models, n_rows, *shape)),
        rng.normal(size=(n_rows, *shape)),
        rng.integers(n_groups, size=n_rows) * 10,
    )


@pytest.mark.parametrize("shape", [(), (3,)])
def test_it_equals_a_loop_over_rows(shape):
    parts, target, groups = make_rows(shape=shape)

    selected = cross_select(choose_best, apply_best, parts, target, groups=groups)

    for row, group in enumerate(groups):
        others = [n for n in range(len(groups)) if groups[n] != group]
        best = choose_best(parts[:, others], target[others])
        np.testing.assert_array_equal(selected.prediction[row], parts[best][row])
    assert selected.choice == choose_best(parts, target)


def test_a_rows_own_group_never_influences_its_prediction():
    parts, target, groups = make_rows()
    before = cross_select(choose_shift, apply_shift, parts, target, groups=groups)

    for group in np.unique(groups):
        here = groups == group
        altered = np.where(here, target * 1000, target)
        after = cross_select(choose_shift, apply_shift, parts, altered, groups=groups)
        np.testing.assert_array_equal(after.prediction[here], before.prediction[here])
        assert (after.prediction[~here] != before.prediction[~here]).all()
        assert after.choice != before.choice


def test_the_order_of_rows_does_not_matter():
    parts, target, groups = make_rows()
    order = np.random.default_rng(1).permutation(len(target))

    one = cross_select(choose_best, apply_best, parts, target, groups=groups)
    other = cross_select(
        choose_best, apply_best, parts[:, order], target[order], groups=groups[order]
    )

    np.testing.assert_array_equal(other.prediction, one.prediction[order])


def test_a_choice_among_noise_earns_no_bonus():
    """None of 50 models knows anything: the mean square of two independent normal numbers'
    difference is 2.

    The best of 50 looks better on the rows that chose it, by about 2.2 standard errors of
    sqrt(8 / 60) each. The honest mean over 40 repetitions of 60 rows has a standard error of
    sqrt(8 / 60 / 40) = 0.058.
    """
    naive, honest = [], []
    for seed in range(40):
        parts, target, groups = make_rows(n_models=50, n_groups=6, seed=seed)
        selected = cross_select(choose_best, apply_best, parts, target, groups=groups)
        naive.append(np.mean((parts[selected.choice] - target) ** 2))
        honest.append(np.mean((selected.prediction - target) ** 2))

    assert np.mean(naive) < 1.6
    assert abs(np.mean(honest) - 2) < 4 * 0.058


def test_one_group_and_unequal_lengths_are_refused():
    parts, target, groups = make_rows()

    with pytest.raises(ValueError, match=r"groups must hold two or more .*, received 1$"):
        cross_select(choose_best, apply_best, parts, target, groups=np.zeros(60))
    with pytest.raises(ValueError, match="received target 60, groups 59, parts 60"):
        cross_select(choose_best, apply_best, parts, target, groups=groups[1:])
    with pytest.raises(ValueError, match="received target 59, groups 60, parts 60"):
        cross_select(choose_best, apply_best, parts, target[1:], groups=groups)
