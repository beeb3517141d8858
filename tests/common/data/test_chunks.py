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
        (b"id\n1\n1,2,3\n", "table.csv is not a UTF-8 CSV table: .*line 3, saw 3"),
        (b"id\n\xff\n", "table.csv is not a UTF-8 CSV table: 'utf-8' codec can't decode"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(table, content, told):
    table.write_bytes(content)
    with pytest.raises(InputError, match=told) as caught:
        list(load_chunks(table, columns=["id"]))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none.csv is missing"):
        list(load_chunks(tmp_path / "none.csv", columns=["id"]))
