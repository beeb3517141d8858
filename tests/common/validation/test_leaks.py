import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.tree import DecisionTreeRegressor

from common.contract import Metric
from common.validation.folds import group_folds
from common.validation.leaks import (
    adversarial_validation,
    find_duplicated_rows,
    is_leaky,
    shuffled_target_scores,
)

RMSE = Metric("RMSE", lambda t, p: float(np.sqrt(np.mean((t - p) ** 2))), True, np.mean)
N_DAYS, N_HOURS = 60, 10
DAY = np.repeat(np.arange(N_DAYS), N_HOURS)
HOUR = np.tile(np.arange(N_HOURS), N_DAYS)
EVERY = np.ones(len(DAY), dtype=bool)
DAY_FOLDS = group_folds(DAY, n_folds=4, seed=0, can_hold=EVERY, is_train=EVERY)
ROW_FOLDS = group_folds(np.arange(len(DAY)), n_folds=4, seed=0, can_hold=EVERY, is_train=EVERY)
# The target belongs to the day, but for little noise; the day's weather, a feature, tells days
# apart.
TARGET = np.random.default_rng(0).normal(size=N_DAYS)[DAY] + 0.1 * np.sin(HOUR)
WEATHER = np.random.default_rng(1).normal(size=(N_DAYS, 2))[DAY]


def probe(features, target, held):
    return DecisionTreeRegressor(min_samples_leaf=20).fit(features, target).predict(held)


def clean_features(target):
    return np.column_stack([WEATHER, HOUR])


def alarm(make_features, folds, groups, target=TARGET):
    scores = shuffled_target_scores(
        probe, make_features, target, folds, RMSE, seed=0, groups=groups
    )
    return is_leaky(*scores, lower_is_better=True)


def test_honest_folds_and_features_set_off_no_alarm():
    assert not alarm(clean_features, DAY_FOLDS, groups=DAY)
    assert not alarm(clean_features, ROW_FOLDS, groups=None)


def test_a_target_mean_over_held_rows_sets_it_off():
    """The mean over all rows of a weekday and hour holds a ninth of the held row's own target."""

    def make_features(target):
        key = DAY % 7 * N_HOURS + HOUR
        return (np.bincount(key, target) / np.bincount(key))[key][:, None]

    assert alarm(make_features, DAY_FOLDS, groups=None)


def test_folds_that_split_alike_rows_are_seen_only_when_groups_move_together():
    """Hours of a day share their target, and row folds hold some hours of a day and fit on the
    others.
    """
    assert alarm(clean_features, ROW_FOLDS, groups=DAY)
    assert not alarm(clean_features, ROW_FOLDS, groups=None)


def test_what_every_group_has_in_common_is_no_leak():
    """Rush hours come every day: moved as they stand, whole days would keep them, and the hour
    would predict.
    """
    assert not alarm(clean_features, DAY_FOLDS, groups=DAY, target=TARGET + 5 * (HOUR == 3))


def test_shuffling_moves_whole_groups_and_leaves_unused_rows_alone():
    """Row i of group g has target 10 g + i; groups have 3 or 5 rows; the last group is in no
    fold.
    """
    groups = np.repeat(np.arange(6), [3, 5, 3, 5, 3, 3])
    target = np.concatenate([10.0 * g + np.arange(n) for g, n in enumerate([3, 5, 3, 5, 3, 3])])
    used = groups < 5
    folds = group_folds(groups, n_folds=2, seed=0, can_hold=used, is_train=used)
    seen = []

    def make_features(shuffled):
        seen.append(shuffled.copy())
        return shuffled[:, None]

    shuffled_target_scores(probe, make_features, target, folds, RMSE, seed=0, groups=groups)

    for shuffled in seen:
        source = shuffled // 10
        assert sorted(source[np.searchsorted(groups, np.arange(6))]) == [0, 1, 2, 3, 4, 5]
        for group in range(6):
            rows, values = source[groups == group], shuffled[groups == group]
            assert len(set(rows)) == 1
            n_source = np.sum(groups == rows[0])
            assert len(set(values)) == min(len(values), n_source)
        assert shuffled[-3:].tolist() == target[-3:].tolist()
    assert len({tuple(shuffled) for shuffled in seen}) > 15


