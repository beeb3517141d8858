"""What surrounds a run: the folder's lock, progress bars, silence about what is no news."""

import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

LOGGERS = ("common", "competitions")
CHATTER = re.compile(
    rb"I0000 00:00"
    rb"|WARNING: All log messages before absl"
    rb"|E0000 .*(failed call to cuInit|use_unbounded_threadpool|oneDNN supports DT_HALF)"
    rb"|WARNING:tensorflow:\d+ out of the last"
    rb"|.*UserWarning: A worker stopped while some jobs|  warnings.warn\("
)
"""What is no news and no setting turns off.

TensorFlow's start-up notes, its search for a GPU that is not there, an attribute that its own two
halves disagree on, one tracing per net of an ensemble, and joblib's renewing of workers.
"""


@contextmanager
def locked(work: Path, console: Console) -> Iterator[None]:
    """Hold a folder's lock; where another has it, say so and wait. A killed process holds none."""
    work.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(work / ".lock")
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        console.print(
            f"another command is using {work}: waiting for it (Ctrl-C gives up)",
            style="yellow",
            soft_wrap=True,
        )
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Keep chatter, the workers' too, off the screen; everything else on stderr passes."""
    sys.stderr.flush()
    screen = os.dup(2)
    reading, writing = os.pipe()
    os.dup2(writing, 2)
    os.close(writing)
    reader = threading.Thread(target=_pass_on, args=(reading, os.dup(screen)), daemon=True)
    reader.start()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(screen, 2)
        os.close(screen)
        # Idle workers still hold the pipe, so its end may never come.
        reader.join(timeout=0.5)


def _pass_on(reading: int, screen: int) -> None:
    with os.fdopen(reading, "rb") as lines, os.fdopen(screen, "wb", buffering=0) as to:
        for line in lines:
            if not CHATTER.match(line):
                to.write(line)


class _ProgressHandler(logging.Handler):
    """Shows `cross_fit`'s log as one bar per model, and adds up the seconds of stages."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self._bars: dict[str, Any] = {}
        self.stages: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if hasattr(record, "stage"):
            name, seconds = record.stage
            self.stages[name] = round(self.stages.get(name, 0) + seconds, 1)
        if not hasattr(record, "progress"):
            self._progress.console.print(record.getMessage())
            return
        name, n_done, n_all = record.progress
        if name not in self._bars:
            self._bars[name] = self._progress.add_task(name, total=n_all)
        self._progress.update(self._bars[name], completed=n_done)


@contextmanager
def shown_progress(console: Console) -> Iterator[dict[str, float]]:
    """Show `cross_fit`'s log as it comes, and what `common` and competitions warn of.

    Yields:
        {stage: seconds} of those that have ended.
    """
    columns = (TextColumn("  {task.description:<25}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TextColumn("fits"), TimeElapsedColumn(), console=console) as progress:
        handler = _ProgressHandler(progress)
        loggers = [logging.getLogger(name) for name in LOGGERS]
        before = [logger.level for logger in loggers]
        for logger in loggers:
            logger.addHandler(handler)
            logger.setLevel(logging.INFO)
        try:
            yield handler.stages
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.removeHandler(handler)
                logger.setLevel(level)
