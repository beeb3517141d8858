"""Peak memory: what children take is seen."""

import os
import subprocess
import sys
import time

import psutil
import pytest
from joblib.externals.loky import get_reusable_executor

from pipelines.memory import PeakMemory


@pytest.fixture(autouse=True)
def no_workers():
    """Idle workers of other tests are children too, and would be counted."""
    get_reusable_executor().shutdown(wait=True, kill_workers=True)


ALLOCATE = "import time; block = b'x' * (200 * 2**20); time.sleep(1.0)"
"""200 MiB that are written to, so that they are resident."""


def test_what_a_grandchild_allocates_is_seen():
    """A worker's own helper is a child of a child."""
    nest = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {ALLOCATE!r}])"
    before = psutil.Process().memory_info().rss / 2**20
    with PeakMemory(every_s=0.02) as memory:
        subprocess.run([sys.executable, "-S", "-c", nest], check=True)
    assert before + 195 < memory.mib < before + 350


def test_the_peak_stays_when_the_memory_is_gone_and_watching_ends_with_the_block():
    with PeakMemory(every_s=0.02) as memory:
        subprocess.run([sys.executable, "-S", "-c", ALLOCATE], check=True)
    peak = memory.mib
    now = psutil.Process().memory_info().rss / 2**20
    assert peak > now + 150
    subprocess.run([sys.executable, "-S", "-c", ALLOCATE.replace("200", "400")], check=True)
    assert memory.mib == peak


def test_a_child_that_has_not_started_its_own_program_is_not_counted():
    """Between fork and exec it shows its parent's memory, none of which it took."""
    before = psutil.Process().memory_info().rss / 2**20
    with PeakMemory(every_s=0.01) as memory:
        child = os.fork()
        if not child:
            time.sleep(0.1)
            os._exit(0)
        os.waitpid(child, 0)
    assert memory.mib < before + 0.5 * before
