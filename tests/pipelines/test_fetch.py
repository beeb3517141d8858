"""Every way by which data comes in, on a toy competition; downloads through the real kaggle command line."""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from common.checks import InputError
from common.contract import KaggleCompetition, Table
from common.data import kaggle
from common.data.paths import Home
from pipelines import fetch
from pipelines.catalog import Competition
from tests.helpers.kaggle_server import ALL, Stand, serve

TRAIN, TEST, RAIN = b"id,y\n1,2\n", b"id\n2\n", b"day,mm\n1,0.5\n"
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


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def raw(home: Home) -> Path:
    return home.raw("toy_demand", "kaggle")


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stand]:
    with serve(monkeypatch, tmp_path) as stand:
        stand.files["toy-demand"] = {
            ALL: make_zip(NEEDED),
            "weather/rain.csv.zip": make_zip({"rain.csv": RAIN}),
        }
        yield stand


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
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "source.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_download_whole_then_one_file_then_nothing(stand: Stand, home: Home, raw: Path) -> None:
    console = make_console()
    fetch.download(make_toy(), home, console)
    assert load_tree(raw) == NEEDED
    assert "weather/*.csv is not there (shared on the forum)" in load_told(console)
    fetch.download(make_toy(), home, console, file="weather/rain.csv")
    assert load_tree(raw.parent) == {f"kaggle/{name}": data for name, data in NEEDED.items()} | {
        "kaggle/weather/rain.csv": RAIN
    }
    assert json.loads((raw / "source.json").read_text())["made_by"] == "download"
    stand.calls.clear()
    fetch.download(make_toy(), home, console)
    fetch.download(make_toy(), home, console, file="weather/rain.csv")
    assert stand.calls == []
    assert load_told(console).count("nothing to do") == 2


def test_one_file_may_come_first(stand: Stand, home: Home, raw: Path) -> None:
    fetch.download(make_toy(), home, make_console(), file="weather/rain.csv")
    assert load_tree(raw) == {"weather/rain.csv": RAIN}


