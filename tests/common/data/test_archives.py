"""What must not come out of a zip, and what must."""

import io
import os
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from common.checks import InputError
from common.data import archives
from common.data.archives import ArchiveError, write_unpacked


def make_zip(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def load_tree(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def write_zip(path: Path, **files: bytes) -> Path:
    path.write_bytes(make_zip(**files))
    return path


def make_link() -> bytes:
    link = zipfile.ZipInfo("link.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    return buffer.getvalue()


def make_encrypted() -> bytes:
    """Set the encryption bit of the one entry, in its own header and in the directory."""
    data = bytearray(make_zip(**{"a.csv": b"a"}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def make_damaged() -> bytes:
    data = make_zip(**{"a.csv": b"abc" * 100})
    return data[:40] + b"????" + data[44:]


def make_twice() -> bytes:
    buffer = io.BytesIO(make_zip(**{"a.csv": b"one"}))
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a.csv", b"two")
    return buffer.getvalue()


def make_deep(depth: int) -> bytes:
    data = make_zip(**{"a.csv": b"a"})
    for _ in range(depth):
        data = make_zip(**{"inner.zip": data})
    return data


def test_zips_within_zips_unpack_beside_themselves(tmp_path: Path) -> None:
    inner = make_zip(**{"train.csv": b"1", "train.csv.zip": make_zip(**{"more.csv": b"2"})})
    source = write_zip(
        tmp_path / "all.zip",
        **{
            "imgs/train.csv.zip": inner,
            "test.csv": b"3",
            "__MACOSX/._test.csv": b"junk",
            "imgs/.DS_Store": b"junk",
        },
    )
    write_unpacked(source, tmp_path / "raw")
    assert load_tree(tmp_path / "raw") == {
        "imgs/train.csv": b"1",
        "imgs/more.csv": b"2",
        "test.csv": b"3",
    }


def test_a_folder_is_copied_and_its_zips_unpacked(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    write_zip(source / "train.csv.zip", **{"train.csv": b"1"})
    (source / "test.csv").write_bytes(b"2")
    (source / ".DS_Store").write_bytes(b"junk")
    write_unpacked(source, tmp_path / "raw")
    assert load_tree(tmp_path / "raw") == {"train.csv": b"1", "test.csv": b"2"}
    assert (source / "train.csv.zip").is_file()


def test_the_same_file_plain_and_zipped_is_no_clash(tmp_path: Path) -> None:
    source = write_zip(
        tmp_path / "all.zip", **{"a.csv": b"1", "a.csv.zip": make_zip(**{"a.csv": b"1"})}
    )
    write_unpacked(source, tmp_path / "raw")
    assert load_tree(tmp_path / "raw") == {"a.csv": b"1"}


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: make_zip(**{"../a.csv": b"a"}), r"holds \.\./a\.csv, which leads out"),
        (lambda: make_zip(**{"x/../../a.csv": b"a"}), "leads out"),
        (lambda: make_zip(**{"/tmp/a.csv": b"a"}), "leads out"),
        (lambda: make_zip(**{"..\\a.csv": b"a"}), "leads out"),
        (lambda: make_zip(**{"C:\\a.csv": b"a"}), "leads out"),
        (make_link, "holds link.csv, a link or a device"),
        (make_encrypted, "encrypted"),
        (make_damaged, "not a whole zip file"),
        (lambda: make_zip(**{"a.csv": os.urandom(99)})[:-30], "not a whole zip file"),
        (lambda: b"<html>", "not a whole zip file"),
        (lambda: b"", "not a whole zip file"),
        (make_twice, "holds a.csv twice"),
        (lambda: make_zip(**{"a.csv": bytes(32 * 2**20)}), "would unpack from"),
        (lambda: make_deep(archives.MAX_DEPTH + 1), "zips more than 3 deep"),
        (
            lambda: make_zip(**{"in.zip": make_zip(**{"../a.csv": b"a"})}),
            r"bad\.zip: in\.zip holds",
        ),
        (lambda: make_zip(**{"in.zip": make_link()}), r"bad\.zip: in\.zip holds link\.csv"),
        (lambda: make_zip(**{"in.zip": b"no zip"}), r"bad\.zip: in\.zip is not a whole zip"),
    ],
)
def test_bad_zips_are_refused_whole(tmp_path: Path, make: Callable[[], bytes], told: str) -> None:
    source, into = tmp_path / "bad.zip", tmp_path / "home" / "raw"
    source.write_bytes(make())
    into.mkdir(parents=True)
    (into / "old.csv").write_bytes(b"old")
    with pytest.raises(ArchiveError, match=told) as caught:
        write_unpacked(source, into)
    assert "bad.zip" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert load_tree(tmp_path) == {"bad.zip": source.read_bytes(), "home/raw/old.csv": b"old"}


def test_the_allowed_depth_unpacks(tmp_path: Path) -> None:
    (tmp_path / "all.zip").write_bytes(make_deep(archives.MAX_DEPTH))
    write_unpacked(tmp_path / "all.zip", tmp_path / "raw")
    assert load_tree(tmp_path / "raw") == {"a.csv": b"a"}


def test_too_little_disk_says_how_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_zip(tmp_path / "all.zip", **{"a.csv": b"12345678"})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=7))
    with pytest.raises(InputError, match=r"all\.zip needs 8 bytes of disk, 7 are free"):
        write_unpacked(source, tmp_path / "raw")


def test_links_in_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.csv").symlink_to("/etc/passwd")
    with pytest.raises(InputError, match=r"a\.csv is a link"):
        write_unpacked(tmp_path / "source", tmp_path / "raw")


def test_a_missing_source_and_a_file_in_the_way_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none is neither a file nor a folder"):
        write_unpacked(tmp_path / "none", tmp_path / "raw")
    source = write_zip(tmp_path / "all.zip", **{"a": b"1", "a/b": b"2"})
    with pytest.raises(InputError, match=r"all\.zip cannot be unpacked: .*a"):
        write_unpacked(source, tmp_path / "raw")
