"""Checks a submission, sends it to Kaggle, waits for the score and writes it into the manifest."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from common.checks import InputError
from common.data.kaggle import Kaggle, Submission
from common.data.paths import Home, written_whole
from common.data.sources import compute_sha256
from common.data.submissions import check_submission
from common.data.tables import load_table
from pipelines.catalog import Competition, load_competition
from pipelines.manifests import dump_manifest, load_run_manifest

LOOKS = 3
"""Kaggle lists a submission a moment after it took it; one that is not there after so many looks
was not taken.
"""
LONGEST_WAIT_S = 30.0


def submit(
    path: Path,
    home: Home,
    console: Console,
    *,
    again: bool = False,
    dry_run: bool = False,
    timeout_s: float = 900,
    sleep: Callable[[float], None] = time.sleep,
) -> Submission | None:
    """Send the submission beside a manifest, unless Kaggle has it already, and read its score.

    Args:
        path: the manifest that `run` wrote.
        home: where data lies.
        console: what the user sees.
        again: send it even if Kaggle has it already.
        dry_run: only check.
        timeout_s: how long to wait for the score.
        sleep: waits between looks at Kaggle's list.

    Returns:
        What Kaggle says of the submission; None for a dry run.

    Raises:
        InputError: the submission is not fit to be sent, Kaggle did not take it, could not score it
            or is still at it.
    """
    manifest = load_run_manifest(path)
    competition = load_competition(manifest["competition"])
    csv = path.parent / manifest["submission"]["file"]
    _check_sendable(competition, manifest)
    _check_file(competition, home, csv, manifest["submission"]["sha256"])
    if dry_run:
        console.out(f"{csv} is fit to be sent")
        return None
    kaggle = Kaggle(competition.facts.SOURCE.slug, sleep=sleep)
    # Kaggle prints no reference: the bytes' own hash in the description is how a submission is
    # known again.
    mark = f"[{manifest['submission']['sha256'][:12]}]"
    description = f"{path.stem} {mark}"
    earlier = _upload_once(kaggle, csv, description, mark, console, again=again)
    with console.status("waiting for the score"):
        submission = _wait(kaggle, mark, earlier, timeout_s, sleep)
    _write_score(path, manifest["submission"]["sha256"], submission)
    _report(submission, kaggle, console)
    return submission


def _write_score(path: Path, sha256: str, submission: Submission) -> None:
    """Write Kaggle's verdict into the manifest, unless a run has replaced it since."""
    manifest = load_run_manifest(path)
    if manifest["submission"]["sha256"] != sha256:
        return
    facts = dataclasses.asdict(submission)
    names = ("public", "private", "status", "ref", "date")
    manifest["kaggle"] = {name: facts[name] for name in names}
    with written_whole(path) as partial:
        partial.write_text(dump_manifest(manifest))


def _check_sendable(competition: Competition, manifest: dict[str, Any]) -> None:
    source, kind = competition.facts.SOURCE, manifest["kind"]
    if kind != "kaggle":
        raise InputError(
            f"submit takes runs on kaggle data, this one is on {kind} data, whose test rows are "
            "not Kaggle's: "
            f"run `run {competition.name} --data kaggle` and submit that"
        )
    if manifest["variant"] in competition.facts.DIAGNOSTICS:
        raise InputError(
            f"{manifest['variant']} is a diagnostic, which is not submitted: "
            f"run {competition.name} {competition.facts.DEFAULT}"
        )
    if source.code_only:
        raise InputError(
            f"{competition.name} takes notebooks, not CSV files: at {source.url}/code make a "
            "notebook "
            f"that runs this repository and writes {manifest['submission']['file']} as its output, "
            "and submit that there"
        )


def _check_file(competition: Competition, home: Home, csv: Path, sha256: str) -> None:
    """Check that the CSV is the manifest's, and that Kaggle's own sample agrees with it."""
    if not csv.is_file():
        raise InputError(f"{csv} is missing: run it again")
    received = compute_sha256(csv)
    if received != sha256:
        raise InputError(
            f"{csv} must have sha256 {sha256} as in its manifest, received {received}: run it again"
        )
    form = competition.facts.SUBMISSION
    sample = load_table(home.raw(competition.name, "kaggle") / form.path)
    check_submission(load_table(csv), sample, form)


def _upload_once(
    kaggle: Kaggle, csv: Path, description: str, mark: str, console: Console, *, again: bool
) -> set[int]:
    """Send the file unless Kaggle has it; return the refs of those sent before."""
    before = _find(kaggle, mark)
    if before and not again:
        console.out(
            f"Kaggle has this already ({before[0].date}): reading its score (--again sends it "
            "again)"
        )
        return set()
    console.out(kaggle.upload_submission(csv, description))
    return {submission.ref for submission in before}


def _find(kaggle: Kaggle, mark: str) -> list[Submission]:
    return [sent for sent in kaggle.download_submissions() if mark in sent.description]


def _wait(
    kaggle: Kaggle, mark: str, earlier: set[int], timeout_s: float, sleep: Callable[[float], None]
) -> Submission:
    """Look until the newest marked submission, none of the earlier ones, is scored or refused."""
    for look, wait_s in enumerate(_waits(timeout_s), start=1):
        new = [submission for submission in _find(kaggle, mark) if submission.ref not in earlier]
        if new and new[0].status != "PENDING":
            return new[0]
        if not new and look >= LOOKS:
            raise InputError(
                f"Kaggle did not take the submission: none is marked {mark} at "
                f"{kaggle.page}/submissions; "
                "the upload failed, submit it again"
            )
        sleep(wait_s)
    raise InputError(
        f"Kaggle has not scored the submission marked {mark} within {timeout_s:g} s: "
        "submit it again later, which only reads the score"
    )


def _waits(timeout_s: float) -> Iterator[float]:
    """Yield growing waits until they add up to the timeout."""
    wait_s, total_s = 2.0, 0.0
    while total_s < timeout_s:
        yield wait_s
        total_s += wait_s
        wait_s = min(1.5 * wait_s, LONGEST_WAIT_S)


def _report(submission: Submission, kaggle: Kaggle, console: Console) -> None:
    if submission.status != "COMPLETE":
        raise InputError(
            f"Kaggle could not score the submission (status {submission.status}): "
            f"{kaggle.page}/submissions says why; --again sends it again"
        )
    console.out(
        f"public {submission.public}, private {submission.private} ({kaggle.page}/submissions)"
    )
