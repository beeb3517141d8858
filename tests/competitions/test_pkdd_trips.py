import json
import logging

import numpy as np
import pandas as pd
import pytest

from common.checks import InputError
from common.data import chunks
from competitions.pkdd_15_predict_taxi_service_trajectory_i import trips
from competitions.pkdd_15_predict_taxi_service_trajectory_i.polylines import parse_polylines
from competitions.pkdd_15_predict_taxi_service_trajectory_i.trips import load_train
from tests.helpers.taxis import START_S, make_test, make_trip, walk, write_train


def parse(texts, path):
    return parse_polylines(pd.Series(texts), path)


def test_polylines_are_what_json_says(tmp_path):
    """Latitude comes first here, whole numbers and exponents are numbers, and spaces may stand
    where `json.dumps` writes them.
    """
    rng = np.random.default_rng(0)
    lists = [walk(n, seed=n) for n in rng.integers(0, 30, 200)]
    lists += [[], [[-8, 41]], [[-8.5e0, 4.1e1], [0, -90]], [[-180, 90.0]], []]
    texts = [json.dumps(points, separators=(",", ":")) for points in lists[:150]]
    texts += [json.dumps(points) for points in lists[150:]]

    places, n_points = parse(texts, tmp_path)

    assert n_points.tolist() == [len(points) for points in lists]
    expected = np.array([place[::-1] for points in lists for place in points], dtype=np.float32)
    np.testing.assert_array_equal(places, expected)
    assert places.dtype == np.float32 and len(parse(["[]"], tmp_path)[0]) == 0


BROKEN = (
    *("", "[", "[]]", "[][]", "null", "{}", "5", "[5]", "[1,2]", "[[1,2]", "[[1,2]]]", "[[1,2],]"),
    *("[[,]]", "[[,1]]", "[[1,]]", "[[1]]", "[[1,2,3]]", "[[1],[2,3,4]]", "[[,],[1,2]]"),
    *("[[1,a]]", "[[NaN,1]]", "[[1-2,3]]", "[[--1,2]]", "[[1.1.1,2]]", "[[1 2,3]]", "[[1;2]]"),
    *("1[[1,2]]", "[[1,2]]1", "[1[1,2]]", "[[1,2]3]", "[[1,2]3,[1,2]]", "[[1,2],3[1,2]]"),
    *("[[1,2]] [[3,4]]", "[(1,2)]", "missing"),
)


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_polyline_is_refused_by_its_line(text, tmp_path):
    with pytest.raises(InputError) as caught:
        parse(["[[-8.6,41.1]]", "[]", text, "[[", "[[-8.6,41.1]]"], tmp_path / "t.csv")
    assert str(caught.value) == (
        f"{tmp_path}/t.csv: column POLYLINE must hold JSON like [[-8.61,41.14],[-8.62,41.15]], "
        f"line 4 has {text or 'nothing'}"
    )


@pytest.mark.parametrize(
    ("point", "told"),
    [([-8.6, 91], "[-8.6, 91.0]"), ([-180.1, 41], "[-180.1, 41.0]"), ([41.1, -98.6], "-98.6]")],
)
def test_a_point_off_the_earth_is_refused_by_its_line(point, told, tmp_path):
    texts = [json.dumps(points) for points in ([], walk(3), [*walk(2), point], walk(2))]
    with pytest.raises(InputError, match="line 4 has ") as caught:
        parse(texts, tmp_path / "t.csv")
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_trips_lie_one_after_another_whatever_the_chunks(tmp_path, monkeypatch):
    lines = [make_trip(k, walk(k + 1, seed=k), ORIGIN_CALL=2000 + k) for k in range(7)]
    write_train(tmp_path, *lines)
    whole = load_train(tmp_path)
    monkeypatch.setattr(trips, "load_chunks", lambda *a, **k: chunks.load_chunks(*a, **k, n_rows=3))
    again = load_train(tmp_path)

    for read in (whole, again):
        assert read.ids.tolist() == [f"id{k}" for k in range(7)]
        assert read.n_points.tolist() == [1, 2, 3, 4, 5, 6, 7]
        last = read.points[read.offsets[1:] - 1]
        ends = [json.loads(line["POLYLINE"])[-1][::-1] for line in lines]
        np.testing.assert_array_equal(last, np.array(ends, np.float32))
        np.testing.assert_array_equal(read.table["ORIGIN_CALL"], 2000 + np.arange(7))
        assert read.table["ORIGIN_STAND"].isna().all()
        assert (read.end - read.start).tolist() == [0, 15, 30, 45, 60, 75, 90]
        assert read.start[0] == START_S


