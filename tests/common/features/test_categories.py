import numpy as np
import pandas as pd
import pytest

from common.checks import InputError
from common.features.categories import count_codes, learn_levels, make_codes


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
