"""Checks of settings that a user may change, told in one line before anything is fitted."""

import math
from collections.abc import Sequence

from common.checks import InputError


def check_setting(
    name: str,
    value: float,
    *,
    least: float = 0.0,
    most: float = math.inf,
    why: str = "",
    error: type[ValueError] = InputError,
) -> None:
    """Check that a number is in its range.

    Args:
        name: what the caller calls it: the field of a config, say.
        value: what it is set to.
        least: that it may be.
        most: likewise.
        why: what bounds it, where that is not plain: "as there are 4 drivers".
        error: what is raised: ValueError where it is no user's.

    Raises:
        error: it is not, or is NaN.
    """
    if not least <= value <= most:
        told = f"in [{least:g}, {most:g}]" if most < math.inf else f">= {least:g}"
        raise error(f"{name} must be {told}{why and f', {why}'}, received {value:g}")


def check_once(name: str, words: Sequence[str]) -> None:
    """Check that no word of a setting comes twice.

    Raises:
        InputError: one does.
    """
    if twice := [word for k, word in enumerate(words) if word in words[:k]]:
        raise InputError(f"{name} must be named once each, received {twice[0]} twice")
