"""Peak memory: what children take is seen."""

import subprocess
import sys

import psutil

from pipelines.memory import PeakMemory

ALLOCATE = "import time; block = b'x' * (200 * 2**20); time.sleep(0.4)"
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
