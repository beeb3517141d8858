"""How feature building grows with the data: seconds and memory of a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from competitions.rossmann_store_sales.sample import write_sample

ROOT = Path(__file__).parents[2]
MEASURE = """
import json, resource, sys, time
from pathlib import Path
import numpy as np
from competitions.rossmann_store_sales.features import make_features
from competitions.rossmann_store_sales.store_days import load_store_days

def load_peak_gib():
    status = Path("/proc/self/status")
    if status.is_file():  # Linux, whose ru_maxrss begins with the peak of the parent
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)

before = load_peak_gib()
known = load_store_days(Path(sys.argv[1]))
is_open = (known.days["Open"] == 1).to_numpy()
start = time.perf_counter()
features = make_features(
    known, fit_rows=np.flatnonzero(~known.is_test), rows=np.flatnonzero(is_open)
)
seconds, peak = time.perf_counter() - start, load_peak_gib()
print(json.dumps({
    "rows": len(known.days), "seconds": seconds, "gib": peak, "added_gib": peak - before
}))
"""


def measure(folder: Path, n_rows: int) -> dict[str, float]:
    folder.mkdir()
    write_sample(folder, 0, n_rows=n_rows)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.slow
def test_features_grow_with_the_rows_and_no_faster(tmp_path):
    """Ten times the rows take about ten times as long: a slack of two for a busy machine. They add
    no more than ten times the memory to what the imports hold: a slack of a quarter, as no other
    process moves it. Kaggle's own million fits into 2.5 GiB.
    """
    small, large = measure(tmp_path / "small", 100_000), measure(tmp_path / "large", 1_000_000)
    share = large["rows"] / small["rows"]
    assert large["seconds"] < 2 * share * small["seconds"]
    assert large["added_gib"] < 1.25 * share * small["added_gib"]
    assert large["gib"] < 2.5
