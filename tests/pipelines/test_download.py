"""Downloads of a toy competition, by the real kaggle command line."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.checks import InputError
from common.data import kaggle
from common.data.paths import Home
from pipelines import fetch
from tests.helpers.kaggle_server import ALL, Stand, serve
from tests.helpers.toys import (
    MIB,
    NEEDED,
    RAIN,
    load_told,
    load_tree,
    make_console,
    make_toy,
    make_zip,
)


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stand]:
    with serve(monkeypatch, tmp_path) as stand:
        stand.files["toy-demand"] = {
            ALL: make_zip(NEEDED),
            "weather/rain.csv.zip": make_zip({"rain.csv": RAIN}),
        }
        yield stand


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
    stand.cuts.append(MIB)  # The command line itself goes on after two seconds: time to look.
    load_state = kaggle._load_state

    def kill(marker: Path) -> tuple[int, int]:
        have, whole = load_state(marker)
        if have == MIB:
            raise KeyboardInterrupt
        return have, whole

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(kaggle, "_load_state", kill)
        fetch.download(make_toy(), home, make_console())
    assert not raw.exists()
    fetch.download(make_toy(), home, make_console())
    assert stand.ranges[-1] == f"bytes={MIB}-"
    assert load_tree(raw) == files


def test_only_its_own_unfinished_download_is_thrown_away(
    stand: Stand, home: Home, raw: Path
) -> None:
    """Another command may be at the zip while this one fetches a file."""
    (raw.parent / ".download" / "all").mkdir(parents=True)
    (raw.parent / ".download" / "all" / "part").write_bytes(b"half")
    fetch.download(make_toy(), home, make_console(), file="weather/rain.csv")
    assert load_tree(raw.parent / ".download") == {"all/part": b"half"}


def test_data_in_part_is_not_here(stand: Stand, home: Home, raw: Path) -> None:
    """One file came first; "nothing to do" would be wrong."""
    fetch.download(make_toy(), home, make_console(), file="weather/rain.csv")
    console = make_console()
    fetch.download(make_toy(), home, console)
    assert load_tree(raw) == NEEDED | {"weather/rain.csv": RAIN}
    assert "nothing to do" not in load_told(console)


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