def test_shuffled_scores_by_hand():
    """Half of the targets are 1 and half -1, in every shuffle, and there are two folds of 20 rows.

    With h ones among the 20 held rows, and so 20 - h among the 20 fit rows, the constant is
    m = (20 - 2 h) / 20 and the held mean -m: its squared error is 1 + 3 m^2, in both folds. A probe
    that always answers 0 is followed a tenth of the way, to 0.9 m:
    1 + (0.9^2 + 2 * 0.9) m^2 = 1 + 2.61 m^2.
    """
    target = np.where(np.arange(40) % 2, 1.0, -1.0)
    every = np.ones(40, dtype=bool)
    folds = group_folds(np.arange(40), n_folds=2, seed=0, can_hold=every, is_train=every)

    scores, constant = shuffled_target_scores(
        lambda fit, known, held: np.zeros(len(held)),
        lambda target: np.zeros((40, 1)),
        target,
        folds,
        RMSE,
        seed=0,
        n_shuffles=8,
    )

    assert scores**2 - 1 == pytest.approx(2.61 / 3 * (constant**2 - 1))
    tenths = np.sqrt((constant**2 - 1) / 3) * 10
    assert tenths == pytest.approx(np.round(tenths)) and tenths.max() > 0


def test_a_metric_without_a_best_constant_is_refused():
    metric = Metric("x", RMSE.function, True)

    with pytest.raises(ValueError, match="must have a best constant, received x"):
        shuffled_target_scores(probe, clean_features, TARGET, DAY_FOLDS, metric, seed=0)


def test_is_leaky_by_hand():
    """Gains 1, 2, 3: mean 2, 3 se = 3 / sqrt(3) = 1.73. Gains 0, 2, 3: mean 1.67, 3 se = 3 * 1.53 /
    sqrt(3) = 2.65.
    """
    constant = np.array([10.0, 10.0, 10.0])

    assert is_leaky(np.array([9.0, 8, 7]), constant, lower_is_better=True)
    assert not is_leaky(np.array([10.0, 8, 7]), constant, lower_is_better=True)
    assert not is_leaky(np.array([9.0, 8, 7]), constant, lower_is_better=False)
    assert is_leaky(np.array([11.0, 12, 13]), constant, lower_is_better=False)
    assert not is_leaky(constant, constant, lower_is_better=True)
    with pytest.raises(ValueError, match="n_shuffles must be >= 2, received 1"):
        is_leaky(constant[:1], constant[:1], lower_is_better=True)


def test_adversarial_validation_measures_a_known_shift():
    """For N(0, 1) against N(1, 1) no classifier has a greater area than
    Phi(1 / sqrt(2)) = 0.760.
    """
    rng = np.random.default_rng(0)
    train = pd.DataFrame(rng.normal(size=(2000, 3)), columns=["a", "b", "c"])
    test = pd.DataFrame(rng.normal([0, 1, 0], size=(2000, 3)), columns=["a", "b", "c"])

    area, importance = adversarial_validation(train, test, seed=0)

    assert norm.cdf(1 / np.sqrt(2)) - 0.04 < area < norm.cdf(1 / np.sqrt(2)) + 0.01
    assert importance.index[0] == "b" and importance["b"] > 0.2
    assert importance[["a", "c"]].abs().max() < 0.02


def test_adversarial_validation_needs_groups_where_rows_share_features():
    """Train and test days are alike, but a day's weather is the same all day and gives the day
    away.
    """
    features = pd.DataFrame(WEATHER)
    is_test = DAY % 2 == 1
    groups = np.concatenate([DAY[~is_test], DAY[is_test]])
    train, test = features[~is_test], features[is_test]

    assert adversarial_validation(train, test, seed=0)[0] > 0.9
    assert abs(adversarial_validation(train, test, seed=0, groups=groups)[0] - 0.5) < 0.15


def test_adversarial_validation_errors():
    frame = pd.DataFrame({"a": np.arange(10.0), "b": 0.0})

    with pytest.raises(ValueError, match="test_features must have columns"):
        adversarial_validation(frame, frame[["b", "a"]], seed=0)
    with pytest.raises(ValueError, match="train and test rows"):
        adversarial_validation(frame, frame, seed=0, groups=np.repeat([0, 1], 10), n_folds=2)


def test_duplicated_rows_equal_an_obvious_loop():
    rng = np.random.default_rng(0)
    train, test = (
        pd.DataFrame(
            {
                "x": rng.choice([1.0, 2.0, np.nan], n),
                "y": rng.choice(["a", "b", "c", None], n),
                "z": rng.normal(size=n),
            },
            index=rng.permutation(n),
        )
        for n in (7, 50)
    )

    def key(row):
        return str(row.x), str(row.y)

    known = {key(row) for row in train.itertuples()}
    expected = [i for i, row in enumerate(test.itertuples()) if key(row) in known]
    assert find_duplicated_rows(train, test, ["x", "y"]).tolist() == expected
    assert 0 < len(expected) < 50
    assert find_duplicated_rows(train, test, ["x", "y", "z"]).tolist() == []
