"""How the forum's files are read: made-up ones, whole and damaged, and none at all."""

import logging
import shutil

import pandas as pd
import pytest

from common.checks import InputError
from competitions.rossmann_store_sales.competition import WEATHER
from competitions.rossmann_store_sales.forum import (
    EVENTS,
    READINGS,
    load_states,
    load_trends,
    load_weather,
)
from tests.helpers.rossmann import drop_store, load_text, repeat, rewrite, set_field

STORES = pd.RangeIndex(1, 13)
STATES = pd.Series(["BY", "HB", "NW"] * 4, STORES)
LAST = pd.Timestamp("2015-07-31")  # of the made-up days
EARLY = pd.Timestamp("2015-01-01")  # no file ends before


def test_without_the_forum_there_is_nothing(raw):
    (raw / "store_states.csv").unlink()
    for folder in ("weather", "googletrend"):
        shutil.rmtree(raw / folder)
    assert load_states(raw, STORES) is None
    assert load_weather(raw, None, LAST) is None and load_trends(raw, None, LAST) is None


def test_whole_files_are_read_without_a_word(whole, caplog):
    states = load_states(whole, STORES)
    pd.testing.assert_series_equal(states, STATES, check_names=False, check_index_type=False)
    for load in (load_weather, load_trends):
        assert load(whole, states, LAST)["State"].unique().tolist() == ["BY", "HB", "NW"]
    assert not caplog.messages


def test_weather_and_trends_need_no_file_but_their_own(whole, raw):
    """States and last day are given, so nothing is read again; nor is the country's trend."""
    for path in raw.glob("*.csv"):
        path.unlink()
    for load in (load_weather, load_trends):
        pd.testing.assert_frame_equal(load(raw, STATES, LAST), load(whole, STATES, LAST))


def test_a_part_of_the_forum_is_refused_by_name(raw):
    (raw / "weather" / "HB.csv").unlink()
    with pytest.raises(InputError, match=r"weather/HB\.csv is missing: .* stores in HB$"):
        load_weather(raw, STATES, LAST)
    (raw / "googletrend" / "Rossmann_DE_NI.csv").unlink()
    with pytest.raises(InputError, match=r"Rossmann_DE_NI\.csv is missing: .* stores in HB$"):
        load_trends(raw, STATES, LAST)
    for load, folder in ((load_weather, "weather"), (load_trends, "googletrend")):
        told = rf"store_states\.csv is missing: {folder}/ is of no use without it"
        with pytest.raises(InputError, match=told):
            load(raw, None, LAST)


def test_the_countrys_trends_alone_are_none(raw):
    for path in (raw / "googletrend").glob("Rossmann_DE_*.csv"):
        path.unlink()
    assert load_trends(raw, STATES, LAST) is None and load_trends(raw, None, LAST) is None


# States


def test_states(raw):
    rewrite(raw / "store_states.csv", lambda table: table[::-1])
    rewrite(raw / "store_states.csv", set_field(13, "State", "HB,NI"))
    states = load_states(raw, STORES)
    assert states.index.tolist() == list(range(1, 13))
    assert states.tolist() == ["HB", *["HB", "NW", "BY"] * 3, "HB", "NW"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (repeat(2), "store_states.csv must have each store once, 1 comes twice"),
        (drop_store("5"), r"must have every store, 5 is missing \(1 such stores\)"),
        (set_field(6, "State", ""), r"must have every store, 5 is missing \(1 such stores\)"),
        (set_field(2, "Store", ""), "Store must hold whole numbers .* line 2 has nan"),
    ],
)
def test_states_that_are_not_as_they_must_be_are_refused(raw, change, told):
    rewrite(raw / "store_states.csv", change)
    with pytest.raises(InputError, match=told):
        load_states(raw, STORES)


# Weather


def write_weather(raw, state, rows):
    """Rows as in `WEATHER`: Date, six numbers, Events."""
    lines = [";".join(WEATHER), *rows]
    (raw / "weather" / f"{state}.csv").write_text("\n".join(lines) + "\n")


