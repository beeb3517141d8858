"""How Rossmann's tables are read: made-up files, whole and damaged."""

import csv
import datetime
import logging
import random

import numpy as np
import pandas as pd
import pytest

from common.checks import InputError
from competitions.rossmann_store_sales.days import (
    HOLIDAYS,
    MONTHS,
    PROMO_MONTHS,
    load_days,
    load_stores,
)
from competitions.rossmann_store_sales.sample import FORGOTTEN_STORE
from tests.helpers.rossmann import drop_store, load_text, repeat, rewrite, set_field

# Days


def test_days_are_the_rows_of_both_files(whole):
    """Told by Python's own csv module."""
    days, is_test = load_days(whole)
    rows = {}
    for name in ("train.csv", "test.csv"):
        with (whole / name).open() as file:
            rows |= {(int(row["Store"]), row["Date"]): row for row in csv.DictReader(file)}
    keys = list(zip(days["Store"], days["Date"].dt.strftime("%Y-%m-%d"), strict=True))
    assert keys == sorted(rows) and len(is_test) == len(keys)
    assert is_test.tolist() == ["Id" in rows[key] for key in keys]
    for column, missing in (("Sales", np.nan), ("Customers", np.nan), ("Id", -1)):
        wanted = [float(rows[key].get(column, missing)) for key in keys]
        np.testing.assert_array_equal(days[column], wanted)
    for column in ("Promo", "SchoolHoliday"):
        assert days[column].tolist() == [int(rows[key][column]) for key in keys]
    assert days["Open"].tolist() == [int(rows[key]["Open"] or 1) for key in keys]
    assert days["StateHoliday"].tolist() == [rows[key]["StateHoliday"] for key in keys]


def test_days_have_types_of_their_own(whole):
    """Levels of a category are fixed: a test without holidays has them all."""
    days, is_test = load_days(whole)
    types = {column: str(dtype) for column, dtype in days.dtypes.items()}
    assert types.pop("Date").startswith("datetime64")
    assert types == {
        "Store": "int64",
        "Id": "int64",
        "Sales": "float32",
        "Customers": "float32",
        "Open": "int8",
        "Promo": "int8",
        "SchoolHoliday": "int8",
        "StateHoliday": "category",
    }
    assert is_test.dtype == bool
    assert days.loc[is_test, "StateHoliday"].cat.categories.tolist() == list(HOLIDAYS)


def test_neither_order_nor_quotes_matter(whole, raw):
    """Kaggle writes days from the last to the first, and "0" and 0 by turns."""
    lines = (raw / "train.csv").read_text().splitlines()
    body = [
        line if k % 2 else ",".join([*line.split(",")[:7], f'"{line.split(",")[7]}"', line[-1]])
        for k, line in enumerate(lines[1:])
    ]
    assert sum('"0"' in line for line in body) > 1000
    random.Random(0).shuffle(body)
    (raw / "train.csv").write_text("\n".join([lines[0], *body]) + "\n")
    for found, wanted in zip(load_days(raw), load_days(whole), strict=True):
        pd.testing.assert_frame_equal(pd.DataFrame(found), pd.DataFrame(wanted))


def test_test_days_that_do_not_say_open_are_taken_as_open(whole, raw, caplog):
    days, is_test = load_days(whole)
    assert caplog.messages == ["test.csv: 2 rows do not say Open: taken as open"]
    table = load_text(whole / "test.csv")
    forgotten = table.loc[table["Open"] == "", "Id"].astype(int)
    rows = days[is_test & days["Id"].isin(forgotten)]
    assert rows["Open"].tolist() == [1, 1] and set(rows["Store"]) == {FORGOTTEN_STORE}
    caplog.clear()
    rewrite(raw / "test.csv", lambda table: table.assign(Open=table["Open"].replace("", "0")))
    days, is_test = load_days(raw)
    assert not caplog.messages
    assert days.loc[is_test & days["Id"].isin(forgotten), "Open"].tolist() == [0, 0]


