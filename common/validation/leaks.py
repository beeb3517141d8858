"""Leaks: rows and features that know what a forecast could not, tests unlike their train rows."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from common.checks import check_same_length
from common.contract import Metric
from common.validation.folds import Fold, group_folds

Probe = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

# How far the leak alarm goes from the best constant towards a probe's answer.
STEP = 0.1


def adversarial_validation(
    train_features: pd.DataFrame,
    test_features: pd.DataFrame,
    *,
    seed: int,
    groups: np.ndarray | None = None,
    n_folds: int = 5,
) -> tuple[float, pd.Series]:
    """Measure how well a classifier tells train rows from test rows, and by which features.

    0.5 means that it cannot, so that held-out train rows can stand for the test. A feature far
    above 0 in the second answer differs between the two and may not carry over. Features that say
    the same share their part.

    Args:
        train_features: (n_train, D) numbers, NaN allowed.
        test_features: (n_test, D), the same columns.
        seed: draws the folds and the shuffles.
        groups: (n_train + n_test,) rows that must stay together, train first: hours of one day
            share their weather, and a classifier that saw some of them would merely recognise the
            day. None: rows are alone.
        n_folds: >= 2; each must hold rows of both kinds.

    Returns:
        The area under the ROC curve on held-out rows, mean over folds, and (D,) how much it falls
        when one column is shuffled among the held-out rows, named, largest first.

    Raises:
        ValueError: columns or lengths differ, or a fold holds rows of one kind only.

    Cost: n_folds fits and n_folds * (D + 1) predictions.
    """
    if list(train_features.columns) != list(test_features.columns):
        raise ValueError(
            f"test_features must have columns {list(train_features.columns)}, "
            f"received {list(test_features.columns)}"
        )
    features = np.vstack([train_features, test_features]).astype(np.float64)
    is_test = np.arange(len(features)) >= len(train_features)
    groups = np.arange(len(features)) if groups is None else groups
    every = np.ones(len(features), dtype=bool)
    rng = np.random.default_rng(seed)
    areas = []
    falls = np.zeros((n_folds, features.shape[1]))
    folds = group_folds(groups, n_folds=n_folds, seed=seed, can_hold=every, is_train=every)
    for fold, drop in zip(folds, falls, strict=True):
        held, answer = features[fold.held_rows], is_test[fold.held_rows]
        if answer.all() or not answer.any():
            raise ValueError(
                "each fold must hold train and test rows, received one with one kind only"
            )
        model = HistGradientBoostingClassifier(max_iter=50, early_stopping=False, random_state=seed)
        model.fit(features[fold.fit_rows], is_test[fold.fit_rows])
        areas.append(roc_auc_score(answer, model.predict_proba(held)[:, 1]))
        for column in range(features.shape[1]):
            shuffled = held.copy()
            shuffled[:, column] = rng.permutation(held[:, column])
            drop[column] = areas[-1] - roc_auc_score(answer, model.predict_proba(shuffled)[:, 1])
    importance = pd.Series(falls.mean(axis=0), index=train_features.columns)
    return float(np.mean(areas)), importance.sort_values(ascending=False)


def find_duplicated_rows(
    train: pd.DataFrame, test: pd.DataFrame, columns: Sequence[str]
) -> np.ndarray:
    """Find the test rows that also stand among the train rows.

    Args:
        train: (n_train, ...) with the columns.
        test: (n_test, ...) with the columns.
        columns: what must be equal; two missing values are.

    Returns:
        (n_found,) int, positions in test, ascending.
    """
    wanted = list(columns)
    merged = test[wanted].merge(
        train[wanted].drop_duplicates(), on=wanted, how="left", indicator=True
    )
    return np.flatnonzero(merged["_merge"] == "both")


def shuffled_target_scores(
    probe: Probe,
    make_features: Callable[[np.ndarray], np.ndarray],
    target: np.ndarray,
    folds: Sequence[Fold],
    metric: Metric,
    *,
    seed: int,
    groups: np.ndarray | None = None,
    n_shuffles: int = 20,
) -> tuple[np.ndarray, np.ndarray]:
    """Score a probe model, and the best constant, on targets that were shuffled so that nothing can
    be learnt.

    On such targets a model on honest folds and features is at best as good as the best constant of
    the fit rows; one that is better saw held-out targets. Features are made anew from each shuffled
    target, so that one made from held-out targets gives itself away.

    The probe's answer is taken a tenth of the way from the constant. On noise every model is worse
    than the constant by what it overfits, and would hide as large a leak; a short step costs the
    square of its length, while what a leak gains shrinks only with the length.

    Folds that split what belongs together need `groups`: shuffled row by row, the hours of a day or
    the copies of a picture are no more alike in their targets than strangers, and a probe gains
    nothing from having seen one of them. So whole groups exchange their targets. Within a group
    they are shuffled as well: else what is the same in every group, such as the hour of a day,
    would truly predict and raise a false alarm.

    Args:
        probe: (features of fit rows, their target, features of held rows) -> prediction of held
            rows. It should fit in well under a second and aim at the metric (on the log scale for
            RMSLE). A leak that this model cannot use passes unseen.
        make_features: (n, ...) target -> (n, D) features of all rows, by the same code as in the
            real run.
        target: (n, ...), any value in rows that no fold uses.
        folds: row numbers in [0, n).
        metric: with a best constant.
        seed: draws the shuffles.
        groups: (n,) rows that are alike in the target. None: rows are alone. A group of another
            size takes as many of the targets as it needs, some of them twice if they are too few.
        n_shuffles: >= 2.

    Returns:
        (n_shuffles,) scores of the step towards the probe and (n_shuffles,) of the constant, each
        pooled over all held rows; for `is_leaky`.

    Raises:
        ValueError: the metric has no best constant, or lengths differ.
    """
    if metric.best_constant is None:
        raise ValueError(f"metric must have a best constant, received {metric.name} without one")
    rng = np.random.default_rng(seed)
    used = np.unique(np.concatenate([np.append(fold.fit_rows, fold.held_rows) for fold in folds]))
    groups = np.arange(len(target)) if groups is None else groups
    check_same_length(target=target, groups=groups)
    held = np.concatenate([fold.held_rows for fold in folds])
    scores = np.empty((2, n_shuffles))
    for shuffle in range(n_shuffles):
        shuffled = _shuffle(target, used, groups, rng)
        features = make_features(shuffled)
        predicted, constant = [], []
        for fold in folds:
            known = shuffled[fold.fit_rows]
            best = np.full(shuffled[fold.held_rows].shape, metric.best_constant(known))
            answer = probe(features[fold.fit_rows], known, features[fold.held_rows])
            constant.append(best)
            predicted.append(best + STEP * (answer - best))
        scores[0, shuffle] = metric(shuffled[held], np.concatenate(predicted))
        scores[1, shuffle] = metric(shuffled[held], np.concatenate(constant))
    return scores[0], scores[1]


def is_leaky(
    probe_scores: np.ndarray, constant_scores: np.ndarray, *, lower_is_better: bool
) -> bool:
    """Tell whether a probe beats the best constant on shuffled targets by more than chance.

    Shuffles are drawn independently, so the mean of the paired gains has the usual standard error;
    the alarm goes off above 3 of them, which chance alone does less than once in 250 times with 20
    shuffles.

    Args:
        probe_scores: (n_shuffles,), n_shuffles >= 2.
        constant_scores: (n_shuffles,).
        lower_is_better: the metric's direction.

    Returns:
        True where there is a leak.

    Raises:
        ValueError: lengths differ, or there are fewer than 2 shuffles.
    """
    check_same_length(probe_scores=probe_scores, constant_scores=constant_scores)
    if len(probe_scores) < 2:
        raise ValueError(f"n_shuffles must be >= 2, received {len(probe_scores)}")
    gains = (constant_scores - probe_scores) * (1 if lower_is_better else -1)
    return bool(gains.mean() > 3 * gains.std(ddof=1) / np.sqrt(len(gains)))


def _shuffle(
    target: np.ndarray, rows: np.ndarray, groups: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Let the groups among the rows exchange their targets, shuffled within each group too."""
    shuffled = target.copy()
    _, group_of, sizes = np.unique(groups[rows], return_inverse=True, return_counts=True)
    members = np.split(rows[np.argsort(group_of, kind="stable")], np.cumsum(sizes)[:-1])
    for group, source in enumerate(rng.permutation(len(members))):
        drawn = rng.permutation(members[source])
        shuffled[members[group]] = target[np.resize(drawn, sizes[group])]
    return shuffled