def test_weather_by_hand(raw):
    """Cloud 2, ?, (no such day), 8: 4 and 6, in equal steps. Wind at an end: the nearest, 30. No
    precipitation told: 0.
    """
    write_weather(
        raw,
        "BY",
        [
            "2015-01-01;8;7;78;NA;0.76;2;Rain",
            "2015-01-02;6;4;86;30;NA;NA;Fog-Rain-Snow",
            '2015-01-04;9;-1;89;33;0;8;""',
        ],
    )
    weather = load_weather(raw, STATES, EARLY)
    assert list(weather.columns) == ["State", "Date", *READINGS, *EVENTS]
    assert weather["State"].unique().tolist() == ["BY", "HB", "NW"]
    bavaria = weather[weather["State"] == "BY"]
    assert bavaria["Date"].dt.day.tolist() == [1, 2, 3, 4]
    assert bavaria["CloudCover"].tolist() == [2, 4, 6, 8]
    assert bavaria["Max_Wind_SpeedKm_h"].tolist() == [30, 30, 31.5, 33]
    assert bavaria["Precipitationmm"].tolist() == [0.76, 0, 0, 0]
    assert bavaria["Mean_TemperatureC"].tolist() == [7, 4, 1.5, -1]
    for event, days in (("Rain", [1, 1, 0, 0]), ("Snow", [0, 1, 0, 0])):
        assert bavaria[event].dtype == bool and bavaria[event].tolist() == days


def test_weather_is_whole(whole):
    """The made-up files lack readings, and have one more than is needed."""
    text = (whole / "weather" / "HB.csv").read_text()
    weather = load_weather(whole, STATES, LAST)
    assert ";NA;" in text and not weather.isna().any().any()
    assert "Min_TemperatureC" in text and "Min_TemperatureC" not in weather
    assert not weather.duplicated(["State", "Date"]).any()
    told = load_text(whole / "weather" / "HB.csv", ";")
    read = weather[weather["State"] == "HB"].reset_index(drop=True)
    for column in READINGS:
        is_told = told[column] != "NA"
        assert (
            read.loc[is_told, column].tolist() == told.loc[is_told, column].astype(float).tolist()
        )
    assert read["Rain"].tolist() == ["Rain" in events for events in told["Events"]]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["2015-01-01;8;7;78;9;0;2;", "2015-01-01;6;4;86;3;0;2;"], "each day once, 2015-01-01"),
        (["2015-01-01;99;7;78;9;0;2;"], "Max_TemperatureC .* from -60 to 60, line 2 has 99"),
        (["2015-01-01;8;-99;78;9;0;2;"], "Mean_TemperatureC .* from -60 to 60, line 2 has -99"),
        (["2015-01-01;8;7;wet;9;0;2;"], "Mean_Humidity .* line 2 has wet"),
        (["2015-01-01;8;7;-1;9;0;2;"], "Mean_Humidity .* from 0 to 1000, line 2 has -1"),
        (["2015-01-01;8;7;78;9;0;NA;"], "CloudCover must hold numbers, received none"),
        (["1.1.2015;8;7;78;9;0;2;"], r"Date must hold dates, line 2 has 1\.1\.2015"),
        ([], "must hold days, received none"),
    ],
)
def test_weather_that_is_not_as_it_must_be_is_refused(raw, rows, told):
    write_weather(raw, "NW", rows)
    with pytest.raises(InputError, match=rf"NW\.csv.*{told}"):
        load_weather(raw, STATES, LAST)


def test_weather_that_ends_too_early_is_told_in_one_line(whole, raw, caplog):
    """BY lacks the last two days; the others are as they were."""
    rewrite(raw / "weather" / "BY.csv", lambda table: table[:-2], ";")
    weather = load_weather(raw, STATES, LAST)
    told = "days must reach 2015-07-31, received days up to 2015-07-29: what follows is unknown"
    assert caplog.record_tuples == [
        ("competitions.rossmann_store_sales.forum", logging.WARNING, f"weather/BY.csv: {told}")
    ]
    wanted = load_weather(whole, STATES, LAST)
    is_cut = (wanted["State"] == "BY") & (wanted["Date"] > pd.Timestamp("2015-07-29"))
    assert is_cut.sum() == 2
    pd.testing.assert_frame_equal(weather, wanted[~is_cut].reset_index(drop=True))
    caplog.clear()
    load_weather(raw, STATES, pd.Timestamp("2015-07-29"))
    assert not caplog.messages


