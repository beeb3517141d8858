"""Brings raw data to `data/raw/<name>/<kind>/`: download, import, open, holdout, sample.

Whatever the way, files are checked against what the competition says it needs before they get their
final names.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pandas as pd
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from common.checks import InputError
from common.contract import Pictures, Table
from common.data.archives import ArchiveError, write_unpacked
from common.data.files import check_files
from common.data.kaggle import Kaggle
from common.data.paths import Home, written_whole
from common.data.sources import SOURCE_FILE, load_source, write_kind
from pipelines.catalog import Competition, load_names
from pipelines.session import locked, quiet_tensorflow


def download(
    competition: Competition,
    home: Home,
    console: Console,
    *,
    file: str | None = None,
    replace: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Download a competition's files, or one of them, from Kaggle.

    An unfinished download stays in a hidden folder, where the next call goes on with it.

    Args:
        competition: which.
        home: where data lies.
        console: what the user sees.
        file: one file, as Kaggle lists it; None for all.
        replace: download what is here already, and let it differ.
        sleep: waits between repeated requests.

    Raises:
        InputError: Kaggle, the network, the disk or the files are not as they must be.
    """
    raw = home.raw(competition.name, "kaggle")
    if _is_here(competition, raw, file) and not replace:
        console.out(
            f"{raw} has {file or 'the files'} already: nothing to do (--replace downloads again)"
        )
        return
    folder = raw.parent / ".download" / (file or "all").replace("/", "_")
    came = _download(competition, folder, file, console, sleep)

    def fill(new: Path) -> None:
        try:
            write_unpacked(came, new / PurePosixPath(file or "").parent)
        except ArchiveError:
            shutil.rmtree(folder)  # The same bytes would fail again.
            raise
        _check_new(competition, new, came.name, console, stays=raw, in_part=file is not None)

    _publish(raw, fill, console, made_by="download", replace=replace, keep=True)
    shutil.rmtree(folder)


def import_(
    competition: Competition,
    home: Home,
    console: Console,
    path: Path,
    *,
    kind: str = "kaggle",
    replace: bool = False,
) -> None:
    """Add a zip's or a folder's files to a kind of data.

    Args:
        competition: which.
        home: where data lies.
        console: what the user sees.
        path: the zip or the folder.
        kind: "kaggle", or "holdout" where somebody else keeps the answers.
        replace: new files may differ from those of the same name that are here.

    Raises:
        InputError: the files are not what the competition needs, or one is here with other bytes.
    """
    if kind not in ("kaggle", "holdout"):
        raise InputError(f"--as must be kaggle or holdout, received {kind}")
    raw = home.raw(competition.name, kind)
    # Of our own cut nothing stays beside somebody else's: a picture may be in train and in test.
    keep = not (replace and _load_maker(raw) == "holdout")

    def fill(new: Path) -> None:
        write_unpacked(path, new)
        _check_new(competition, new, str(path), console, stays=raw if keep else None)
        if kind == "holdout" and (replace or not competition.has_files(raw)):
            # Whoever cut these keeps the answers; those here are of another cut. Whole data that
            # may not be replaced stays as it is, and so do its answers.
            home.answers(competition.name, kind).unlink(missing_ok=True)

    _publish(raw, fill, console, made_by="import", replace=replace, keep=keep)


def open_(competition: Competition, home: Home, console: Console) -> None:
    """Make the competition's files from real open data, and keep the answers apart."""
    write_open_data = competition.load("open_data").write_open_data
    _publish_with_answers(
        competition, home, console, "open", lambda new: write_open_data(home.packages, new)
    )


def holdout(
    competition: Competition, home: Home, console: Console, *, replace: bool = False
) -> None:
    """Cut a test set out of Kaggle's own train files, and keep the answers apart.

    Args:
        competition: which.
        home: where data lies.
        console: what the user sees.
        replace: also where somebody else's cut was imported, which is lost.

    Raises:
        InputError: Kaggle's files are not here, or a cut was imported that may not be replaced.
    """
    raw = home.raw(competition.name, "holdout")
    if not replace and _load_maker(raw) == "import":
        raise InputError(
            f"{raw} holds files that were imported: add --replace to cut a test in their place"
        )
    with quiet_tensorflow():
        write_split = competition.load("split").write_split
        kaggle_raw = home.raw(competition.name, "kaggle")
        if not (kaggle_raw / SOURCE_FILE).is_file():
            raise InputError(
                f"holdout needs Kaggle's own files of {competition.name}, {kaggle_raw} has none: "
                f"run `download {competition.name}` or `import {competition.name} ZIP` first"
            )
        _publish_with_answers(
            competition, home, console, "holdout", lambda new: write_split(kaggle_raw, new)
        )


