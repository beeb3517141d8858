"""CSV tables from disk, checked as they come in."""

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.checks import InputError


def load_table(
    path: Path,
    *,
    dates: Iterable[str] = (),
    columns: Iterable[str] = (),
    dtypes: Mapping[str, str] | None = None,
    separator: str = ",",
) -> pd.DataFrame:
    """Read a CSV file. A byte-order mark and Windows line ends are taken as they come.

    Args:
        path: the file.
        dates: columns to parse as dates.
        columns: columns that must be there.
        dtypes: types of columns whose text may look like numbers; the others' types are found.
        separator: what stands between the fields.

    Raises:
        InputError: the file is missing, empty, not UTF-8 or not a table; a row is longer than the
            header; a column is missing; a date is none.
    """
    dates = tuple(dates)
    types = {**(dtypes or {}), **dict.fromkeys(dates, "str")}
    frame = _load_csv(path, dtype=types, sep=separator)
    check_columns(path, frame.columns, (*columns, *dates))
    for column in dates:
        parsed = pd.to_datetime(frame[column], format="ISO8601", errors="coerce")
        if (wrong := np.flatnonzero(parsed.isna())).size:
            value = frame[column].iloc[wrong[0]]
            raise InputError(
                f"{path}: column {column} must hold dates, line {wrong[0] + 2} has {value}"
            )
        frame[column] = parsed
    return frame


def check_columns(path: Path, received: Iterable[str], wanted: Iterable[str]) -> None:
    """Check that a table has all the columns it needs.

    Raises:
        InputError: one is missing; the message lists those that are there.
    """
    received = list(received)
    missing = [column for column in wanted if column not in received]
    if missing:
        there = ", ".join(map(str, received[:12])) + (", …" if len(received) > 12 else "")
        raise InputError(f"{path} must have a column {missing[0]}, received {there}")


def check_numbers(
    path: Path,
    frame: pd.DataFrame,
    columns: Iterable[str],
    *,
    minimum: float,
    maximum: float = np.inf,
    whole: bool = False,
    may_miss: bool = False,
) -> None:
    """Check that columns hold finite numbers within bounds.

    Args:
        path: the file that the frame was read from.
        frame: its rows, in the file's order.
        columns: which to check.
        minimum: the least number allowed.
        maximum: the greatest.
        whole: whether they must be whole numbers.
        may_miss: whether a field may be empty.

    Raises:
        InputError: text, NaN, an infinity or a number outside; the message names column, line and
            value.
    """
    bounds = f">= {minimum:g}" if maximum == np.inf else f"from {minimum:g} to {maximum:g}"
    for column in columns:
        values = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=float)
        is_good = np.isfinite(values) & (values >= minimum) & (values <= maximum)
        if whole:
            is_good &= values == np.floor(values)
        if may_miss:
            is_good |= frame[column].isna().to_numpy()
        if (wrong := np.flatnonzero(~is_good)).size:
            value = frame[column].iloc[wrong[0]]
            raise InputError(
                f"{path}: column {column} must hold {'whole ' * whole}numbers {bounds}, "
                f"line {wrong[0] + 2} has {value} ({len(wrong)} such rows)"
            )


def check_labels(
    path: Path, frame: pd.DataFrame, columns: Iterable[str], *, allowed: Iterable[str]
) -> None:
    """Check that columns of text hold nothing but certain labels.

    Raises:
        InputError: another text or NaN; the message names column, line and value.
    """
    allowed = list(allowed)
    for column in columns:
        if (wrong := np.flatnonzero(~frame[column].isin(allowed))).size:
            value = frame[column].iloc[wrong[0]]
            raise InputError(
                f"{path}: column {column} must hold one of {', '.join(allowed)}, "
                f"line {wrong[0] + 2} has {value} ({len(wrong)} such rows)"
            )


def load_header(path: Path, *, separator: str = ",") -> list[str]:
    """Read a CSV file's column names.

    Raises:
        InputError: the file has no rows or is not a UTF-8 table.
    """
    head = _load_csv(path, nrows=1, sep=separator)
    if head.empty:
        raise InputError(f"{path} has a header and no rows")
    return list(head.columns)


@contextmanager
def reading_table(path: Path) -> Iterator[None]:
    """Tell in one line what is wrong with a CSV file that pandas reads meanwhile.

    Raises:
        InputError: it is missing, empty, not UTF-8 or not a table, or a row is longer than the
            header. Of rows that are all too long pandas would only warn, and leave out their ends.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            yield
    except FileNotFoundError:
        raise InputError(f"{path} is missing") from None
    except pd.errors.EmptyDataError:
        raise InputError(f"{path} is empty") from None
    except pd.errors.ParserWarning:
        raise InputError(f"{path}: rows must be no longer than the header, the first is") from None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        if found := re.search(r"in line (\d+), saw (\d+)$", reason):
            told = f"line {found[1]} has {found[2]} fields"
            raise InputError(f"{path}: rows must be no longer than the header, {told}") from None
        raise InputError(f"{path} is not a UTF-8 CSV table: {reason}") from None


def _load_csv(path: Path, **options: Any) -> pd.DataFrame:
    with reading_table(path):
        # A column gets one type from all of its rows, not one from each block of them.
        return pd.read_csv(path, encoding="utf-8-sig", index_col=False, low_memory=False, **options)
