"""A manifest gives its submission again, or it is said what differs and where."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.checks import InputError
from common.data.paths import Home
from common.data.sources import compute_sha256
from pipelines import reproduce as reproduction
from pipelines import run as pipeline
from pipelines.catalog import load_competition
from pipelines.manifests import FORMAT, dump_manifest, load_manifest
from pipelines.reproduce import reproduce
from tests.helpers.homes import (
    QUIET,
    list_files,
    load_told,
    make_console,
    make_home,
    make_request,
    rewrite,
)

NAME = "bike_sharing_demand"
BIKES = load_competition(NAME)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Home:
    """A home with one run in it, made once."""
    home = make_home(tmp_path_factory.mktemp("made"), BIKES)
    pipeline.run(make_request(BIKES, "baseline", seed=4), home, QUIET)
    return home


@pytest.fixture
def home(made, tmp_path) -> Home:
    shutil.copytree(made.root, tmp_path / "home")
    return Home(tmp_path / "home")


@pytest.fixture
def path(home) -> Path:
    (path,) = home.submissions(NAME, "sample").glob("*.json")
    return path


def try_again(path: Path, home: Home, **options) -> tuple[bool, str]:
    console = make_console()
    return reproduce(path, home, console, **{"jobs": 1} | options), load_told(console)


def change(path: Path, **parts) -> dict:
    """Write a manifest with other parts; a dict is laid over the old part."""
    manifest = load_manifest(path)
    for key, value in parts.items():
        manifest[key] = {**manifest[key], **value} if isinstance(value, dict) else value
    path.write_text(dump_manifest(manifest))
    return manifest


def move_sample(path: Path, by: float, rows: tuple[int, ...]) -> list:
    """The manifest's sample with counts moved in some rows."""
    sample = load_manifest(path)["submission"]["sample"]
    return [[day, n + by * (k in rows)] for k, (day, n) in enumerate(sample)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_is_identical_whatever_jobs_was_and_changes_nothing(home, path, jobs):
    before = list_files(home.root)
    is_same, told = try_again(path, home, jobs=jobs)
    assert is_same and "submission: identical" in told
    assert "differ" not in told and " was " not in told
    score = load_manifest(path)["score"]["out_of_fold"]
    assert f"RMSLE, out of fold: {score:.6f} then, {score:.6f} now" in told
    assert list_files(home.root) == before


def test_nothing_that_an_earlier_run_kept_is_used(home, path, monkeypatch):
    seen = []

    def compute(request, home, console, *, work):
        seen.append((work, list(work.iterdir()), request))
        return pipeline.compute(request, home, console, work=work)

    monkeypatch.setattr(reproduction, "compute", compute)
    assert try_again(path, home)[0]
    ((work, files, request),) = seen
    assert files == [] and not work.exists() and work.parent == home.work(NAME)
    assert request == make_request(BIKES, "baseline", seed=4)


def test_other_raw_files_are_named_and_only_anyway_goes_on(home, path):
    raw = home.raw(NAME, "sample")
    rewrite(raw / "train.csv", lambda data: b"\n".join(data.split(b"\n")[:-50]) + b"\n")
    with pytest.raises(InputError) as refused:
        try_again(path, home)
    assert str(refused.value) == (
        "raw files differ from the manifest's: train.csv: --anyway runs all the same"
    )
    (raw / "more.csv").write_text("a\n1\n")
    is_same, told = try_again(path, home, anyway=True)
    assert not is_same
    assert "raw files differ: more.csv, train.csv\n" in told
    assert "submission: different in " in told


def test_of_many_raw_files_five_are_named(home, path):
    for k in range(7):
        (home.raw(NAME, "sample") / f"more{k}.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match=r"more0\.csv, .*more4\.csv and 2 more: --anyway"):
        try_again(path, home)


def test_a_test_set_of_another_length_is_told(home, path):
    """The CSVs of tracked manifests are not in the repository: only the sample is there."""
    for name in ("test.csv", "sampleSubmission.csv"):
        rewrite(
            home.raw(NAME, "sample") / name,
            lambda data: b"\n".join(data.split(b"\n")[:-101]) + b"\n",
        )
    path.with_suffix(".csv").unlink()
    is_same, told = try_again(path, home, anyway=True)
    assert not is_same and "different in length: 1,056 rows then, 956 now" in told


def test_other_code_versions_and_commits_are_told(home, path):
    versions = load_manifest(path)["versions"]
    change(path, code="0" * 64, git={"commit": "abc123"}, versions={"numpy": "1.0", "gone": "1"})
    is_same, told = try_again(path, home)
    assert is_same
    lines = told.splitlines()
    assert "code differs: the manifest's is that of commit abc123" in lines
    assert f"numpy was 1.0, is {versions['numpy']}" in lines
    assert len([line for line in lines if " was " in line]) == 1
    change(path, git={"commit": None}, versions={"numpy": versions["numpy"]})
    told = try_again(path, home)[1]
    assert "code differs: no commit is named\n" in told
    assert " was " not in told


def test_other_fields_of_the_config_and_another_processor_are_told_one_a_line(home, path):
    """A field that came, went or has another default; the run is that of the config of now."""
    config = load_manifest(path)["config"]
    cpu = load_manifest(path)["machine"]["cpu"]
    change(path, config={"ridge": config["ridge"] + 1, "gone": 5}, machine={"cpu": "Abacus"})
    is_same, told = try_again(path, home)
    notes = [line for line in told.splitlines() if " was " in line]
    assert is_same and notes == [
        f"ridge was {config['ridge'] + 1}, is {config['ridge']}",
        "gone was 5, is None",
        f"the processor was Abacus, is {cpu}",
    ]
    assert "code differs" not in told


def test_an_altered_hash_and_sample_are_told_with_the_worst_row(home, path):
    """Without the CSV, or with one of other bytes, the sample's 500 rows are compared."""
    sample = move_sample(path, 0.5, (3, 7))
    sample[7][1] += 1
    change(path, submission={"sha256": "0" * 64, "sample": sample})
    is_same, told = try_again(path, home)
    assert not is_same
    assert (
        "submission: different in 2 of the sample's rows (500), "
        f"most at {sample[7][0]}: {sample[7][1]} then, " in told
    )
    path.with_suffix(".csv").unlink()
    assert try_again(path, home) == (False, told)


def test_a_csv_of_the_manifests_hash_is_compared_row_by_row(home, path):
    """Row 1 is not among the sample's rows, so only the CSV can tell."""
    csv = path.with_suffix(".csv")
    lines = csv.read_text().splitlines()
    day, count = lines[2].split(",")
    csv.write_text("\n".join([*lines[:2], f"{day},{float(count) + 2}", *lines[3:]]) + "\n")
    change(path, submission={"sha256": compute_sha256(csv)})
    is_same, told = try_again(path, home)
    assert not is_same
    assert f"different in 1 of all rows (1,056), most at {day}: {float(count) + 2} then" in told


@pytest.mark.parametrize(("by", "is_equal"), [(9e-7, True), (-9e-7, True), (1.1e-6, False)])
def test_what_differs_by_less_than_a_millionth_is_equal(home, path, by, is_equal):
    moved = move_sample(path, by, (0, 499))
    change(path, submission={"sha256": "0" * 64, "sample": moved})
    path.with_suffix(".csv").unlink()
    is_same, told = try_again(path, home)
    assert is_same == is_equal
    verdict = "equal within 1e-06 in" if is_equal else "different in 2 of"
    assert f"submission: {verdict} the sample's rows" in told


def test_other_ids_are_told(home, path):
    sample = load_manifest(path)["submission"]["sample"]
    change(path, submission={"sha256": "0" * 64, "sample": sample[::-1]})
    path.with_suffix(".csv").unlink()
    is_same, told = try_again(path, home)
    assert not is_same and "submission: different ids among the sample's rows" in told


def test_an_identical_csv_needs_no_sample(home, path):
    change(path, submission={"sample": move_sample(path, 1.0, (0,))})
    assert try_again(path, home)[0]


def test_what_cannot_be_reproduced_is_told(home, path, tmp_path):
    bench = tmp_path / "bench.json"
    bench.write_text(json.dumps({"format": FORMAT, "rows": []}))
    with pytest.raises(InputError, match="must be the manifest of a run, received a bench table"):
        try_again(bench, home)
    with pytest.raises(InputError, match=r"nothing\.json is no file"):
        try_again(tmp_path / "nothing.json", home)
    change(path, variant="gone")
    with pytest.raises(InputError, match="has no variant gone: there is baseline"):
        try_again(path, home)
    change(path, variant="baseline", kind="open")
    with pytest.raises(InputError, match="has no open data here"):
        try_again(path, home)
    change(path, competition="bikes")
    with pytest.raises(InputError, match="no competition is named bikes"):
        try_again(path, home)
    assert not list(home.work(NAME).glob(".reproduce-*"))


def test_a_failed_reproduction_leaves_no_folder_behind(home, path, monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(reproduction, "compute", stop)
    before = list_files(home.root)
    with pytest.raises(KeyboardInterrupt):
        try_again(path, home)
    assert list_files(home.root) == before
    assert not list(home.work(NAME).glob(".reproduce-*"))


def test_the_sample_of_a_run_is_where_reproduce_looks(home, path):
    """Both sides space the rows alike, for lengths that do not divide."""
    submission = load_manifest(path)["submission"]
    rows = np.unique(np.linspace(0, submission["rows"] - 1, 500).round().astype(int))
    lines = path.with_suffix(".csv").read_text().splitlines()[1:]
    assert [day for day, _ in submission["sample"]] == [lines[k].split(",")[0] for k in rows]


def test_words_are_equal_or_one_apart():
    then = pd.DataFrame({"tree": ["ash", "oak", "elm"]})
    now = pd.DataFrame({"tree": ["ash", "elm", "elm"]})
    assert reproduction._measure(then, now).tolist() == [0, 1, 0]
    numbers = pd.DataFrame({"a": [1.0, 2.0], "b": [1, 5]})
    assert reproduction._measure(numbers, numbers.add(2)).tolist() == [2, 2]
