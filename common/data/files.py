"""The raw files that a competition needs: whether they are there, and what they are."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from common.checks import InputError
from common.contract import Pictures, Table
from common.data.images import check_is_picture
from common.data.sources import join_digests
from common.data.tables import check_columns, load_header

_HEAD_BYTES = 16


def check_files(raw: Path, files: Iterable[Table | Pictures]) -> list[str]:
    """Check that a competition's files are there: tables with their columns, pictures as such.

    Only beginnings are read.

    Returns:
        One line for each optional file that is missing.

    Raises:
        InputError: a needed file is missing; a table that is there is empty, not UTF-8 or lacks a
            column; a picture that is there is something else.
    """
    notes = []
    for file in files:
        paths = sorted(raw.glob(file.path))
        if not paths and not file.optional:
            raise InputError(f"{raw / file.path} is missing")
        if not paths:
            notes.append(f"{file.path} is not there ({file.optional}); going on without it")
        for path in paths:
            if isinstance(file, Table):
                check_columns(path, load_header(path, separator=file.separator), file.columns)
            else:
                _check_picture(path)
    return notes


def group_digests(
    digests: Mapping[str, str], raw: Path, files: Iterable[Table | Pictures]
) -> dict[str, str]:
    """Make one line of a competition's thousands of pictures, for a manifest.

    Args:
        digests: {path relative to `raw`: sha256}, as `load_digests` gives them.
        raw: the folder.
        files: of the competition.

    Returns:
        The same, but for each `Pictures` one line: {its glob and how many: digest of them all}.
    """
    grouped = dict(digests)
    for file in files:
        if isinstance(file, Pictures):
            names = {path.relative_to(raw).as_posix() for path in raw.glob(file.path)}
            here = {name: grouped.pop(name) for name in sorted(names & grouped.keys())}
            if here:
                grouped[f"{file.path} ({len(here):,} pictures)"] = join_digests(here)
    return grouped


def _check_picture(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path} must be a picture, received a folder")
    with path.open("rb") as file:
        check_is_picture(file.read(_HEAD_BYTES), str(path))
