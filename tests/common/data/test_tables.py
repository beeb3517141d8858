import numpy as np
import pandas as pd
import pytest

from common.checks import InputError
from common.data.tables import (
    check_columns,
    check_labels,
    check_numbers,
    load_header,
    load_table,
)


@pytest.fixture
def write(tmp_path):
    def write(data, name="days.csv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return write


PLAIN = "day,count\n2011-01-01,16\n2011-01-02,40\n"


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        "\ufeff" + PLAIN,
        "\ufeff" + PLAIN.replace("\n", "\r\n"),
        PLAIN.rstrip("\n"),
        PLAIN + "\n\n",
        '\ufeff"day","count"\n"2011-01-01",16\n2011-01-02,40\n',
        PLAIN.replace("-", ""),
        "day,count\n2011-01-01,16,\n2011-01-02,40,\n",
    ],
    ids=["plain", "CRLF", "BOM", "BOM+CRLF", "cut", "blank end", "quoted", "digits", "comma end"],
)
def test_one_table_in_many_spellings_is_the_same_table(write, data):
    frame = load_table(write(data), dates=["day"], columns=["count"])

    wanted = pd.DataFrame({"day": pd.to_datetime(["2011-01-01", "2011-01-02"]), "count": [16, 40]})
    pd.testing.assert_frame_equal(frame, wanted, check_dtype=False)
    assert frame["count"].dtype == np.int64


def test_a_table_with_a_header_only_has_no_rows_and_all_columns(write):
    frame = load_table(write("day,count\n"), dates=["day"])

    assert list(frame.columns) == ["day", "count"] and len(frame) == 0


@pytest.mark.parametrize("load", [load_table, load_header])
@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is empty$"),
        (b"\n\n", "is empty$"),
        (b"\xef\xbb\xbf", "is empty$"),
        ("day,name\n1,café\n".encode("latin-1"), "is not a UTF-8 CSV table: .*0xe9"),
        ("day\n1\n".encode("utf-16"), "is not a UTF-8 CSV table"),
        (b'day,count\n1,"2\n', "is not a UTF-8 CSV table: .*EOF inside string"),
        # pandas alone would take the first field of such rows for an index and shift the others.
        (b"day,count\n1,2,3\n4,5,6\n", ": rows must be no longer than the header, the first is$"),
        (b"day,count\n0,2,3\n1,5,6\n", ": rows must be no longer than the header, the first is$"),
    ],
)
def test_what_is_no_table_is_told_in_one_line(write, load, data, told):
    path = write(data)

    with pytest.raises(InputError, match=told) as caught:
        load(path)

    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_a_row_with_too_many_fields_is_told_with_its_line(write):
    told = r"days\.csv: rows must be no longer than the header, line 3 has 3 fields$"
    with pytest.raises(InputError, match=told):
        load_table(write("day,count\n1,2\n4,5,6\n"))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(InputError, match=r"days\.csv is missing$"):
        load_table(tmp_path / "days.csv")


def test_a_missing_column_is_told_with_those_that_are_there(write):
    path = write(PLAIN)

    with pytest.raises(InputError, match=r"days\.csv must have a column temp, received day, count"):
        load_table(path, columns=["count", "temp"])
    with pytest.raises(InputError, match="must have a column date, received day, count"):
        load_table(path, dates=["date"])
    check_columns(path, ["b", "a"], iter(["a"]))


def test_columns_and_dates_may_be_any_iterables(write):
    frame = load_table(write(PLAIN), dates=iter(["day"]), columns=iter(["count"]))

    assert frame["day"].dt.day.tolist() == [1, 2]


def test_another_separator_reads_the_same_table(write):
    plain, other = write(PLAIN), write(PLAIN.replace(",", ";"), "other.csv")

    frame = load_table(other, dates=["day"], columns=["count"], separator=";")

    pd.testing.assert_frame_equal(frame, load_table(plain, dates=["day"]))
    assert load_header(other, separator=";") == ["day", "count"]
    with pytest.raises(InputError, match=r"must have a column count, received day;count$"):
        load_table(other, columns=["count"])


