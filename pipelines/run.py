"""One competition, one variant, one seed: from raw files to a checked submission and its manifest.

The only writer of `submissions/`, and the only reader of answers, which it opens when the outcome is final.
"""

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from rich.console import Console

from common.checks import InputError
from common.contract import Outcome
from common.data.folds import load_code_digest, load_versions
from common.data.paths import KINDS, Home, written_whole
from common.data.sources import compute_sha256, join_digests, load_digests
from common.data.submissions import check_submission, pick_values
from common.data.tables import check_files, load_table
from common.seeds import limit_threads
from common.validation.significance import expected_score
from pipelines.catalog import Competition, choose_config
from pipelines.leaderboard import describe_place
from pipelines.manifests import (
    FORMAT,
    dump_manifest,
    load_git_facts,
    load_machine_facts,
    load_manifest,
)
from pipelines.memory import PeakMemory
from pipelines.session import locked, quiet_tensorflow, shown_progress

KIND_NOTES = {
    "kaggle": "Kaggle's own files",
    "holdout": "a test set cut from Kaggle's train files",
    "open": "real open data",
    "sample": "made up",
}
N_SAMPLE_ROWS = 500


@dataclass(frozen=True)
class Request:
    """What is to be run. `settings` are `--set` values as typed; `jobs` fits run side by side."""

    competition: Competition
    variant: str
    kind: str
    seed: int = 0
    settings: tuple[tuple[str, str], ...] = ()
    jobs: int | None = None

    @property
    def config(self) -> Any:
        return choose_config(self.competition, self.variant, dict(self.settings))

    @property
    def label(self) -> str:
        """The variant; with settings, and a hash of the config: such a run never replaces the plain one's files."""
        config = dataclasses.asdict(self.config)
        if config == dataclasses.asdict(self.competition.facts.VARIANTS[self.variant]):
            return self.variant
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
        return f"{self.variant}+{digest[:8]}"

    @property
    def stem(self) -> str:
        return f"{self.label}-seed{self.seed}"


def choose_kind(competition: Competition, home: Home, wanted: str | None) -> str:
    """Choose the kind of data: the wanted one, else the first that is at hand; made-up data only when asked for.

    Raises:
        InputError: the wanted kind is not at hand, or none is; the ways to get data are named.
    """
    name = competition.name
    if wanted is not None and wanted not in KINDS:
        raise InputError(f"--data must be one of {', '.join(KINDS)}, received {wanted}")
    kinds = [wanted] if wanted else [kind for kind in KINDS if kind != "sample"]
    for kind in kinds:
        if home.raw(name, kind).is_dir():
            return kind
    ways = [f"download {name}", f"import {name} ZIP"]
    ways += [f"holdout {name}"] if competition.has("split") else []
    ways += [f"open {name}"] if competition.has("open_data") else []
    ways += [f"sample {name}"]
    raise InputError(
        f"{name} has no {f'{wanted} data' if wanted else 'real data'} here: "
        f"get some with `python -m pipelines` {' | '.join(ways)}"
    )


def run(
    request: Request,
    home: Home,
    console: Console,
    *,
    work: Path | None = None,
    pictures: bool = False,
) -> dict[str, Any]:
    """Run one variant and write its submission and manifest.

    Args:
        request: what.
        home: where data lies and results go.
        console: what the user sees.
        work: the work folder; without it the competition's own.
        pictures: also draw what the competition can draw, below the work folder.

    Returns:
        The manifest.

    Raises:
        InputError: data or settings that the user can put right.
    """
    manifest, outcome = compute(
        request, home, console, work=work or home.work(request.competition.name)
    )
    folder = home.submissions(request.competition.name, request.kind)
    manifest = _write_results(request, folder, manifest, outcome)
    _write_oof(load_oof_path(home, request.competition.name, request.kind, request.stem), outcome)
    _print_report(request, console, manifest, folder)
    if pictures:
        _draw(request, home, console, outcome)
    return manifest


