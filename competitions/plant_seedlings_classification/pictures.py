"""The pictures of `run --pictures`: what is taken for what, and where a net looks."""

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

N_MISTAKES, N_LOOKS = 24, 6
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


def draw_mistakes(oof: OutOfFold, plants: Plants, path: Path) -> None:
    """Draw held-out pictures that were taken for another species, evenly spread ones of them.

    Args:
        oof: held-out rows.
        plants: all pictures.
        path: of the PNG.
    """
    wrong = np.flatnonzero(oof.target != oof.prediction)
    shown = (
        np.unique(np.linspace(0, len(wrong) - 1, N_MISTAKES).astype(int)) if len(wrong) else wrong
    )
    figure = Figure(figsize=(12, 9), layout="constrained")
    panels = figure.subplots(4, N_MISTAKES // 4)
    held = np.flatnonzero(~plants.is_test)
    for axes in panels.flat:
        axes.set_axis_off()
    for axes, row in zip(panels.flat, wrong[shown], strict=False):
        axes.imshow(plants.pictures[held[row]])
        said, true = SPECIES[oof.prediction[row]], SPECIES[oof.target[row]]
        axes.set_title(f"{said}\nis {true}", fontsize=8)
    figure.savefig(path)


def draw_looks(oof: OutOfFold, plants: Plants, config: Config, path: Path) -> None:
    """Draw where a net looks: what it loses by covered squares, and Grad-CAM at its last maps.

    The net is trained anew, on all folds but the first, and looks at the first.

    Args:
        oof: held-out rows.
        plants: all pictures.
        config: of the net; a few epochs do.
        path: of the PNG.
    """
    first = oof.fold == oof.fold.min()
    held = np.flatnonzero(~plants.is_test)
    rows = held[first][np.linspace(0, first.sum() - 1, N_LOOKS).astype(int)]
    net = train_net(plants, config, held[~first], seed=0, name="finetune")
    pictures, label = plants.pictures[rows], plants.label[rows]
    maps = net.get_layer("features").input
    lower, upper = keras.Model(net.input, maps), keras.Model(maps, net.output)
    lit = grad_cam(lower, upper, pictures.astype(np.float32), label, of_probabilities=True)
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
        most = np.abs(heat).max()
        axes.imshow(heat, cmap="coolwarm", alpha=0.5, vmin=-most, vmax=most)
    axes.set_title(title, fontsize=8)
    axes.set_axis_off()
