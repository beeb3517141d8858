import dataclasses
import logging
import time
from functools import partial

import joblib
import numpy as np
import psutil
import pytest

from common.data.folds import FoldStore
from common.seeds import derive
from common.training.cross_fit import cross_fit
from common.training.fitted import Fitted
from common.validation.folds import Fold

N_ROWS = 10
IS_TEST = np.isin(np.arange(N_ROWS), [2, 7])
FOLDS = [
    Fold(np.array([1, 3, 4, 5, 6]), np.array([9, 0])),
    Fold(np.array([0, 1, 9, 8]), np.array([4])),
    Fold(np.array([0, 4, 6]), np.array([5, 3])),
]
NEVER_HELD = [1, 6, 8]


class Shelf:
    """Keeps fits in memory."""

    def __init__(self):
        self.kept = {}

    def _key(self, task):
        return str({name: np.asarray(value).tolist() for name, value in task.items()})

    def load(self, task):
        return self.kept.get(self._key(task))

    def write(self, task, arrays):
        self.kept[self._key(task)] = dict(arrays)


def fit_witness(fit_rows, seed):
    """Predict, for any row, which rows the fit was given: (m, N_ROWS) of zeros and ones."""
    seen = np.isin(np.arange(N_ROWS), fit_rows).astype(float)
    return Fitted(lambda rows: np.tile(seen, (len(rows), 1)), n_parameters=len(fit_rows))


def fit_noise(fit_rows, seed):
    """Predict noise that the seed, the rows fitted on and the row itself determine."""

    def predict(rows):
        return np.array([np.random.default_rng([seed, *fit_rows, row]).normal() for row in rows])

    return Fitted(predict, n_parameters=7)


def fit_first_fold_late(fit_rows, seed, *, sign):
    """Fit as `fit_noise`, but the first fold's fit waits until the third's began, so the second's
    ended before.
    """
    if np.array_equal(fit_rows, FOLDS[2].fit_rows):
        sign.touch()
    deadline = time.monotonic() + 60
    while np.array_equal(fit_rows, FOLDS[0].fit_rows) and not sign.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return fit_noise(fit_rows, seed)


def make(fit=fit_witness, test_from="folds", seed=0, keep=None, folds=FOLDS, is_test=IS_TEST):
    return cross_fit(fit, folds, is_test, test_from=test_from, seed=seed, keep=keep or Shelf())


@pytest.mark.parametrize("test_from", ["folds", "each", "refit", "held"])
def test_held_rows_are_predicted_by_fits_that_did_not_see_them(test_from):
    made = make(test_from=test_from)

    for k, fold in enumerate(FOLDS):
        for row in fold.held_rows:
            assert made.prediction[row, row] == 0
            assert np.flatnonzero(made.prediction[row]).tolist() == sorted(fold.fit_rows)
            assert made.fold[row] == k
    assert (made.fold[NEVER_HELD] == -1).all()
    assert np.isnan(made.prediction[NEVER_HELD]).all()


def test_test_rows_from_folds_are_the_mean_over_the_folds_fits_by_hand():
    """Row 0 is in two of the three fits, 1 in two, 2 in none, 3 in one, and so on."""
    made = make(test_from="folds")

    wanted = np.array([2, 2, 0, 1, 2, 1, 2, 0, 1, 1]) / 3
    np.testing.assert_allclose(made.prediction[IS_TEST], [wanted, wanted], rtol=1e-15)
    assert (made.fold[IS_TEST] == -1).all()


def test_each_folds_own_predictions_of_the_test_rows_are_kept_apart():
    """Fit k says of any row which rows it was given; row r's is marked, that they keep their
    order.
    """

    def fit(fit_rows, seed):
        seen = fit_witness(fit_rows, seed).predict
        return Fitted(lambda rows: seen(rows) + 10.0 * rows[:, None], 1)

    made = make(fit, "each")

    assert made.test.shape == (3, 2, N_ROWS)
    for fold, of_test in zip(FOLDS, made.test, strict=True):
        seen = np.isin(np.arange(N_ROWS), fold.fit_rows)
        np.testing.assert_array_equal(of_test, [seen + 20.0, seen + 70.0])


def test_predictions_that_are_kept_apart_come_from_the_same_fits_and_have_the_same_mean():
    shelf = Shelf()
    together = make(fit_noise, "folds", keep=shelf)

    apart = make(refuse, "each", keep=shelf)

    assert apart.prediction.tobytes() == together.prediction.tobytes()
    np.testing.assert_allclose(apart.test.mean(axis=0), apart.prediction[IS_TEST], rtol=1e-15)
    assert len(np.unique(apart.test)) == 6


@pytest.mark.parametrize("test_from", ["folds", "refit", "held"])
def test_nothing_is_kept_apart_that_was_not_asked_for(test_from):
    assert make(test_from=test_from).test.shape == (0, 2, N_ROWS)