def test_a_test_store_without_a_past_stays(raw, caplog):
    rewrite(raw / "train.csv", drop_store("8"))
    days, is_test = load_days(raw)
    assert (
        "competitions.rossmann_store_sales.days",
        logging.WARNING,
        "test.csv: 1 stores have no day in train.csv (8): they are forecast without a past",
    ) in caplog.record_tuples
    assert is_test[days["Store"] == 8].tolist() == [True] * 42


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("train.csv", repeat(9), "train.csv must have a store's day once, .* of store 1 comes twi"),
        ("test.csv", repeat(2), "test.csv: column Id must hold each once, 1 comes twice"),
        (
            "test.csv",
            lambda table: pd.concat([table, table.iloc[[0]].assign(Id="9999")]),
            "test.csv must have a store's day once, 2015-07-31 of store 1 comes twice",
        ),
        (
            "test.csv",
            lambda table: pd.concat(
                [table, table.iloc[[0]].assign(Date="2015-06-19", Id="9999", DayOfWeek="5")]
            ),
            "days must come after train.csv's last, 2015-06-19, received 2015-06-19",
        ),
        ("test.csv", set_field(3, "Id", ""), "column Id must hold whole numbers .* line 3 has nan"),
        ("train.csv", set_field(4, "Open", ""), "train.csv: column Open .* line 4 has nan"),
        ("train.csv", set_field(4, "Open", "2"), "train.csv: column Open .* line 4 has 2 "),
        ("test.csv", set_field(4, "Open", "yes"), "test.csv: column Open .* line 4 has yes"),
        ("test.csv", set_field(4, "Promo", "0.5"), "column Promo .* whole .* line 4 has 0.5"),
        ("train.csv", set_field(4, "SchoolHoliday", "-1"), "SchoolHoliday .* line 4 has -1"),
        ("test.csv", set_field(4, "SchoolHoliday", ""), "SchoolHoliday .* line 4 has nan"),
        ("train.csv", set_field(5, "StateHoliday", "d"), "one of 0, a, b, c, line 5 has d"),
        ("test.csv", set_field(5, "StateHoliday", ""), "one of 0, a, b, c, line 5 has nan"),
        ("train.csv", set_field(6, "Sales", "-1"), "Sales must hold numbers >= 0, line 6 has -1"),
        ("train.csv", set_field(6, "Sales", ""), "Sales must hold numbers >= 0, line 6 has nan"),
        ("train.csv", set_field(6, "Customers", "x"), "Customers must hold numbers .*line 6 has x"),
        ("train.csv", set_field(7, "Store", "0"), "Store must hold whole .* line 7 has 0"),
        ("test.csv", set_field(7, "Store", "one"), "Store must hold whole .* line 7 has one"),
        (
            "train.csv",
            set_field(8, "Date", "31.12.2014"),
            "Date must hold dates, line 8 has 31.12.",
        ),
        ("test.csv", set_field(8, "Date", ""), "Date must hold dates, line 8 has nan"),
        (
            "train.csv",
            set_field(8, "Date", "2014-12-31 08:00"),
            "Date must hold whole days, line 8 has 2014-12-31 08:00",
        ),
        (
            "train.csv",
            lambda table: set_field(2, "DayOfWeek", "2")(table),
            r"DayOfWeek must be the date's .*, line 2 has 2 on 2013-10-28, which is 1 \(1 such",
        ),
        ("test.csv", set_field(2, "DayOfWeek", ""), "line 2 has nan on 2015-07-31, which is 5"),
        (
            "train.csv",
            lambda table: table.assign(
                Date=table["Date"].replace("2013-10-28", "1013-10-28"),
                DayOfWeek=table["DayOfWeek"].mask(table["Date"] == "2013-10-28", "4"),
            ),
            "days must span at most 50 years, received 1013-10-28 to 2015-07-31",
        ),
        (
            "store.csv",
            lambda table: table[~table["Store"].isin(["3", "11"])],
            r"store.csv must have every store, 3 is missing \(2 such stores\)",
        ),
        (
            "store.csv",
            set_field(2, "Store", "one"),
            "Store must hold whole numbers .* line 2 has o",
        ),
    ],
)
def test_days_that_are_not_as_they_must_be_are_refused_in_one_line(raw, name, change, told):
    rewrite(raw / name, change)
    with pytest.raises(InputError, match=told) as caught:
        load_days(raw)
    assert str(caught.value).startswith(str(raw)) and "\n" not in str(caught.value)


# Stores