def test_trips_that_teach_nothing_are_left_out_and_told(tmp_path, caplog):
    write_train(
        tmp_path,
        make_trip(0, walk(4)),
        make_trip(1, walk(5), MISSING_DATA="True"),
        make_trip(2, []),
        make_trip(3, walk(6), TRIP_ID="id0"),
        make_trip(4, walk(7)),
        make_trip(5, [], MISSING_DATA="True"),
        make_trip(6, walk(8), TRIP_ID="id1"),
    )
    with caplog.at_level(logging.INFO):
        read = load_train(tmp_path)

    assert read.ids.tolist() == ["id0", "id4", "id1"]
    assert read.n_points.tolist() == [4, 7, 8]
    assert caplog.messages == [
        "train.csv: left out are trips 2 flagged as incomplete, 1 empty, 1 listed before"
    ]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"MISSING_DATA": "maybe"},
            "column MISSING_DATA must hold True or False, line 3 has maybe",
        ),
        ({"TAXI_ID": "x7"}, "column TAXI_ID must hold whole numbers >= 0, line 3 has x7"),
        (
            {"TIMESTAMP": ""},
            "TIMESTAMP must hold whole numbers in [0, 4000000000), line 3 has nothing",
        ),
        (
            {"TIMESTAMP": 10**12},
            "TIMESTAMP must hold whole numbers in [0, 4000000000), line 3 has 10",
        ),
        ({"ORIGIN_CALL": -2}, "column ORIGIN_CALL must hold whole numbers >= 0, line 3 has -2"),
        ({"POLYLINE": "[[1,"}, "line 3 has [[1,"),
    ],
)
def test_a_broken_field_is_refused_by_its_line(fields, told, tmp_path):
    write_train(tmp_path, make_trip(0, walk(4)), make_trip(1, walk(4)) | fields)
    with pytest.raises(InputError) as caught:
        load_train(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'train.csv'}: ")
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_a_train_file_without_points_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"train.csv must have a trip with points, received none"):
        load_train(write_train(tmp_path, make_trip(0, []), make_trip(1, [])))


def test_a_test_trip_without_points_gets_a_usual_start(tmp_path, caplog):
    lines = (make_trip(0, []), make_trip(1, walk(3)), make_trip(2, []), make_trip(3, []))
    with caplog.at_level(logging.INFO):
        read = make_test(tmp_path, *lines, start=(41.25, -8.5))

    assert read.n_points.tolist() == [1, 3, 1, 1]
    assert read.points[[0, 4, 5]].tolist() == [[41.25, -8.5]] * 3
    expected = np.array(walk(3), np.float32)[:, ::-1]
    np.testing.assert_array_equal(read.points[1:4], expected)
    assert caplog.messages == ["test.csv: 3 trips have no point and are given a usual start"]


def test_flagged_test_trips_are_asked_for_too(tmp_path):
    read = make_test(tmp_path, make_trip(0, walk(3), MISSING_DATA="True"), make_trip(1, walk(2)))
    assert read.ids.tolist() == ["id0", "id1"]


def test_a_test_trip_that_is_listed_twice_is_refused(tmp_path):
    lines = (make_trip(0, walk(2)), make_trip(1, walk(2)), make_trip(2, walk(2), TRIP_ID="id0"))
    with pytest.raises(InputError, match="TRIP_ID must name each trip once, line 4 has id0 again"):
        make_test(tmp_path, *lines)
