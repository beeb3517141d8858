import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from common.checks import InputError
from common.data.paths import Home, load_home, written_folder, written_whole


def load_tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def crash_at_replace(number: int, code: str, *arguments: Path) -> None:
    """Run code in a process that dies, as by `kill -9`, on its n-th `os.replace`, before that takes
    effect.
    """
    head = f"""
import os, sys
from pathlib import Path
from common.data.paths import written_folder, written_whole
calls = []
def replace(*names, really=os.replace):
    calls.append(names)
    os._exit(9) if len(calls) == {number} else really(*names)
os.replace = replace
path = Path(sys.argv[1])
"""
    done = subprocess.run([sys.executable, "-c", head + code, *map(str, arguments)])
    assert done.returncode == 9


# written_whole


def test_a_file_comes_to_its_name_with_new_folders_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a" / "b" / "c.csv"

    with written_whole(path) as partial:
        partial.write_text("new")
        assert not path.exists() and partial.parent == path.parent

    assert load_tree(tmp_path) == {"a/b/c.csv": "new"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, OSError])
def test_a_file_half_written_when_an_error_comes_leaves_nothing_behind(tmp_path, error):
    path = tmp_path / "c.csv"
    path.write_text("old")

    with pytest.raises(error), written_whole(path) as partial:
        partial.write_text("ne")
        raise error

    assert load_tree(tmp_path) == {"c.csv": "old"}


def test_the_old_file_is_whole_until_the_new_one_is(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("old")

    with written_whole(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"

    assert path.read_text() == "new"


def test_a_file_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """Without it a power cut may leave an empty file under the final name."""
    events = []
    really_sync, really_replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append("sync"), really_sync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("name"), really_replace(a, b)))

    with written_whole(tmp_path / "c.csv") as partial:
        partial.write_text("new")

    assert events == ["sync", "name"]


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    path = tmp_path / "c.csv"

    with written_whole(path) as first, written_whole(path) as second:
        first.write_text("first")
        second.write_text("second")

    assert load_tree(tmp_path) == {"c.csv": "first"}


def test_a_crash_just_before_the_name_leaves_the_old_file(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("old")

    crash_at_replace(1, "with written_whole(path) as p: p.write_text('new')", path)

    assert path.read_text() == "old"
    (left,) = (other.name for other in tmp_path.iterdir() if other != path)
    assert left.startswith(".") and not left.endswith(".csv"), "no glob may take it for data"


# written_folder

FILL = "with written_folder(path) as p: (p / 'a.csv').write_text('new')"


def write_old(path: Path) -> None:
    path.mkdir()
    (path / "a.csv").write_text("old")
    (path / "b.csv").write_text("old too")


def test_a_new_folder_takes_the_place_of_the_old_one_whole(tmp_path):
    write_old(tmp_path / "raw")

    with written_folder(tmp_path / "raw") as partial:
        assert list(partial.iterdir()) == []
        (partial / "a.csv").write_text("new")
        assert (tmp_path / "raw" / "a.csv").read_text() == "old"

    assert load_tree(tmp_path) == {"raw/a.csv": "new"}
    assert stat.S_IMODE((tmp_path / "raw").stat().st_mode) == 0o755


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_folder_half_filled_when_an_error_comes_leaves_the_old_one_and_nothing_else(
    tmp_path, error
):
    write_old(tmp_path / "raw")

    with pytest.raises(error), written_folder(tmp_path / "raw") as partial:
        (partial / "a.csv").write_text("ne")
        raise error

    assert load_tree(tmp_path) == {"raw/a.csv": "old", "raw/b.csv": "old too"}
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_an_error_between_the_two_renames_puts_the_old_folder_back(tmp_path, monkeypatch):
    write_old(tmp_path / "raw")
    really, calls = os.replace, []

    def replace(old, new):
        calls.append(new)
        if len(calls) == 2:
            raise KeyboardInterrupt
        really(old, new)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(KeyboardInterrupt), written_folder(tmp_path / "raw") as partial:
        (partial / "a.csv").write_text("new")

    assert load_tree(tmp_path) == {"raw/a.csv": "old", "raw/b.csv": "old too"}


def test_a_crash_between_the_two_renames_loses_nothing(tmp_path):
    path = tmp_path / "raw"
    write_old(path)
    crash_at_replace(2, FILL, path)
    assert not path.exists()

    with pytest.raises(ValueError), written_folder(path):
        assert (path / "b.csv").read_text() == "old too"
        raise ValueError

    assert (path / "a.csv").read_text() == "old"


def test_after_a_crash_the_next_writer_is_as_if_none_had_been(tmp_path):
    path = tmp_path / "raw"
    write_old(path)
    crash_at_replace(2, FILL, path)

    with written_folder(path) as partial:
        (partial / "c.csv").write_text("newer")

    visible = {p.relative_to(path).as_posix() for p in path.rglob("*")}
    assert visible == {"c.csv"}
    assert not (tmp_path / ".raw.old").exists()


def test_an_old_folder_left_aside_does_not_come_back_over_a_newer_one(tmp_path):
    """A crash may also fall between the second rename and the removal of what was set aside."""
    path = tmp_path / "raw"
    write_old(path)
    (tmp_path / ".raw.old").mkdir()
    (tmp_path / ".raw.old" / "a.csv").write_text("oldest")

    with pytest.raises(ValueError), written_folder(path):
        raise ValueError
    assert (path / "a.csv").read_text() == "old"

    with written_folder(path) as partial:
        (partial / "a.csv").write_text("new")
    assert load_tree(tmp_path) == {"raw/a.csv": "new"}


# home


def test_the_home_is_the_repository_unless_pipelines_home_names_another(tmp_path, monkeypatch):
    monkeypatch.delenv("PIPELINES_HOME", raising=False)
    assert (load_home().root / "common" / "data" / "paths.py").is_file()

    monkeypatch.setenv("PIPELINES_HOME", "")
    assert (load_home().root / "pyproject.toml").is_file()

    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIPELINES_HOME", "there")
    home = load_home()
    monkeypatch.chdir("/")
    assert home.root.is_absolute() and home.root.samefile(tmp_path / "there")

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PIPELINES_HOME", "~/there")
    assert load_home() == home


def test_a_home_that_is_no_folder_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for name in ("nowhere", "file"):
        monkeypatch.setenv("PIPELINES_HOME", str(tmp_path / name))
        with pytest.raises(
            InputError, match=rf"PIPELINES_HOME must name a folder, received .*{name}$"
        ):
            load_home()


def test_no_two_kinds_or_competitions_share_a_place():
    home = Home(Path("/h"))
    places = [home.packages] + [
        place
        for name in ("a", "b")
        for place in (home.work(name), *by_kind(home, name, "open"), *by_kind(home, name, "kaggle"))
    ]

    assert len(set(places)) == len(places)
    # Reading one kind's folder must never bring up another's files, nor anybody's answers.
    assert not any(a in b.parents for a in places for b in places)


def by_kind(home, name, kind):
    return home.raw(name, kind), home.answers(name, kind), home.submissions(name, kind)
