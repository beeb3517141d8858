"""How feature building grows with the data: seconds and memory of a process of its own."""

import pytest

from competitions.rossmann_store_sales.sample import write_sample
from tests.helpers.growth import measure

MEASURE = """
import numpy as np
from competitions.rossmann_store_sales.features import make_features
from competitions.rossmann_store_sales.store_days import load_store_days

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


@pytest.mark.slow
def test_features_grow_with_the_rows_and_no_faster(tmp_path):
    """Ten times the rows take about ten times as long: a slack of two for a busy machine. They add
    no more than ten times the memory to what the imports hold: a slack of a quarter, as no other
    process moves it. Kaggle's own million fits into 2.5 GiB.
    """
    small, large = (
        measure(MEASURE, write_sample, tmp_path / str(n_rows), n_rows)
        for n_rows in (100_000, 1_000_000)
    )
    share = large["rows"] / small["rows"]
    assert large["seconds"] < 2 * share * small["seconds"]
    assert large["added_gib"] < 1.25 * share * small["added_gib"]
    assert large["gib"] < 2.5
