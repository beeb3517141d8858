"""What stops a run: raw files, settings and figures that are not as they must be."""

import sys
from dataclasses import replace
from pathlib import Path

import filelock
import numpy as np
import pandas as pd
import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError

from common.checks import InputError
from common.contract import Outcome
from common.data.code import load_code_digest
from common.data.paths import Home
from common.data.sources import join_digests, load_digests
from pipelines import run as pipeline
from pipelines.manifests import load_manifest
from pipelines.run import check_outcome
from tests.helpers.bikes import BIKES, NAME, ask, run_told, write_answers
from tests.helpers.homes import QUIET, add_kind, list_files, make_home, rewrite


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path, BIKES)


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


def test_answers_that_lack_a_row_are_told_and_nothing_is_written(home):
    sample = pd.read_csv(home.raw(NAME, "sample") / "sampleSubmission.csv")
    write_answers(home, "sample", sample.iloc[1:])
    with pytest.raises(InputError, match="the answers lack datetime 2011-01-20 00:00:00"):
        pipeline.run(ask(), home, QUIET)
    assert not (home.root / "submissions").exists()


def test_data_changed_by_hand_is_told_in_one_line_and_the_manifest_holds_what_is_there(home):
    raw = home.raw(NAME, "sample")
    told = f"{raw} was changed by hand since it came: the manifest holds what is there now\n"
    assert "changed by hand" not in run_told(ask(), home)
    rewrite(raw / "train.csv", lambda data: data.rstrip(b"\n").rpartition(b"\n")[0] + b"\n")
    assert run_told(ask(), home).count(told) == 1
    manifest = load_manifest(home.submissions(NAME, "sample") / "baseline-seed0.json")
    digests = load_digests(raw)
    assert manifest["raw"] == {"digest": join_digests(digests), "files": digests}


def test_a_killed_worker_is_told_with_what_helps(home, monkeypatch):
    def kill(*arguments):
        raise TerminatedWorkerError("A worker process managed by the executor\nwas killed")

    monkeypatch.setattr(BIKES.load("pipeline"), "run", kill)
    with pytest.raises(InputError) as refused:
        pipeline.run(ask(), home, QUIET)
    assert str(refused.value) == ("a worker was killed, most likely for its memory: try --jobs 1")
    assert not (home.root / "submissions").exists()


# Code and raw files of the manifest are those that ran.


def test_raw_files_that_changed_during_the_run_are_told_and_nothing_is_written(home, monkeypatch):
    """Another command may bring new data while the fits go on."""
    run = BIKES.load("pipeline").run

    def run_and_change(config, raw: Path, work: Path, seed: int) -> Outcome:
        outcome = run(config, raw, work, seed)
        rewrite(raw / "test.csv", lambda data: data + b"\n")
        return outcome

    monkeypatch.setattr(BIKES.load("pipeline"), "run", run_and_change)
    with pytest.raises(InputError, match=r"^the raw files changed during the run: run it again$"):
        pipeline.run(ask(), home, QUIET)
    assert not (home.root / "submissions").exists()


def test_source_that_changed_during_the_run_is_told_and_nothing_is_written(home, monkeypatch):
    """The digest is taken before the pipeline is imported and again when it is through."""
    digests = iter(["before", "after"])
    monkeypatch.setattr(pipeline, "load_code_digest", lambda folder: next(digests))
    with pytest.raises(InputError, match=r"^the source changed during the run: run it again$"):
        pipeline.run(ask(), home, QUIET)
    assert not (home.root / "submissions").exists() and not list(home.root.rglob("*.json.*"))
    assert not home.oof(NAME, "sample", "baseline-seed0").exists()


def test_code_and_git_are_looked_at_before_the_pipeline_is_imported(home, monkeypatch):
    order = []

    def note(name, function):
        def call(*arguments):
            order.append(name)
            return function(*arguments)

        return call

    facts = {"commit": "abc", "dirty": False}
    monkeypatch.setattr(pipeline, "load_git_facts", note("git", lambda: facts))
    monkeypatch.setattr(pipeline, "load_code_digest", note("code", load_code_digest))
    monkeypatch.setattr(type(BIKES), "load", note("import", type(BIKES).load))
    monkeypatch.setattr(BIKES.load("pipeline"), "run", note("run", BIKES.load("pipeline").run))
    order.clear()
    manifest = pipeline.run(ask(), home, QUIET)
    assert order == ["git", "code", "import", "run", "code"]
    assert manifest["git"] == facts and manifest["code"] == load_code_digest(BIKES.folder)


def test_raw_files_are_read_under_the_lock(home, monkeypatch):
    """Nobody else's run changes them between their digests and the fits."""
    held = []
    load = pipeline.load_digests

    def look(raw):
        lock = filelock.FileLock(home.work(NAME) / ".lock")
        try:
            lock.acquire(blocking=False)
            lock.release()
        except filelock.Timeout:
            held.append(raw)
        return load(raw)

    monkeypatch.setattr(pipeline, "load_digests", look)
    pipeline.run(ask(), home, QUIET)
    assert held == [home.raw(NAME, "sample")]


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
