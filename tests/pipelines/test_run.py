"""One run, from raw files to submission, manifest and report; on made-up hours and medians."""

import dataclasses
import hashlib
import json
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.checks import InputError
from common.contract import Cost, Metric, Outcome
from common.data.folds import load_code_digest, load_versions
from common.data.paths import Home
from common.data.sources import join_digests, load_digests
from pipelines import run as pipeline
from pipelines.catalog import load_competition
from pipelines.manifests import FORMAT, load_git_facts, load_machine_facts, load_manifest
from pipelines.run import Request, check_outcome, choose_kind, load_oof_path
from tests.helpers.homes import (
    QUIET,
    add_kind,
    list_files,
    load_told,
    make_console,
    make_home,
    rewrite,
)

NAME = "bike_sharing_demand"
BIKES = load_competition(NAME)
N_TEST = 1056


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path, BIKES)


def ask(kind: str = "sample", variant: str = "baseline", seed: int = 0, **settings) -> Request:
    given = tuple((field, str(value)) for field, value in settings.items())
    return Request(BIKES, variant, kind, seed, given, jobs=1)


def run_told(request: Request, home: Home) -> str:
    """Run, and give back what the user saw."""
    console = make_console()
    pipeline.run(request, home, console)
    return load_told(console)


def load_submission(home: Home, kind: str = "sample", stem: str = "baseline-seed0") -> pd.DataFrame:
    return pd.read_csv(home.submissions(NAME, kind) / f"{stem}.csv")


def write_answers(home: Home, kind: str, answers: pd.DataFrame) -> Path:
    path = home.answers(NAME, kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    answers.to_csv(path, index=False)
    return path


# What a run leaves behind.


def test_a_manifest_says_what_was_given_what_came_and_on_what(home):
    returned = pipeline.run(ask(seed=3, n_folds=2), home, QUIET)
    folder = home.submissions(NAME, "sample")
    (stem,) = {path.stem for path in folder.iterdir()}
    manifest = load_manifest(folder / f"{stem}.json")
    assert manifest == json.loads(json.dumps(returned))
    config = replace(BIKES.facts.VARIANTS["baseline"], n_folds=2)
    digests = load_digests(home.raw(NAME, "sample"))
    frame = pd.read_csv(folder / f"{stem}.csv")
    stats = {key: float(getattr(frame["count"], key)()) for key in ("min", "mean", "max", "std")}
    wanted = {
        "format": FORMAT,
        "competition": NAME,
        "variant": "baseline",
        "settings": {"n_folds": "2"},
        "config": json.loads(json.dumps(dataclasses.asdict(config))),
        "seed": 3,
        "kind": "sample",
        "git": load_git_facts(),
        "code": load_code_digest(BIKES.folder),
        "raw": {"digest": join_digests(digests), "files": digests},
        "machine": load_machine_facts(),
    }
    assert {key: manifest[key] for key in wanted} == wanted
    assert manifest["versions"] == load_versions() | {"kaggle": version("kaggle")}
    submission = manifest["submission"]
    data = (folder / f"{stem}.csv").read_bytes()
    assert submission["file"] == f"{stem}.csv" and b"\r" not in data
    assert submission["sha256"] == hashlib.sha256(data).hexdigest()
    assert submission["rows"] == len(frame) == N_TEST
    assert submission["columns"]["count"] == pytest.approx(stats)
    score, cost = manifest["score"], manifest["run"]
    assert (score["metric"], score["true"], len(score["folds"])) == ("RMSLE", None, 2)
    assert score["interval"][0] < score["expected"] < score["interval"][1]
    assert cost["jobs"] == 1 and 0 <= cost["fit_seconds"] <= cost["seconds"] < 60
    assert cost["peak_memory_mib"] > 50 and cost["n_parameters"] > 0


def test_what_fits_took_goes_into_the_manifest_and_the_larger_peak_counts(
    home, outcome, monkeypatch
):
    for peak, wanted in ((2e6, 2_000_000), (1.0, None)):
        cost = Cost(seconds=12.34, peak_mib=peak, n_parameters=77)
        made = replace(outcome, cost=cost)
        monkeypatch.setattr(BIKES.load("pipeline"), "run", lambda *_, made=made: made)
        told = pipeline.run(ask(), home, QUIET)["run"]
        assert (told["fit_seconds"], told["n_parameters"]) == (12.3, 77)
        assert told["peak_memory_mib"] == wanted if wanted else told["peak_memory_mib"] > 50


def test_the_sample_is_500_evenly_spaced_rows_from_the_first_to_the_last(home):
    manifest = pipeline.run(ask(), home, QUIET)
    rows = np.unique(np.round(np.arange(500) * (N_TEST - 1) / 499).astype(int))
    wanted = load_submission(home).iloc[rows].to_numpy().tolist()
    assert len(rows) == 500 and rows[0] == 0 and rows[-1] == N_TEST - 1
    assert [row[0] for row in manifest["submission"]["sample"]] == [row[0] for row in wanted]
    assert [row[1] for row in manifest["submission"]["sample"]] == [row[1] for row in wanted]


def test_held_out_rows_are_kept_with_their_days(home):
    manifest = pipeline.run(ask(), home, QUIET)
    with np.load(load_oof_path(home, NAME, "sample", "baseline-seed0")) as file:
        rows = dict(file)
    metric = BIKES.facts.METRIC
    assert metric(rows["target"], rows["prediction"]) == manifest["score"]["out_of_fold"]
    assert rows["group"].tolist() == [name[:10] for name in rows["ids"].tolist()]
    assert len(rows["n_fit"]) == len(np.unique(rows["fold"])) == 4


def test_a_run_with_settings_has_a_name_of_its_own_and_leaves_the_plain_one_alone(home):
    """The name ends in eight hexadecimal digits of the config's JSON."""
    pipeline.run(ask(), home, QUIET)
    plain = list_files(home.submissions(NAME, "sample"))
    pipeline.run(ask(n_folds=2), home, QUIET)
    config = dataclasses.asdict(replace(BIKES.facts.VARIANTS["baseline"], n_folds=2))
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:8]
    after = list_files(home.submissions(NAME, "sample"))
    assert plain.items() <= after.items()
    assert {*after} - {*plain} == {
        f"baseline+{digest}-seed0.csv",
        f"baseline+{digest}-seed0.json",
    }


