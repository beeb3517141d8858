"""Raw data as it lies on disk: one folder per kind, a digest of every file, where it came from.

`data/raw/<name>/<kind>/` is read-only for everything but the functions here. `source.json` beside
the files says how they came and what their bytes were.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.checks import InputError
from common.data.paths import written_folder

SOURCE_FILE = "source.json"


def compute_sha256(path: Path) -> str:
    """Hash a file in blocks; hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_digests(raw: Path) -> dict[str, str]:
    """Hash every raw file as it lies there now.

    Returns:
        {path relative to `raw`, with "/": sha256}, sorted by path; `source.json` left out.
    """
    files = sorted(path for path in raw.rglob("*") if path.is_file() and path != raw / SOURCE_FILE)
    return {path.relative_to(raw).as_posix(): compute_sha256(path) for path in files}


def join_digests(digests: dict[str, str]) -> str:
    """Make one digest of many: equal if and only if names and bytes are."""
    lines = "".join(f"{name}\0{digest}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def load_source(raw: Path) -> dict[str, Any]:
    """Read `source.json` of a kind.

    Raises:
        InputError: the folder has none, or it is not JSON.
    """
    path = raw / SOURCE_FILE
    try:
        loaded: dict[str, Any] = json.loads(path.read_text())
        return loaded
    except FileNotFoundError:
        raise InputError(f"{raw} has no {SOURCE_FILE}: fetch the data again") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON ({error}): fetch the data again") from None


def write_kind(
    raw: Path,
    fill: Callable[[Path], None],
    *,
    made_by: str,
    replace: bool = False,
    keep: bool = False,
) -> dict[str, str]:
    """Make, or add to, the raw files of one kind, whole or not at all.

    Args:
        raw: the kind's folder.
        fill: writes the new files below the empty folder that it is given.
        made_by: the command, for `source.json`.
        replace: new files may take the place of old ones with other bytes.
        keep: old files that `fill` does not write stay.

    Returns:
        {relative path: sha256} of everything that lies in the folder now.

    Raises:
        InputError: `fill` wrote nothing, or a file is there with other bytes and `replace` is not
            set.
    """
    with written_folder(raw) as partial:
        fill(partial)
        new = load_digests(partial)
        if not new:
            raise InputError(f"{made_by} brought no files")
        old = load_digests(raw) if raw.is_dir() else {}
        changed = [name for name in new if name in old and old[name] != new[name]]
        if changed and not replace:
            raise InputError(
                f"{raw / changed[0]} is there with other bytes: add --replace to replace it"
            )
        for name in old if keep else ():
            if name not in new:
                _link(raw / name, partial / name)
        digests = load_digests(partial)
        for name in digests:
            (partial / name).chmod(0o444)
        source = {"made_by": made_by, "digest": join_digests(digests), "files": digests}
        (partial / SOURCE_FILE).write_text(json.dumps(source, indent=1) + "\n")
    return digests


def _link(old: Path, new: Path) -> None:
    """Give a file a second name; copy it where the file system has no hard links."""
    new.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(old, new)
    except OSError:
        shutil.copy2(old, new)
