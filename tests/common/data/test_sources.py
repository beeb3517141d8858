import hashlib
import json
import os
import stat

import pytest

from common.checks import InputError
from common.data.sources import (
    SOURCE_FILE,
    compute_sha256,
    join_digests,
    load_digests,
    load_source,
    write_kind,
)


def fill_with(**files):
    """Make a `fill` for `write_kind`; "__" in a name stands for "/", "_" for "."."""

    def fill(folder):
        for name, text in files.items():
            path = folder / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return fill


def load_texts(raw):
    return {
        path.relative_to(raw).as_posix(): path.read_text()
        for path in raw.rglob("*")
        if path.is_file() and path.name != SOURCE_FILE
    }


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def raw(tmp_path):
    """A kind with two files, one in a folder."""
    write_kind(tmp_path / "open", fill_with(a_csv="a", days__b_csv="b"), made_by="open")
    return tmp_path / "open"


def test_a_file_longer_than_any_block_has_its_true_hash(tmp_path):
    data = os.urandom(3 * 2**20 + 7)
    (tmp_path / "x").write_bytes(data)

    assert compute_sha256(tmp_path / "x") == hashlib.sha256(data).hexdigest()


def test_a_new_kind_tells_what_it_holds_and_how_it_came(raw):
    digests = {"a.csv": sha256("a"), "days/b.csv": sha256("b")}

    assert load_digests(raw) == digests
    assert load_source(raw) == {
        "made_by": "open",
        "digest": join_digests(digests),
        "files": digests,
    }
    assert list(raw.parent.iterdir()) == [raw]


def test_raw_files_are_read_only(raw):
    for name in load_digests(raw):
        assert not stat.S_IMODE((raw / name).stat().st_mode) & 0o222


def test_digests_are_of_the_files_as_they_are_now_not_as_they_came(raw):
    (raw / "a.csv").chmod(0o644)
    (raw / "a.csv").write_text("changed")

    assert load_digests(raw)["a.csv"] == sha256("changed")


def test_a_source_file_of_the_data_itself_counts_as_data(tmp_path):
    write_kind(tmp_path / "open", fill_with(days__source_json="{}"), made_by="open")

    assert list(load_digests(tmp_path / "open")) == ["days/source.json"]


def test_one_digest_of_many_is_equal_if_and_only_if_names_and_bytes_are():
    one = {"a": "1", "b": "2"}

    assert join_digests(one) == join_digests({"b": "2", "a": "1"})
    others = [{"a": "2", "b": "1"}, {"a": "1"}, {"a": "1", "c": "2"}, {}, {"a": "1", "b": "3"}]
    assert len({join_digests(files) for files in [one, *others]}) == 6
    # Names run into neither digests nor each other.
    assert join_digests({"ab": "c"}) != join_digests({"a": "bc"})


def test_without_keep_the_new_files_are_all_there_is(raw):
    digests = write_kind(raw, fill_with(c_csv="c"), made_by="sample", replace=True)

    assert load_texts(raw) == {"c.csv": "c"}
    assert digests == load_digests(raw) == load_source(raw)["files"]


def test_with_keep_new_files_join_the_old_ones(raw):
    digests = write_kind(raw, fill_with(days__c_csv="c"), made_by="import", keep=True)

    assert load_texts(raw) == {"a.csv": "a", "days/b.csv": "b", "days/c.csv": "c"}
    assert digests == load_digests(raw) == load_source(raw)["files"]
    assert load_source(raw)["made_by"] == "import"
    assert load_source(raw)["digest"] == join_digests(digests)


def test_with_keep_files_are_copied_where_there_are_no_hard_links(raw, monkeypatch):
    def link(old, new):
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", link)
    write_kind(raw, fill_with(c_csv="c"), made_by="import", keep=True)

    assert load_texts(raw) == {"a.csv": "a", "days/b.csv": "b", "c.csv": "c"}


@pytest.mark.parametrize("keep", [True, False])
def test_other_bytes_under_an_old_name_are_an_error_that_changes_nothing(raw, keep):
    source = (raw / SOURCE_FILE).read_text()

    with pytest.raises(
        InputError, match=r"open/days/b\.csv is there with other bytes: add --replace"
    ):
        write_kind(raw, fill_with(c_csv="c", days__b_csv="new"), made_by="import", keep=keep)

    assert load_texts(raw) == {"a.csv": "a", "days/b.csv": "b"}
    assert (raw / SOURCE_FILE).read_text() == source
    assert list(raw.parent.iterdir()) == [raw]


def test_replace_puts_other_bytes_under_an_old_name_and_keep_the_rest(raw):
    write_kind(raw, fill_with(days__b_csv="new"), made_by="import", replace=True, keep=True)

    assert load_texts(raw) == {"a.csv": "a", "days/b.csv": "new"}
    assert load_source(raw)["files"]["days/b.csv"] == sha256("new")


def test_the_same_bytes_again_are_no_conflict(raw):
    write_kind(raw, fill_with(a_csv="a"), made_by="import", keep=True)

    assert load_texts(raw) == {"a.csv": "a", "days/b.csv": "b"}


def test_writing_a_kind_never_alters_an_old_file_that_is_open_elsewhere(raw):
    """Kept files are second names of the same bytes, replaced ones must be other files."""
    with (raw / "a.csv").open() as before:
        write_kind(raw, fill_with(a_csv="new"), made_by="import", replace=True, keep=True)
        assert before.read() == "a"


def test_an_error_while_filling_loses_nothing(raw):
    before = (raw / SOURCE_FILE).read_text()

    def fill(folder):
        fill_with(a_csv="new", c_csv="c")(folder)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_kind(raw, fill, made_by="import", replace=True, keep=True)

    assert load_texts(raw) == {"a.csv": "a", "days/b.csv": "b"}
    assert (raw / SOURCE_FILE).read_text() == before
    assert list(raw.parent.iterdir()) == [raw]


def test_no_files_are_an_error_that_leaves_the_old_ones(raw):
    with pytest.raises(InputError, match="import brought no files"):
        write_kind(raw, lambda folder: (folder / "empty").mkdir(), made_by="import", replace=True)

    assert load_texts(raw) == {"a.csv": "a", "days/b.csv": "b"}


def test_no_files_leave_no_new_kind(tmp_path):
    with pytest.raises(InputError, match="brought no files"):
        write_kind(tmp_path / "open", lambda folder: None, made_by="open")

    assert list(tmp_path.iterdir()) == []


def test_a_missing_or_damaged_source_file_is_told(raw):
    source = raw / SOURCE_FILE
    source.write_text(json.dumps({"made_by": "open"})[:-3])
    with pytest.raises(InputError, match=r"source\.json is not JSON .*fetch the data again"):
        load_source(raw)

    source.unlink()
    with pytest.raises(InputError, match=r"open has no source\.json: fetch the data again"):
        load_source(raw)
