import numpy as np
import pytest

from common.validation.folds import Fold, check_folds, group_folds, past_folds


def make_months(n_months: int = 12):
    """Months of unequal length whose days 1-3 are early train days, 4-5 late ones, and 6 and on
    test days.
    """
    n_days = 6 + np.arange(n_months) % 4
    month = np.repeat(np.arange(n_months), n_days)
    day = np.concatenate([np.arange(1, n + 1) for n in n_days])
    return month, (day == 4) | (day == 5) & (month % 3 > 0), day <= 5


def test_group_folds_hold_late_days_of_whole_months_and_fit_all_other_train_rows():
    month, can_hold, is_train = make_months()

    folds = group_folds(month, n_folds=3, seed=0, can_hold=can_hold, is_train=is_train)

    check_folds(folds, n_rows=len(month))
    assert sorted(np.concatenate([fold.held_rows for fold in folds])) == list(
        np.flatnonzero(can_hold)
    )
    for fold in folds:
        held_months = set(month[fold.held_rows])
        for other in folds:
            assert other is fold or held_months.isdisjoint(month[other.held_rows])
        for row in np.flatnonzero(is_train):
            is_held = bool(can_hold[row]) and month[row] in held_months
            assert (row in fold.held_rows) == is_held
            assert (row in fold.fit_rows) != is_held
        assert is_train[fold.fit_rows].all()


def test_group_folds_are_balanced_in_held_rows():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), rng.integers(1, 30, 60))
    every = np.ones(len(groups), dtype=bool)

    for seed in range(20):
        folds = group_folds(groups, n_folds=7, seed=seed, can_hold=every, is_train=every)
        sizes = [len(fold.held_rows) for fold in folds]
        assert max(sizes) - min(sizes) <= np.bincount(groups).max()


def test_group_folds_depend_on_the_seed_and_nothing_else():
    month, can_hold, is_train = make_months()
    names = np.array([f"2011-{number:02}" for number in month])

    def held(groups, seed):
        folds = group_folds(groups, n_folds=3, seed=seed, can_hold=can_hold, is_train=is_train)
        return [fold.held_rows.tolist() for fold in folds]

    assert held(month, 1) == held(names, 1)
    assert len({str(held(month, seed)) for seed in range(10)}) > 5


def test_group_folds_errors():
    month, can_hold, is_train = make_months(4)

    for n_folds in (1, 5):
        with pytest.raises(ValueError, match=rf"n_folds must be in \[2, 4\].*received {n_folds}"):
            group_folds(month, n_folds=n_folds, seed=0, can_hold=can_hold, is_train=is_train)
    with pytest.raises(ValueError, match="can_hold must lie within is_train"):
        group_folds(month, n_folds=2, seed=0, can_hold=~is_train, is_train=is_train)
    with pytest.raises(ValueError, match="lengths must be equal"):
        group_folds(month[1:], n_folds=2, seed=0, can_hold=can_hold, is_train=is_train)


def test_past_folds_by_hand():
    """Two stations report on the same days, so equal times occur.

    Block 0 begins on day 3: only days 1 and 2 came before it, and row 3, also of day 3, did not.
    Block 1 begins on day 4: it may fit on the held row 2 of block 0, which is past by then. Row 4
    is a test row and fits nothing.
    """
    times = np.array([f"2011-01-0{day}" for day in (1, 2, 3, 3, 2, 5, 4)], dtype="datetime64[D]")
    blocks = np.array([-1, -1, 0, -1, -1, 1, 1])
    is_train = np.array([True, True, True, True, False, True, True])

    first, second = past_folds(times, blocks, is_train=is_train)

    assert first.fit_rows.tolist() == [0, 1] and first.held_rows.tolist() == [2]
    assert second.fit_rows.tolist() == [0, 1, 2, 3] and second.held_rows.tolist() == [5, 6]


def test_past_folds_may_hold_test_rows_and_never_fit_on_them():
    month, _, is_train = make_months()
    times = np.arange(len(month))

    folds = past_folds(times, np.where(is_train, -1, month), is_train=is_train)

    check_folds(folds, n_rows=len(month))
    assert len(folds) == 12
    for number, fold in enumerate(folds):
        assert set(month[fold.held_rows]) == {number} and not is_train[fold.held_rows].any()
        expected = [row for row in times if is_train[row] and row < fold.held_rows[0]]
        assert fold.fit_rows.tolist() == expected


def test_past_folds_errors():
    times, train = np.arange(4), np.ones(4, dtype=bool)

    with pytest.raises(ValueError, match="received block 3 at 0"):
        past_folds(times, np.array([3, -1, -1, 5]), is_train=train)
    with pytest.raises(ValueError, match="blocks must have a row >= 0"):
        past_folds(times, np.full(4, -1), is_train=train)


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([], "at least one fold"),
        ([([], [1])], "fit_rows of fold 0 must have at least one row"),
        ([([0], [1]), ([0], [])], "held_rows of fold 1 must have at least one row"),
        ([([0, 4], [1])], r"fit_rows of fold 0 must be in \[0, 4\), received 0 to 4"),
        ([([0], [-1])], "held_rows of fold 0 must be in"),
        ([([0, 0], [1])], "fit_rows of fold 0 must differ"),
        ([([0], [1]), ([0], [2, 2])], "held_rows of fold 1 must differ"),
        ([([0, 1], [1])], "fold 0 must not fit on rows it holds, received row 1"),
        ([([0], [1, 2]), ([0], [2, 3])], "received row 2 in folds 0 and 1"),
    ],
)
def test_check_folds_names_what_is_wrong(folds, message):
    built = [Fold(np.array(fit, dtype=int), np.array(held, dtype=int)) for fit, held in folds]

    with pytest.raises(ValueError, match=message):
        check_folds(built, n_rows=4)
