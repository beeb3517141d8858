"""The pictures of `run --pictures`: what is taken for what, and where a net looks.

A run keeps no net: the one whose mistakes and looks are drawn is trained anew.
"""

from pathlib import Path

import keras
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay

from common.contract import OutOfFold
from common.inference.grad_cam import grad_cam
from common.inference.occlusion import occlusion_map
from common.training.fine_tuning import make_predict
from competitions.plant_seedlings_classification.competition import SPECIES, Config
from competitions.plant_seedlings_classification.nets import train_net
from competitions.plant_seedlings_classification.plants import Plants

N_WORST, N_LOOKS = 24, 6
PATCH, STRIDE = 5, 12  # the covered square and its steps, as parts of the side


def draw_confusions(oof: OutOfFold, path: Path) -> None:
    """Draw how many pictures of each species are taken for each.

    Args:
        oof: held-out rows, targets and predictions numbers of SPECIES.
        path: of the PNG.
    """
    figure = Figure(figsize=(9, 8), layout="constrained")
    axes = figure.subplots()
    ConfusionMatrixDisplay.from_predictions(
        oof.target,
        oof.prediction,
        labels=range(len(SPECIES)),
        display_labels=SPECIES,
        xticks_rotation="vertical",
        cmap="Greens",
        colorbar=False,
        ax=axes,
    )
    axes.set(xlabel="said", ylabel="true", title="pictures, out of fold")
    figure.savefig(path)


def train_without_first(
    oof: OutOfFold, plants: Plants, config: Config
) -> tuple[keras.Model, np.ndarray]:
    """Train a net on all folds but the first.

    Args:
        oof: held-out rows.
        plants: all pictures.
        config: of the net; a few epochs do.

    Returns:
        The net, and (n,) int, the rows of the first fold.
    """
    is_first = oof.fold == oof.fold.min()
    held = np.flatnonzero(~plants.is_test)
    net = train_net(plants, config, held[~is_first], seed=0, name="finetune")
    return net, held[is_first]


def draw_worst(net: keras.Model, plants: Plants, rows: np.ndarray, path: Path) -> None:
    """Draw pictures that a net takes for another species, those it is most wrong about first.

    Args:
        net: pictures to (B, C) probabilities.
        plants: all pictures.
        rows: (n,) int, of which the net learnt nothing.
        path: of the PNG.
    """
    shares = make_predict(net)(plants.pictures[rows])
    label, said = plants.label[rows], shares.argmax(axis=1)
    given = shares[np.arange(len(rows)), label]
    order = np.argsort(given, kind="stable")
    worst = order[said[order] != label[order]][:N_WORST]
    figure = Figure(figsize=(12, 9), layout="constrained")
    panels = list(figure.subplots(4, N_WORST // 4).flat)
    for axes in panels:
        axes.set_axis_off()
    for axes, k in zip(panels, worst, strict=False):
        title = f"{SPECIES[said[k]]}: {shares[k].max():.0%}\nis {SPECIES[label[k]]}: {given[k]:.0%}"
        _lay_over(axes, plants.pictures[rows[k]], None, title)
    figure.savefig(path)


def draw_looks(net: keras.Model, plants: Plants, rows: np.ndarray, path: Path) -> None:
    """Draw where a net looks: what it loses by covered squares, and Grad-CAM at its last maps.

    Args:
        net: pictures to (B, C) probabilities, a head on a pretrained net.
        plants: all pictures.
        rows: (n,) int, of which the net learnt nothing; some of them are drawn.
        path: of the PNG.
    """
    rows = rows[np.linspace(0, len(rows) - 1, N_LOOKS).astype(int)]
    pictures, label = plants.pictures[rows], plants.label[rows]
    maps = net.get_layer("features").input
    lower = keras.Model(net.input, maps)
    upper = keras.Model(maps, net.get_layer("logits").output)
    lit = grad_cam(lower, upper, pictures.astype(np.float32), label)
    side, predict = pictures.shape[1], make_predict(net)
    figure = Figure(figsize=(2 * N_LOOKS, 6.5), layout="constrained")
    for column, axes in enumerate(figure.subplots(3, N_LOOKS).T):
        lost = occlusion_map(
            predict,
            pictures[column],
            label=int(label[column]),
            patch_px=max(side // PATCH, 1),
            stride_px=max(side // STRIDE, 1),
        )
        _lay_over(axes[0], pictures[column], None, SPECIES[label[column]])
        _lay_over(axes[1], pictures[column], lost, "lost where covered")
        _lay_over(axes[2], pictures[column], lit[column], "Grad-CAM")
    figure.savefig(path)


def _lay_over(axes: Axes, picture: np.ndarray, heat: np.ndarray | None, title: str) -> None:
    """Show a picture, with a map of heat (H, W) over it where there is one."""
    axes.imshow(picture)
    if heat is not None:
        most = max(np.abs(heat).max(), 1e-6)  # Of a map of zeros the middle colour.
        axes.imshow(heat, cmap="coolwarm", alpha=0.5, vmin=-most, vmax=most)
    axes.set_title(title, fontsize=8)
    axes.set_axis_off()
