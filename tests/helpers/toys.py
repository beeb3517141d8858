"""A toy competition whose data comes in every way."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from rich.console import Console

from common.contract import KaggleCompetition, Table
from pipelines.catalog import Competition

TRAIN, TEST, RAIN = b"id,y\n1,2\n", b"id\n2\n", b"day,mm\n1,0.5\n"
OURS = ("source.json", ".lock")
MIB = 2**20
NEEDED = {"train.csv": TRAIN, "test.csv": TEST}


@dataclass(frozen=True)
class Toy(Competition):
    """A competition without a folder: its other files are functions of the test."""

    parts: dict[str, Any]

    def load(self, part: str) -> Any:
        return self.parts[part]


def make_toy(**parts: Any) -> Toy:
    facts = ModuleType("toy")
    facts.SOURCE = KaggleCompetition("toy-demand")  # type: ignore[attr-defined]
    facts.FILES = (  # type: ignore[attr-defined]
        Table("train.csv", columns=("id", "y")),
        Table("test.csv", columns=("id",)),
        Table("weather/*.csv", columns=("day", "mm"), optional="shared on the forum"),
    )
    return Toy("toy_demand", facts, {name: SimpleNamespace(**part) for name, part in parts.items()})


def make_console() -> Console:
    return Console(file=io.StringIO(), width=80)


def load_told(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def make_zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    path.write_bytes(make_zip(files))
    return path


def load_tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in OURS)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
