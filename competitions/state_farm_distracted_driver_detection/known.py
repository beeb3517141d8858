"""What fits are given."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from common.contract import Cost
from competitions.state_farm_distracted_driver_detection.frames import Frames


@dataclass(frozen=True)
class Known:
    """All frames, and what is known of each without any label.

    Attributes:
        frames: n of them.
        pixels: (n, H, W, 3) uint8; (0, H, W, 3) where no model looks at them.
        weights: of the pretrained net; None for "tiny", or where no model needs them.
        frozen: (n, D) float32 features of the net as it came; (n, 0) where no model needs them.
        frozen_cost: of these.
    """

    frames: Frames
    pixels: np.ndarray
    weights: Mapping[str, np.ndarray] | None
    frozen: np.ndarray
    frozen_cost: Cost
