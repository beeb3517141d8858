import subprocess
import sys

import numpy as np
import pytest

from common.contract import KaggleCompetition, Metric, OutOfFold

RMSE = Metric("RMSE", lambda t, p: np.sqrt(np.mean((t - p) ** 2)), lower_is_better=True)


def make_oof(**others):
    """Five rows in folds 10, 2 and 2, 10, 2: numbers that sort otherwise as text."""
    facts = {
        "ids": np.arange(5),
        "fold": np.array([10, 2, 2, 10, 2]),
        "group": None,
        "target": np.array([0.0, 0.0, 0.0, 0.0, 0.0]),
        "prediction": np.array([3.0, 1.0, 1.0, 4.0, 1.0]),
    }
    return OutOfFold(**facts | others)


def test_the_score_is_pooled_over_rows_not_averaged_over_folds_by_hand():
    """Squares 9, 1, 1, 16, 1 have mean 28 / 5 = 5.6; the folds' own scores are 1 and
    sqrt(25 / 2).
    """
    oof = make_oof()

    assert oof.score(RMSE) == pytest.approx(5.6**0.5, rel=1e-15)
    assert oof.score_folds(RMSE) == pytest.approx((1.0, 12.5**0.5), rel=1e-15)


def test_scores_of_rows_with_many_values_and_of_one_fold():
    oof = make_oof(
        fold=np.zeros(5), target=np.zeros((5, 2)), prediction=np.tile([3.0, 4.0], (5, 1))
    )

    assert oof.score_folds(RMSE) == (oof.score(RMSE),) == (12.5**0.5,)


@pytest.mark.parametrize("lower_is_better", [True, False])
def test_better_is_strict_and_goes_the_metrics_way(lower_is_better):
    metric = Metric("m", lambda t, p: 0.0, lower_is_better=lower_is_better)

    assert metric.is_better(0.1, than=0.2) is lower_is_better
    assert metric.is_better(0.2, than=0.1) is not lower_is_better
    assert not metric.is_better(0.1, than=0.1)
    assert not metric.is_better(float("nan"), than=0.1)


def test_a_metric_gets_the_target_first_and_gives_a_plain_float():
    metric = Metric("bias", lambda t, p: np.mean(p - t), lower_is_better=False)
    score = metric(np.array([1.0, 1.0]), np.array([2.0, 4.0]))

    assert type(score) is float and score == 2.0


def test_a_competitions_page():
    assert KaggleCompetition("connectx").url == "https://www.kaggle.com/competitions/connectx"


def test_the_contract_imports_the_standard_library_only():
    code = "import sys, common.contract; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    foreign = {name.split(".")[0] for name in loaded} & {"numpy", "pandas", "keras", "tensorflow"}
    assert "common.contract" in loaded and not foreign
