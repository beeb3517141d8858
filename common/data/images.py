"""Pictures from disk: decoded once, made equal in size, and kept in a cache."""

import hashlib
import json
import logging
import math
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import psutil

from common.checks import InputError, check_choices, check_positive
from common.data.paths import written_whole
from common.data.zipped import FolderFiles

MOST_PIXELS = 100_000_000
"""Of one picture, before it is made smaller, and of one that is returned: 300 MB."""
MOST_SIDE_PX = 1_000_000
"""As wide or high as the decoders' own limit."""

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
}
# Pictures that a thread decodes in one go, and their pixels at the most where there are several;
# two such blocks a thread wait to be written.
_BLOCK, _BLOCK_PIXELS = 16, 2**24
# Of a file that is written nobody waits so long between two blocks.
_STALE_S = 24 * 3600
# Of available memory, for the pictures of one call.
_RAM_SHARE = 0.25
# Of the cache's files; another number where what is written for the same pictures changes.
_LAYOUT = 1

log = logging.getLogger(__name__)


def load_picture(data: bytes, name: str, *, at_least: tuple[int, int] | None = None) -> np.ndarray:
    """Decode a JPEG or PNG picture.

    Grey, palette and CMYK become RGB; of 16 bits the upper 8 stay; alpha is dropped; a camera's
    note on how it was held (EXIF) is followed. Damage within a JPEG that ends as it should is not
    seen: decoders fill it up with what they have.

    Args:
        data: the file's bytes.
        name: what an error calls it.
        at_least: (height, width) in pixels. A JPEG is then decoded at 1/2, 1/4 or 1/8 of its size,
            the smallest that is not below: less work, and 1/8 is the mean of 8 x 8 pixels. Where
            that is just above, resizing it is a little softer than resizing the whole picture.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        InputError: it is no JPEG or PNG, is not whole, has more than `MOST_PIXELS`, or a side above
            `MOST_SIDE_PX`.
    """
    check_is_picture(data, name)
    height, width, is_turned = _read_size(data)
    _check_size(height, width, name)
    flag = cv2.IMREAD_COLOR
    if at_least is not None and data.startswith(_JPEG):
        sides = [(height, width), (width, height)][: 1 + is_turned]
        fits = [
            factor
            for factor in _REDUCED
            if all(h >= factor * at_least[0] and w >= factor * at_least[1] for h, w in sides)
        ]
        flag = _REDUCED[fits[0]] if fits else flag
    # OpenCV would complain of a PNG that is cut off by a line of its own.
    is_cut = height * width == 0 or (data.startswith(_PNG) and data.rfind(b"IEND") < 0)
    picture = None if is_cut else cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if picture is None:
        raise InputError(f"{name} must be a whole picture, received one that is cut off or damaged")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def check_is_picture(head: bytes, name: str) -> None:
    """Check that a file begins as a JPEG or PNG does.

    Args:
        head: its bytes, or the first 16 of them.
        name: what an error calls it.

    Raises:
        InputError: it is something else.
    """
    if not head.startswith((_JPEG, _PNG)):
        received = f"a file that begins with {head[:16]!r}" if head else "an empty file"
        raise InputError(f"{name} must be a JPEG or PNG picture, received {received}")


