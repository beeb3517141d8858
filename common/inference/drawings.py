"""What the pictures of `run --pictures` have in common: panels, pictures under heat, confusions.

Imported by what draws only: Matplotlib takes a second.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay

from common.checks import check_positive, check_same_length

PANEL = (2.1, 1.9)  # width and height, inches


def make_panels(n: int, *, n_columns: int, title: str = "") -> tuple[Figure, list[Axes]]:
    """Lay out panels without axes, row by row.

    Args:
        n: panels that are wanted, >= 0; the last row is filled up.
        n_columns: of panels, > 0.
        title: above all.

    Raises:
        ValueError: n_columns is not positive.
    """
    check_positive("n_columns", n_columns)
    n_rows = max(1, -(-n // n_columns))
    figure = Figure(
        figsize=(PANEL[0] * n_columns, PANEL[1] * n_rows + 0.4), layout="constrained", dpi=110
    )
    panels = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    for axes in panels:
        axes.set_axis_off()
    figure.suptitle(title)
    return figure, panels


def show(axes: Axes, picture: np.ndarray, title: str, *, heat: np.ndarray | None = None) -> None:
    """Show a picture, with a map over it where there is one: red above zero, blue below.

    Args:
        axes: where.
        picture: (H, W, 3) uint8.
        title: above it.
        heat: (H, W); the colours reach to its largest value, up and down.
    """
    axes.imshow(picture)
    if heat is not None:
        most = max(float(np.abs(heat).max()), 1e-6)  # Of a map of zeros the middle colour.
        axes.imshow(heat, cmap="RdBu_r", alpha=0.5, vmin=-most, vmax=most)
    axes.set_title(title, fontsize=8)


def draw_confusions(target: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> Figure:
    """Draw how often each class is taken for each, as shares of the rows that are truly of it.

    Args:
        target: (n,) int, true classes of held-out rows, in [0, C).
        predicted: (n,) int, likewise.
        names: (C,) of the classes.

    Returns:
        A figure of 900 x 800 pixels.

    Raises:
        ValueError: lengths differ.
    """
    check_same_length(target=target, predicted=predicted)
    figure = Figure(figsize=(9, 8), layout="constrained", dpi=100)
    axes = figure.subplots()
    ConfusionMatrixDisplay.from_predictions(
        target,
        predicted,
        labels=range(len(names)),
        display_labels=names,
        normalize="true",
        values_format=".0%",
        xticks_rotation="vertical",
        cmap="Blues",
        colorbar=False,
        ax=axes,
    )
    right = f"{np.mean(target == predicted):.1%} of {len(target):,} right"
    axes.set(xlabel="predicted, out of fold", ylabel="true", title=right)
    return figure
