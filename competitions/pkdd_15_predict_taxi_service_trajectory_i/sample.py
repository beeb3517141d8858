"""Writes made-up trips in Kaggle's form: along streets between popular places, or without a goal.

No figure of it is ever shown as a score; with `--rows 1_700_000` it is as large as Kaggle's train.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from common.geo import unproject_km
from competitions.pkdd_15_predict_taxi_service_trajectory_i.competition import TRIPS
from competitions.pkdd_15_predict_taxi_service_trajectory_i.features import (
    PORTO,
    draw_snapshots,
)
from competitions.pkdd_15_predict_taxi_service_trajectory_i.trips import (
    POINT_S,
    number_points,
)

N_ROWS, N_TEST = 600, 60
CHUNK = 50_000
N_PLACES, N_TAXIS, N_CLIENTS, N_STANDS = 300, 440, 5000, 60
TRIPS_A_DAY = 4660  # Kaggle's year has 1.7 million
FIRST_S, SNAPSHOTS_S = 1_372_636_800, 1_408_039_200  # 2013-07-01 and 2014-08-14 18:00
FEWEST, MOST = 5, 180  # points of a trip without a goal
STEP_KM = (0.08, 0.2)  # in 15 s
NOISE_KM = 0.01
LETTERS_A_POINT = len("[-8.618643,41.141412],")


@dataclass(frozen=True)
class World:
    """What all trips share: places (K, 2) in km, how popular each is, (K,), each client's goal."""

    places: np.ndarray
    popularity: np.ndarray
    goal: np.ndarray


def write_sample(raw: Path, seed: int, *, n_rows: int | None = None, signal: bool = True) -> None:
    """Write train, test and sample submission.

    Args:
        raw: an empty folder.
        seed: of everything made up.
        n_rows: of train.
        signal: whether a trip has a goal. Without, each step goes any way, whatever came before:
            nothing beats the last point seen.
    """
    rng = np.random.default_rng(seed)
    world = World(
        places=rng.normal(scale=[2.5, 1.8], size=(N_PLACES, 2)),
        popularity=rng.dirichlet(np.full(N_PLACES, 0.3)),
        goal=rng.integers(N_PLACES, size=N_CLIENTS),
    )
    n_rows = n_rows or N_ROWS
    for first in range(0, n_rows, CHUNK):
        n = min(CHUNK, n_rows - first)
        start = FIRST_S + (first + np.sort(rng.random(n)) * n) / TRIPS_A_DAY * 86400
        table, points, n_points = _make_trips(world, start.astype(int), rng, signal=signal)
        table["TRIP_ID"] = [f"{s}{first + i:07d}" for i, s in enumerate(table["TIMESTAMP"])]
        table["POLYLINE"] = _write_polylines(points, n_points)
        table[list(TRIPS)].to_csv(
            raw / "train.csv", mode="a", header=first == 0, index=False, lineterminator="\n"
        )
    _write_test(raw, world, rng, signal=signal)


def _write_test(raw: Path, world: World, rng: np.random.Generator, *, signal: bool) -> None:
    """Cut trips at one moment, at which all were under way."""
    start = np.zeros(40 * N_TEST, dtype=int)
    table, points, n_points = _make_trips(world, start, rng, signal=signal)
    cut = draw_snapshots(n_points, every_s=POINT_S * MOST, seed=int(rng.integers(2**31)))
    trip, n_seen = cut.trip[:N_TEST], cut.n_seen[:N_TEST]
    begin = (np.cumsum(n_points) - n_points)[trip]
    rows = np.repeat(begin - np.cumsum(n_seen) + n_seen, n_seen) + np.arange(n_seen.sum())
    table = table.iloc[trip].reset_index(drop=True)
    table["TIMESTAMP"] = SNAPSHOTS_S - POINT_S * (n_seen - 1)
    table["TRIP_ID"] = [f"T{i + 1}" for i in range(len(trip))]
    table["POLYLINE"] = _write_polylines(points[rows], n_seen)
    table[list(TRIPS)].to_csv(raw / "test.csv", index=False, lineterminator="\n")
    sample = pd.DataFrame({"TRIP_ID": table["TRIP_ID"]})
    sample[["LATITUDE", "LONGITUDE"]] = PORTO
    sample.to_csv(raw / "sampleSubmission.csv", index=False, lineterminator="\n")


