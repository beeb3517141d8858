"""The pictures of `run --pictures`: confusions, mistakes, where a net looks, who lies near whom."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay

from common.contract import OutOfFold
from common.inference.occlusion import occlusion_map
from competitions.state_farm_distracted_driver_detection.competition import CLASSES
from competitions.state_farm_distracted_driver_detection.smoothing import Neighbours

DOES = (
    "drives",
    "texts, right",
    "phones, right",
    "texts, left",
    "phones, left",
    "radio",
    "drinks",
    "reaches behind",
    "hair, make-up",
    "talks",
)
"""What `CLASSES` stand for."""

N_WORST, N_QUERIES, N_NEAREST = 24, 8, 7
PATCH, STRIDE = 0.25, 0.08  # of the covering square, as shares of the picture's height


def draw_confusions(oof: OutOfFold, path: Path) -> None:
    """Draw how often each class is taken for each, out of fold."""
    target, likeliest = oof.target.argmax(axis=1), oof.prediction.argmax(axis=1)
    figure = Figure(figsize=(9, 8), layout="constrained")
    axes = figure.subplots()
    ConfusionMatrixDisplay.from_predictions(
        target,
        likeliest,
        labels=range(len(CLASSES)),
        display_labels=DOES,
        normalize="true",
        values_format=".0%",
        xticks_rotation="vertical",
        cmap="Blues",
        colorbar=False,
        ax=axes,
    )
    right = np.mean(target == likeliest)
    axes.set(xlabel="out of fold", ylabel="true", title=f"{right:.1%} of {len(target):,} right")
    figure.savefig(path, dpi=100)


def find_worst(oof: OutOfFold) -> np.ndarray:
    """Find the worst frame of each sequence, the worst first: frames of one are alike.

    Returns:
        (n,) int, positions in `oof`, at most N_WORST.
    """
    label = oof.target.argmax(axis=1)
    given = oof.prediction[np.arange(len(label)), label]
    sequence = np.char.add(np.asarray(oof.group, str), np.char.mod(" %d", label))
    order = np.argsort(given, kind="stable")
    _, first = np.unique(sequence[order], return_index=True)
    return order[np.sort(first)][:N_WORST]


def draw_worst(oof: OutOfFold, pixels: np.ndarray, shown: np.ndarray, path: Path) -> None:
    """Draw frames with what was said of them.

    Args:
        oof: held-out rows.
        pixels: (n, H, W, 3) uint8 of the frames that are shown.
        shown: (n,) int, their positions in `oof`.
        path: of the PNG.
    """
    figure, panels = _make_panels(len(shown), n_columns=6)
    for axes, row, picture in zip(panels, shown, pixels, strict=False):
        true, said = int(oof.target[row].argmax()), int(oof.prediction[row].argmax())
        axes.imshow(picture)
        axes.set_title(
            f"{DOES[true]}: {oof.prediction[row, true]:.0%}\n"
            f"{DOES[said]}: {oof.prediction[row, said]:.0%}",
            fontsize=8,
        )
    figure.suptitle("The worst frame of each of the worst sequences: true, and likeliest")
    figure.savefig(path, dpi=110)


def draw_occlusions(
    answer: Callable[[np.ndarray], np.ndarray],
    pixels: np.ndarray,
    labels: Sequence[int],
    path: Path,
) -> None:
    """Draw what the true class loses where a square of each frame is covered.

    Args:
        answer: (B, H, W, 3) uint8 -> (B, C or more) probabilities first, of a net that never saw
            these drivers.
        pixels: (n, H, W, 3) uint8, one frame of each class, say.
        labels: (n,) true classes.
        path: of the PNG.
    """
    figure, panels = _make_panels(len(labels), n_columns=5)
    side = pixels.shape[1]
    for axes, picture, label in zip(panels, pixels, labels, strict=False):
        lost = occlusion_map(
            answer,
            picture,
            label=label,
            patch_px=max(1, round(PATCH * side)),
            stride_px=max(1, round(STRIDE * side)),
        )
        given = float(answer(picture[None])[0, label])
        reach = max(float(np.abs(lost).max()), 1e-6)
        axes.imshow(picture)
        axes.imshow(lost, cmap="RdBu_r", vmin=-reach, vmax=reach, alpha=0.5)
        axes.set_title(f"{DOES[label]}: {given:.0%}, up to {lost.max():+.0%} lost", fontsize=8)
    figure.suptitle("What the true class loses where a square is covered (red)")
    figure.savefig(path, dpi=110)


def draw_neighbours(near: Neighbours, pixels: np.ndarray, pool: np.ndarray, path: Path) -> None:
    """Draw some frames of the test, evenly spread, each with its nearest ones.

    Args:
        near: of the pool.
        pixels: (n, H, W, 3) uint8, of all frames.
        pool: (m,) int, the test's rows among them.
        path: of the PNG.
    """
    queries = np.unique(np.linspace(0, len(pool) - 1, N_QUERIES).astype(int))
    n_nearest = min(N_NEAREST, near.indices.shape[1] - 1)
    figure, panels = _make_panels(len(queries) * (n_nearest + 1), n_columns=n_nearest + 1)
    for k, query in enumerate(queries):
        for j in range(n_nearest + 1):
            axes = panels[k * (n_nearest + 1) + j]
            axes.imshow(pixels[pool[near.indices[query, j]]])
            axes.set_title(f"{near.distances[query, j]:.1f}" if j else "frame", fontsize=8)
    figure.suptitle("Frames of the test and their neighbours, with distances")
    figure.savefig(path, dpi=110)


def _make_panels(n: int, *, n_columns: int) -> tuple[Figure, list[Any]]:
    n_rows = max(1, -(-n // n_columns))
    figure = Figure(figsize=(2.1 * n_columns, 1.9 * n_rows + 0.4), layout="constrained")
    panels = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    for axes in panels:
        axes.axis("off")
    return figure, panels
