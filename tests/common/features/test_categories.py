import numpy as np
import pandas as pd
import pytest

from common.checks import InputError
from common.features.categories import (
    count_codes,
    learn_levels,
    learn_target_means,
    make_codes,
    make_out_of_fold_means,
)


def make_frame(n_rows=200, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "city": rng.choice(["oslo", "rome", None], n_rows),
            "month": rng.integers(1, 13, n_rows),
            "wind": rng.choice([0.5, -1.0, np.nan], n_rows),
            "day": rng.choice(pd.date_range("2011-01-01", periods=5), n_rows),
            "kind": pd.Categorical(rng.choice(["b", "a"], n_rows), categories=["c", "b", "a"]),
        }
    )


def codes_by_loop(frame, fit_frame, columns):
    """Look every value up in the sorted list of what was seen."""
    codes = np.zeros((len(frame), len(columns)), dtype=int)
    for d, column in enumerate(columns):
        seen = sorted({value for value in fit_frame[column] if not pd.isna(value)})
        for n, value in enumerate(frame[column]):
            codes[n, d] = 1 + seen.index(value) if value in seen else 0
    return codes


def test_codes_equal_a_loop_over_rows_for_every_type_of_column():
    frame = make_frame()
    columns = ["wind", "city", "day", "month", "kind"]
    levels = learn_levels(frame.iloc[:12], columns)

    codes = make_codes(frame, levels)

    assert codes.dtype == np.int32
    np.testing.assert_array_equal(codes, codes_by_loop(frame, frame.iloc[:12], columns))
    assert (codes == 0).any() and (codes[:12, 3] > 0).all()


def test_unseen_and_missing_values_get_code_0_by_hand():
    """Rome and Oslo were seen, so sorted: oslo 1, rome 2."""
    levels = learn_levels(pd.DataFrame({"city": ["rome", None, "oslo", "rome"]}), ["city"])

    codes = make_codes(pd.DataFrame({"city": ["oslo", "paris", None, "rome"]}), levels)

    assert codes.tolist() == [[1], [0], [0], [2]]
    assert count_codes(levels) == (3,)


def test_codes_depend_on_the_set_of_values_only():
    frame = make_frame()
    columns = list(frame)
    levels = learn_levels(frame, columns)

    again = learn_levels(frame.sample(frac=1.0, random_state=1), columns)

    np.testing.assert_array_equal(make_codes(frame, levels), make_codes(frame, again))


def test_every_code_fits_its_table_and_every_slot_but_the_unseen_is_used():
    frame = make_frame()
    levels = learn_levels(frame, list(frame))
    codes = make_codes(frame, levels)

    for d, size in enumerate(count_codes(levels)):
        assert set(codes[:, d]) | {0} == set(range(size))


def test_a_missing_column_is_named():
    with pytest.raises(InputError, match="codes need column month, received city"):
        make_codes(pd.DataFrame({"city": ["a"]}), {"city": np.array(["a"]), "month": np.arange(2)})


def make_target_case(n_rows=300, n_codes=12, n_folds=4, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, n_codes, n_rows).astype(np.int32)
    return codes, rng.normal(5.0, 2.0, n_rows), rng.integers(0, n_folds, n_rows)


def out_of_fold_by_loop(codes, target, fold, prior):
    """Row by row: all rows of other folds, and those of them in the row's category."""
    means = []
    for code, own in zip(codes, fold, strict=True):
        others = [t for t, f in zip(target, fold, strict=True) if f != own]
        same = [t for t, c, f in zip(target, codes, fold, strict=True) if f != own and c == code]
        overall = sum(others) / len(others)
        means.append((sum(same) + prior * overall) / (len(same) + prior))
    return np.array(means)


def test_target_means_by_hand():
    """Six rows, mean 4, two of which every category begins with. Code 0: (1 + 3 + 2 x 4) / 4 = 3.
    Code 1: (8 + 2 x 4) / 3. Code 2: (4 + 5 + 3 + 2 x 4) / 5 = 4. Code 3 has no row: 4.
    """
    codes, target = np.array([0, 1, 2, 2, 0, 2]), np.array([1, 8, 4, 5, 3, 3])

    means = learn_target_means(codes, target, n_codes=4, prior=2)

    np.testing.assert_allclose(means, [3, 16 / 3, 4, 4], rtol=1e-6)


