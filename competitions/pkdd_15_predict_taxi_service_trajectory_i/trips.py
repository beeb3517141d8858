"""Trips from disk: all points in one flat array, so that Kaggle's 1.7 million fit into memory."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from common.checks import InputError
from common.data.chunks import load_chunks
from competitions.pkdd_15_predict_taxi_service_trajectory_i.polylines import parse_polylines

POINT_S = 15
"""Seconds between two points of a trip."""

_NUMBERS = ("ORIGIN_CALL", "ORIGIN_STAND", "TAXI_ID", "TIMESTAMP")
_MAY_MISS = ("ORIGIN_CALL", "ORIGIN_STAND")
_MISSING = ("", "NA")
_LATEST_S = 4_000_000_000  # since 1970: the year 2096; far later ones are no dates to pandas

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trips:
    """Trips of one file, in its order.

    Attributes:
        ids: (n,) text.
        table: (n, 4) float64: ORIGIN_CALL and ORIGIN_STAND, NaN where there is none, TAXI_ID and
            TIMESTAMP.
        points: (P, 2) float32 latitude and longitude in degrees, trip after trip.
        offsets: (n + 1,) int64; trip i has points[offsets[i] : offsets[i + 1]].
    """

    ids: np.ndarray
    table: pd.DataFrame
    points: np.ndarray
    offsets: np.ndarray

    @property
    def n_points(self) -> np.ndarray:
        return np.diff(self.offsets)

    @property
    def start(self) -> np.ndarray:
        """When each trip starts, (n,) int64 seconds since 1970."""
        return self.table["TIMESTAMP"].to_numpy(np.int64)

    @property
    def end(self) -> np.ndarray:
        """When each trip's last point is, (n,) int64 seconds since 1970."""
        return self.start + POINT_S * (self.n_points - 1)


def load_train(raw: Path) -> Trips:
    """Read the trips that can be learnt from.

    Kaggle flags trips that lack points, lists some twice, and has some without any point: these are
    left out, and told.

    Args:
        raw: the competition's files.

    Raises:
        InputError: a field is not as it must be, or no trip is left.
    """
    path, seen = raw / "train.csv", set[str]()
    parts, n_left_out = [], dict.fromkeys(("flagged as incomplete", "empty", "listed before"), 0)
    for chunk in load_chunks(path, columns=("TRIP_ID", *_NUMBERS, "MISSING_DATA", "POLYLINE")):
        part = _parse(chunk, path)
        is_flagged, is_empty = _is_flagged(chunk, path), part.n_points == 0
        is_kept = ~is_flagged & ~is_empty
        is_repeated = _find_repeated(part.ids, is_kept, seen)
        reasons = (is_flagged, is_empty & ~is_flagged, is_repeated)
        for name, is_reason in zip(n_left_out, reasons, strict=True):
            n_left_out[name] += int(is_reason.sum())
        parts.append(_select(part, is_kept & ~is_repeated))
    trips = _join(parts)
    told = [f"{n} {name}" for name, n in n_left_out.items() if n]
    if told:
        log.info("%s: left out are trips %s", path.name, ", ".join(told))
    if not len(trips.ids):
        raise InputError(f"{path} must have a trip with points, received none")
    return trips


def load_test(raw: Path, *, start: np.ndarray) -> Trips:
    """Read the beginnings of the trips whose ends are asked for.

    Args:
        raw: the competition's files.
        start: (2,) latitude and longitude that a trip without any point is given as its only one.

    Raises:
        InputError: a field is not as it must be, or a trip is listed twice.
    """
    path = raw / "test.csv"
    chunks = load_chunks(path, columns=("TRIP_ID", *_NUMBERS, "POLYLINE"))
    trips = _join(_parse(chunk, path) for chunk in chunks)
    if (twice := np.flatnonzero(pd.Series(trips.ids).duplicated())).size:
        raise InputError(
            f"{path}: column TRIP_ID must name each trip once, line {twice[0] + 2} has "
            f"{trips.ids[twice[0]]} again"
        )
    is_empty = trips.n_points == 0
    if not is_empty.any():
        return trips
    log.info("%s: %d trips have no point and are given a usual start", path.name, is_empty.sum())
    points = np.insert(trips.points, trips.offsets[:-1][is_empty], start, axis=0)
    return Trips(trips.ids, trips.table, points, _lay_out(np.maximum(trips.n_points, 1)))


def number_points(n_points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tell each point's trip and its place in the trip.

    Args:
        n_points: (n,) int, of each trip.

    Returns:
        (P,) int and (P,) int, trip after trip.
    """
    trip = np.repeat(np.arange(len(n_points)), n_points)
    return trip, np.arange(len(trip)) - np.repeat(np.cumsum(n_points) - n_points, n_points)


def _parse(chunk: pd.DataFrame, path: Path) -> Trips:
    points, n_points = parse_polylines(chunk["POLYLINE"], path)
    table = pd.DataFrame({name: _parse_whole(chunk[name], path) for name in _NUMBERS})
    return Trips(chunk["TRIP_ID"].to_numpy(str), table, points, _lay_out(n_points))


def _parse_whole(column: pd.Series, path: Path) -> np.ndarray:
    """Parse whole numbers >= 0, (n,) float64; NaN where one may be missing and is."""
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
    is_good = np.isfinite(numbers) & (numbers >= 0) & (numbers == np.floor(numbers))
    if column.name in _MAY_MISS:
        is_good |= column.isin(_MISSING).to_numpy()
    wanted = "whole numbers >= 0"
    if column.name == "TIMESTAMP":
        is_good &= numbers < _LATEST_S
        wanted = f"whole numbers in [0, {_LATEST_S})"
    if (wrong := np.flatnonzero(~is_good)).size:
        raise InputError(
            f"{path}: column {column.name} must hold {wanted}, line "
            f"{column.index[wrong[0]] + 2} has {column.iloc[wrong[0]] or 'nothing'}"
        )
    return numbers


def _is_flagged(chunk: pd.DataFrame, path: Path) -> np.ndarray:
    column = chunk["MISSING_DATA"].str.lower()
    if (wrong := np.flatnonzero(~column.isin(["true", "false"]))).size:
        raise InputError(
            f"{path}: column MISSING_DATA must hold True or False, line "
            f"{column.index[wrong[0]] + 2} has {column.iloc[wrong[0]] or 'nothing'}"
        )
    return (column == "true").to_numpy()


def _find_repeated(ids: np.ndarray, is_kept: np.ndarray, seen: set[str]) -> np.ndarray:
    """Tell which of the kept ids came before, (n,) bool; the others are added to those seen."""
    is_repeated = np.zeros(len(ids), dtype=bool)
    for row in np.flatnonzero(is_kept):
        is_repeated[row] = ids[row] in seen
        seen.add(ids[row])
    return is_repeated


def _select(trips: Trips, is_kept: np.ndarray) -> Trips:
    n_points = trips.n_points
    points = trips.points[np.repeat(is_kept, n_points)]
    return Trips(trips.ids[is_kept], trips.table[is_kept], points, _lay_out(n_points[is_kept]))


def _join(parts: Iterable[Trips]) -> Trips:
    parts = list(parts)
    return Trips(
        ids=np.concatenate([part.ids for part in parts]),
        table=pd.concat([part.table for part in parts], ignore_index=True),
        points=np.concatenate([part.points for part in parts]),
        offsets=_lay_out(np.concatenate([part.n_points for part in parts])),
    )


def _lay_out(n_points: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(n_points)])