def test_test_rows_from_a_refit_are_predicted_by_one_fit_on_all_train_rows():
    made = make(test_from="refit")

    np.testing.assert_array_equal(made.prediction[IS_TEST], np.tile(~IS_TEST, (2, 1)))
    assert (made.fold[IS_TEST] == -1).all()


def test_test_rows_that_folds_hold_are_predicted_by_those_folds_alone():
    past = [Fold(np.array([0, 1]), np.array([3, 2])), Fold(np.array([0, 1, 3, 4]), np.array([7]))]

    made = make(test_from="held", folds=past)

    assert np.flatnonzero(made.prediction[2]).tolist() == [0, 1]
    assert np.flatnonzero(made.prediction[7]).tolist() == [0, 1, 3, 4]
    assert made.fold.tolist() == [-1, -1, 0, 0, -1, -1, -1, 1, -1, -1]


@pytest.mark.parametrize(
    ("test_from", "also"), [("folds", [2, 7]), ("each", [2, 7]), ("refit", []), ("held", [])]
)
def test_a_fold_is_asked_for_its_held_rows_and_for_test_rows_only_where_they_count(test_from, also):
    asked = []

    def fit(fit_rows, seed):
        return Fitted(lambda rows: asked.append(sorted(rows)) or np.zeros(len(rows)), 1)

    make(fit, test_from)

    assert asked[:3] == [sorted([*fold.held_rows, *also]) for fold in FOLDS]
    assert asked[3:] == ([[2, 7]] if test_from == "refit" else [])


@pytest.mark.parametrize("test_from", ["folds", "each", "refit", "held"])
def test_no_fit_is_ever_given_a_test_row(test_from):
    made = make(test_from=test_from)

    assert not np.nan_to_num(made.prediction)[:, IS_TEST].any()


def test_every_row_gets_its_own_prediction():
    """Rows are held in any order, and test rows stand among the others."""
    made = make(lambda fit_rows, seed: Fitted(lambda rows: 10.0 * rows, 1), "folds")

    held_or_test = np.setdiff1d(np.arange(N_ROWS), NEVER_HELD)
    np.testing.assert_array_equal(made.prediction[held_or_test], 10.0 * held_or_test)


@pytest.mark.parametrize("test_from", ["folds", "each"])
def test_a_frame_without_test_rows_is_fine(test_from):
    made = make(test_from=test_from, is_test=np.zeros(N_ROWS, dtype=bool))

    assert np.isnan(made.prediction[IS_TEST]).all() and made.test.size == 0
    assert not np.isnan(made.prediction[FOLDS[0].held_rows]).any()


def record_seeds(folds=FOLDS, seed=0, test_from="refit"):
    seeds = {}

    def fit(fit_rows, seed):
        seeds[tuple(fit_rows)] = seed
        return fit_witness(fit_rows, seed)

    make(fit, test_from, seed=seed, folds=folds)
    return seeds


def test_every_fit_gets_its_own_seed_derived_from_the_models():
    seeds = record_seeds(seed=4)

    assert list(seeds.values()) == [
        derive(4, "fold 0"),
        derive(4, "fold 1"),
        derive(4, "fold 2"),
        derive(4, "refit"),
    ]
    assert len({*seeds.values(), *record_seeds(seed=5).values()}) == 8


def test_more_folds_do_not_shift_the_seeds_of_the_others():
    assert record_seeds(FOLDS[:2]).items() < record_seeds(FOLDS).items()


def test_two_jobs_give_what_one_gives_whatever_ends_first(tmp_path):
    late = partial(fit_first_fold_late, sign=tmp_path / "sign")
    shelves, made = [Shelf(), Shelf()], []
    for n_jobs, fit, shelf in zip((1, 2), (fit_noise, late), shelves, strict=True):
        with joblib.parallel_config(backend="loky", n_jobs=n_jobs):
            made.append(make(fit, "refit", seed=3, keep=shelf))

    assert made[0].prediction.tobytes() == made[1].prediction.tobytes()
    assert len(set(made[0].prediction[~np.isnan(made[0].prediction)])) == 7
    np.testing.assert_array_equal(made[0].fold, made[1].fold)
    assert shelves[0].kept.keys() == shelves[1].kept.keys()
    for key, kept in shelves[0].kept.items():
        assert kept["prediction"].tobytes() == shelves[1].kept[key]["prediction"].tobytes()
    # Each was kept as it came, and with two jobs the first fold's came later.
    assert next(iter(shelves[0].kept)) != next(iter(shelves[1].kept))


def test_equal_seeds_give_equal_predictions_and_another_seed_others():
    one, same, other = (make(fit_noise, seed=seed).prediction for seed in (3, 3, 4))

    assert one.tobytes() == same.tobytes()
    assert (one != other).all()


