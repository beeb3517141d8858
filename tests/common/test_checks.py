import numpy as np
import pytest

from common.checks import InputError, check_positive, check_same_length, check_shape


@pytest.mark.parametrize("value", [0, -1.5, float("nan"), np.float32(-0.0)])
def test_what_is_not_above_zero_is_refused_by_name_and_value(value):
    with pytest.raises(ValueError, match=rf"^bandwidth must be > 0, received {value}$"):
        check_positive("bandwidth", value)


@pytest.mark.parametrize("value", [1, 1e-300, float("inf")])
def test_what_is_above_zero_passes(value):
    check_positive("bandwidth", value)


@pytest.mark.parametrize("wanted", [(2, 3), (None, 3), (2, None), (None, None)])
def test_none_stands_for_any_size(wanted):
    check_shape("points", np.zeros((2, 3)), wanted)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ((3, 2), r"\(3, 2\)"),
        ((None, 4), r"\(any, 4\)"),
        ((2,), r"\(2\)"),
        ((2, 3, None), r"\(2, 3, any\)"),
        ((), r"\(\)"),
    ],
)
def test_another_rank_or_size_is_refused_with_both_shapes(wanted, told):
    with pytest.raises(ValueError, match=rf"^points must have shape {told}, received \(2, 3\)$"):
        check_shape("points", np.zeros((2, 3)), wanted)


def test_lengths_are_compared_along_the_first_axis_only():
    check_same_length(target=[1, 2], points=np.zeros((2, 9)), ids=("a", "b"))
    check_same_length()


def test_unequal_lengths_are_all_named():
    with pytest.raises(ValueError, match=r"received target 2, points 3, ids 2$"):
        check_same_length(target=[1, 2], points=np.zeros((3, 2)), ids="ab")


def test_an_input_error_is_caught_where_value_errors_are():
    with pytest.raises(ValueError, match="one line"):
        raise InputError("one line")