def test_a_field_set_to_its_own_value_is_the_plain_variant():
    base = BIKES.facts.VARIANTS["baseline"]
    same = ask(n_folds=base.n_folds, models="median", ridge="3")
    assert (same.label, same.stem) == ("baseline", "baseline-seed0")
    assert ask(n_folds=2).label == ask(ridge=3.0, n_folds=2).label
    assert ask(n_folds=2).label != ask(n_folds=3).label


def test_as_many_fits_run_side_by_side_as_cores_hold(home, monkeypatch):
    monkeypatch.setattr(pipeline.os, "cpu_count", lambda: 3)
    monkeypatch.setattr(pipeline, "limit_threads", lambda n_threads: None)
    for threads, jobs in ((2, 1), (5, 1)):
        request = replace(ask(threads=threads), jobs=None)
        assert pipeline.run(request, home, QUIET)["run"]["jobs"] == jobs


def test_pictures_lie_in_the_work_folder_and_nowhere_else(home):
    console = make_console()
    pipeline.run(ask(), home, console, pictures=True)
    folder = home.work(NAME) / "pictures" / "sample" / "baseline-seed0"
    pictures = list(home.root.rglob("*.png"))
    assert pictures and {path.parent for path in pictures} == {folder}
    assert all(str(path) in load_told(console) for path in pictures)


# Which data is taken.


def test_real_data_is_taken_in_order_and_made_up_data_only_when_asked(home):
    with pytest.raises(InputError) as nothing:
        choose_kind(BIKES, home, None)
    assert str(nothing.value) == (
        f"{NAME} has no real data here: get some with `python -m pipelines` "
        f"download {NAME} | import {NAME} ZIP | holdout {NAME} | open {NAME} | sample {NAME}"
    )
    assert choose_kind(BIKES, home, "sample") == "sample"
    for kind in ("open", "holdout", "kaggle"):
        with pytest.raises(InputError, match=f"has no {kind} data here: get some with"):
            choose_kind(BIKES, home, kind)
        add_kind(home, NAME, kind)
        assert choose_kind(BIKES, home, None) == kind
        assert choose_kind(BIKES, home, "open") == "open"
    with pytest.raises(InputError, match="kaggle, holdout, open, sample, received real"):
        choose_kind(BIKES, home, "real")


