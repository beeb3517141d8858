"""A home folder for a test, with made-up data in it, and tiny runs of any competition."""

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from common.data.paths import Home
from pipelines import fetch
from pipelines.catalog import Competition
from pipelines.run import Request

QUIET = Console(quiet=True)


def make_home(root: Path, competition: Competition, *, seed: int = 0, signal: bool = True) -> Home:
    home = Home(root)
    fetch.sample(competition, home, QUIET, seed=seed, signal=signal)
    return home


def make_request(
    competition: Competition, variant: str | None = None, *, seed: int = 0, jobs: int = 1
) -> Request:
    """A run with TINY laid over the variant."""
    tiny = tuple(
        (field, value if isinstance(value, str) else json.dumps(value))
        for field, value in competition.facts.TINY.items()
    )
    return Request(competition, variant or competition.facts.DEFAULT, "sample", seed, tiny, jobs)


def list_files(root: Path) -> dict[str, str]:
    """{relative path: sha256} of everything below a folder."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def make_console() -> Console:
    """A console that is written to memory, wide enough that no line is broken."""
    return Console(file=io.StringIO(), width=400)


def load_told(console: Console) -> str:
    """Everything that was printed on a console of `make_console`."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def add_kind(home: Home, name: str, kind: str) -> Path:
    """Lay the made-up files down as another kind of data; returns its folder."""
    raw = home.raw(name, kind)
    shutil.copytree(home.raw(name, "sample"), raw)
    return raw


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change a raw file, which is read-only."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(change(data))