# Search trends


def write_trend(raw, state, rows):
    lines = ["Woche,Dez. 2012 - Sep. 2015", *rows]
    (raw / "googletrend" / f"Rossmann_DE_{state}.csv").write_text("\n".join(lines) + "\n")


def test_trends_by_hand(raw):
    """HB has no file, so NI's is taken; a week that is not there lies between its neighbours."""
    write_trend(
        raw,
        "NI",
        [
            "2015-01-04 - 2015-01-10,40",
            "2015-01-18 - 2015-01-24,60",
            "2015-01-25 - 2015-01-31,100",
        ],
    )
    trends = load_trends(raw, STATES, EARLY)
    assert list(trends.columns) == ["State", "Week", "Trend"]
    assert trends["State"].unique().tolist() == ["BY", "HB", "NW"]
    bremen = trends[trends["State"] == "HB"]
    assert bremen["Week"].dt.strftime("%m-%d").tolist() == ["01-04", "01-11", "01-18", "01-25"]
    assert bremen["Trend"].tolist() == [40, 50, 60, 100]


def test_a_states_own_trends_come_before_its_neighbours(raw):
    write_trend(raw, "HB", ["2015-01-04 - 2015-01-10,1"])
    trends = load_trends(raw, STATES, EARLY)
    assert trends.loc[trends["State"] == "HB", "Trend"].tolist() == [1]


@pytest.mark.parametrize(("state", "neighbour"), [("BB", "BE"), ("MV", "SH"), ("HB", "NI")])
def test_states_without_trends_take_a_neighbours(raw, state, neighbour):
    write_trend(raw, neighbour, ["2015-01-04 - 2015-01-10,33"])
    trends = load_trends(raw, pd.Series(state, STORES), EARLY)
    assert trends["State"].tolist() == [state] and trends["Trend"].tolist() == [33]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["2015-01-05 - 2015-01-11,7"], "weeks from a Sunday on, line 2 has 2015-01-05 - 2015-01-"),
        (["2015-01-04 - 2015-01-10,7", ",8"], "weeks from a Sunday on, line 3 has nan"),
        (
            ["2015-01-04 - 2015-01-10,<1"],
            "Sep. 2015 must hold numbers from 0 to 100, line 2 has <1",
        ),
        (["2015-01-04 - 2015-01-10,7"] * 2, "each day once, 2015-01-04 comes twice"),
        ([], "must hold days, received none"),
    ],
)
def test_trends_that_are_not_as_they_must_be_are_refused(raw, rows, told):
    write_trend(raw, "BY", rows)
    with pytest.raises(InputError, match=rf"Rossmann_DE_BY\.csv.*{told}"):
        load_trends(raw, STATES, LAST)


def test_a_trend_file_of_another_form_is_refused(raw):
    path = raw / "googletrend" / "Rossmann_DE_BY.csv"
    path.write_text("Woche,a,b\n2015-01-04 - 2015-01-10,1,2\n")
    with pytest.raises(InputError, match="must have 2 columns, received Woche, a, b"):
        load_trends(raw, STATES, LAST)


def test_trends_that_end_too_early_are_told_once_a_file(raw, caplog):
    """BB and BE share a file, whose last week ends on Saturday 10 January."""
    write_trend(raw, "BE", ["2015-01-04 - 2015-01-10,33"])
    states = pd.Series(["BB", "BE"] * 6, STORES)
    trends = load_trends(raw, states, pd.Timestamp("2015-01-10"))
    assert not caplog.messages and trends["State"].tolist() == ["BB", "BE"]
    pd.testing.assert_frame_equal(load_trends(raw, states, pd.Timestamp("2015-01-11")), trends)
    told = "days must reach 2015-01-11, received days up to 2015-01-10: what follows is unknown"
    assert caplog.record_tuples == [
        (
            "competitions.rossmann_store_sales.forum",
            logging.WARNING,
            f"googletrend/Rossmann_DE_BE.csv: {told}",
        )
    ]
