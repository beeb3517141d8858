import warnings

import pandas as pd
import pytest

from common.checks import InputError
from common.data.chunks import load_chunks


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('﻿id,place,n\n"01",,1\n"02","[1,2]",NA\n"03","a",3\n', encoding="utf-8")
    return path


def test_chunks_are_the_table_as_text(table):
    """Zeros in front, "NA" and empty fields stay what they are; row labels go on."""
    chunks = list(load_chunks(table, columns=["place", "id"], n_rows=2))

    assert [chunk.index.tolist() for chunk in chunks] == [[0, 1], [2]]
    whole = pd.concat(chunks)
    assert list(whole.columns) == ["place", "id"]
    assert whole["id"].tolist() == ["01", "02", "03"]
    assert whole["place"].tolist() == ["", "[1,2]", "a"]
    assert next(load_chunks(table, columns=["n"]))["n"].tolist() == ["1", "NA", "3"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "table.csv is empty"),
        (b"a,b\n1,2\n", "table.csv must have a column id, received a, b"),
        (b"id\n1\n1,2,3\n", "no longer than the header, line 3 has 3 fields$"),
        (b"id,b\n" + b"1,2\n" * 8 + b"1,2,3\n", "than the header, line 10 has 3 fields$"),
        (b"id,b\n1,2,3\n1,2\n", "table.csv: rows must be no longer than the header, the first is$"),
        (b"id\n1,2\n1,2,3\n", "no longer than the header, line 3 has 3 fields$"),
        (b'id,b\n1,"2\n', "table.csv is not a UTF-8 CSV table: .*EOF inside string"),
        (b"id\n\xff\n", "table.csv is not a UTF-8 CSV table: 'utf-8' codec can't decode"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(table, content, told):
    table.write_bytes(content)
    with pytest.raises(InputError, match=told) as caught:
        list(load_chunks(table, columns=["id"], n_rows=3))
    assert "\n" not in str(caught.value)


def test_rows_before_a_fault_in_a_later_chunk_are_handed_out(table):
    table.write_bytes(b"id\n" + b"1\n" * 300_000 + b"1,2\n")
    chunks = load_chunks(table, columns=["id"], n_rows=100_000)

    assert len(next(chunks)) == 100_000
    with pytest.raises(InputError, match="line 300002 has 2 fields"):
        list(chunks)


def test_what_the_caller_does_between_two_chunks_is_not_the_files_fault(table):
    """The caller's own warnings stay warnings, and its own errors what they are."""
    chunks = load_chunks(table, columns=["id"], n_rows=2)
    before = list(warnings.filters)
    next(chunks)

    assert warnings.filters == before
    with pytest.raises(pd.errors.ParserError, match="mine"):
        chunks.throw(pd.errors.ParserError("mine"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none.csv is missing"):
        list(load_chunks(tmp_path / "none.csv", columns=["id"]))
