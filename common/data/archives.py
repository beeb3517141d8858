"""Zips and folders from elsewhere, unpacked without trusting them."""

import hashlib
import lzma
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import IO

from common.checks import InputError
from common.data.paths import written_folder
from common.data.sources import compute_sha256

MAX_DEPTH = 3
"""Zips within zips within zips: deeper is no competition's data."""
MAX_RATIO = 500
SMALL_BYTES = 16 * 2**20
"""An archive that unpacks to less than this may compress as well as it likes."""

JUNK = ("__MACOSX", ".DS_Store")
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    UnicodeDecodeError,
    NotImplementedError,
)
"""What `zipfile` raises on bytes that are no zip, or one that it cannot read."""


class ArchiveError(InputError):
    """The archive itself is bad, so that the same bytes will never do."""


def write_unpacked(source: Path, into: Path) -> None:
    """Put a zip's files, a folder's files, or one file into a folder, and unpack zips among them.

    Args:
        source: what came from elsewhere. A file without the ending `.zip` is taken as it is.
        into: takes the place of the folder of that name; untouched on any error.

    Raises:
        ArchiveError: a zip is damaged, encrypted or too deep, unpacks to absurdly much, or holds a
            link, a path that leads outside, or two files of one name.
        InputError: there is no such source, a folder holds a link, the disk has no room, or a file
            cannot be written.
    """
    try:
        with written_folder(into) as folder:
            if source.is_dir():
                _copy_folder(source, folder)
            elif not source.is_file():
                raise InputError(f"{source} is neither a file nor a folder")
            elif _is_zip(source):
                _unzip(source, folder, str(source))
            else:
                shutil.copyfile(source, folder / source.name)
            _unpack_zips(folder, str(source))
    except OSError as error:
        told = f"{error.strerror or error}: {error.filename or into}"
        raise InputError(f"{source} cannot be unpacked: {told}") from None


def _copy_folder(source: Path, folder: Path) -> None:
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        if path.is_symlink():
            raise InputError(f"{path} is a link: put the file itself there")
        if path.is_file() and not _is_junk(name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)


def _unpack_zips(folder: Path, source: str) -> None:
    """Unpack every zip below the folder beside itself, then those that came out of it."""
    depth = 0
    while zips := sorted(path for path in folder.rglob("*") if _is_zip(path)):
        depth += 1
        if depth > MAX_DEPTH:
            raise ArchiveError(
                f"{source} holds zips more than {MAX_DEPTH} deep: unpack it by hand and import the "
                "folder"
            )
        for path in zips:
            # The zip steps aside, so that it may hold a file of its own name.
            aside = path.replace(path.with_name(f"{path.name}.unpacking"))
            _unzip(aside, path.parent, f"{source}: {path.relative_to(folder).as_posix()}")
            aside.unlink()


def _unzip(path: Path, folder: Path, shown: str) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            files = [(member, _safe_name(member, shown)) for member in archive.infolist()]
            files = [
                (member, name) for member, name in files if not (member.is_dir() or _is_junk(name))
            ]
            _check_size(path, sum(member.file_size for member, _ in files), folder, shown)
            for member, name in files:
                _write_member(archive, member, folder / name, shown)
    except DAMAGE as error:
        raise ArchiveError(f"{shown} is not a whole zip file ({error}): fetch it again") from None


def _safe_name(member: zipfile.ZipInfo, shown: str) -> PurePosixPath:
    """Check one entry's name and type; return where it goes, relative to the folder."""
    name = PurePosixPath(member.filename.replace("\\", "/"))
    kind = stat.S_IFMT(member.external_attr >> 16)
    if name.is_absolute() or PureWindowsPath(name).drive or ".." in name.parts:
        raise ArchiveError(
            f"{shown} holds {member.filename}, which leads out of the folder: refused"
        )
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveError(f"{shown} holds {member.filename}, a link or a device: refused")
    if member.flag_bits & 1:
        raise ArchiveError(f"{shown} is encrypted: unpack it by hand and import the folder")
    return name


def _check_size(path: Path, size: int, folder: Path, shown: str) -> None:
    """Check the size that the zip states; reading stops at it, so it cannot be a lie."""
    packed = path.stat().st_size
    # Measured against the whole file, so that entries which share the same bytes do not hide.
    if size > max(SMALL_BYTES, MAX_RATIO * packed):
        raise ArchiveError(f"{shown} would unpack from {packed:,} to {size:,} bytes: refused")
    free = shutil.disk_usage(folder).free
    if size > free:
        raise InputError(
            f"{shown} needs {size:,} bytes of disk, {free:,} are free: make room and try again"
        )


def _write_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, shown: str
) -> None:
    with archive.open(member) as packed:
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                shutil.copyfileobj(packed, file, 2**20)
        # Kaggle offers some files both plain and zipped: the same bytes twice are no clash.
        elif _hash(packed) != compute_sha256(target):
            raise ArchiveError(
                f"{shown} holds {member.filename} twice with different bytes: refused"
            )


def _hash(file: IO[bytes]) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip" and path.is_file()


def _is_junk(name: PurePath) -> bool:
    """Tell what macOS leaves in zips and folders."""
    return any(part in JUNK for part in name.parts)
