"""What every competition keeps to. A new one is tested by being there."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.contract import (
    KaggleCompetition,
    Leaderboard,
    Metric,
    Pictures,
    SubmissionFile,
    Table,
)
from common.data.tables import load_table
from common.training.boosting import fit_lightgbm
from common.validation.leaks import is_leaky, shuffled_target_scores
from competitions.rossmann_store_sales.fits import R_FITS
from pipelines.catalog import load_competition, load_names
from pipelines.run import compute
from tests.helpers.homes import QUIET, list_files, make_home, make_request
from tests.helpers.programs import skip_without_r

ROOT = Path(__file__).parents[2]
BUDGET_S = 10.0
ALL = [
    (name, variant) for name in load_names() for variant in load_competition(name).facts.VARIANTS
]
OTHERS = [
    (name, variant) for name, variant in ALL if variant != load_competition(name).facts.DEFAULT
]


@pytest.fixture(scope="module", params=load_names())
def competition(request):
    return load_competition(request.param)


@pytest.fixture(scope="module")
def undisturbed(competition, tmp_path_factory):
    """The default variant, run once with one job: (home, work, manifest, outcome, seconds)."""
    home = make_home(tmp_path_factory.mktemp("home"), competition)
    work = tmp_path_factory.mktemp("work")
    competition.load("pipeline")
    import_module("keras")  # what its import takes is not the competition's
    start = time.perf_counter()
    manifest, outcome = compute(make_request(competition), home, QUIET, work=work)
    return home, work, manifest, outcome, time.perf_counter() - start


def test_facts_are_of_the_contract(competition):
    facts = competition.facts
    assert isinstance(facts.SOURCE, KaggleCompetition)
    assert facts.SOURCE.slug.replace("-", "_") == competition.name
    assert facts.FILES and all(isinstance(file, Table | Pictures) for file in facts.FILES)
    assert isinstance(facts.SUBMISSION, SubmissionFile) and isinstance(facts.METRIC, Metric)
    assert facts.LEADERBOARD is None or isinstance(facts.LEADERBOARD, Leaderboard)
    assert facts.TECHNIQUES and all(isinstance(technique, str) for technique in facts.TECHNIQUES)
    assert facts.DEFAULT in facts.VARIANTS and facts.DEFAULT not in facts.DIAGNOSTICS
    assert {*facts.DIAGNOSTICS, *facts.PARENT, *facts.PARENT.values()} <= set(facts.VARIANTS)
    assert set(facts.TINY) <= {field.name for field in dataclasses.fields(facts.Config)}


def test_leaderboards_are_in_order(competition):
    """From the best down: first, quantiles; gold is never worse than silver, nor silver than
    bronze.
    """
    board, metric = competition.facts.LEADERBOARD, competition.facts.METRIC
    if board is None:
        pytest.skip("no final leaderboard")
    for scores in (
        [board.first, *(score for _, score in board.quantiles)],
        [board.first, board.gold, board.silver, board.bronze],
    ):
        ordered = sorted(scores, reverse=not metric.lower_is_better)
        assert scores == ordered
    shares = [share for share, _ in board.quantiles]
    assert shares == sorted(shares) and shares[0] > 0 and shares[-1] < 1


def test_variants_differ_from_their_parents_in_one_thing(competition):
    facts = competition.facts
    for variant, parent in facts.PARENT.items():
        a, b = (dataclasses.asdict(facts.VARIANTS[name]) for name in (variant, parent))
        assert len([field for field in a if a[field] != b[field]]) == 1, variant
    configs = [json.dumps(dataclasses.asdict(config)) for config in facts.VARIANTS.values()]
    assert len(set(configs)) == len(configs)


def test_configs_are_json_and_every_field_says_what_it_is(competition):
    config = next(iter(competition.facts.VARIANTS.values()))
    known = dataclasses.asdict(config)
    assert json.loads(json.dumps(known)) == {
        key: list(value) if isinstance(value, tuple) else value for key, value in known.items()
    }
    source = (competition.folder / "competition.py").read_text()
    body = source.split("class Config")[1].split("\n\n")[0].splitlines()[1:]
    assert all("  # " in line for line in body)


def test_sample_is_seeded_and_grows(competition, tmp_path):
    write = competition.load("sample").write_sample
    train = competition.facts.FILES[0]
    n_many = 1000 if isinstance(train, Pictures) else 20_000
    for name, seed, n_rows in (("a", 0, None), ("b", 0, None), ("c", 1, None), ("d", 0, n_many)):
        (tmp_path / name).mkdir()
        write(tmp_path / name, seed, n_rows=n_rows)
    files = {name: list_files(tmp_path / name) for name in "abcd"}
    assert files["a"] == files["b"] and files["a"] != files["c"]
    n_small, n_large = (count_rows(tmp_path / name, train) for name in "ad")
    assert n_small < n_many / 2 and 0.75 * n_many < n_large < 1.25 * n_many


def count_rows(raw, file):
    """Rows of a table, or pictures of a glob."""
    if isinstance(file, Pictures):
        return len(list(raw.glob(file.path)))
    return len(load_table(raw / file.path))


def test_default_variant_hands_over_what_it_promises(competition, undisturbed):
    home, _, manifest, outcome, _ = undisturbed
    sample = load_table(home.raw(competition.name, "sample") / competition.facts.SUBMISSION.path)
    id_column = competition.facts.SUBMISSION.id_column
    assert list(outcome.submission.columns) == list(sample.columns)
    assert outcome.submission[id_column].tolist() == sample[id_column].tolist()
    assert np.isfinite(outcome.oof.prediction).all() and np.isfinite(outcome.score)
    assert len(outcome.n_fit) == len(outcome.fold_scores) == len(np.unique(outcome.oof.fold))
    low, high = manifest["score"]["interval"]
    assert low < manifest["score"]["expected"] < high
    assert outcome.cost.seconds > 0 and outcome.cost.n_parameters > 0


def test_default_variant_is_tiny_when_asked(undisturbed):
    assert undisturbed[-1] < BUDGET_S


def test_nothing_is_written_outside_work(competition, undisturbed):
    home, *_ = undisturbed
    raw = home.raw(competition.name, "sample")
    assert {Path(name).parts[:2] for name in list_files(home.root)} == {("data", "raw")}
    assert {*list_files(raw)} - {"source.json"} == {
        path.relative_to(raw).as_posix()
        for file in competition.facts.FILES
        for path in raw.glob(file.path)
    }


def test_two_jobs_give_the_same_submission(competition, undisturbed, tmp_path):
    home, _, _, outcome, _ = undisturbed
    _, again = compute(make_request(competition, jobs=2), home, QUIET, work=tmp_path)
    assert again.submission.to_csv() == outcome.submission.to_csv()
    assert again.oof.prediction.tobytes() == outcome.oof.prediction.tobytes()


def test_another_seed_gives_another_submission(competition, undisturbed, tmp_path):
    home, _, _, outcome, _ = undisturbed
    _, other = compute(make_request(competition, seed=1), home, QUIET, work=tmp_path)
    assert other.submission.to_csv() != outcome.submission.to_csv()


def test_a_killed_run_goes_on_and_ends_the_same(competition, undisturbed, tmp_path):
    """SIGKILL as soon as the first fit is kept; the next run keeps that file and gives the same
    submission.
    """
    home, _, _, outcome, _ = undisturbed
    request = make_request(competition)
    words = ["run", competition.name, "--data", "sample", "--jobs", "1"]
    words += [word for field, value in request.settings for word in ("--set", f"{field}={value}")]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "raw").symlink_to(home.root / "data" / "raw")
    folds = tmp_path / "data" / "work" / competition.name / "folds"
    child = subprocess.Popen(
        [sys.executable, "-m", "pipelines", *words],
        cwd=ROOT,
        env=os.environ | {"PIPELINES_HOME": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not list(folds.glob("*.npz")) and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "the run was over before it could be killed"
    kept = {path.name: path.stat().st_mtime_ns for path in folds.glob("*.npz")}

    _, again = compute(request, home, QUIET, work=folds.parent)

    assert (
        kept and kept.items() <= {p.name: p.stat().st_mtime_ns for p in folds.glob("*.npz")}.items()
    )
    assert again.submission.to_csv() == outcome.submission.to_csv()


def test_a_second_run_fits_nothing(competition, undisturbed):
    home, work, _, outcome, _ = undisturbed
    before = {path: path.stat().st_mtime_ns for path in (work / "folds").iterdir()}
    _, again = compute(make_request(competition), home, QUIET, work=work)
    assert {path: path.stat().st_mtime_ns for path in (work / "folds").iterdir()} == before
    assert again.submission.to_csv() == outcome.submission.to_csv()


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    """A home for each competition, in whose work folder variants share their fits."""
    return {
        name: make_home(tmp_path_factory.mktemp(name), load_competition(name))
        for name in load_names()
    }


@pytest.mark.slow
@pytest.mark.parametrize(("name", "variant"), OTHERS, ids=[f"{n}-{v}" for n, v in OTHERS])
def test_other_variants_run(name, variant, homes):
    if variant in R_FITS:
        skip_without_r(*R_FITS[variant])
    home, competition = homes[name], load_competition(name)
    manifest, outcome = compute(
        make_request(competition, variant), home, QUIET, work=home.root / "work"
    )
    assert np.isfinite(outcome.score) and np.isfinite(manifest["score"]["expected"])


def probe(
    fit_features: np.ndarray, fit_target: np.ndarray, held_features: np.ndarray
) -> np.ndarray:
    """Small trees on the log scale, where counts are well behaved."""
    table = {"learning_rate": 0.1, "num_leaves": 15, "min_data_in_leaf": 10, "rounds": 30}
    low = min(0.0, float(fit_target.min()))
    fitted = fit_lightgbm(
        _name_columns(fit_features), np.log1p(fit_target - low), seed=0, threads=1, **table
    )
    return np.expm1(fitted.predict(_name_columns(held_features))) + low


def _name_columns(features: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(features, columns=[f"f{k}" for k in range(features.shape[1])])


def is_alarmed(competition, variant: str, raw: Path) -> bool:
    request = make_request(competition, variant)
    check = competition.load("pipeline").make_leak_check(request.config, raw, 0)
    metric = competition.facts.METRIC
    scores = shuffled_target_scores(
        probe, check.make_features, check.target, check.folds, metric, seed=0, groups=check.groups
    )
    return is_leaky(*scores, lower_is_better=metric.lower_is_better)


def test_leak_alarm_is_silent_on_the_default_variant(competition, undisturbed):
    if competition.facts.METRIC.best_constant is None:
        pytest.skip("the metric has no best constant")
    home, *_ = undisturbed
    assert not is_alarmed(
        competition, competition.facts.DEFAULT, home.raw(competition.name, "sample")
    )


def test_leak_alarm_goes_off_where_folds_leak(competition, undisturbed):
    """A diagnostic whose folds split what belongs together must be caught, else the alarm means
    nothing.
    """
    leaky = [name for name in competition.facts.DIAGNOSTICS if name.startswith(("random", "leaky"))]
    if not leaky:
        pytest.skip("no leaky diagnostic")
    home, *_ = undisturbed
    assert all(
        is_alarmed(competition, name, home.raw(competition.name, "sample")) for name in leaky
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_default_variant_learns_nothing_where_there_is_nothing(competition, tmp_path):
    """Twelve made-up data sets without signal, the whole road: never better than the best constant
    beyond chance.
    """
    metric, scores, constants = competition.facts.METRIC, [], []
    if metric.best_constant is None:
        pytest.skip("the metric has no best constant")
    for seed in range(12):
        home = make_home(tmp_path / str(seed), competition, seed=seed, signal=False)
        request = replace(make_request(competition), seed=seed, jobs=None)
        _, outcome = compute(request, home, QUIET, work=tmp_path / str(seed) / "work")
        scores.append(outcome.score)
        target = outcome.oof.target
        constants.append(metric(target, np.full(target.shape, metric.best_constant(target))))
    assert not is_leaky(
        np.array(scores), np.array(constants), lower_is_better=metric.lower_is_better
    )