def sample(
    competition: Competition,
    home: Home,
    console: Console,
    *,
    rows: int | None = None,
    signal: bool = True,
    seed: int = 0,
) -> None:
    """Make up the competition's files: tiny or of about `rows` train rows, with signal or not."""
    write_sample = competition.load("sample").write_sample
    raw = home.raw(competition.name, "sample")

    def fill(new: Path) -> None:
        write_sample(new, seed, n_rows=rows, signal=signal)
        _check_new(competition, new, "sample.py", console)

    _publish(raw, fill, console, made_by="sample", replace=True)


def _is_here(competition: Competition, raw: Path, file: str | None) -> bool:
    if file is None:
        return competition.has_files(raw)
    if PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts:
        raise InputError(f"--file must be a path as Kaggle lists it, received {file}")
    return (raw / file).is_file()


def _download(
    competition: Competition,
    folder: Path,
    file: str | None,
    console: Console,
    sleep: Callable[[float], None],
) -> Path:
    """Download into a folder, behind a progress bar; return the file that came."""
    known = tuple(name.replace("_", "-") for name in load_names())
    kaggle = Kaggle(competition.facts.SOURCE.slug, known=known, sleep=sleep)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(file or kaggle.slug, total=None)

        def show(have: int, whole: int) -> None:
            progress.update(task, completed=have, total=whole)

        return kaggle.download_data(folder, file=file, on_progress=show)


def _load_maker(raw: Path) -> str:
    """Say which command made a kind's files; "" where there are none."""
    return str(load_source(raw)["made_by"]) if (raw / SOURCE_FILE).is_file() else ""


def _publish_with_answers(
    competition: Competition,
    home: Home,
    console: Console,
    kind: str,
    write: Callable[[Path], pd.DataFrame],
) -> None:
    raw, answers_path = home.raw(competition.name, kind), home.answers(competition.name, kind)
    answers = pd.DataFrame()

    def fill(new: Path) -> None:
        nonlocal answers
        answers = write(new)
        _check_new(competition, new, kind, console)
        # A crash from here on leaves data without answers, never with the answers of other data.
        answers_path.unlink(missing_ok=True)

    _publish(raw, fill, console, made_by=kind, replace=True)
    with written_whole(answers_path) as partial:
        answers.to_csv(partial, index=False)


def _publish(
    raw: Path,
    fill: Callable[[Path], None],
    console: Console,
    *,
    made_by: str,
    replace: bool,
    keep: bool = False,
) -> None:
    with locked(raw.parent, console):
        digests = write_kind(raw, fill, made_by=made_by, replace=replace, keep=keep)
    console.out(f"{raw} now holds {len(digests)} files")


def _check_new(
    competition: Competition,
    new: Path,
    source: str,
    console: Console,
    *,
    stays: Path | None = None,
    in_part: bool = False,
) -> None:
    """Check that new files, with those that stay, are what the competition needs.

    Args:
        competition: whose files.
        new: the folder of the new files alone.
        source: what the user calls the new files.
        console: told what optional files are missing.
        stays: a folder whose files will lie beside the new ones; they were checked when they came.
        in_part: more is to come, so only what is there is checked.
    """
    files: tuple[Table | Pictures, ...] = competition.facts.FILES
    brought = [file for file in files if any(new.glob(file.path))]
    absent = [file for file in files if file not in brought]
    if stays is not None:
        absent = [file for file in absent if not any(stays.glob(file.path))]
    if not brought and not in_part:
        there = sorted(
            path.relative_to(new).as_posix() for path in new.rglob("*") if path.is_file()
        )
        raise InputError(
            f"{source} must hold files of {competition.name} "
            f"({', '.join(file.path for file in files)}), "
            f"received {', '.join(there[:5]) or 'nothing'}"
        )
    try:
        notes = check_files(new, brought if in_part else brought + absent)
    except InputError as error:
        raise InputError(str(error).replace(f"{new}/", f"{source}: ")) from None
    for note in notes:
        console.out(note)
