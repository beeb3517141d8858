"""What a fit gives; apart from `fit.py`, so that trees need not wait for TensorFlow's import."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Fitted:
    """A fitted model.

    `predict` takes what the fit was given, of other rows, and returns (n, ...) predictions.
    `n_parameters` counts what was learnt: weights of a net, leaves of trees, cells of a table.
    `gains` is what each feature has brought trees, summed over splits; empty for other models.
    """

    predict: Callable[[Any], np.ndarray]
    n_parameters: int
    gains: Mapping[str, float] = field(default_factory=dict)