# What is wrong with the data is said in one line, and nothing is replaced.


def edit(old: bytes, new: bytes):
    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return change


def drop_first_target(data: bytes) -> bytes:
    head, first, rest = data.split(b"\n", 2)
    return b"\n".join([head, first.rpartition(b",")[0] + b",", rest])


def swap_two_ids(data: bytes) -> bytes:
    head, first, second, rest = data.split(b"\n", 3)
    return b"\n".join([head, second, first, rest])


@pytest.mark.parametrize(
    ("file", "change", "told"),
    [
        ("train.csv", edit(b"humidity", b"humid"), r"train\.csv must have a column humidity"),
        ("test.csv", edit(b"temp", b"tmp"), r"test\.csv must have a column temp, received date"),
        ("train.csv", lambda data: b"", r"train\.csv is empty"),
        ("test.csv", lambda data: data.splitlines()[0], r"test\.csv has a header and no rows"),
        (
            "train.csv",
            drop_first_target,
            r"train\.csv: column count must hold numbers >= 0, line 2 has nan",
        ),
        (
            "sampleSubmission.csv",
            swap_two_ids,
            r"sample's datetime in its order: row 0 must be 2011-01-20 01:00:00, received 2011-",
        ),
        (
            "sampleSubmission.csv",
            edit(b"2011-01-20 00:00:00", b"2011-01-20 01:00:00"),
            "row 0 must be 2011-01-20 01:00:00",
        ),
        ("sampleSubmission.csv", edit(b"datetime", b"time"), "must have a column datetime"),
        ("train.csv", lambda data: b"\xff\xfe" + data, r"train\.csv is not a UTF-8 CSV table"),
    ],
)
def test_bad_raw_files_end_in_one_line_and_replace_nothing(home, file, change, told):
    pipeline.run(ask(), home, QUIET)
    before = list_files(home.root / "submissions")
    rewrite(home.raw(NAME, "sample") / file, change)
    with pytest.raises(InputError, match=told) as refused:
        pipeline.run(ask(), home, QUIET)
    assert "\n" not in str(refused.value)
    assert list_files(home.root / "submissions") == before


def test_a_missing_file_is_named(home):
    (home.raw(NAME, "sample") / "test.csv").unlink()
    with pytest.raises(InputError, match=r"test\.csv is missing$"):
        pipeline.run(ask(), home, QUIET)
    assert not (home.root / "submissions").exists()


def test_byte_order_marks_and_windows_line_ends_change_nothing(home, tmp_path):
    pipeline.run(ask(), home, QUIET)
    other = make_home(tmp_path / "other", BIKES)
    for path in other.raw(NAME, "sample").glob("*.csv"):
        rewrite(path, lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"))
    pipeline.run(ask(), other, QUIET)
    csv = home.submissions(NAME, "sample") / "baseline-seed0.csv"
    assert (other.submissions(NAME, "sample") / csv.name).read_bytes() == csv.read_bytes()


def test_threads_below_one_are_told_before_anything_runs(home):
    with pytest.raises(InputError, match=r"^--set threads must be > 0, received 0$"):
        pipeline.run(ask(threads=0), home, QUIET)
    assert not home.work(NAME).exists()


def test_a_setting_that_the_pipeline_refuses_is_told_with_all_that_was_set(home, monkeypatch):
    def refuse(*arguments):
        raise ValueError("n_folds must be in [2, 12], received 1")

    monkeypatch.setattr(BIKES.load("pipeline"), "run", refuse)
    with pytest.raises(InputError) as refused:
        pipeline.run(ask(n_folds=1, rounds=9), home, QUIET)
    assert str(refused.value) == (
        "the run with --set n_folds=1 rounds=9 failed: n_folds must be in [2, 12], received 1"
    )


def test_an_error_of_the_pipeline_itself_keeps_its_traceback(home, monkeypatch):
    def fail(*arguments):
        raise ValueError("a bug")

    monkeypatch.setattr(BIKES.load("pipeline"), "run", fail)
    with pytest.raises(ValueError, match=r"^a bug$") as failed:
        pipeline.run(ask(), home, QUIET)
    assert not isinstance(failed.value, InputError)


def test_a_broken_manifest_in_the_way_stops_the_run_before_the_csv_is_replaced(home):
    pipeline.run(ask(), home, QUIET)
    folder = home.submissions(NAME, "sample")
    (folder / "baseline-seed0.json").write_text("{")
    (folder / "baseline-seed0.csv").write_text("precious")
    with pytest.raises(InputError, match=r"baseline-seed0\.json is not JSON"):
        pipeline.run(ask(), home, QUIET)
    assert (folder / "baseline-seed0.csv").read_text() == "precious"


# Figures that are not those of the rows are a bug, not an outcome.


@pytest.fixture(scope="module")
def outcome(tmp_path_factory) -> Outcome:
    home = make_home(tmp_path_factory.mktemp("home"), BIKES)
    return pipeline.compute(ask(), home, QUIET, work=tmp_path_factory.mktemp("work"))[1]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda o: replace(o, score=o.score + 1e-9), "the scores must be"),
        (lambda o: replace(o, fold_scores=o.fold_scores[::-1]), "the scores must be"),
        (
            lambda o: replace(o, oof=replace(o.oof, ids=np.repeat(o.oof.ids[:1], len(o.oof.ids)))),
            "every held-out id must come once",
        ),
        (
            lambda o: replace(o, oof=replace(o.oof, prediction=o.oof.prediction * np.nan)),
            "every held-out prediction must be finite",
        ),
    ],
)
def test_an_outcome_must_be_that_of_its_rows(outcome, spoil, told):
    check_outcome(outcome, ask())
    with pytest.raises(ValueError, match=told):
        check_outcome(spoil(outcome), ask())


