"""Files of a folder, whether they lie there or in one of its zips."""

import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from common.checks import InputError
from common.data.archives import DAMAGE


class FolderFiles:
    """Files below a folder, by their paths with "/"; "train.zip/cats/1.png" lies in a zip.

    Zips are opened once, and closed at the end of a `with`. Several threads may load.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._zips: dict[Path, zipfile.ZipFile] = {}
        self._opening = threading.Lock()

    def __enter__(self) -> "FolderFiles":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for archive in self._zips.values():
            archive.close()

    def load_facts(self, name: str) -> tuple[int, int]:
        """Read what changes with a file's bytes.

        Returns:
            The size, and the time of the last change in ns or, in a zip, the checksum.

        Raises:
            InputError: the file is missing, or its zip is none.
        """
        if found := self._find(name):
            return found[1].file_size, found[1].CRC
        facts = self._ask(name, lambda: (self._root / name).stat())
        return facts.st_size, facts.st_mtime_ns

    def load(self, name: str) -> bytes:
        """Read a file's bytes.

        Raises:
            InputError: the file is missing or cannot be read.
        """
        if found := self._find(name):
            archive, member = found
            return self._ask(name, lambda: archive.read(member))
        return self._ask(name, lambda: (self._root / name).read_bytes())

    def _find(self, name: str) -> tuple[zipfile.ZipFile, zipfile.ZipInfo] | None:
        """Find a file in a zip; None for one that lies in a folder."""
        outer, is_within, inner = name.partition(".zip/")
        if not is_within:
            return None
        path = self._root / f"{outer}.zip"
        if path.is_dir():
            return None
        with self._opening:
            if path not in self._zips:
                self._zips[path] = self._ask(f"{outer}.zip", lambda: zipfile.ZipFile(path))
        archive = self._zips[path]
        return archive, self._ask(name, lambda: archive.getinfo(inner))

    def _ask(self, name: str, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except (FileNotFoundError, KeyError):
            raise InputError(f"{self._root / name} is missing") from None
        except (*DAMAGE, OSError, RuntimeError) as error:
            told = " ".join(str(error).split())
            raise InputError(f"{self._root / name} cannot be read: {told}") from None
