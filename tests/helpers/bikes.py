"""Runs of the bike competition on made-up hours, by its quickest variant."""

from pathlib import Path

import pandas as pd

from common.data.paths import Home
from pipelines import run as pipeline
from pipelines.catalog import load_competition
from pipelines.run import Request
from tests.helpers.homes import load_told, make_console

NAME = "bike_sharing_demand"
BIKES = load_competition(NAME)
N_TEST = 1056


def ask(kind: str = "sample", variant: str = "baseline", seed: int = 0, **settings) -> Request:
    given = tuple((field, str(value)) for field, value in settings.items())
    return Request(BIKES, variant, kind, seed, given, jobs=1)


def run_told(request: Request, home: Home, **options) -> str:
    """Run, and give back what the user saw."""
    console = make_console()
    pipeline.run(request, home, console, **options)
    return load_told(console)


def load_submission(home: Home, kind: str = "sample", stem: str = "baseline-seed0") -> pd.DataFrame:
    return pd.read_csv(home.submissions(NAME, kind) / f"{stem}.csv")


def write_answers(home: Home, kind: str, answers: pd.DataFrame) -> Path:
    path = home.answers(NAME, kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    answers.to_csv(path, index=False)
    return path
