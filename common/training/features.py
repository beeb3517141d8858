"""Features that all folds share, since nothing is learnt for them: made once and kept."""

import time
from collections.abc import Callable

import numpy as np

from common.contract import Cost
from common.training.cross_fit import Keep

_TASK = {"rows": "all"}


def make_features_once(make: Callable[[], np.ndarray], *, keep: Keep) -> tuple[np.ndarray, Cost]:
    """Make features of all rows, or load what an earlier run kept of them.

    Args:
        make: -> (n, ...) features.
        keep: where they are kept, under all settings that they depend on.

    Returns:
        The features, and what making them took, whenever that was.
    """
    kept = keep.load(_TASK)
    if kept is None:
        start = time.perf_counter()
        features = make()
        kept = {"features": features, "seconds": np.array(time.perf_counter() - start)}
        keep.write(_TASK, kept)
    return kept["features"], Cost(float(kept["seconds"]), peak_mib=0.0, n_parameters=0)
