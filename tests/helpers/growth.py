"""What work on made-up data of some size takes, in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PEAK = """
import json, resource, sys, time
from pathlib import Path

def load_peak_gib():
    status = Path("/proc/self/status")
    if status.is_file():  # Linux, whose ru_maxrss begins with the peak of the parent
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)
"""


def measure(
    script: str, write_sample: Callable[..., None], folder: Path, n_rows: int
) -> dict[str, Any]:
    """Write a sample of so many rows into a new folder, run the script there, and read its JSON.

    The script has `load_peak_gib`, `json`, `sys`, `time` and `Path`, and the folder as argument.
    """
    folder.mkdir()
    write_sample(folder, 0, n_rows=n_rows)
    done = subprocess.run(
        [sys.executable, "-c", PEAK + script, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))