def test_text_that_looks_like_numbers_stays_text_when_asked(write):
    path = write("code,count\n01,1\n1,2\n,3\n")

    frame = load_table(path, dtypes={"code": "str"})

    assert frame["code"].tolist()[:2] == ["01", "1"] and frame["code"].isna()[2]
    assert frame["count"].dtype == np.int64
    assert load_table(path)["code"].tolist()[:2] == [1, 1]


def test_a_column_has_one_type_however_long_it_is(write):
    """pandas alone would warn, and take the first 400,000 rows for numbers, the last for text."""
    frame = load_table(write("code,n\n" + "0,1\n" * 400_000 + "a,1\n"))

    assert frame["code"].map(type).unique().tolist() == [str]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("2011-13-01", "column day must hold dates, line 3 has 2011-13-01"),
        ("tomorrow", "column day must hold dates, line 3 has tomorrow"),
        ("01/02/2011", "column day must hold dates, line 3 has 01/02/2011"),
        ("12.5", "column day must hold dates, line 3 has 12.5"),
        ("", "column day must hold dates, line 3 has nan"),
    ],
)
def test_what_is_no_date_is_told(write, value, told):
    with pytest.raises(InputError, match=told) as caught:
        load_table(write(f"day,count\n2011-01-01,1\n{value},2\n"), dates=["day"])

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("-0.5", "line 3 has -0.5 "),
        ("", "line 3 has nan "),
        ("many", "line 3 has many "),
        ("inf", "line 3 has inf "),
        ("-inf", "line 3 has -inf "),
        ("1e999", "line 3 has inf "),
    ],
)
def test_what_is_no_number_or_too_small_is_told(write, value, told):
    path = write(f"day,count\n1,0\n2,{value}\n3,{value}\n")
    frame = load_table(path)

    with pytest.raises(InputError, match=rf"column count must hold numbers >= 0, {told}\(2 such"):
        check_numbers(path, frame, ["day", "count"], minimum=0)


def test_numbers_at_the_minimum_pass(write):
    path = write("a,b\n1,-2.5\n2,7\n")

    check_numbers(path, load_table(path), ["a"], minimum=1)
    check_numbers(path, load_table(path), ["b"], minimum=-2.5)
    with pytest.raises(InputError, match=r"column b must hold numbers >= -2\.4"):
        check_numbers(path, load_table(path), ["a", "b"], minimum=-2.4)


def test_numbers_may_have_to_be_whole_and_may_be_missing(write):
    path = write("a,b\n1,\n2.5,3\n,many\n")
    frame = load_table(path)

    check_numbers(path, frame, ["a"], minimum=1, may_miss=True)
    with pytest.raises(
        InputError,
        match=r"a must hold whole numbers from 0 to 9, line 3 has 2\.5 \(1 such rows\)",
    ):
        check_numbers(path, frame, ["a"], minimum=0, maximum=9, whole=True, may_miss=True)
    with pytest.raises(InputError, match=r"a must hold whole numbers >= 0, line 3 .*\(2 such rows"):
        check_numbers(path, frame, ["a"], minimum=0, whole=True)
    with pytest.raises(
        InputError, match=r"b must hold numbers >= 0, line 4 has many \(1 such rows"
    ):
        check_numbers(path, frame, ["b"], minimum=0, may_miss=True)


def test_labels_are_told_apart_from_others(write):
    path = write("type,size\na,s\nb,\nx,s\n")
    frame = load_table(path)

    check_labels(path, frame, ["type"], allowed=iter("abx"))
    with pytest.raises(
        InputError, match=r"type must hold one of a, b, line 4 has x \(1 such rows\)"
    ):
        check_labels(path, frame, ["type"], allowed="ab")
    with pytest.raises(InputError, match="column size must hold one of s, line 3 has nan"):
        check_labels(path, frame, ["size"], allowed=["s"])


def test_only_the_first_lines_are_read(tmp_path, write):
    """A fault far down, beyond the reader's first block, is for `load_table` to find."""
    rows = b"2011-01-01,16\n" * 100_000
    path = write(b"day,count\n" + rows + b"1,2,3\n")

    assert load_header(path) == ["day", "count"]
    with pytest.raises(InputError, match="line 100002"):
        load_table(path)
