import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from common.checks import InputError
from common.data import zipped
from common.data.zipped import FolderFiles


@pytest.fixture
def root(tmp_path):
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "ü.txt").write_bytes(b"plain")
    (tmp_path / "open.zip").mkdir()
    (tmp_path / "open.zip" / "1.txt").write_bytes(b"a folder that is called a zip")
    with zipfile.ZipFile(tmp_path / "a b" / "in.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(50):
            archive.writestr(f"ö/{k}.txt", f"{k} " * 1000)
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    return tmp_path


def test_files_lie_in_folders_and_zips(root):
    with FolderFiles(root) as files:
        assert files.load("a b/ü.txt") == b"plain"
        assert files.load("open.zip/1.txt") == b"a folder that is called a zip"
        assert files.load("a b/in.zip/ö/7.txt") == b"7 " * 1000


def test_threads_may_read_one_zip(root):
    with FolderFiles(root) as files, ThreadPoolExecutor(4) as pool:
        names = [f"a b/in.zip/ö/{k}.txt" for k in range(50)]
        facts = [files.load_facts(name) for name in names]
        loaded = list(pool.map(files.load, names * 4))

    assert loaded == [f"{k} ".encode() * 1000 for k in range(50)] * 4
    assert [size for size, _ in facts] == [len(data) for data in loaded[:50]]


def test_threads_that_come_first_at_once_open_a_zip_once(root, monkeypatch):
    opened, come = [], threading.Barrier(8)

    class SlowZip(zipfile.ZipFile):
        def __init__(self, path):
            opened.append(path)
            time.sleep(0.05)
            super().__init__(path)

    monkeypatch.setattr(zipped.zipfile, "ZipFile", SlowZip)
    with FolderFiles(root) as files, ThreadPoolExecutor(8) as pool:

        def load(k):
            come.wait()
            return files.load(f"a b/in.zip/ö/{k}.txt")

        loaded = list(pool.map(load, range(8)))

    assert loaded == [f"{k} ".encode() * 1000 for k in range(8)] and len(opened) == 1


def test_facts_change_with_the_bytes(root):
    with FolderFiles(root) as files:
        before = [files.load_facts(name) for name in ("a b/ü.txt", "a b/in.zip/ö/1.txt")]
        assert files.load_facts("a b/in.zip/ö/2.txt")[1] != before[1][1]
    (root / "a b" / "ü.txt").write_bytes(b"plaIn")
    with FolderFiles(root) as files:
        after = files.load_facts("a b/ü.txt")
    assert before[0][0] == after[0] == 5 and before[0][1] < after[1]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("none.txt", r"none\.txt is missing$"),
        ("none.zip/1.txt", r"none\.zip is missing$"),
        ("a b/in.zip/ö/50.txt", r"a b/in\.zip/ö/50\.txt is missing$"),
        ("bad.zip/1.txt", r"bad\.zip cannot be read: File is not a zip file$"),
    ],
)
def test_what_cannot_be_read_is_named(root, name, told):
    with FolderFiles(root) as files:
        for ask in (files.load, files.load_facts):
            with pytest.raises(InputError, match=told):
                ask(name)
        with pytest.raises(InputError, match=r"a b cannot be read: .*directory"):
            files.load("a b")


def test_a_damaged_member_is_named(root):
    path = root / "a b" / "in.zip"
    data = bytearray(path.read_bytes())
    data[40:60] = bytes(20)
    path.write_bytes(data)
    with FolderFiles(root) as files, pytest.raises(InputError, match=r"0\.txt cannot be read: "):
        files.load("a b/in.zip/ö/0.txt")
