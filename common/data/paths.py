"""Where files live, and how they come to their final names: whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from common.checks import InputError

KINDS = ("kaggle", "holdout", "open", "sample")
"""The kinds of data, in the order in which `run` prefers them."""


@dataclass(frozen=True)
class Home:
    """The folder of `data/` and `submissions/`: the repository, or `PIPELINES_HOME` if set."""

    root: Path

    @property
    def packages(self) -> Path:
        return self.root / "data" / "packages"

    def raw(self, name: str, kind: str) -> Path:
        return self.root / "data" / "raw" / name / kind

    def answers(self, name: str, kind: str) -> Path:
        return self.root / "data" / "answers" / name / f"{kind}.csv"

    def work(self, name: str) -> Path:
        return self.root / "data" / "work" / name

    def oof(self, name: str, kind: str, stem: str) -> Path:
        return self.work(name) / "oof" / kind / f"{stem}.npz"

    def submissions(self, name: str, kind: str) -> Path:
        return self.root / "submissions" / name / kind


def load_home() -> Home:
    """Find the home folder.

    Raises:
        InputError: `PIPELINES_HOME` names no folder.
    """
    named = os.environ.get("PIPELINES_HOME")
    if not named:
        return Home(Path(__file__).resolve().parents[2])
    root = Path(named).expanduser().resolve()
    if not root.is_dir():
        raise InputError(f"PIPELINES_HOME must name a folder, received {named}")
    return Home(root)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path; a clean exit moves it to `path`, any other leaves nothing behind.

    The bytes are on disk before the name is, so a crash leaves the old file or the new one, never a
    part.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o644)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def written_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder; a clean exit puts it in the place of `path`, any other removes it.

    The old folder is set aside under a hidden name until the new one stands; should a crash fall
    between the two renames, the next call puts the old one back before it begins, and sweeps away
    what a killed one left. One process at a time may write a folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*.partial"):
        shutil.rmtree(left)
    aside = path.parent / f".{path.name}.old"
    if aside.exists() and not path.exists():
        os.replace(aside, path)
    partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    try:
        yield partial
        partial.chmod(0o755)
        if path.exists():
            shutil.rmtree(aside, ignore_errors=True)
            os.replace(path, aside)
        os.replace(partial, path)
        shutil.rmtree(aside, ignore_errors=True)
    finally:
        if aside.exists() and not path.exists():
            os.replace(aside, path)
        shutil.rmtree(partial, ignore_errors=True)
