"""Tiny files in the taxi competition's form."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from competitions.pkdd_15_predict_taxi_service_trajectory_i.competition import TRIPS
from competitions.pkdd_15_predict_taxi_service_trajectory_i.trips import (
    Trips,
    load_test,
    load_train,
)

START_S = 1_372_636_800  # 2013-07-01 00:00 UTC, 01:00 in Porto, a Monday


def make_trip(number: int, points: Sequence[Sequence[float]], **fields: Any) -> dict[str, Any]:
    """A line of the file; points are longitude and latitude, as Kaggle writes them."""
    line = dict.fromkeys(TRIPS, "") | {
        "TRIP_ID": f"id{number}",
        "CALL_TYPE": "C",
        "TAXI_ID": 20_000_000 + number,
        "TIMESTAMP": START_S + 60 * number,
        "DAY_TYPE": "A",
        "MISSING_DATA": "False",
        "POLYLINE": json.dumps(points, separators=(",", ":")),
    }
    return line | fields


def walk(n_points: int, seed: int = 0) -> list[list[float]]:
    """A walk of steps of about 100 m from the middle of Porto."""
    steps = np.random.default_rng(seed).normal(scale=1e-3, size=(n_points, 2))
    return (np.array([-8.6, 41.15]) + steps.cumsum(axis=0)).round(6).tolist()


def write_trips(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    pd.DataFrame(lines, columns=list(TRIPS)).to_csv(path, index=False)


def write_train(raw: Path, *lines: dict[str, Any]) -> Path:
    write_trips(raw / "train.csv", lines)
    return raw


def make_trips(folder: Path, n_points: Sequence[int]) -> Trips:
    """Trips of given lengths, each of a taxi of its own."""
    lines = [make_trip(k, walk(n, seed=k)) for k, n in enumerate(n_points)]
    return load_train(write_train(folder, *lines))


def make_test(folder: Path, *lines: dict[str, Any], start: Sequence[float] = (41.0, -8.0)) -> Trips:
    write_trips(folder / "test.csv", lines)
    return load_test(folder, start=np.array(start))
