"""Polylines, as Kaggle writes them, to one flat array of points."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from common.checks import InputError

_OPEN, _CLOSE = ord("["), ord("]")
_IS_OF_NUMBER = np.isin(np.arange(256), list(b"0123456789.-+eE"))
_CYCLE = np.frombuffer(b",[,]", np.uint8)  # the marks of a list by their place, modulo 4
_MOST = (90.0, 180.0)  # degrees of latitude and longitude
_SHOWN = 40  # letters of a broken text


def parse_polylines(column: pd.Series, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Parse a column of JSON such as "[[-8.61,41.14],[-8.62,41.15]]".

    All texts are read as one: their brackets and commas are compared with those of as many points,
    and then all numbers are converted at once.

    Args:
        column: (n,) texts; the label k says line k + 2 of the file.
        path: the file, for errors.

    Returns:
        (P, 2) float32 latitude and longitude in degrees, and (n,) int64 how many points each text
        has.

    Raises:
        InputError: a text is no list of pairs of numbers, or a point is not on the earth.
    """
    texts = column.str.replace(", ", ",").tolist()
    n_points = np.array([text.count("[") - 1 for text in texts], dtype=np.int64)
    numbers = _convert(texts, n_points)
    if numbers is None:
        bad = next(k for k, text in enumerate(texts) if _convert([text], n_points[[k]]) is None)
        text = column.iloc[bad]
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        raise InputError(
            f"{path}: column POLYLINE must hold JSON like [[-8.61,41.14],[-8.62,41.15]], "
            f"line {column.index[bad] + 2} has {shown or 'nothing'}"
        )
    places = numbers.reshape(-1, 2)[:, ::-1]
    if (wrong := np.flatnonzero((np.abs(places) > _MOST).any(axis=1))).size:
        bad = np.searchsorted(np.cumsum(n_points), wrong[0], side="right")
        raise InputError(
            f"{path}: column POLYLINE must hold longitudes from -180 to 180 and latitudes from -90 "
            f"to 90, line {column.index[bad] + 2} has {places[wrong[0], ::-1].tolist()}"
        )
    return places.astype(np.float32), n_points


def _convert(texts: list[str], n_points: np.ndarray) -> np.ndarray | None:
    """Convert all numbers, (2 P,) float64; None where anything is not as it must be."""
    letters = np.frombuffer("".join(texts).encode(), np.uint8)
    if (n_points < 0).any() or not _has_marks_of_points(letters, texts, n_points):
        return None
    joined = ",".join(text for text in texts if text != "[]").encode().translate(None, b"[]")
    with warnings.catch_warnings():
        # NumPy only warns where a text is no number.
        warnings.simplefilter("error", DeprecationWarning)
        try:
            numbers = np.fromstring(joined, sep=",") if joined else np.empty(0)
        except (DeprecationWarning, ValueError):
            return None
    return numbers if len(numbers) == 2 * n_points.sum() else None


def _has_marks_of_points(letters: np.ndarray, texts: list[str], n_points: np.ndarray) -> bool:
    """Tell whether brackets and commas are those of lists of pairs, with numbers only inside."""
    # A list of n points has 4 n + 1 marks, an empty one 2.
    n_marks = np.where(n_points > 0, 4 * n_points + 1, 2)
    is_of_number = _IS_OF_NUMBER[letters]
    marks = letters[~is_of_number]
    if len(marks) != n_marks.sum():
        return False
    ends = np.cumsum(n_marks)
    wanted = _CYCLE[(np.arange(len(marks)) - np.repeat(ends - n_marks, n_marks)) % 4]
    wanted[ends - n_marks], wanted[ends - 1] = _OPEN, _CLOSE
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    text_ends = np.cumsum(lengths)
    return bool(
        np.array_equal(marks, wanted)
        and (letters[text_ends - lengths] == _OPEN).all()
        and (letters[text_ends - 1] == _CLOSE).all()
        and not (is_of_number[:-1] & (letters[1:] == _OPEN)).any()
        and not (is_of_number[1:] & (letters[:-1] == _CLOSE)).any()
    )
