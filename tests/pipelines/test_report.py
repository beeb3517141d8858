"""What a run says at its end, and its pictures."""

from pathlib import Path

import numpy as np
import pytest

from common.checks import InputError
from common.contract import Metric
from common.data.paths import KINDS, Home
from pipelines import run as pipeline
from pipelines.catalog import Competition
from pipelines.manifests import load_manifest
from pipelines.report import KIND_NOTES, describe_thin, draw_pictures, print_report
from tests.helpers.bikes import BIKES, NAME, ask, load_submission, run_told, write_answers
from tests.helpers.homes import QUIET, add_kind, load_told, make_console, make_home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path, BIKES)


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
        assert f"RMSLE, true            {d:.5f}  ({where} the interval)" in told
        manifest = load_manifest(home.submissions(NAME, "sample") / "baseline-seed0.json")
        assert manifest["score"]["true"] == pytest.approx(d, rel=1e-9)


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
        told = run_told(ask(kind), home)
        assert ("by its true score, better than the first (0.33756): not to be believed\n") in told
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
        f"RMSLE, out of fold     {score['out_of_fold']:.5f}  (lower is better)",
        f"{score['expected']:.5f}, 95 % interval {low:.5f} to {high:.5f}",
        "  ".join(f"{fold:.5f}" for fold in score["folds"]),
        f"submissions/{NAME}/sample/baseline-seed0.csv (1,056 rows, checked)",
        f"{manifest['run']['seconds']:.0f} s, ",
    ):
        assert text in told
    assert str(home.root) not in told


MANIFEST = {
    "kind": "kaggle",
    "score": {
        "metric": "gain", "out_of_fold": 1.0, "expected": 1.0, "interval": [0.5, 2.0],
        "folds": [1.0], "true": 0.5, "thin": [],
    },
    "run": {"seconds": 1.0, "peak_memory_mib": 512},
    "submission": {"file": "a.csv", "rows": 3},
}  # fmt: skip
THIN = {"stratum": "holiday", "n_held": 2, "n_test": 7}


def report(*, folder: Path = Path("/x"), **score) -> str:
    console = make_console()
    manifest = MANIFEST | {"score": MANIFEST["score"] | score}
    print_report(BIKES.facts, manifest, folder, console)
    return load_told(console)


def test_a_direction_is_said_and_a_competition_without_board_has_no_place(monkeypatch):
    metric = Metric("gain", BIKES.facts.METRIC.function, lower_is_better=False)
    monkeypatch.setattr(BIKES.facts, "METRIC", metric)
    monkeypatch.setattr(BIKES.facts, "LEADERBOARD", None)
    told = report()
    assert "1.00000  (higher is better)" in told and "0.50000  (inside the interval)" in told
    assert "leaderboard" not in told and "1 s, 0.5 GiB at most" in told


@pytest.mark.parametrize(
    ("true", "where"), [(0.49, "outside"), (0.5, "inside"), (2.0, "inside"), (2.01, "outside")]
)
def test_the_ends_of_the_interval_are_inside(true, where):
    assert f"{true:.5f}  ({where} the interval)" in report(true=true)


def test_what_the_interval_cannot_answer_for_is_said_once_for_each_sort():
    assert describe_thin(THIN) == (
        '7 of the test\'s groups are "holiday", 2 such were held out: '
        "the interval does not cover what they may bring"
    )
    other = THIN | {"stratum": "storm"}
    lines = report(thin=[THIN, other]).splitlines()
    at = next(k for k, line in enumerate(lines) if "95 % interval" in line)
    assert [line.strip() for line in lines[at + 1 : at + 3]] == [
        describe_thin(THIN),
        describe_thin(other),
    ]
    assert "does not cover" not in report()


def test_a_folder_with_brackets_is_shown_as_it_is():
    assert "/x/[red]/a.csv (3 rows, checked)" in report(folder=Path("/x/[red]"))


def test_every_kind_of_data_has_a_note():
    assert tuple(KIND_NOTES) == KINDS


# Pictures.


def test_pictures_lie_in_the_work_folder_and_nowhere_else(home):
    console = make_console()
    pipeline.run(ask(), home, console, pictures=True)
    folder = home.work(NAME) / "pictures" / "sample" / "baseline-seed0"
    pictures = list(home.root.rglob("*.png"))
    assert pictures and {path.parent for path in pictures} == {folder}
    assert all(str(path) in load_told(console) for path in pictures)


def test_what_was_drawn_is_told_file_by_file(home, tmp_path, monkeypatch):
    """The competition gets its outcome, its own raw folder and a folder that is there."""
    seen = []

    def draw(outcome, raw, out):
        seen.append((outcome, raw))
        (out / "b.png").touch()
        (out / "a[red].png").touch()

    monkeypatch.setattr(BIKES.load("pipeline"), "draw", draw)
    console, out = make_console(), tmp_path / "deep" / "out"
    out.mkdir(parents=True)
    (out / "earlier.png").touch()
    draw_pictures(BIKES, "an outcome", home.raw(NAME, "sample"), out, console)
    assert seen == [("an outcome", home.raw(NAME, "sample"))]
    assert [line.split() for line in load_told(console).splitlines()] == [
        ["picture", str(out / "a[red].png")],
        ["picture", str(out / "b.png")],
    ]


def test_pictures_of_a_competition_that_draws_none_are_refused_before_any_fit(home, monkeypatch):
    monkeypatch.setattr(Competition, "has_function", lambda *_: False)
    with pytest.raises(InputError, match=f"^{NAME} draws no pictures: run it without --pictures$"):
        run_told(ask(), home, pictures=True)
    assert not home.work(NAME).exists() and not (home.root / "submissions").exists()
    assert "submission" in run_told(ask(), home)
