import numpy as np
import pytest

from common.checks import (
    InputError,
    check_choices,
    check_positive,
    check_same_length,
    check_shape,
)


@pytest.mark.parametrize("value", [0, -1.5, float("nan"), np.float32(-0.0)])
def test_what_is_not_above_zero_is_refused_by_name_and_value(value):
    with pytest.raises(ValueError, match=rf"^bandwidth must be > 0, received {value}$"):
        check_positive("bandwidth", value)


@pytest.mark.parametrize("value", [1, 1e-300, float("inf")])
def test_what_is_above_zero_passes(value):
    check_positive("bandwidth", value)


@pytest.mark.parametrize("received", ["knn", ("knn",), ["trees", "knn"], ("knn", "knn")])
def test_words_that_there_are_pass(received):
    check_choices("models", received, iter(["trees", "knn"]))


@pytest.mark.parametrize(
    ("received", "told"),
    [
        ("nets", "one of trees, knn, received nets"),
        ("", "one of trees, knn, received none"),
        ("tree", "one of trees, knn, received tree"),
        ((), "some of trees, knn, received none"),
        (("knn", "nets"), "some of trees, knn, received knn, nets"),
    ],
)
def test_another_word_is_refused_with_those_there_are(received, told):
    with pytest.raises(ValueError, match=rf"^models must be {told}$") as caught:
        check_choices("models", received, {"trees": 1, "knn": 2})
    assert caught.type is ValueError


def test_a_users_words_are_refused_as_the_users():
    with pytest.raises(InputError, match=r"^models must be some of knn, received none$"):
        check_choices("models", (), ["knn"], error=InputError)


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
