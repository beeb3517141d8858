"""Made-up runs to compare, in the place of child processes."""

import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from common.contract import Metric
from common.data.paths import Home
from pipelines.bench import bench
from pipelines.catalog import Competition
from pipelines.run import Request
from tests.helpers.homes import QUIET

NAME = "toys"
N_ROWS = 8
FOLDS = np.repeat([0, 1], 4)
SWAPPED = np.tile([0, 1], 4)


@dataclass(frozen=True)
class Config:
    n: int = 0


@dataclass
class Made:
    """What a made-up run of one variant and seed gives: the errors of fold 0 and of fold 1."""

    errors: tuple[float, float]
    fold: np.ndarray
    ids: tuple[str, ...]
    n_fit: int
    true: float | None


class Runs:
    """Stands in for child processes: writes the held-out rows and gives a manifest back."""

    def __init__(self) -> None:
        self.made: dict[tuple[str, int], Made] = {}
        self.asked: list[tuple[str, int, str]] = []

    def put(self, variant, seed, errors, *, fold=FOLDS, prefix="r", n_fit=4, true=None) -> None:
        ids = tuple(f"{prefix}{k}" for k in range(N_ROWS))
        self.made[variant, seed] = Made(errors, fold, ids, n_fit, true)

    def run_child(self, request: Request, home: Home) -> dict:
        self.asked.append((request.variant, request.seed, request.kind))
        made = self.made[request.variant, request.seed]
        shuffled = np.random.default_rng(len(self.asked)).permutation(N_ROWS)
        prediction = np.array(made.errors)[FOLDS]
        path = home.oof(NAME, request.kind, request.stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            path,
            ids=np.array(made.ids)[shuffled],
            fold=made.fold[shuffled],
            group=np.array([f"day {k // 2}" for k in range(N_ROWS)])[shuffled],
            target=np.zeros(N_ROWS),
            prediction=prediction[shuffled],
            n_fit=np.full(2, made.n_fit),
        )
        mean = float(prediction.mean())
        return {
            "git": {"commit": "abc", "dirty": False},
            "code": "c0de",
            "raw": {"digest": "d1ge57", "files": {"train.csv": "7ra1n"}},
            "versions": {"numpy": "1.0"},
            "machine": {"cores": 2},
            "score": {
                "metric": "MAE",
                "out_of_fold": mean,
                "interval": [mean - 1, mean + 1 + request.seed],
                "true": made.true,
            },
            "run": {
                "fit_seconds": 10.0 + request.seed,
                "peak_memory_mib": 1000 + request.seed,
                "n_parameters": 7,
            },
        }


def make_toys(variants, parent=None, diagnostics=(), *, lower_is_better=True) -> Competition:
    facts = SimpleNamespace(
        VARIANTS=dict.fromkeys(variants, Config()),
        PARENT=parent or {},
        DIAGNOSTICS=diagnostics,
        METRIC=Metric("MAE", lambda t, p: np.abs(t - p).mean(), lower_is_better),
    )
    return Competition(NAME, facts)  # type: ignore[arg-type]


def compare(toys, home, *, variants=(), n_seeds=2, console=QUIET) -> dict[str, dict]:
    """{variant: its row}, in the table's order."""
    table = bench(toys, home, console, variants=variants, kind="open", n_seeds=n_seeds)
    return {row["variant"]: row for row in table["rows"]}


def put_family(runs: Runs, **options) -> None:
    """One parent and two children, two seeds."""
    for variant, first, second in (
        ("a", (2.0, 4.0), (4.0, 6.0)),
        ("b", (1.0, 2.0), (1.0, 2.0)),
        ("c", (1.0, 7.0), (3.0, 9.0)),
    ):
        runs.put(variant, 0, first, **options)
        runs.put(variant, 1, second, **options)


def cauchy_p(t: float) -> float:
    """Two-sided p of Student's t with one degree of freedom, the Cauchy distribution."""
    return 1 - 2 / math.pi * math.atan(t)


FAMILY = make_toys("abc", {"b": "a", "c": "a"})
