"""The pictures of `run --pictures`: the worst mistakes, and where a net looks.

A run keeps no net: the one whose mistakes and looks are drawn is trained anew.
"""

from pathlib import Path

import keras
import numpy as np

from common.contract import OutOfFold
from common.inference.drawings import make_panels, show
from common.inference.grad_cam import grad_cam
from common.inference.occlusion import occlusion_map
from common.training.fine_tuning import make_predict
from competitions.plant_seedlings_classification.competition import SPECIES, Config
from competitions.plant_seedlings_classification.nets import train_net
from competitions.plant_seedlings_classification.plants import Plants

N_WORST, N_LOOKS = 24, 6
PATCH, STRIDE = 5, 12  # the covered square and its steps, as parts of the side


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
    label, predicted = plants.label[rows], shares.argmax(axis=1)
    given = shares[np.arange(len(rows)), label]
    order = np.argsort(given, kind="stable")
    worst = order[predicted[order] != label[order]][:N_WORST]
    figure, panels = make_panels(len(worst), n_columns=6)
    for axes, k in zip(panels, worst, strict=False):
        most = f"{SPECIES[predicted[k]]}: {shares[k].max():.0%}"
        title = f"{most}\nis {SPECIES[label[k]]}: {given[k]:.0%}"
        show(axes, plants.pictures[rows[k]], title)
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
    figure, panels = make_panels(3 * N_LOOKS, n_columns=N_LOOKS)
    for column in range(N_LOOKS):
        lost = occlusion_map(
            predict,
            pictures[column],
            label=int(label[column]),
            patch_px=max(side // PATCH, 1),
            stride_px=max(side // STRIDE, 1),
        )
        whole, covered, cam = panels[column::N_LOOKS]
        show(whole, pictures[column], SPECIES[label[column]])
        show(covered, pictures[column], "lost where covered", heat=lost)
        show(cam, pictures[column], "Grad-CAM", heat=lit[column])
    figure.savefig(path)