# Answers and other kinds are nobody's business.

SEEN: list[str] = []
WATCHING: list[bool] = []


def _watch(event: str, arguments: tuple) -> None:
    if WATCHING and event in ("open", "os.listdir", "os.scandir"):
        SEEN.append(str(arguments[0]))


@pytest.fixture
def opened(monkeypatch):
    """What is opened or listed, in order, and "final" when the submission has been checked."""
    sys.addaudithook(_watch)
    check = pipeline.check_submission

    def check_and_mark(*arguments) -> None:
        check(*arguments)
        SEEN.append("final")

    monkeypatch.setattr(pipeline, "check_submission", check_and_mark)
    SEEN.clear()
    WATCHING.append(True)
    yield SEEN
    WATCHING.clear()


def load_touched(opened: list[str], home: Home, folder: str) -> list[str]:
    """The opened paths below a folder of the home, relative to it."""
    base = f"{home.root / 'data' / folder / NAME}/"
    return [path.removeprefix(base) for path in opened if path.startswith(base)]


@pytest.mark.parametrize("kind", ["kaggle", "holdout", "open", "sample"])
@pytest.mark.parametrize("has_answers", [True, False])
def test_a_run_opens_its_own_kind_only_and_its_answers_only_at_the_end(
    home, opened, kind, has_answers
):
    WATCHING.clear()
    kinds = ("kaggle", "holdout", "open", "sample")
    for other in kinds:
        raw = home.raw(NAME, other) if other == "sample" else add_kind(home, NAME, other)
        if other != kind or has_answers:
            write_answers(home, other, pd.read_csv(raw / "sampleSubmission.csv"))
    opened.clear()
    WATCHING.append(True)
    manifest = pipeline.run(ask(kind), home, QUIET)
    WATCHING.clear()
    raw = load_touched(opened, home, "raw")
    assert f"{kind}/train.csv" in raw and {path.split("/")[0] for path in raw} == {kind}
    final = opened.index("final")
    assert load_touched(opened[:final], home, "answers") == []
    assert set(load_touched(opened, home, "answers")) == ({f"{kind}.csv"} if has_answers else set())
    assert (manifest["score"]["true"] is not None) == has_answers


# What the user is told.


def test_the_true_score_is_told_with_the_side_of_the_interval_it_fell_on(home):
    """RMSLE between counts and counts moved by d on the log scale is d."""
    pipeline.run(ask(), home, QUIET)
    expected = load_manifest(home.submissions(NAME, "sample") / "baseline-seed0.json")["score"]
    for d, where in (
        (expected["expected"], "inside"),
        (expected["interval"][0] * 0.99, "outside"),
        (expected["interval"][1] * 1.01, "outside"),
    ):
        frame = load_submission(home)
        frame["count"] = np.expm1(np.log1p(frame["count"]) + d)
        write_answers(home, "sample", frame.sample(frac=1, random_state=0))
        told = run_told(ask(), home)
        assert f"RMSLE, true                {d:.5f}  ({where} the interval)" in told
        manifest = load_manifest(home.submissions(NAME, "sample") / "baseline-seed0.json")
        assert manifest["score"]["true"] == pytest.approx(d, rel=1e-9)


