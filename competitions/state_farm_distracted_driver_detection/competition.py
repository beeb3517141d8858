"""Distracted Driver Detection: what a driver is doing, from one frame of a dashboard camera.

https://www.kaggle.com/competitions/state-farm-distracted-driver-detection
"""

from dataclasses import dataclass, replace

from common.contract import KaggleCompetition, Metric, Pictures, SubmissionFile, Table
from common.metrics.classification import log_loss, log_loss_constant

SOURCE = KaggleCompetition("state-farm-distracted-driver-detection")
CLASSES = tuple(f"c{k}" for k in range(10))
FILES = (
    Pictures("imgs/train/*/*.jpg"),
    Pictures("imgs/test/*.jpg"),
    Table("driver_imgs_list.csv", columns=("subject", "classname", "img")),
    Table("sample_submission.csv", columns=("img", *CLASSES)),
)
SUBMISSION = SubmissionFile("sample_submission.csv", id_column="img", minimum=0.0)
METRIC = Metric("log loss", log_loss, lower_is_better=True, best_constant=log_loss_constant)
LEADERBOARD = None  # No holdout's score can be compared, and Kaggle's board was never looked at.
TECHNIQUES = (
    "transfer learning",
    "residual net from scratch",
    "random erasing",
    "adaptive batch norm",
    "test-time augmentation",
    "nearest neighbours that smooth a net",
    "soft pseudo-labels",
    "occlusion maps",
    "calibration by temperature",
    "blending on held-out rows",
)


@dataclass(frozen=True)
class Config:
    models: tuple[str, ...] = ("cnn",)  # fitted one by one; several are blended
    after: tuple[str, ...] = ()  # what follows a fit: views, neighbours, pseudo, or none of them
    folds: str = "drivers"  # what a fold holds: drivers, or random frames (a leak)
    n_folds: int = 5  # each holds its share of them
    norms: str = "pool"  # statistics of batch norms: of the pool asked about, fit, or clean fit
    backbone: str = "lite0"  # the pretrained net that all but `resnet` begin with; tiny: for tests
    height_px: int = 72  # of the pictures that nets see
    width_px: int = 96  # likewise
    batch_size: int = 32  # pictures in a step of training
    steps: int = 600  # of training, of `cnn`; frames of a sequence are alike, so epochs mean little
    scratch_steps: int = 1500  # likewise, of `resnet`
    spaces: tuple[str, ...] = ("features", "pixels")  # in which a frame's neighbours lie near it
    n_neighbors: int = 50  # frames that may be averaged with a frame, itself among them
    n_voters: int = 100  # fit frames that vote, in `knn_only`
    threads: int = 1  # per fit


BASE = Config()
VARIANTS = {
    "features_logistic": replace(BASE, models=("features_logistic",)),
    "knn_only": replace(BASE, models=("knn_only",)),
    "cnn": BASE,
    "cnn_clean_norms": replace(BASE, norms="clean"),
    "cnn_fit_norms": replace(BASE, norms="fit"),
    "cnn_tta": replace(BASE, after=("views",)),
    "cnn_knn": replace(BASE, after=("neighbours",)),
    "cnn_knn_features": replace(BASE, after=("neighbours",), spaces=("features",)),
    "cnn_knn_pixels": replace(BASE, after=("neighbours",), spaces=("pixels",)),
    "cnn_large_knn": replace(BASE, models=("cnn_large",), after=("neighbours",)),
    "cnn_knn_pseudo": replace(BASE, after=("neighbours", "pseudo")),
    "resnet": replace(BASE, models=("resnet",)),
    "blend": replace(BASE, models=("cnn", "cnn_large"), after=("neighbours",)),
    "leaky_folds": replace(BASE, folds="random"),
}
PARENT = {
    "knn_only": "features_logistic",
    "cnn": "features_logistic",
    "cnn_clean_norms": "cnn",
    "cnn_fit_norms": "cnn_clean_norms",
    "cnn_tta": "cnn",
    "cnn_knn": "cnn",
    "cnn_knn_features": "cnn_knn",
    "cnn_knn_pixels": "cnn_knn",
    "cnn_large_knn": "cnn_knn",
    "cnn_knn_pseudo": "cnn_knn",
    "resnet": "cnn",
    "blend": "cnn_large_knn",
}
DEFAULT = "blend"
DIAGNOSTICS = ("leaky_folds",)
TINY = {
    "n_folds": 2,
    "backbone": "tiny",
    "height_px": 15,
    "width_px": 20,
    "batch_size": 16,
    "steps": 2,
    "scratch_steps": 2,
    "n_neighbors": 4,
    "n_voters": 5,
}
