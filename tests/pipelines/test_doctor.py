"""The doctor: what is missing is "no", with what to do; what one can do without is neither."""

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from common.data.paths import Home
from pipelines import doctor
from pipelines.catalog import load_competition
from tests.helpers.homes import load_told, make_console, make_home

HASH = " --hash=sha256:0123"
WELL = f"rich=={version('rich')} \\\n   {HASH}\ntyper=={version('typer')} \\\n   {HASH}\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A machine on which all is well but the credentials."""
    home = make_home(tmp_path / "home", load_competition("bike_sharing_demand"))
    home.packages.mkdir(parents=True)
    (home.packages / "some_data-1.0-py3-none-any.whl").touch()
    (tmp_path / "code").mkdir()
    monkeypatch.setattr(doctor, "CODE", tmp_path / "code")
    write_pins(WELL)
    (tmp_path / "code" / "requirements-data.txt").write_text(f"some-data==1.0{HASH}\n")
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nobody"))
    return home


def write_pins(text: str) -> None:
    (doctor.CODE / "requirements.txt").write_text(text)


def examine(home: Home) -> dict[str, tuple[bool | None, str]]:
    return {what: (well, found) for what, well, found in doctor.examine(home)}


def test_where_nothing_is_missing_all_is_well(home, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "secret")
    console = make_console()
    assert doctor.show(home, console)
    told = load_told(console)
    assert "2 as pinned" in told and "all here" in told and "sample" in told
    assert " no " not in told and "secret" not in told


def test_missing_credentials_are_told_and_are_no_fault(home):
    well, found = examine(home)["kaggle credentials"]
    assert well is None
    assert "download" in found and "submit" in found and "kaggle.json" in found
    console = make_console()
    assert doctor.show(home, console)
    line = next(line for line in load_told(console).splitlines() if "kaggle credentials" in line)
    assert " – " in line and " no " not in line


@pytest.mark.parametrize(
    ("spoil", "what", "told"),
    [
        (
            lambda home: next(home.packages.iterdir()).unlink(),
            "data wheels",
            "some-data 1.0 missing: `make setup`",
        ),
        (
            lambda home: next(home.packages.iterdir()).rename(
                home.packages / "some_data-1.1-py3-none-any.whl"
            ),
            "data wheels",
            "some-data 1.0 missing: `make setup`",
        ),
        (
            lambda home: write_pins(WELL.replace(version("rich"), "0.0.1")),
            "packages",
            f"rich 0.0.1 wanted, {version('rich')} found; `make setup`",
        ),
        (
            lambda home: write_pins(WELL + f"no-such-package==1.0 \\\n   {HASH}\n"),
            "packages",
            "no-such-package 1.0 wanted, nothing found; `make setup`",
        ),
    ],
)
def test_what_is_missing_is_no_with_what_to_do(home, spoil, what, told):
    assert examine(home)[what][0]
    spoil(home)
    assert examine(home)[what] == (False, told)
    console = make_console()
    assert not doctor.show(home, console)
    line = next(line for line in load_told(console).splitlines() if what in line)
    assert " no " in line and told in line


def test_missing_data_is_told_and_is_no_fault(home):
    """A fresh checkout has none, and each competition can do without the others'."""
    what = "data of bike_sharing_demand"
    assert examine(home)[what] == (True, "sample")
    (home.root / "data" / "raw").rename(home.root / "data" / "away")
    told = "none: download, import, open or sample brings some"
    assert examine(home)[what] == (None, told)
    console = make_console()
    assert doctor.show(home, console)
    line = next(line for line in load_told(console).splitlines() if what in line)
    assert " – " in line and told in line


def test_another_python_is_no(home, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    well, found = examine(home)["Python"]
    assert not well and found.startswith("3.12.1 (3.11 is wanted")


def test_a_full_disk_is_no(home, monkeypatch):
    class Usage:
        free = 2**30

    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: Usage)
    well, found = examine(home)["disk"]
    assert not well and "1 GiB free" in found


def test_a_folder_that_cannot_be_written_is_no(home, monkeypatch):
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: False)
    assert examine(home)["disk"] == (False, f"{home.root} cannot be written")


def test_the_space_of_the_work_folder_is_told(home):
    (home.root / "data" / "work" / "a").mkdir(parents=True)
    (home.root / "data" / "work" / "a" / "b").write_bytes(bytes(3 * 2**20))
    assert "data/work (3 MiB) may be deleted" in examine(home)["disk"][1]