def _make_trips(
    world: World, start: np.ndarray, rng: np.random.Generator, *, signal: bool
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Make trips that start at given seconds: table (n, …), points (P, 2) in km, (n,) of each."""
    n = len(start)
    client = np.where(rng.random(n) < 0.3, rng.integers(N_CLIENTS, size=n), -1)
    table = pd.DataFrame(
        {
            "CALL_TYPE": np.where(client >= 0, "A", rng.choice(["B", "C"], n)),
            "ORIGIN_CALL": pd.array(client + 2000, dtype="Int64"),
            "ORIGIN_STAND": pd.array(rng.integers(1, N_STANDS + 1, n), dtype="Int64"),
            "TAXI_ID": 20_000_000 + rng.integers(1, N_TAXIS + 1, n),
            "TIMESTAMP": start,
            "DAY_TYPE": "A",
            "MISSING_DATA": rng.random(n) < 1e-5,
        }
    )
    table.loc[client < 0, "ORIGIN_CALL"] = pd.NA
    table.loc[table["CALL_TYPE"] != "B", "ORIGIN_STAND"] = pd.NA
    walk = _walk_to_goals if signal else _walk_anywhere
    points, n_points = walk(world, client, rng)
    return table, points, n_points


def _walk_to_goals(
    world: World, client: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Go from place to place, first along one axis and then along the other."""
    n = len(client)
    source, goal = rng.choice(N_PLACES, (2, n), p=world.popularity)
    goal = np.where((client >= 0) & (rng.random(n) < 0.8), world.goal[client], goal)
    begin = world.places[source] + rng.normal(scale=0.15, size=(n, 2))
    way = world.places[goal] + rng.normal(scale=0.05, size=(n, 2)) - begin
    pace = rng.uniform(*STEP_KM, n)
    n_points = np.ceil(np.abs(way).sum(axis=1) / pace).astype(np.int64) + 2
    trip, step = number_points(n_points)
    gone = (step * pace[trip])[:, None]
    leg = np.abs(way)
    swap = rng.random(n) < 0.5
    first = np.where(swap[:, None], leg * [0, 1], leg * [1, 0]).sum(axis=1)[trip, None]
    on_first, on_second = np.clip(gone, 0, first), np.maximum(gone - first, 0)
    along = np.where(swap[trip, None], [[0, 1]], [[1, 0]])
    done = np.minimum(on_first * along + on_second * (1 - along), leg[trip])
    points = begin[trip] + np.sign(way)[trip] * done
    return points + rng.normal(scale=NOISE_KM, size=points.shape), n_points


def _walk_anywhere(
    world: World, client: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Take each step any way: the mean of where it leads is where it began."""
    n = len(client)
    n_points = rng.integers(FEWEST, MOST, n)
    trip, step = number_points(n_points)
    moves = rng.normal(scale=np.mean(STEP_KM), size=(len(trip), 2))
    moves[step == 0] = world.places[rng.choice(N_PLACES, n, p=world.popularity)]
    summed = np.cumsum(moves, axis=0)
    begin = np.cumsum(n_points) - n_points
    return summed - (summed[begin] - moves[begin])[trip], n_points


def _write_polylines(points: np.ndarray, n_points: np.ndarray) -> list[str]:
    """Write points in km as Kaggle does, all of them at once: every text is as wide."""
    places = np.clip(unproject_km(points, PORTO), [40.0, -9.999999], [49.999999, -0.1])
    letters = np.tile(np.frombuffer(b"[-0.000000,00.000000],", np.uint8), (len(points), 1))
    for axis, columns in ((1, (2, 4, 5, 6, 7, 8, 9)), (0, (11, 12, 14, 15, 16, 17, 18, 19))):
        rest = np.rint(np.abs(places[:, axis]) * 1e6).astype(np.int64)
        for column in reversed(columns):
            rest, digit = np.divmod(rest, 10)
            letters[:, column] += digit.astype(np.uint8)
    text = letters.tobytes().decode()
    ends = np.cumsum(n_points) * LETTERS_A_POINT
    begins = ends - n_points * LETTERS_A_POINT
    return [f"[{text[a : b - 1]}]" for a, b in zip(begins, ends, strict=True)]