def resize_picture(picture: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """Make a picture smaller by the mean over areas, or larger by lines between pixels.

    Args:
        picture: (H, W, 3) uint8.
        height_px: wanted, > 0.
        width_px: wanted, > 0.

    Returns:
        (height_px, width_px, 3) uint8.
    """
    height, width = picture.shape[:2]
    # A side that shrinks is averaged also where the other grows.
    smaller = (min(height, height_px), min(width, width_px))
    for size, way in ((smaller, cv2.INTER_AREA), ((height_px, width_px), cv2.INTER_LINEAR)):
        if picture.shape[:2] != size:
            picture = cv2.resize(picture, size[::-1], interpolation=way)
    return picture


def load_pictures(
    root: Path,
    names: Sequence[str],
    cache: Path,
    *,
    height_px: int,
    width_px: int,
    most_ram_mib: float | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """Load many pictures in one size; the first call decodes them, later ones read its cache.

    The cache is a file named after a hash of the names, of all files' sizes and times, and of the
    size in pixels: where one of them changes, all are decoded anew.

    Args:
        root: a folder.
        names: (N,) paths below it, with "/". One may lie in a zip, as "train.zip/cats/1.png" does.
        cache: the folder of the caches.
        height_px: of what is returned, > 0.
        width_px: likewise.
        most_ram_mib: a cache that is larger stays on disk and is read where it is looked at; None:
            a quarter of the memory that is available now. Processes share the pages of what is on
            disk, and hold an array each.
        threads: that decode; None for one a core. Results do not depend on it.

    Returns:
        (N, height_px, width_px, 3) uint8, RGB, read-only: an array, or a memmap where it is larger
        than `most_ram_mib`.

    Raises:
        InputError: a file is missing or is no picture that `load_picture` takes, of which the first
            is named; or pictures of that size are too large for this machine. Nothing is kept.

    Cost: memory of one large picture and some tens of small ones a thread, however many there are.
    """
    check_positive("height_px", height_px)
    check_positive("width_px", width_px)
    _check_size(height_px, width_px, "pictures that are resized")
    shape = (len(names), height_px, width_px, 3)
    if not len(names):
        return np.empty(shape, np.uint8)

    with FolderFiles(root) as files:
        facts = [_LAYOUT, cv2.__version__, str(root.resolve()), shape]
        key = hashlib.sha256(json.dumps(facts).encode())
        for name in names:
            key.update(json.dumps((name, *files.load_facts(name))).encode())
        path = cache / f"{key.hexdigest()[:32]}.npy"

        def load(name: str) -> np.ndarray:
            picture = load_picture(
                files.load(name), f"{root}/{name}", at_least=(height_px, width_px)
            )
            return resize_picture(picture, height_px, width_px)

        if not path.is_file():
            log.info(f"decoding {len(names):,} pictures at {width_px} x {height_px}")
            _write_cache(path, names, load, shape, threads or os.cpu_count() or 1)
    if most_ram_mib is None:
        most_ram_mib = _RAM_SHARE * psutil.virtual_memory().available / 2**20
    fits = path.stat().st_size <= most_ram_mib * 2**20
    pictures: np.ndarray = np.load(path, mmap_mode=None if fits else "r")
    pictures.flags.writeable = False
    return pictures


def check_listed(path: Path, names: pd.Series) -> None:
    """Check that a table names a picture in every row, and each only once.

    Args:
        path: of the table.
        names: the column with the files' names.

    Raises:
        InputError: a row has none, or a name comes again; the message names column and line.
    """
    for is_wrong, wanted in ((names.isna(), "name a picture"), (names.duplicated(), "be new")):
        if is_wrong.any():
            row = int(is_wrong.to_numpy().argmax())
            raise InputError(
                f"{path}: column {names.name} must {wanted} in every row, "
                f"line {row + 2} has {names.iloc[row]}"
            )


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write a picture, as PNG or JPEG by the path's ending, whole or not at all.

    Args:
        path: ends in .png or .jpg; its folder is made.
        picture: (H, W, 3) uint8, RGB.

    Raises:
        ValueError: the path has another ending.
    """
    check_choices(f"the ending of {path}", path.suffix, (".png", ".jpg"))
    _, data = cv2.imencode(path.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    with written_whole(path) as partial:
        partial.write_bytes(data.tobytes())


def _write_cache(
    path: Path,
    names: Sequence[str],
    load: Callable[[str], np.ndarray],
    shape: tuple[int, ...],
    threads: int,
) -> None:
    """Write all pictures as one array, whole or not at all, while others are decoded."""
    _, height, width, _ = shape
    n_at_once = max(1, min(_BLOCK, _BLOCK_PIXELS // (height * width)))

    def load_block(start: int) -> np.ndarray:
        return np.stack([load(name) for name in names[start : start + n_at_once]])

    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent)
    gib, free = math.prod(shape) / 2**30, shutil.disk_usage(path.parent).free / 2**30
    if gib > free:
        raise InputError(
            f"{path.parent} must have room for {len(names):,} pictures of {width:,} x {height:,} "
            f"({gib:,.1f} GiB), received {free:,.1f} GiB"
        )
    with (
        written_whole(path) as partial,
        partial.open("wb") as file,
        ThreadPoolExecutor(threads) as pool,
    ):
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        waiting: deque[Future[np.ndarray]] = deque()
        for start in range(0, len(names), n_at_once):
            waiting.append(pool.submit(load_block, start))
            if len(waiting) > 2 * threads:
                file.write(waiting.popleft().result().data)
        for block in waiting:
            file.write(block.result().data)


def _sweep(cache: Path) -> None:
    """Remove what killed processes left, but nothing that may still be written."""
    for left in cache.glob(".*.npy.*.partial"):
        with suppress(FileNotFoundError):  # Another process may be sweeping.
            if time.time() - left.stat().st_mtime > _STALE_S:
                left.unlink()


def _check_size(height: int, width: int, name: str) -> None:
    if height * width > MOST_PIXELS:
        wanted = f"have {MOST_PIXELS:,} pixels at most"
    elif max(height, width) > MOST_SIDE_PX:
        wanted = f"be {MOST_SIDE_PX:,} pixels wide or high at most"
    else:
        return
    raise InputError(f"{name} must {wanted}, received {width:,} x {height:,}")


def _read_size(data: bytes) -> tuple[int, int, bool]:
    """Read height and width from the head of a JPEG or PNG, and whether it may be turned by EXIF.

    Returns:
        (0, 0, False) where the head is cut off.
    """
    if data.startswith(_PNG):
        return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big"), False
    at, is_turned = 2, False
    # A JPEG is a row of segments: 0xFF, a marker, and a length of two bytes that counts itself.
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame
            height, width = data[at + 5 : at + 7], data[at + 7 : at + 9]
            return int.from_bytes(height, "big"), int.from_bytes(width, "big"), is_turned
        is_turned |= marker == 0xE1
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 0, 0, False
