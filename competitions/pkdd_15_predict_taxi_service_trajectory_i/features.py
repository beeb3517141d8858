"""Prefixes of trips, drawn as the test's are, and what is known of each."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from common.checks import InputError
from common.geo import project_km
from competitions.pkdd_15_predict_taxi_service_trajectory_i.competition import Config
from competitions.pkdd_15_predict_taxi_service_trajectory_i.trips import (
    POINT_S,
    Trips,
    number_points,
)

PORTO = np.array([41.1579, -8.6291])
"""Where the map is flat: x and y are km to the east and north of it."""

N_ENDS = 5  # points at each end of a prefix
N_ROUTE = 20  # points along it
CATEGORIES = ["client", "stand", "taxi", "quarter", "weekday", "week"]


class Prefixes(NamedTuple):
    """Beginnings of trips: trip (m,) int, its number, and n_seen (m,) int, points until the cut."""

    trip: np.ndarray
    n_seen: np.ndarray


@dataclass(frozen=True)
class Rows:
    """Prefixes, one a row: those of train trips, and then the test's.

    Attributes:
        ids: (n,) text; a train trip's id has the number of points seen behind it.
        is_test: (n,) bool.
        can_hold: (n,) bool, train rows that are as far apart as held ones are.
        taxi: (n,) int.
        start: (n,) int, seconds since 1970, of the trip.
        end: (n,) int, of its last point; of a test trip's last point seen.
        trip: (n,) int, the trip's number; rows of one trip share their target.
        table: (n, D) the categories, NaN where there is none, and numbers.
        route: (n, N_ROUTE, 2) float32 km, points evenly spread over the prefix.
        target: (n, 2) float64 km, where the trip ends; NaN in the test.
    """

    ids: np.ndarray
    is_test: np.ndarray
    can_hold: np.ndarray
    taxi: np.ndarray
    start: np.ndarray
    end: np.ndarray
    trip: np.ndarray
    table: pd.DataFrame
    route: np.ndarray
    target: np.ndarray


def make_rows(train: Trips, test: Trips, config: Config, *, seed: int) -> Rows:
    """Cut the train trips and make the features of all prefixes.

    Args:
        train: whole trips.
        test: their beginnings, taken as they are.
        config: says how trips are cut.
        seed: of the cuts.

    Raises:
        InputError: as `cut_trips`.
    """
    cut, can_hold = cut_trips(train, config, seed=seed)
    of_test = Prefixes(np.arange(len(test.ids)), test.n_points)
    n_test = len(test.ids)
    parts = ((train, cut), (test, of_test))
    names = (f"{i}@{n}" for i, n in zip(train.ids[cut.trip], cut.n_seen, strict=True))
    return Rows(
        ids=np.array([*names, *test.ids]),
        is_test=np.arange(len(cut.trip) + n_test) >= len(cut.trip),
        can_hold=np.append(can_hold, np.zeros(n_test, dtype=bool)),
        taxi=np.concatenate([t.table["TAXI_ID"].to_numpy(int)[p.trip] for t, p in parts]),
        start=np.concatenate([t.start[p.trip] for t, p in parts]),
        end=np.concatenate([t.end[p.trip] for t, p in parts]),
        trip=np.concatenate([cut.trip, len(train.ids) + of_test.trip]),
        table=pd.concat([make_table(t, p) for t, p in parts], ignore_index=True),
        route=np.concatenate([make_route(t, p) for t, p in parts]),
        target=np.concatenate(
            [_project(train.points[train.offsets[1:][cut.trip] - 1]), np.full((n_test, 2), np.nan)]
        ),
    )


def cut_trips(train: Trips, config: Config, *, seed: int) -> tuple[Prefixes, np.ndarray]:
    """Draw prefixes as the test's were: at a moment, all trips then under way.

    So a trip is drawn in proportion to its duration, and cut uniformly in time.

    Args:
        train: whole trips.
        config: `snapshot_s` apart are the prefixes that are fitted on, `held_s` those that are held
            out too. Where there would be too many, they are further apart.
        seed: of the moments.

    Returns:
        The prefixes, each of a point or more and without the trip's last, and (m,) bool, which can
        be held out.

    Raises:
        InputError: cuts names no way of cutting, snapshot_s is less than the time between two
            points, or no trip can be cut.
    """
    if config.cuts == "end":
        trip = np.flatnonzero(train.n_points > 1)
        cut = Prefixes(trip, train.n_points[trip] - 1)
        return cut, np.ones(len(trip), dtype=bool)
    if config.cuts != "snapshots":
        raise InputError(f"cuts must be snapshots or end, received {config.cuts}")
    if config.snapshot_s < POINT_S:
        raise InputError(f"snapshot_s must be >= {POINT_S}, received {config.snapshot_s}")
    total_s = POINT_S * int((train.n_points - 1).sum())
    every_s = max(config.snapshot_s, total_s / config.max_snapshots)
    cut = draw_snapshots(train.n_points, every_s=every_s, seed=seed)
    if not len(cut.trip):
        raise InputError("train must have trips of two points or more, received none to cut")
    step = max(1, round(config.held_s / every_s))
    return cut, np.arange(len(cut.trip)) % step == step // 2


def draw_snapshots(n_points: np.ndarray, *, every_s: float, seed: int) -> Prefixes:
    """Look at every trip once in `every_s` seconds, from a moment of its own on.

    Args:
        n_points: (n,) int, of each trip, >= 1.
        every_s: seconds between two looks, > 0.
        seed: of the first moments.

    Returns:
        Prefixes in the order of trips and moments. A trip of d seconds has d / every_s on average,
        at moments uniform in it; two are never of the same points where every_s >= 15.
    """
    duration_s = POINT_S * (n_points - 1)
    first_s = every_s * np.random.default_rng(seed).random(len(n_points))
    n_looks = np.ceil(np.maximum(duration_s - first_s, 0) / every_s).astype(np.int64)
    trip, look = number_points(n_looks)
    n_seen = ((first_s[trip] + look * every_s) // POINT_S).astype(np.int64) + 1
    return Prefixes(trip, np.minimum(n_seen, n_points[trip] - 1))


def make_table(trips: Trips, prefixes: Prefixes) -> pd.DataFrame:
    """Make the winners' features: both ends of the prefix, and whose trip it is, and when.

    Args:
        trips: all points; only those before the cut are looked at.
        prefixes: (m,).

    Returns:
        (m, D) `CATEGORIES`, x and y in km of the first and the last five points seen (the outer one
        again where there are fewer), and the log of their number.
    """
    step = np.arange(N_ENDS)
    last = prefixes.n_seen[:, None] - 1
    steps = np.hstack([np.minimum(step, last), np.maximum(last - step[::-1], 0)])  # (m, 10)
    ends = _project(trips.points[trips.offsets[prefixes.trip][:, None] + steps])
    names = [f"{side}{k}" for side in ("first", "last") for k in range(N_ENDS)]
    table = pd.DataFrame(
        ends.reshape(len(ends), -1).astype(np.float32),
        columns=[f"{name}_{axis}" for name in names for axis in "xy"],
    )
    table["log_seen"] = np.log(prefixes.n_seen).astype(np.float32)
    of_trip = trips.table.iloc[prefixes.trip]
    time = pd.to_datetime(of_trip["TIMESTAMP"].to_numpy(), unit="s").tz_localize("UTC")
    local = time.tz_convert("Europe/Lisbon")
    return table.assign(
        client=of_trip["ORIGIN_CALL"].to_numpy(),
        stand=of_trip["ORIGIN_STAND"].to_numpy(),
        taxi=of_trip["TAXI_ID"].to_numpy(),
        quarter=(local.hour * 4 + local.minute // 15).to_numpy(),
        weekday=local.day_of_week.to_numpy(),
        week=local.isocalendar()["week"].to_numpy(int),
    )


def make_route(trips: Trips, prefixes: Prefixes) -> np.ndarray:
    """Take N_ROUTE points evenly spread over each prefix, its first and its last among them.

    Returns:
        (m, N_ROUTE, 2) float32 km; points come again where there are fewer.
    """
    share = np.linspace(0, 1, N_ROUTE)
    steps = np.rint((prefixes.n_seen[:, None] - 1) * share).astype(np.int64)
    points = trips.points[trips.offsets[prefixes.trip][:, None] + steps]
    return _project(points).astype(np.float32)


def _project(places: np.ndarray) -> np.ndarray:
    return project_km(places, PORTO)