def test_a_download_killed_on_the_way_goes_on(
    stand: Stand, home: Home, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = NEEDED | {"big.bin": bytes(2 * MIB)}
    stand.files["toy-demand"][ALL] = make_zip(files)
    stand.cuts.append(MIB)

    def kill(marker: Path) -> tuple[int, int]:
        if marker.with_suffix("").stat().st_size == MIB:
            raise KeyboardInterrupt
        return 0, 0

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(kaggle, "_load_state", kill)
        fetch.download(make_toy(), home, make_console())
    assert not raw.exists()
    fetch.download(make_toy(), home, make_console())
    assert stand.ranges[-1] == f"bytes={MIB}-"
    assert load_tree(raw) == files


def test_a_bad_zip_is_thrown_away_and_fetched_again(stand: Stand, home: Home, raw: Path) -> None:
    stand.files["toy-demand"][ALL] = make_zip(NEEDED)[:-9]
    with pytest.raises(InputError, match="not a whole zip file"):
        fetch.download(make_toy(), home, make_console())
    assert not list(raw.parent.rglob("*.zip"))
    assert not raw.exists()


def test_refused_rules_name_the_page_and_leave_nothing(stand: Stand, home: Home, raw: Path) -> None:
    stand.failures["DownloadDataFiles"].append((403, ""))
    with pytest.raises(InputError, match=r"https://www\.kaggle\.com/competitions/toy-demand/rules"):
        fetch.download(make_toy(), home, make_console())
    assert not raw.exists()


@pytest.mark.parametrize("file", ["../train.csv", "/train.csv", "a/../../b.csv"])
def test_a_file_outside_is_refused_before_anything_is_asked(
    stand: Stand, home: Home, file: str
) -> None:
    with pytest.raises(InputError, match="a path as Kaggle lists it"):
        fetch.download(make_toy(), home, make_console(), file=file)
    assert stand.calls == []


def test_import_takes_a_zip_then_adds_optional_files(home: Home, raw: Path, tmp_path: Path) -> None:
    fetch.import_(make_toy(), home, make_console(), write_zip(tmp_path / "toy.zip", NEEDED))
    (tmp_path / "more" / "weather").mkdir(parents=True)
    (tmp_path / "more" / "weather" / "rain.csv").write_bytes(RAIN)
    fetch.import_(make_toy(), home, make_console(), tmp_path / "more")
    assert load_tree(raw) == NEEDED | {"weather/rain.csv": RAIN}


def test_import_asks_before_it_replaces(home: Home, raw: Path, tmp_path: Path) -> None:
    toy, console = make_toy(), make_console()
    fetch.import_(toy, home, console, write_zip(tmp_path / "toy.zip", NEEDED))
    other = write_zip(tmp_path / "other.zip", {"train.csv": b"id,y\n1,3\n"})
    with pytest.raises(InputError, match=r"train\.csv is there with other bytes: add --replace"):
        fetch.import_(toy, home, console, other)
    assert load_tree(raw) == NEEDED
    fetch.import_(toy, home, console, other, replace=True)
    assert load_tree(raw) == {"train.csv": b"id,y\n1,3\n", "test.csv": TEST}


def test_import_as_holdout_is_a_kind_of_its_own(home: Home, raw: Path, tmp_path: Path) -> None:
    source = write_zip(tmp_path / "toy.zip", NEEDED)
    fetch.import_(make_toy(), home, make_console(), source, kind="holdout")
    assert load_tree(home.raw("toy_demand", "holdout")) == NEEDED
    assert not raw.exists()
    with pytest.raises(InputError, match="--as must be kaggle or holdout, received open"):
        fetch.import_(make_toy(), home, make_console(), source, kind="open")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"train.csv": TRAIN}, r"in\.zip: test\.csv is missing"),
        (
            {"train.csv": b"id\n1\n", "test.csv": TEST},
            r"in\.zip: train\.csv must have a column y, received id",
        ),
        ({"train.csv": b"", "test.csv": TEST}, r"in\.zip: train\.csv is empty"),
        (
            {"notes.txt": b"hi"},
            r"in\.zip must hold files of toy_demand \(train\.csv, .* received notes\.txt",
        ),
        ({}, r"in\.zip must hold files of toy_demand .* received nothing"),
    ],
)
def test_unfit_files_never_get_their_names(
    home: Home, tmp_path: Path, files: dict[str, bytes], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        fetch.import_(make_toy(), home, make_console(), write_zip(tmp_path / "in.zip", files))
    assert load_tree(home.root) == {}


def write_needed(raw: Path, n: int) -> pd.DataFrame:
    """Write files whose first train id is `n`; the answers hold it too."""
    (raw / "train.csv").write_text(f"id,y\n{n},2\n")
    (raw / "test.csv").write_bytes(TEST)
    return pd.DataFrame({"id": [2], "y": [n]})


def test_open_data_keeps_its_answers_apart(home: Home) -> None:
    seen: list[Path] = []

    def write_open_data(packages: Path, raw: Path) -> pd.DataFrame:
        seen.append(packages)
        return write_needed(raw, len(seen))

    toy = make_toy(open_data={"write_open_data": write_open_data})
    fetch.open_(toy, home, make_console())
    fetch.open_(toy, home, make_console())
    assert seen == [home.packages] * 2
    assert load_tree(home.raw("toy_demand", "open"))["train.csv"] == b"id,y\n2,2\n"
    assert home.answers("toy_demand", "open").read_text() == "id,y\n2,2\n"


def test_a_crash_never_leaves_answers_of_other_data(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = make_toy(
        open_data={"write_open_data": lambda packages, raw: write_needed(raw, len(calls))}
    )
    calls = ["first"]
    fetch.open_(toy, home, make_console())
    calls.append("second")

    def crash(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch, "written_whole", crash)
    with pytest.raises(KeyboardInterrupt):
        fetch.open_(toy, home, make_console())
    assert load_tree(home.raw("toy_demand", "open"))["train.csv"] == b"id,y\n2,2\n"
    assert not home.answers("toy_demand", "open").exists()


def test_a_holdout_is_cut_from_kaggle_files(home: Home, tmp_path: Path) -> None:
    def write_split(kaggle_raw: Path, raw: Path) -> pd.DataFrame:
        return write_needed(raw, len(pd.read_csv(kaggle_raw / "train.csv")))

    toy = make_toy(split={"write_split": write_split})
    with pytest.raises(InputError, match="has none: run `download toy_demand`"):
        fetch.holdout(toy, home, make_console())
    fetch.import_(toy, home, make_console(), write_zip(tmp_path / "toy.zip", NEEDED))
    fetch.holdout(toy, home, make_console())
    assert load_tree(home.raw("toy_demand", "holdout")) == {
        "train.csv": b"id,y\n1,2\n",
        "test.csv": TEST,
    }
    assert home.answers("toy_demand", "holdout").read_text() == "id,y\n2,1\n"


def test_samples_take_the_place_of_older_ones(home: Home) -> None:
    def write_sample(raw: Path, seed: int, *, n_rows: int | None, signal: bool) -> None:
        write_needed(raw, seed)
        (raw / "asked.txt").write_text(f"{n_rows} {signal}")

    toy = make_toy(sample={"write_sample": write_sample})
    fetch.sample(toy, home, make_console())
    fetch.sample(toy, home, make_console(), rows=7, signal=False, seed=3)
    tree = load_tree(home.raw("toy_demand", "sample"))
    assert (tree["train.csv"], tree["asked.txt"]) == (b"id,y\n3,2\n", b"7 False")


def test_a_sample_must_be_whole_by_itself(home: Home) -> None:
    """Files of an older sample do not make up for those that the new one lacks."""

    def write_sample(raw: Path, seed: int, *, n_rows: int | None, signal: bool) -> None:
        write_needed(raw, seed)
        if seed == 1:
            (raw / "test.csv").unlink()

    toy = make_toy(sample={"write_sample": write_sample})
    fetch.sample(toy, home, make_console())
    with pytest.raises(InputError, match=r"sample\.py: test\.csv is missing"):
        fetch.sample(toy, home, make_console(), seed=1)
    assert "test.csv" in load_tree(home.raw("toy_demand", "sample"))
