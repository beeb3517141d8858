"""One competition, one variant, one seed: from raw files to a checked submission and its manifest.

The only writer of `submissions/`, and the only reader of answers, which it opens when the outcome
is final.
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
from joblib.externals.loky.process_executor import TerminatedWorkerError
from rich.console import Console

from common.checks import InputError
from common.contract import Outcome
from common.data.code import load_code_digest
from common.data.files import check_files, group_digests
from common.data.folds import load_versions
from common.data.paths import KINDS, Home, written_whole
from common.data.sources import compute_sha256, join_digests, load_digests, load_source
from common.data.submissions import check_submission, pick_values
from common.data.tables import load_table
from common.seeds import limit_threads
from common.validation.intervals import expected_score, expected_window_score, find_thin_strata
from pipelines.catalog import Competition, choose_config
from pipelines.manifests import (
    FORMAT,
    dump_manifest,
    load_git_facts,
    load_machine_facts,
    load_manifest,
)
from pipelines.memory import PeakMemory
from pipelines.report import KIND_NOTES, draw_pictures, print_report
from pipelines.session import locked, quiet_tensorflow, shown_progress

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
        """The variant; with settings, and a hash of the config, so that plain files stay."""
        config = dataclasses.asdict(self.config)
        if config == dataclasses.asdict(self.competition.facts.VARIANTS[self.variant]):
            return self.variant
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
        return f"{self.variant}+{digest[:8]}"

    @property
    def stem(self) -> str:
        return f"{self.label}-seed{self.seed}"


def choose_kind(competition: Competition, home: Home, wanted: str | None) -> str:
    """Choose the kind of data: the wanted one, else the first at hand; made-up only when asked for.

    Raises:
        InputError: the wanted kind is not at hand, or none is; the ways to get data are named.
    """
    name = competition.name
    if wanted is not None and wanted not in KINDS:
        raise InputError(f"--data must be one of {', '.join(KINDS)}, received {wanted}")
    kinds = [wanted] if wanted else [kind for kind in KINDS if kind != "sample"]
    for kind in kinds:
        raw = home.raw(name, kind)
        if competition.has_files(raw) or (wanted and raw.is_dir()):
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
    name = request.competition.name
    if pictures and not request.competition.has_function("pipeline", "draw"):
        raise InputError(f"{name} draws no pictures: run it without --pictures")
    folder = home.submissions(name, request.kind)
    # A broken file in the way is told now, not after minutes of fits; a score that `submit` writes
    # meanwhile is read when it counts.
    _load_earlier(folder / f"{request.stem}.json")
    manifest, outcome = compute(request, home, console, work=work or home.work(name))
    _write_oof(home.oof(name, request.kind, request.stem), outcome)
    manifest = _write_results(request, folder, manifest, outcome)
    print_report(request.competition.facts, manifest, folder, console)
    if pictures:
        out = home.work(name) / "pictures" / request.kind / request.stem
        draw_pictures(request.competition, outcome, home.raw(name, request.kind), out, console)
    return manifest


def compute(
    request: Request, home: Home, console: Console, *, work: Path
) -> tuple[dict[str, Any], Outcome]:
    """Run one variant without writing anything outside `work`.

    Args:
        request: what.
        home: where data lies.
        console: what the user sees.
        work: the work folder.

    Returns:
        The manifest, but for the submission's part, and the outcome.

    Raises:
        InputError: data or settings that the user can put right, or the source changed meanwhile.
    """
    competition, config = request.competition, request.config
    if config.threads < 1:
        raise InputError(f"--set threads must be > 0, received {config.threads}")
    console.print(
        f"[bold]{competition.name}[/] · {request.label} · seed {request.seed} · "
        f"data: {request.kind} ({KIND_NOTES[request.kind]})",
        soft_wrap=True,
    )
    # Read before the pipeline's code is imported: a manifest must not name code that did not run.
    facts = {"git": load_git_facts(), "code": load_code_digest(competition.folder)}
    # TensorFlow reads both when it is first imported, which the pipeline's own import may do.
    limit_threads(config.threads)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    jobs = request.jobs or max(1, joblib.cpu_count() // config.threads)
    with locked(work, console):
        raw = home.raw(competition.name, request.kind)
        sample, digests = _load_inputs(competition, raw, console)
        start = time.perf_counter()
        with (
            PeakMemory() as memory,
            quiet_tensorflow(),
            shown_progress(console) as stages,
            joblib.parallel_config(
                "loky", n_jobs=jobs, inner_max_num_threads=config.threads, idle_worker_timeout=30
            ),
        ):
            outcome = _run_pipeline(request, config, raw, work)
        seconds = time.perf_counter() - start
    if load_digests(raw) != digests:
        raise InputError("the raw files changed during the run: run it again")
    if load_code_digest(competition.folder) != facts["code"]:
        raise InputError("the source changed during the run: run it again")

    check_outcome(outcome, request)
    check_submission(outcome.submission, sample, competition.facts.SUBMISSION)
    files = group_digests(digests, raw, competition.facts.FILES)
    known_raw = {"digest": join_digests(digests), "files": files}
    manifest = _make_manifest(request, config, known_raw, outcome) | facts
    manifest["score"]["true"] = _score_truth(request, home, outcome)
    manifest["run"] = {
        "seconds": round(seconds, 1),
        "fit_seconds": round(outcome.cost.seconds, 1),
        "peak_memory_mib": round(max(memory.mib, outcome.cost.peak_mib)),
        "n_parameters": outcome.cost.n_parameters,
        "jobs": jobs,
        "stages": stages,
    }
    return manifest, outcome


def _load_inputs(
    competition: Competition, raw: Path, console: Console
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Check the raw files; read the sample submission and every file's digest."""
    facts = competition.facts
    for note in check_files(raw, facts.FILES):
        console.print(note, style="yellow", soft_wrap=True)
    sample = load_table(raw / facts.SUBMISSION.path, columns=(facts.SUBMISSION.id_column,))
    digests = load_digests(raw)
    if load_source(raw)["digest"] != join_digests(digests):
        console.print(
            f"{raw} was changed by hand since it came: the manifest holds what is there now",
            style="yellow",
            soft_wrap=True,
        )
    return sample, digests


