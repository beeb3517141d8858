"""A manifest -> the same submission again, made from nothing and compared."""

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from common.checks import InputError
from common.data.code import load_code_digest
from common.data.files import group_digests
from common.data.folds import load_versions
from common.data.paths import Home
from common.data.sources import compute_sha256, load_digests
from pipelines.catalog import load_competition
from pipelines.manifests import load_machine_facts, load_run_manifest
from pipelines.run import Request, choose_kind, compute

TOLERANCE = 1e-6


def reproduce(
    path: Path, home: Home, console: Console, *, anyway: bool = False, jobs: int | None = None
) -> bool:
    """Run a manifest's request again in an empty work folder and say whether the submission is the
    same.

    Args:
        path: the manifest.
        home: where the raw data lies.
        console: what the user sees.
        anyway: go on where the raw files differ.
        jobs: fits side by side; the result does not depend on it.

    Returns:
        True if the submission is identical or equal within 1e-6.

    Raises:
        InputError: no such manifest, or the raw files differ (they are named) and `anyway` is not
            set.
    """
    manifest = load_run_manifest(path)
    competition = load_competition(manifest["competition"])
    kind = choose_kind(competition, home, manifest["kind"])
    raw = home.raw(competition.name, kind)
    files = group_digests(load_digests(raw), raw, competition.facts.FILES)
    _check_raw(manifest["raw"]["files"], files, console, anyway=anyway)
    request = Request(
        competition,
        manifest["variant"],
        kind,
        seed=manifest["seed"],
        settings=tuple(manifest["settings"].items()),
        jobs=jobs,
    )
    _note_differences(manifest, request, console)
    work = home.work(competition.name)
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".reproduce-", dir=work) as empty:
        again, outcome = compute(request, home, console, work=Path(empty))
        csv = Path(empty) / "submission.csv"
        outcome.submission.to_csv(csv, index=False, lineterminator="\n")
        is_same, verdict = _compare(manifest, path.parent, csv)
    before, now = manifest["score"]["out_of_fold"], again["score"]["out_of_fold"]
    console.print(f"{manifest['score']['metric']}, out of fold: {before:.6f} then, {now:.6f} now")
    console.print(f"submission: {verdict}", style="green" if is_same else "red", soft_wrap=True)
    return is_same


def _check_raw(
    then: dict[str, str], now: dict[str, str], console: Console, *, anyway: bool
) -> None:
    names = sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
    if not names:
        return
    told = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    if not anyway:
        raise InputError(
            f"raw files differ from the manifest's: {told}: --anyway runs all the same"
        )
    console.print(f"raw files differ: {told}", style="yellow", soft_wrap=True)


def _note_differences(manifest: dict[str, Any], request: Request, console: Console) -> None:
    """Say what differs from then: identity is promised for equal code, versions and processors."""
    notes = []
    if manifest["code"] != load_code_digest(request.competition.folder):
        commit = manifest["git"]["commit"]
        where = f"the manifest's is that of commit {commit}" if commit else "no commit is named"
        notes.append(f"code differs: {where}")
    then, now = manifest["config"], json.loads(json.dumps(dataclasses.asdict(request.config)))
    changed = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    notes += [f"{name} was {then.get(name)}, is {now.get(name)}" for name in changed]
    versions = load_versions()
    notes += [
        f"{name} was {was}, is {versions[name]}"
        for name, was in manifest["versions"].items()
        if versions.get(name, was) != was
    ]
    cpu = load_machine_facts()["cpu"]
    if manifest["machine"]["cpu"] != cpu:
        notes.append(f"the processor was {manifest['machine']['cpu']}, is {cpu}")
    for note in notes:
        console.print(note, style="yellow", soft_wrap=True)


def _compare(manifest: dict[str, Any], folder: Path, csv: Path) -> tuple[bool, str]:
    """Compare a CSV with the manifest's: by its hash, else by the old CSV or the sample."""
    old, digest = manifest["submission"], compute_sha256(csv)
    if digest == old["sha256"]:
        return True, "identical"
    new = pd.read_csv(csv)
    if len(new) != old["rows"]:
        return False, f"different in length: {old['rows']:,} rows then, {len(new):,} now"
    before, told = folder / old["file"], "all rows"
    if before.is_file() and compute_sha256(before) == old["sha256"]:
        then = pd.read_csv(before)
    else:
        rows = np.unique(np.linspace(0, old["rows"] - 1, len(old["sample"])).round().astype(int))
        then, new, told = (
            pd.DataFrame(old["sample"], columns=new.columns),
            new.iloc[rows],
            "the sample's rows",
        )
    if (
        len(then) != len(new)
        or not (then.iloc[:, 0].astype(str).to_numpy() == new.iloc[:, 0].astype(str)).all()
    ):
        return False, f"different ids among {told}"
    apart = _measure(then.iloc[:, 1:], new.iloc[:, 1:])
    if apart.max() <= TOLERANCE:
        return True, f"equal within {TOLERANCE:g} in {told}"
    worst = int(apart.argmax())
    return False, (
        f"different in {int((apart > TOLERANCE).sum()):,} of {told} ({len(apart):,}), "
        f"most at {new.iloc[worst, 0]!s}: {then.iloc[worst, 1]!s} then, {new.iloc[worst, 1]!s} now"
    )


def _measure(then: pd.DataFrame, now: pd.DataFrame) -> np.ndarray:
    """Measure how far each row's values are apart, (n,): words are equal, or 1 apart."""
    if all(map(pd.api.types.is_numeric_dtype, now.dtypes)):
        apart = np.abs(then.to_numpy(float) - now.to_numpy(float))
    else:
        apart = (then.astype(str).to_numpy() != now.astype(str).to_numpy()).astype(float)
    return apart.max(axis=1)
