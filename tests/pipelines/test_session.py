"""Locks, silence and progress bars."""

import io
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from rich.console import Console

from pipelines import run as pipeline
from pipelines.catalog import load_competition
from pipelines.session import locked, quiet_tensorflow, shown_progress
from tests.helpers.homes import list_files, load_told, make_console, make_home, make_request

HOLD = """
import sys, time, filelock
lock = filelock.FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of `tmp_path / "work"`."""
    (tmp_path / "work").mkdir()
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "work" / ".lock")], stdout=subprocess.PIPE
    )
    assert child.stdout.readline() == b"held\n"
    yield child
    child.kill()
    child.wait()
    child.stdout.close()


def wait_for(said: Console, text: str) -> None:
    deadline = time.monotonic() + 20
    while text not in load_told(said):
        assert time.monotonic() < deadline, load_told(said)
        time.sleep(0.01)


def test_the_second_of_two_runs_says_so_waits_and_finishes(tmp_path):
    competition = load_competition("bike_sharing_demand")
    home, console = make_home(tmp_path, competition), make_console()
    work = home.work(competition.name)
    second = threading.Thread(
        target=pipeline.run, args=(make_request(competition, "baseline"), home, console)
    )
    with locked(work, make_console()):
        second.start()
        wait_for(console, f"another command is using {work}: waiting for it (Ctrl-C gives up)")
        second.join(timeout=1.0)
        assert second.is_alive()
        assert set(list_files(work)) == {".lock"}
        assert not (home.root / "submissions").exists()
    second.join(timeout=60)
    assert not second.is_alive()
    assert len(list(home.submissions(competition.name, "sample").iterdir())) == 2


def test_a_run_of_another_process_is_waited_for_and_a_killed_one_blocks_nobody(tmp_path, holder):
    console, entered = make_console(), threading.Event()

    def enter() -> None:
        with locked(tmp_path / "work", console):
            entered.set()

    second = threading.Thread(target=enter)
    second.start()
    wait_for(console, "another command is using")
    assert not entered.wait(0.3)
    holder.send_signal(signal.SIGKILL)
    assert entered.wait(10)
    second.join()
    quiet = make_console()
    with locked(tmp_path / "work", quiet):
        assert load_told(quiet) == ""


def test_a_failed_run_frees_the_lock(tmp_path):
    with pytest.raises(KeyboardInterrupt), locked(tmp_path / "work", make_console()):
        raise KeyboardInterrupt
    console = make_console()
    with locked(tmp_path / "work", console):
        assert load_told(console) == ""


CHATTER = (
    b"I0000 00:00:1700000000.1 1 port.cc:153] oneDNN custom operations are on.\n",
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n",
    b"E0000 00:00:1700000000.1 1 cuda_platform.cc:51] failed call to cuInit: INTERNAL\n",
    b"E0000 00:00:1700000000.1 1 x.cc:1] 'use_unbounded_threadpool' is not an attribute\n",
    b"E0000 00:00:1700000000.1 1 util.cc:131] oneDNN supports DT_HALF only on platforms\n",
    b"WARNING:tensorflow:5 out of the last 5 calls to <function f> triggered tf.function\n",
    b"/x/joblib/executor.py:752: UserWarning: A worker stopped while some jobs were given\n",
    b"  warnings.warn(\n",
)
NEWS = (
    b"error: train.csv is missing\n",
    b"E0000 00:00:1700000000.1 1 x.cc:1] out of memory\n",
    b"W0000 00:00:1700000000.1 1 x.cc:1] slow\n",
    b"WARNING:tensorflow:a layer has no weights\n",
    b"/x.py:1: UserWarning: the I0000 00:00 of a worker\n",
    b"  raise ValueError  # warnings.warn(\n",
    b"caf\xc3\xa9 \xff\xfe\n",
    b"\n",
    b"no end of line",
)


def test_only_the_listed_chatter_is_dropped_and_all_else_passes_in_order(capfdbinary):
    mixed = [line for pair in zip(NEWS, (*CHATTER, b""), strict=True) for line in pair[::-1]]
    with quiet_tensorflow():
        for line in mixed:
            os.write(2, line)
        subprocess.run(
            [sys.executable, "-Sc", "import os; os.write(2, b' of a child')"], check=True
        )
    os.write(2, b"; I0000 00:00 after")
    assert capfdbinary.readouterr().err == b"".join(NEWS) + b" of a child; I0000 00:00 after"


def test_an_error_passes_and_gives_stderr_back(capfdbinary):
    with pytest.raises(ValueError, match="told"), quiet_tensorflow():
        os.write(2, CHATTER[0] + b"news\n")
        raise ValueError("told")
    os.write(2, CHATTER[0])
    assert capfdbinary.readouterr().err == b"news\n" + CHATTER[0]


def test_bars_count_fits_and_other_messages_are_printed():
    console = Console(file=io.StringIO(), width=120)
    logger = logging.getLogger("common.training.cross_fit")
    before = logging.getLogger("common").level, list(logging.getLogger("common").handlers)
    with shown_progress(console):
        for name, n_done in (("linear", 0), ("trees", 1), ("linear", 3)):
            logger.info("%s", name, extra={"progress": (name, n_done, 4)})
        logger.warning("a file cannot be read: %s", "fitting again")
        logging.getLogger("competitions.any").warning("2 rows do not say Open")
    logger.info("nobody hears", extra={"progress": ("late", 1, 1)})
    told = load_told(console)
    lines = [line.split() for line in told.splitlines()]
    assert ["a", "file", "cannot", "be", "read:", "fitting", "again"] in lines
    assert ["2", "rows", "do", "not", "say", "Open"] in lines
    counts = {line[0]: part for line in lines for part in line if "/" in part}
    assert counts == {"linear": "3/4", "trees": "1/4"}
    assert "nobody" not in told and "late" not in told
    assert (
        logging.getLogger("common").level,
        list(logging.getLogger("common").handlers),
    ) == before


def test_a_stopped_run_takes_its_bars_away():
    handlers = list(logging.getLogger("common").handlers)
    with pytest.raises(KeyboardInterrupt), shown_progress(make_console()):
        raise KeyboardInterrupt
    assert logging.getLogger("common").handlers == handlers