def test_stores_by_hand(whole, tmp_path):
    """Monday of week 13 of 2010 is 29 March; week 1 of 2013 begins in the year before."""
    header = (whole / "store.csv").read_text().splitlines()[0]
    lines = [
        '7,"a","c",30,1,1900,1,1,2013,"Mar,Jun,Sept,Dec"',
        '1,"c","a",1270,9,2008,0,,,""',
        '2,"b","b",,,,1,13,2010,"Jan,Apr,Jul,Oct"',
        '3,"d","c",20,,2010,0,5,2011,"Feb,May"',
    ]
    (tmp_path / "store.csv").write_text("\n".join([header, *lines]) + "\n")
    stores = load_stores(tmp_path)
    assert stores.index.tolist() == [1, 2, 3, 7]
    assert stores["StoreType"].tolist() == ["c", "b", "d", "a"]
    assert stores["StoreType"].cat.categories.tolist() == ["a", "b", "c", "d"]
    assert stores["Assortment"].tolist() == ["a", "b", "c", "c"]
    assert stores["Assortment"].cat.categories.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(stores["CompetitionDistance"], [1270, np.nan, 20, 30])
    since = pd.to_datetime(["2008-09-01", None, None, "1900-01-01"])
    assert stores["competition_since"].tolist() == since.tolist()
    assert stores["Promo2"].tolist() == [False, True, False, True]
    promo2 = pd.to_datetime([None, "2010-03-29", None, "2012-12-31"])
    assert stores["promo2_since"].tolist() == promo2.tolist()
    months = stores[list(PROMO_MONTHS)].to_numpy()
    assert months.dtype == bool and months.sum(axis=1).tolist() == [0, 4, 0, 4]
    assert np.flatnonzero(months[1]).tolist() == [0, 3, 6, 9]
    assert np.flatnonzero(months[3]).tolist() == [2, 5, 8, 11]


def test_weeks_of_promo2_are_those_of_the_iso_calendar(whole, tmp_path):
    cases = [(year, week) for year in range(2008, 2017) for week in (1, 2, 9, 26, 52)]
    cases += [(2009, 53), (2015, 53)]
    header = (whole / "store.csv").read_text().splitlines()[0]
    lines = [f"{k},a,a,,,,1,{w},{y},Jan" for k, (y, w) in enumerate(cases, start=1)]
    (tmp_path / "store.csv").write_text("\n".join([header, *lines]) + "\n")
    wanted = [datetime.date.fromisocalendar(year, week, 1) for year, week in cases]
    assert load_stores(tmp_path)["promo2_since"].dt.date.tolist() == wanted


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (repeat(3), "store.csv must have each store once, 2 comes twice"),
        (set_field(4, "Store", "1.5"), "Store must hold whole numbers .* line 4 has 1.5"),
        (set_field(4, "StoreType", "e"), "StoreType must hold one of a, b, c, d, line 4 has e"),
        (set_field(4, "Assortment", ""), "Assortment must hold one of a, b, c, line 4 has nan"),
        (set_field(4, "CompetitionDistance", "far"), "CompetitionDistance .* line 4 has far"),
        (set_field(4, "CompetitionOpenSinceMonth", "13"), "SinceMonth .* line 4 has 13"),
        (set_field(4, "CompetitionOpenSinceYear", "15"), "SinceYear .* line 4 has 15"),
        (set_field(4, "Promo2", ""), "Promo2 must hold whole numbers from 0 to 1, line 4 has nan"),
        (set_field(3, "Promo2SinceWeek", "54"), "Promo2SinceWeek .* line 3 has 54"),
        (set_field(3, "Promo2SinceYear", ""), r"with Promo2 must have .*, line 3 lacks one \(1 su"),
        (set_field(3, "PromoInterval", ""), "with Promo2 must have .*, line 3 lacks one"),
        (set_field(3, "PromoInterval", "Jan,Sep"), r"months \(Jan.*Dec\), line 3 has Jan,Sep"),
    ],
)
def test_stores_that_are_not_as_they_must_be_are_refused(raw, change, told):
    rewrite(raw / "store.csv", change)
    with pytest.raises(InputError, match=told) as caught:
        load_stores(raw)
    assert str(caught.value).startswith(str(raw)) and "\n" not in str(caught.value)


def test_months_are_those_of_kaggle():
    assert [month[:3] for month in MONTHS] == [
        datetime.date(2015, month, 1).strftime("%b") for month in range(1, 13)
    ]
