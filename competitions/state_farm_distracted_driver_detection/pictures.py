"""The pictures of `run --pictures`: the worst mistakes, where a net looks, who lies near whom."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from common.contract import OutOfFold
from common.inference.drawings import make_panels, show
from common.inference.occlusion import occlusion_map
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
"""What the classes stand for, in their order."""

N_WORST, N_QUERIES, N_NEAREST = 24, 8, 7
PATCH, STRIDE = 0.25, 0.08  # of the covering square, as shares of the picture's height


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
    title = "The worst frame of each of the worst sequences: true, and likeliest"
    figure, panels = make_panels(len(shown), n_columns=6, title=title)
    for axes, row, picture in zip(panels, shown, pixels, strict=False):
        true, said = int(oof.target[row].argmax()), int(oof.prediction[row].argmax())
        shares = (f"{DOES[k]}: {oof.prediction[row, k]:.0%}" for k in (true, said))
        show(axes, picture, "\n".join(shares))
    figure.savefig(path)


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
    title = "What the true class loses where a square is covered (red)"
    figure, panels = make_panels(len(labels), n_columns=5, title=title)
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
        told = f"{DOES[label]}: {given:.0%}, up to {lost.max():+.0%} lost"
        show(axes, picture, told, heat=lost)
    figure.savefig(path)


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
    title = "Frames of the test and their neighbours, with distances"
    n_columns = n_nearest + 1
    figure, panels = make_panels(len(queries) * n_columns, n_columns=n_columns, title=title)
    for k, query in enumerate(queries):
        for j in range(n_nearest + 1):
            told = f"{near.distances[query, j]:.1f}" if j else "frame"
            show(panels[k * n_columns + j], pixels[pool[near.indices[query, j]]], told)
    figure.savefig(path)