def test_answers_that_lack_a_row_are_told_and_nothing_is_written(home):
    sample = pd.read_csv(home.raw(NAME, "sample") / "sampleSubmission.csv")
    write_answers(home, "sample", sample.iloc[1:])
    with pytest.raises(InputError, match="the answers lack datetime 2011-01-20 00:00:00"):
        pipeline.run(ask(), home, QUIET)
    assert not (home.root / "submissions").exists()


@pytest.mark.parametrize("kind", ["kaggle", "holdout", "open", "sample"])
def test_a_place_on_the_board_is_for_kaggle_data_only(home, kind):
    if kind != "sample":
        add_kind(home, NAME, kind)
    told = run_told(ask(kind), home)
    line = next(line for line in told.splitlines() if "leaderboard" in line)
    if kind == "kaggle":
        assert "by its expected score, would stand near " in line and line.endswith("; approximate")
        frame = load_submission(home, "kaggle")
        write_answers(home, "kaggle", frame)
        assert "by its true score, would stand near 1 of 3,251, gold; approximate" in run_told(
            ask(kind), home
        )
    else:
        assert "not comparable: the test rows are not Kaggle's" in line and "near" not in line


def test_the_report_names_score_interval_folds_file_and_cost(home, monkeypatch):
    monkeypatch.chdir(home.root)
    told = run_told(ask(), home)
    manifest = load_manifest(home.submissions(NAME, "sample") / "baseline-seed0.json")
    score = manifest["score"]
    low, high = score["interval"]
    for text in (
        f"{NAME} · baseline · seed 0 · data: sample (made up)",
        f"RMSLE, out of fold         {score['out_of_fold']:.5f}  (lower is better)",
        f"{score['expected']:.5f}, 95 % interval {low:.5f} to {high:.5f}",
        "  ".join(f"{fold:.5f}" for fold in score["folds"]),
        f"submissions/{NAME}/sample/baseline-seed0.csv (1,056 rows, checked)",
        f"{manifest['run']['seconds']:.0f} s, ",
    ):
        assert text in told
    assert str(home.root) not in told


def test_a_direction_is_said_and_a_competition_without_board_has_no_place(home, monkeypatch):
    metric = Metric("gain", BIKES.facts.METRIC.function, lower_is_better=False)
    monkeypatch.setattr(BIKES.facts, "METRIC", metric)
    monkeypatch.setattr(BIKES.facts, "LEADERBOARD", None)
    manifest = {
        "score": {
            "metric": "gain", "out_of_fold": 1.0, "expected": 1.0, "interval": [0.5, 2.0],
            "folds": [1.0], "true": 0.5,
        },
        "run": {"seconds": 1.0, "peak_memory_mib": 512},
        "submission": {"file": "a.csv", "rows": 3},
    }  # fmt: skip
    console = make_console()
    pipeline._print_report(ask("kaggle"), console, manifest, Path("/x"))
    told = load_told(console)
    assert "1.00000  (higher is better)" in told and "0.50000  (inside the interval)" in told
    assert "leaderboard" not in told and "1 s, 0.5 GiB at most" in told


# A score that came from Kaggle belongs to bytes.


def test_a_score_from_kaggle_stays_with_equal_bytes_and_goes_with_others(home):
    pipeline.run(ask(), home, QUIET)
    path = home.submissions(NAME, "sample") / "baseline-seed0.json"
    verdict = {"public": 0.4, "private": 0.41}
    path.write_text(json.dumps(load_manifest(path) | {"kaggle": verdict}))
    assert pipeline.run(ask(), home, QUIET)["kaggle"] == verdict
    assert load_manifest(path)["kaggle"] == verdict
    before = load_submission(home)
    rewrite(
        home.raw(NAME, "sample") / "train.csv",
        lambda data: b"\n".join(data.split(b"\n")[:1] + data.split(b"\n")[200:]),
    )
    assert "kaggle" not in pipeline.run(ask(), home, QUIET)
    assert not load_submission(home).equals(before) and "kaggle" not in load_manifest(path)
