"""One run, from raw files to submission and manifest; on made-up hours and medians."""

import dataclasses
import hashlib
import json
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

from common.checks import InputError
from common.contract import Cost, Outcome
from common.data.code import load_code_digest
from common.data.folds import load_versions
from common.data.paths import Home, written_whole
from common.data.sources import join_digests, load_digests
from pipelines import run as pipeline
from pipelines.manifests import FORMAT, load_git_facts, load_machine_facts, load_manifest
from pipelines.run import choose_kind
from tests.helpers.bikes import BIKES, N_TEST, NAME, ask, load_submission
from tests.helpers.homes import QUIET, add_kind, list_files, make_home, rewrite


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path, BIKES)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory) -> Outcome:
    home = make_home(tmp_path_factory.mktemp("home"), BIKES)
    return pipeline.compute(ask(), home, QUIET, work=tmp_path_factory.mktemp("work"))[1]


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


def test_sorts_of_group_that_were_hardly_held_out_stand_in_the_manifest(home, outcome, monkeypatch):
    """Two held-out days are made "fair", and half of the test's 44 days of 24 hours."""
    days = np.unique(outcome.oof.group)
    stratum = np.where(np.isin(outcome.oof.group, days[:2]), "fair", "plain")
    test = np.where(np.arange(N_TEST) < N_TEST // 2, "fair", "plain")
    fair = replace(outcome, oof=replace(outcome.oof, stratum=stratum), test_stratum=test)
    plain = replace(outcome, oof=replace(outcome.oof, stratum=None), test_stratum=None)
    monkeypatch.setattr(BIKES.load("pipeline"), "run", lambda *_: plain)
    assert load_thin(home) == []
    monkeypatch.setattr(BIKES.load("pipeline"), "run", lambda *_: fair)
    assert load_thin(home) == [{"stratum": "fair", "n_held": 2, "n_test": 22}]


def load_thin(home: Home) -> list[dict]:
    pipeline.run(ask(), home, QUIET)
    return load_manifest(home.submissions(NAME, "sample") / "baseline-seed0.json")["score"]["thin"]


def test_the_sample_is_500_evenly_spaced_rows_from_the_first_to_the_last(home):
    manifest = pipeline.run(ask(), home, QUIET)
    rows = np.unique(np.round(np.arange(500) * (N_TEST - 1) / 499).astype(int))
    wanted = load_submission(home).iloc[rows].to_numpy().tolist()
    assert len(rows) == 500 and rows[0] == 0 and rows[-1] == N_TEST - 1
    assert [row[0] for row in manifest["submission"]["sample"]] == [row[0] for row in wanted]
    assert [row[1] for row in manifest["submission"]["sample"]] == [row[1] for row in wanted]


def test_held_out_rows_are_kept_with_their_days(home):
    manifest = pipeline.run(ask(), home, QUIET)
    with np.load(home.oof(NAME, "sample", "baseline-seed0")) as file:
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
    """Cores that this process may use, which a container can make fewer than the machine has."""
    monkeypatch.setattr(joblib, "cpu_count", lambda: 5)
    monkeypatch.setattr(pipeline, "limit_threads", lambda n_threads: None)
    for threads, jobs in ((2, 2), (3, 1), (9, 1)):
        request = replace(ask(threads=threads), jobs=None)
        assert pipeline.run(request, home, QUIET)["run"]["jobs"] == jobs


def test_work_goes_where_it_is_told_and_results_where_they_belong(home, tmp_path):
    pipeline.run(ask(), home, QUIET, work=tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "folds").is_dir()
    assert set(list_files(home.work(NAME))) == {"oof/sample/baseline-seed0.npz"}
    assert len(list_files(home.submissions(NAME, "sample"))) == 2


@pytest.mark.parametrize("n_written", [0, 1, 2])
def test_held_out_rows_are_written_before_csv_and_manifest(home, monkeypatch, n_written):
    """A manifest that stands has its rows, wherever a run was stopped."""
    asked = []

    @contextmanager
    def stop(path):
        asked.append(path)
        if len(asked) > n_written:
            raise KeyboardInterrupt
        with written_whole(path) as partial:
            yield partial

    monkeypatch.setattr(pipeline, "written_whole", stop)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(ask(), home, QUIET)
    base = home.submissions(NAME, "sample") / "baseline-seed0"
    order = [
        home.oof(NAME, "sample", "baseline-seed0"),
        base.with_suffix(".csv"),
        base.with_suffix(".json"),
    ]
    assert asked == order[: n_written + 1]
    assert [path for path in order if path.exists()] == order[:n_written]


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


def test_a_kind_that_lacks_a_needed_file_is_passed_over(home):
    """As after `download --file`: what came first must not hide whole data of the next kind."""
    (add_kind(home, NAME, "kaggle") / "test.csv").unlink()
    with pytest.raises(InputError, match="has no real data here"):
        choose_kind(BIKES, home, None)
    add_kind(home, NAME, "open")
    assert choose_kind(BIKES, home, None) == "open"
    assert choose_kind(BIKES, home, "kaggle") == "kaggle"  # asked for: the run names the file
    with pytest.raises(InputError, match=r"test\.csv is missing"):
        pipeline.run(ask("kaggle"), home, QUIET)


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


def test_a_manifest_of_another_format_is_replaced_and_a_broken_one_refused_before_any_fit(home):
    path = home.submissions(NAME, "sample") / "baseline-seed0.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"format": 1, "submission": {}}')
    pipeline.run(ask(), home, QUIET)
    assert load_manifest(path)["format"] == FORMAT
    path.write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        pipeline.run(ask(), home, QUIET)
    assert path.read_text() == "{"


def test_words_of_a_submission_are_counted_and_numbers_described():
    words = pd.Series(["oak", "ash", "oak"])
    assert pipeline._describe(words) == {"ash": 1, "oak": 2}
    assert pipeline._describe(pd.Series([1, 3]))["mean"] == 2
