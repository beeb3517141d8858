"""The FoldStore: a finished fit is one file, so that a killed run goes on from where it was."""

import dataclasses
import hashlib
import json
import logging
import platform
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from common.checks import InputError
from common.data.code import load_code_digest
from common.data.paths import written_whole
from common.data.sources import join_digests, load_digests

LIBRARIES = (
    "joblib",
    "keras",
    "lightgbm",
    "numpy",
    "opencv-python",
    "pandas",
    "scikit-learn",
    "scipy",
    "tensorflow",
    "xgboost",
)
"""The packages whose version can change a figure."""

log = logging.getLogger(__name__)


def load_versions() -> dict[str, str]:
    """Read the versions of Python and of the packages that figures depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


class FoldStore:
    """Finished fits of one competition, on disk.

    A file's name is a hash of all that its content depends on: raw files and their kind, source
    code, package versions, processor type, the fit's name and settings, the rows, the seed.
    Whatever changes, the name does, and the fit is made anew; nothing stale can be found.

    Args:
        work: the competition's work folder.
        raw: the raw files of the kind in use.
        code: the competition's own folder.
    """

    def __init__(self, work: Path, raw: Path, code: Path) -> None:
        self._folder, self._code = work / "folds", code
        self._facts: dict[str, Any] = {
            "kind": raw.name,
            "raw": join_digests(load_digests(raw)),
            "code": load_code_digest(code),
            "versions": load_versions(),
            "machine": platform.machine(),
        }

    def of(
        self,
        name: str,
        config: Any,
        *,
        without: Collection[str] = (),
        versions: Mapping[str, str] | None = None,
    ) -> "KeptFits":
        """Open the shelf of one fit.

        Args:
            name: the fit.
            config: the dataclass with its settings.
            without: fields that the fit is not given and that may therefore differ.
            versions: {program: version} of what the fit runs besides Python.
        """
        settings = {k: v for k, v in dataclasses.asdict(config).items() if k not in without}
        facts = self._facts | {"fit": name, "settings": settings}
        facts["versions"] = self._facts["versions"] | (versions or {})
        return KeptFits(self._folder, self._code, facts)


@dataclass(frozen=True)
class KeptFits:
    """The shelf of one fit with its settings; `cross_fit` reads and fills it."""

    folder: Path
    code: Path
    facts: Mapping[str, Any]

    def load(self, task: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
        """Read what a finished fit left, or None where there is nothing (or nothing readable).

        Args:
            task: JSON values and integer arrays (the rows) that tell this fit from its siblings.
        """
        path = self._path(task)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return dict(arrays)
        except FileNotFoundError:
            return None
        except (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
            log.warning("%s cannot be read (%s): fitting again", path, error)
            return None

    def write(self, task: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Keep what a finished fit gives.

        Raises:
            InputError: the source was changed since the store was opened, so that nobody can say
                which of the two made the fit.
        """
        if load_code_digest(self.code) != self.facts["code"]:
            raise InputError("the source changed during the run: run it again")
        with written_whole(self._path(task)) as partial, partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    def _path(self, task: Mapping[str, Any]) -> Path:
        facts = json.dumps({**self.facts, "task": task}, sort_keys=True, default=_digest_rows)
        return self.folder / f"{hashlib.sha256(facts.encode()).hexdigest()[:32]}.npz"


def _digest_rows(value: Any) -> str:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iu":
        raise TypeError(f"a task must hold JSON values and row numbers, received {value!r}")
    return hashlib.sha256(np.ascontiguousarray(value, dtype=np.int64).tobytes()).hexdigest()