def refuse(fit_rows, seed):
    raise AssertionError("must not be fitted")


@pytest.mark.parametrize("test_from", ["folds", "each", "refit", "held"])
def test_a_kept_fit_is_not_made_again(test_from):
    shelf = Shelf()
    first = make(fit_noise, test_from, keep=shelf)

    again = make(refuse, test_from, keep=shelf)

    assert again.prediction.tobytes() == first.prediction.tobytes()
    assert again.cost == first.cost


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"folds": FOLDS[::-1]}, {"is_test": ~np.isin(np.arange(10), [2])}]
)
def test_a_kept_fit_of_another_seed_or_of_other_rows_is_not_used(change):
    shelf = Shelf()
    make(fit_noise, keep=shelf)

    with pytest.raises(AssertionError, match="must not be fitted"):
        make(refuse, keep=shelf, **change)


@dataclasses.dataclass(frozen=True)
class Config:
    rounds: int = 1


@pytest.fixture
def store(tmp_path):
    """Shelves on disk, where every opening of one starts from the files alone."""
    raw, code = tmp_path / "sample", tmp_path / "bikes"
    raw.mkdir()
    code.mkdir()
    return lambda: FoldStore(tmp_path / "work", raw, code).of("noise", Config())


def test_after_a_kill_only_the_missing_fits_are_made_and_nothing_else_differs(store):
    undisturbed = make(fit_noise, "refit")
    n_calls = 0

    def die_third(fit_rows, seed):
        nonlocal n_calls
        n_calls += 1
        if n_calls == 3:
            raise KeyboardInterrupt
        return fit_noise(fit_rows, seed)

    with pytest.raises(KeyboardInterrupt):
        make(die_third, "refit", keep=store())
    n_calls, fitted = -100, []

    def fit(fit_rows, seed):
        fitted.append(fit_rows.tolist())
        return die_third(fit_rows, seed)

    resumed = make(fit, "refit", keep=store())

    assert fitted == [[0, 4, 6], [0, 1, 3, 4, 5, 6, 8, 9]]
    assert resumed.prediction.tobytes() == undisturbed.prediction.tobytes()
    assert make(refuse, "refit", keep=store()).prediction.tobytes() == resumed.prediction.tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_not_finite_is_refused_and_not_kept(bad):
    shelf = Shelf()

    def fit(fit_rows, seed):
        return Fitted(lambda rows: np.where(rows == 4, bad, 1.0), 1)

    with pytest.raises(ValueError, match=f"prediction must be finite, received {bad}"):
        make(fit, keep=shelf)

    assert len(shelf.kept) == 1  # Fold 0, which does not hold row 4.


@pytest.mark.parametrize(
    ("predict", "told"),
    [
        (lambda rows: np.zeros(len(rows) + 1), r"must have shape \(4\), received \(5,\)"),
        (lambda rows: np.zeros((3, len(rows))), r"must have shape \(4, any\), received \(3, 4\)"),
        (lambda rows: 0.0, r"must have shape \(4\), received \(\)"),
    ],
)
def test_a_prediction_of_another_length_is_refused(predict, told):
    """Fold 0 holds two rows, and two are test rows."""
    with pytest.raises(ValueError, match=f"prediction {told}"):
        make(lambda fit_rows, seed: Fitted(predict, 1))


def test_costs_are_summed_over_fits_and_the_last_one_is_counted():
    """Three fits of 20 ms and their predictions of 10 ms; the refit is on 8 rows, so it has 8
    parameters.
    """

    def fit(fit_rows, seed):
        time.sleep(0.02)

        def predict(rows):
            time.sleep(0.01)
            return rows

        return Fitted(predict, n_parameters=len(fit_rows))

    shelf, start = Shelf(), time.perf_counter()
    cost = make(fit, "refit", folds=FOLDS[:2], keep=shelf).cost

    assert 0.09 <= cost.seconds <= time.perf_counter() - start
    assert cost.n_parameters == 8
    assert cost.peak_mib == max(float(kept["peak_mib"]) for kept in shelf.kept.values())
    rss_mib = psutil.Process().memory_info().rss / 2**20
    assert rss_mib < 1.1 * cost.peak_mib < 20 * rss_mib


def test_progress_is_logged_with_what_was_kept_already(caplog):
    shelf = Shelf()
    make(folds=FOLDS[:2], keep=shelf, test_from="held")

    with caplog.at_level(logging.INFO, logger="common"):
        cross_fit(fit_witness, FOLDS, IS_TEST, test_from="held", seed=0, keep=shelf, name="witness")

    assert [record.progress for record in caplog.records] == [("witness", 2, 3), ("witness", 3, 3)]
    assert caplog.messages[0] == "witness: 2 of 3 fits"
