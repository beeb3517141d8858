import numpy as np
import pandas as pd
import pytest

from common.checks import InputError
from common.contract import SubmissionFile
from common.data.submissions import check_submission, pick_values

FORM = SubmissionFile("sample.csv", id_column="id", minimum=0)


def make_sample():
    return pd.DataFrame({"id": ["a", "b", "c"], "count": [0.0, 0.0, 0.0]})


def check(columns):
    check_submission(pd.DataFrame(columns), make_sample(), FORM)


def test_a_good_submission_passes_also_with_zeros_and_whole_numbers():
    check({"id": ["a", "b", "c"], "count": [0, 1, 2]})
    check_submission(make_sample(), make_sample(), FORM)


def test_ids_are_compared_as_text_since_readers_differ_on_their_type():
    sample = pd.DataFrame({"id": [1, 2], "count": [0, 0]})

    text = pd.DataFrame({"id": ["1", "2"], "count": [1, 2]})

    check_submission(text, sample, FORM)
    check_submission(sample, text, FORM)
    with pytest.raises(InputError, match="row 1 must be 2, received 3"):
        check_submission(pd.DataFrame({"id": ["1", "3"], "count": [1, 2]}), sample, FORM)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"id": ["b", "a", "c"], "count": [1, 2, 3]}, "row 0 must be a, received b$"),
        ({"id": ["a", "c", "b"], "count": [1, 2, 3]}, "row 1 must be b, received c$"),
        ({"id": ["a", "b", "x"], "count": [1, 2, 3]}, "row 2 must be c, received x$"),
        ({"id": ["a", "b", "b"], "count": [1, 2, 3]}, "has id b twice$"),
        ({"id": ["a", "b"], "count": [1, 2]}, "must have 3 rows, received 2$"),
        ({"id": list("abcd"), "count": [1, 2, 3, 4]}, "must have 3 rows, received 4$"),
        ({"id": list("abc")}, "must have columns id, count, received id$"),
        ({"id": list("abc"), "sales": [1, 2, 3]}, "columns id, count, received id, sales$"),
        ({"count": [1, 2, 3], "id": list("abc")}, "columns id, count, received count, id$"),
        ({"id": list("abc"), "count": [1, 2, 3], 0: [0, 0, 0]}, "received id, count, 0$"),
        ({"id": list("abc"), "count": [1, np.nan, 3]}, "count .*>= 0, received nan for b$"),
        ({"id": list("abc"), "count": [1, 2, -0.1]}, "count .*>= 0, received -0.1 for c$"),
        ({"id": list("abc"), "count": [np.inf, 2, 3]}, "count .*>= 0, received inf for a$"),
        ({"id": list("abc"), "count": [1, "two", 3]}, "count .*>= 0, received two for b$"),
        ({"id": ["a", None, "c"], "count": [1, 2, 3]}, "row 1 must be b, received (None|nan)$"),
    ],
)
def test_a_bad_submission_is_told_in_one_line(columns, told):
    with pytest.raises(InputError, match=told) as caught:
        check(columns)

    assert "\n" not in str(caught.value)


def test_without_a_minimum_any_finite_number_passes():
    form = SubmissionFile("sample.csv", id_column="id")
    sample = make_sample()

    check_submission(sample.assign(count=[-1e9, 0, 1]), sample, form)
    with pytest.raises(InputError, match="received -inf for a"):
        check_submission(sample.assign(count=[-np.inf, 0, 1]), sample, form)


def test_every_value_column_is_checked():
    sample = make_sample().assign(other=0.0)

    with pytest.raises(InputError, match="column other must hold"):
        check_submission(sample.assign(other=[0, 0, -1]), sample, FORM)


def test_values_are_picked_by_id_whatever_the_order_and_type():
    answers = pd.DataFrame({"id": [3, 1, 2, 9], "count": [30, 10, 20, 90]})

    values = pick_values(answers, pd.Series(["1", "2", "3"]), FORM)

    assert values.tolist() == [10.0, 20.0, 30.0] and values.dtype == float


def test_several_value_columns_stay_columns():
    answers = pd.DataFrame({"x": [1, 2], "id": ["b", "a"], "y": [3, 4]})

    assert pick_values(answers, pd.Series(["a", "b"]), FORM).tolist() == [[2, 4], [1, 3]]


def test_an_answer_that_is_missing_or_there_twice_is_told():
    answers = pd.DataFrame({"id": ["a", "b", "b"], "count": [1, 2, 3]})

    with pytest.raises(InputError, match="the answers have b twice"):
        pick_values(answers, pd.Series(["a"]), FORM)
    with pytest.raises(InputError, match="the answers lack id z"):
        pick_values(answers[:2], pd.Series(["a", "z"]), FORM)


CLASSES = SubmissionFile("sample.csv", id_column="id", classes=("ash", "oak"))


def test_classes_are_words_of_the_competition():
    sample = pd.DataFrame({"id": ["1", "2"], "tree": ["oak", "oak"]})
    check_submission(sample.assign(tree=["ash", "oak"]), sample, CLASSES)
    with pytest.raises(InputError, match=r"column tree must hold ash, oak, received elm for 2$"):
        check_submission(sample.assign(tree=["ash", "elm"]), sample, CLASSES)


def test_classes_are_picked_as_their_numbers():
    answers = pd.DataFrame({"id": ["2", "1", "3"], "tree": ["oak", "ash", "elm"]})
    assert pick_values(answers, pd.Series(["1", "2"]), CLASSES).tolist() == [0, 1]
    with pytest.raises(InputError, match=r"the answers have no class of the competition for 3$"):
        pick_values(answers, pd.Series(["1", "3"]), CLASSES)
