import math

import pytest

from common.checks import InputError
from common.settings import check_once, check_setting


@pytest.mark.parametrize(
    ("value", "bounds", "told"),
    [
        (0, {"least": 1}, "epochs must be >= 1, received 0"),
        (math.nan, {"least": 1}, "epochs must be >= 1, received nan"),
        (5, {"least": 2, "most": 4}, r"epochs must be in \[2, 4\], received 5"),
        (
            1,
            {"least": 2, "most": 4, "why": "as there are 4 drivers"},
            r"epochs must be in \[2, 4\], as there are 4 drivers, received 1",
        ),
        (-0.25, {"least": 0.0}, r"epochs must be >= 0, received -0\.25"),
    ],
)
def test_what_is_out_of_range_is_told(value, bounds, told):
    with pytest.raises(InputError, match=f"^{told}$"):
        check_setting("epochs", value, **bounds)


def test_an_error_that_is_no_users_is_a_plain_one():
    with pytest.raises(ValueError, match=r"^zoom must be >= 0, received -1$") as told:
        check_setting("zoom", -1, error=ValueError)
    assert told.type is ValueError


def test_bounds_are_in_range():
    for value in (2, 3, 4):
        check_setting("epochs", value, least=2, most=4)
    check_setting("epochs", 10**9, least=1)


def test_words_come_once():
    check_once("models", ("cnn", "resnet"))
    check_once("models", ())
    with pytest.raises(InputError, match=r"^models must be named once each, received cnn twice$"):
        check_once("models", ("cnn", "resnet", "cnn"))