def test_out_of_fold_means_by_hand():
    """Fold 0 holds a 2, a 4 and b 9; fold 1 holds a 6 and c 2. Prior: one row.

    Rows of fold 0 know fold 1, mean 4: a is (6 + 4) / 2 = 5, b is unseen, 4.
    Rows of fold 1 know fold 0, mean 5: a is (2 + 4 + 5) / 3, c is unseen, 5.
    """
    codes = np.array([0, 0, 1, 0, 2])
    target, fold = np.array([2, 4, 9, 6, 2]), np.array([0, 0, 0, 1, 1])

    means = make_out_of_fold_means(codes, target, fold, prior=1)

    np.testing.assert_allclose(means, [5, 5, 4, 11 / 3, 5], rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("prior", [0.5, 10.0])
def test_out_of_fold_means_equal_a_loop_over_rows(seed, prior):
    codes, target, fold = make_target_case(n_rows=120, n_codes=60, n_folds=3, seed=seed)

    means = make_out_of_fold_means(codes, target, fold, prior=prior)

    np.testing.assert_allclose(means, out_of_fold_by_loop(codes, target, fold, prior), rtol=1e-6)


def test_altering_a_target_moves_no_mean_within_its_own_fold():
    """Not by one bit; and all rows of other folds move, by their overall mean at least."""
    codes, target, fold = make_target_case()
    before = make_out_of_fold_means(codes, target, fold, prior=5)
    for row in (0, 17, 299):
        altered = target.copy()
        altered[row] += 1e6

        after = make_out_of_fold_means(codes, altered, fold, prior=5)

        np.testing.assert_array_equal(after != before, fold != fold[row])


def test_the_names_and_the_order_of_folds_do_not_matter():
    codes, target, fold = make_target_case()
    order = np.random.default_rng(1).permutation(len(codes))
    renamed = np.array([7, -2, 40, 0])[fold]

    means = make_out_of_fold_means(codes, target, fold, prior=5)
    again = make_out_of_fold_means(codes[order], target[order], renamed[order], prior=5)

    np.testing.assert_allclose(again, means[order], rtol=1e-6)


def test_means_of_a_shuffled_target_tell_of_it_in_sample_but_not_out_of_fold():
    """5 rows to a category. In sample a mean holds 1 / (5 + 1) of the row's own target."""
    in_sample, out_of_fold = [], []
    for seed in range(20):
        codes, target, fold = make_target_case(n_rows=1000, n_codes=200, seed=seed)
        learnt = learn_target_means(codes, target, n_codes=200, prior=1)[codes]
        made = make_out_of_fold_means(codes, target, fold, prior=1)
        in_sample.append(np.corrcoef(learnt, target)[0, 1])
        out_of_fold.append(np.corrcoef(made, target)[0, 1])

    assert min(in_sample) > 0.3
    assert abs(np.mean(out_of_fold)) < 0.05


def test_means_of_large_targets_keep_small_differences():
    target = 1e6 + np.array([0.0, 1.0, 0.0, 1.0])

    means = learn_target_means(np.array([0, 1, 0, 1]), target, n_codes=2, prior=1e-9)

    np.testing.assert_array_equal(means - np.float32(1e6), [0, 1])


def test_arrays_that_may_not_be_written_stay_as_they_were():
    codes, target, fold = make_target_case()
    for array in (codes, target, fold):
        array.flags.writeable = False

    assert np.isfinite(make_out_of_fold_means(codes, target, fold, prior=1)).all()


def test_target_means_name_what_is_wrong():
    codes, target, fold = make_target_case(n_rows=4, n_codes=3)
    codes[:] = [0, 1, 2, 2]
    with pytest.raises(ValueError, match=r"codes must be in \[0, 2\), received 0 to 2"):
        learn_target_means(codes, target, n_codes=2, prior=1)
    with pytest.raises(ValueError, match=r"codes must be in \[0, 3\), received -1 to 1"):
        learn_target_means(codes - 1, target, n_codes=3, prior=1)
    with pytest.raises(ValueError, match="prior must be > 0, received 0"):
        learn_target_means(codes, target, n_codes=3, prior=0)
    with pytest.raises(ValueError, match="codes must have 1 row or more, received 0"):
        learn_target_means(codes[:0], target[:0], n_codes=3, prior=1)
    with pytest.raises(ValueError, match="lengths must be equal, received codes 4, target 3"):
        learn_target_means(codes, target[:3], n_codes=3, prior=1)
    with pytest.raises(ValueError, match="fold must hold 2 folds or more, received 1"):
        make_out_of_fold_means(codes, target, np.zeros(4, int), prior=1)
    with pytest.raises(ValueError, match="received codes 4, target 4, fold 2"):
        make_out_of_fold_means(codes, target, fold[:2], prior=1)
