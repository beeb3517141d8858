"""A small table with all that a net's inputs must cope with."""

import numpy as np
import pandas as pd


def make_gappy_table() -> pd.DataFrame:
    """Six rows: two categories, a number with a gap, one that is far out, one without a value."""
    return pd.DataFrame(
        {
            "store": [3, 1, 3, 1, 3, 1],
            "weekday": [0, 1, 2, 0, 1, 2],
            "left": [1.0, 2.0, np.nan, 3.0, 4.0, 5.0],
            "far": [0.0, 0, 0, 0, 1, 1],
            "nothing": np.nan,
        },
        dtype=np.float32,
    )