def compute(
    request: Request, home: Home, console: Console, *, work: Path
) -> tuple[dict[str, Any], Outcome]:
    """Run one variant without writing anything outside `work`.

    Returns:
        The manifest and the outcome.
    """
    competition, config, facts = request.competition, request.config, request.competition.facts
    raw = home.raw(competition.name, request.kind)
    for note in check_files(raw, facts.FILES):
        console.print(note, style="yellow")
    sample = load_table(raw / facts.SUBMISSION.path, columns=(facts.SUBMISSION.id_column,))
    digests = load_digests(raw)
    console.print(
        f"[bold]{competition.name}[/] · {request.label} · seed {request.seed} · "
        f"data: {request.kind} ({KIND_NOTES[request.kind]})"
    )
    start = time.perf_counter()
    # Both are read when TensorFlow is first imported, which the pipeline's own import does.
    limit_threads(config.threads)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    jobs = request.jobs or max(1, (os.cpu_count() or 1) // config.threads)
    with (
        locked(work, console),
        PeakMemory() as memory,
        quiet_tensorflow(),
        shown_progress(console),
        joblib.parallel_config("loky", n_jobs=jobs, inner_max_num_threads=config.threads),
    ):
        outcome: Outcome = competition.load("pipeline").run(config, raw, work, request.seed)
    seconds = time.perf_counter() - start

    check_outcome(outcome, request)
    check_submission(outcome.submission, sample, facts.SUBMISSION)
    manifest = _make_manifest(request, config, digests, outcome)
    manifest["score"]["true"] = _score_truth(request, home, outcome)
    manifest["run"] = {
        "seconds": round(seconds, 1),
        "fit_seconds": round(outcome.cost.seconds, 1),
        "peak_memory_mib": round(max(memory.mib, outcome.cost.peak_mib)),
        "n_parameters": outcome.cost.n_parameters,
        "jobs": jobs,
    }
    return manifest, outcome


def check_outcome(outcome: Outcome, request: Request) -> None:
    """Check that a pipeline's figures are those of its rows.

    Raises:
        ValueError: a prediction is not finite, an id comes twice, or the score is not the rows' score.
    """
    oof, metric = outcome.oof, request.competition.facts.METRIC
    if not np.isfinite(oof.prediction).all():
        raise ValueError(f"{request.label}: every held-out prediction must be finite")
    if len(np.unique(oof.ids)) != len(oof.ids):
        raise ValueError(f"{request.label}: every held-out id must come once")
    received, wanted = (
        (outcome.score, outcome.fold_scores),
        (oof.score(metric), oof.score_folds(metric)),
    )
    if received != wanted:
        raise ValueError(f"{request.label}: the scores must be {wanted}, received {received}")


def load_oof_path(home: Home, name: str, kind: str, stem: str) -> Path:
    """Name the file of a run's out-of-fold rows, which `bench` compares."""
    return home.work(name) / "oof" / kind / f"{stem}.npz"


def _score_truth(request: Request, home: Home, outcome: Outcome) -> float | None:
    """Score the final submission on the answers, where they are known."""
    facts = request.competition.facts
    path = home.answers(request.competition.name, request.kind)
    if not path.is_file():
        return None
    form, ids = facts.SUBMISSION, outcome.submission[facts.SUBMISSION.id_column]
    answers = pick_values(load_table(path, columns=(form.id_column,)), ids, form)
    return float(facts.METRIC(answers, pick_values(outcome.submission, ids, form)))


def _make_manifest(
    request: Request, config: Any, digests: dict[str, str], outcome: Outcome
) -> dict[str, Any]:
    facts = request.competition.facts
    expected = expected_score(
        outcome.oof,
        facts.METRIC,
        n_test_rows=len(outcome.submission),
        seed=request.seed,
        test_stratum=outcome.test_stratum,
    )
    return {
        "format": FORMAT,
        "competition": request.competition.name,
        "variant": request.variant,
        "settings": dict(request.settings),
        "config": dataclasses.asdict(config),
        "seed": request.seed,
        "kind": request.kind,
        "git": load_git_facts(),
        "code": load_code_digest(request.competition.folder),
        "raw": {"digest": join_digests(digests), "files": digests},
        "versions": load_versions() | {"kaggle": importlib.metadata.version("kaggle")},
        "machine": load_machine_facts(),
        "score": {
            "metric": facts.METRIC.name,
            "out_of_fold": outcome.score,
            "expected": expected.score,
            "interval": [expected.low, expected.high],
            "folds": list(outcome.fold_scores),
        },
    }


def _write_results(
    request: Request, folder: Path, manifest: dict[str, Any], outcome: Outcome
) -> dict[str, Any]:
    """Write CSV and manifest, each whole or not at all; an earlier score from Kaggle for equal bytes is kept."""
    frame, csv, path = (
        outcome.submission,
        folder / f"{request.stem}.csv",
        folder / f"{request.stem}.json",
    )
    with written_whole(csv) as partial:
        frame.to_csv(partial, index=False, lineterminator="\n")
        digest = compute_sha256(partial)
    rows = np.unique(np.linspace(0, len(frame) - 1, N_SAMPLE_ROWS).round().astype(int))
    values = frame.drop(columns=request.competition.facts.SUBMISSION.id_column)
    manifest["submission"] = {
        "file": csv.name,
        "sha256": digest,
        "rows": len(frame),
        "columns": {name: _describe(values[name]) for name in values},
        "sample": frame.iloc[rows].astype(object).to_numpy().tolist(),
    }
    before = load_manifest(path) if path.exists() else {}
    if "kaggle" in before and before["submission"]["sha256"] == digest:
        manifest["kaggle"] = before["kaggle"]
    with written_whole(path) as partial:
        partial.write_text(dump_manifest(manifest))
    return manifest


def _describe(column: pd.Series) -> dict[str, float]:
    return {key: float(getattr(column, key)()) for key in ("min", "mean", "max", "std")}


def _write_oof(path: Path, outcome: Outcome) -> None:
    oof = outcome.oof
    group = oof.ids if oof.group is None else oof.group
    with written_whole(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            ids=oof.ids.astype(str),
            fold=oof.fold,
            group=group.astype(str),
            target=oof.target,
            prediction=oof.prediction,
            n_fit=np.array(outcome.n_fit),
        )


def _print_report(
    request: Request, console: Console, manifest: dict[str, Any], folder: Path
) -> None:
    facts, score, cost = request.competition.facts, manifest["score"], manifest["run"]
    better = "lower" if facts.METRIC.lower_is_better else "higher"
    low, high = score["interval"]
    lines = [
        (
            f"{score['metric']}, out of fold",
            f"[bold]{score['out_of_fold']:.5f}[/]  ({better} is better)",
        ),
        ("expected on the test", f"{score['expected']:.5f}, 95 % interval {low:.5f} to {high:.5f}"),
        ("folds", "  ".join(f"{fold:.5f}" for fold in score["folds"])),
    ]
    if score["true"] is not None:
        where = "inside" if low <= score["true"] <= high else "outside"
        lines.append(
            (f"{score['metric']}, true", f"[bold]{score['true']:.5f}[/]  ({where} the interval)")
        )
    if facts.LEADERBOARD is not None:
        of = "expected" if score["true"] is None else "true"
        place = (
            f"by its {of} score, {describe_place(facts.LEADERBOARD, facts.METRIC, score[of])}"
            if request.kind == "kaggle"
            else f"not comparable: the test rows are not Kaggle's ({KIND_NOTES[request.kind]})"
        )
        lines.append(("leaderboard", place))
    path = folder / manifest["submission"]["file"]
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    lines.append(("submission", f"{shown} ({manifest['submission']['rows']:,} rows, checked)"))
    lines.append(
        ("took", f"{cost['seconds']:.0f} s, {cost['peak_memory_mib'] / 1024:.1f} GiB at most")
    )
    for name, text in lines:
        console.print(f"  {name:<27}{text}", soft_wrap=True, highlight=False)


def _draw(request: Request, home: Home, console: Console, outcome: Outcome) -> None:
    """Let the competition draw; pictures may show Kaggle's data, so they stay in the ignored work folder."""
    pipeline = request.competition.load("pipeline")
    if not hasattr(pipeline, "draw"):
        raise InputError(f"{request.competition.name} draws no pictures")
    name = request.competition.name
    out = home.work(name) / "pictures" / request.kind / request.stem
    out.mkdir(parents=True, exist_ok=True)
    pipeline.draw(outcome, home.raw(name, request.kind), out)
    for path in sorted(out.iterdir()):
        console.print(f"  picture                    {path}", soft_wrap=True, highlight=False)