def _run_pipeline(request: Request, config: Any, raw: Path, work: Path) -> Outcome:
    """Run the competition's own code; a setting that it refuses is the user's to put right."""
    try:
        return request.competition.load("pipeline").run(config, raw, work, request.seed)
    except TerminatedWorkerError:
        raise InputError("a worker was killed, most likely for its memory: try --jobs 1") from None
    except ValueError as error:
        if isinstance(error, InputError) or not request.settings:
            raise
        told = " ".join(f"{field}={value}" for field, value in request.settings)
        raise InputError(f"the run with --set {told} failed: {error}") from error


def check_outcome(outcome: Outcome, request: Request) -> None:
    """Check that a pipeline's figures are those of its rows.

    Raises:
        ValueError: a prediction is not finite, an id comes twice, or the score is not the rows'
            score.
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
    request: Request, config: Any, raw: dict[str, Any], outcome: Outcome
) -> dict[str, Any]:
    facts = request.competition.facts
    expected = (
        expected_window_score(outcome.fold_scores)
        if outcome.folds_are_windows
        else expected_score(
            outcome.oof,
            facts.METRIC,
            n_test_rows=len(outcome.submission),
            seed=request.seed,
            test_stratum=outcome.test_stratum,
        )
    )
    stratum = outcome.test_stratum
    thin_strata = () if stratum is None else find_thin_strata(outcome.oof, stratum)
    return {
        "format": FORMAT,
        "competition": request.competition.name,
        "variant": request.variant,
        "settings": dict(request.settings),
        "config": dataclasses.asdict(config),
        "seed": request.seed,
        "kind": request.kind,
        "raw": raw,
        "versions": load_versions() | {"kaggle": importlib.metadata.version("kaggle")},
        "machine": load_machine_facts(),
        "score": {
            "metric": facts.METRIC.name,
            "out_of_fold": outcome.score,
            "expected": expected.score,
            "interval": [expected.low, expected.high],
            "thin": [thin._asdict() for thin in thin_strata],
            "folds": list(outcome.fold_scores),
        },
    }


def _load_earlier(path: Path) -> dict[str, Any]:
    """Read the manifest that this run will replace, before any fit; an old format is none."""
    return load_manifest(path, any_format=True) if path.exists() else {}


def _write_results(
    request: Request,
    folder: Path,
    manifest: dict[str, Any],
    outcome: Outcome,
) -> dict[str, Any]:
    """Write CSV and manifest, each whole; an earlier score from Kaggle for equal bytes is kept."""
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
    earlier = _load_earlier(path)
    if "kaggle" in earlier and earlier["submission"]["sha256"] == digest:
        manifest["kaggle"] = earlier["kaggle"]
    with written_whole(path) as partial:
        partial.write_text(dump_manifest(manifest))
    return manifest


def _describe(column: pd.Series) -> dict[str, float]:
    """Describe a column of numbers, or count the words of another."""
    if not pd.api.types.is_numeric_dtype(column):
        return {str(word): int(n) for word, n in column.value_counts().sort_index().items()}
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
