"""Plant Seedlings: which of twelve species a seedling is, from a photograph.

https://www.kaggle.com/competitions/plant-seedlings-classification
"""

from dataclasses import dataclass, replace

from common.contract import (
    KaggleCompetition,
    Leaderboard,
    Metric,
    Pictures,
    SubmissionFile,
    Table,
)
from common.metrics.classification import micro_f1

SOURCE = KaggleCompetition("plant-seedlings-classification")
SPECIES = (
    "Black-grass",
    "Charlock",
    "Cleavers",
    "Common Chickweed",
    "Common wheat",
    "Fat Hen",
    "Loose Silky-bent",
    "Maize",
    "Scentless Mayweed",
    "Shepherds Purse",
    "Small-flowered Cranesbill",
    "Sugar beet",
)
FILES = (
    Pictures("train/*/*"),
    Pictures("test/*"),
    Table("sample_submission.csv", columns=("file", "species")),
)
SUBMISSION = SubmissionFile("sample_submission.csv", id_column="file", classes=SPECIES)
# No leak alarm: it takes a probe for numbers, and classes have none between them.
METRIC = Metric("micro F1", micro_f1, lower_is_better=False)
LEADERBOARD = Leaderboard(
    teams=836,
    first=1.0,
    gold=0.99244,
    silver=0.98614,
    bronze=0.98236,
    quantiles=(
        (0.01, 0.99244),
        (0.02, 0.99118),
        (0.05, 0.98614),
        (0.10, 0.98362),
        (0.15, 0.97984),
        (0.20, 0.97858),
        (0.25, 0.97607),
        (0.30, 0.97229),
        (0.40, 0.96977),
        (0.50, 0.95591),
        (0.60, 0.93324),
        (0.75, 0.8602),
        (0.90, 0.64987),
    ),
)
TECHNIQUES = (
    "transfer learning",
    "discriminative learning rates",
    "progressive resizing",
    "kept activations of frozen stages",
    "test-time augmentation",
    "random erasing",
    "MixUp",
    "CutMix",
    "pseudo-labels",
    "nearest neighbours",
    "residual and Inception nets",
    "blending on held-out rows",
)


@dataclass(frozen=True)
class Config:
    models: tuple[str, ...] = ("features_logistic",)  # fitted one by one; several are blended
    n_folds: int = 4  # pictures that are nearly the same stay together
    views: int = 1  # of each picture, averaged in the prediction: itself, two flips, three turns
    mean: str = "arithmetic"  # of the views: arithmetic, or geometric
    side_px: int = 128  # of the pictures, as the pretrained net sees them
    scratch_px: int = 64  # likewise, as nets from scratch see them; smaller ones stay as they are
    backbone: str = "lite0"  # the pretrained net; tiny: two untrained blocks, for tests
    n_neighbors: int = 5  # pictures that vote
    epochs: int = 7  # passes over the pictures; the pretrained net only
    scratch_epochs: int = 40  # likewise of a small ResNet from scratch; Inception, slower, has less
    learning_rate: float = 0.003  # the highest, of the pretrained net's head
    lowest_rate: float = 0.3  # of its first stage, as a share of that; between them geometric
    first_share: float = 1.0  # of a picture's side, in the first half of its epochs; 1: of all
    norms_learn: bool = True  # of the pretrained net: batch norms too, or they stay as they came
    threads: int = 1  # per fit


BASE = Config()
FINETUNE = replace(BASE, models=("finetune",))
LOW_RATE = replace(FINETUNE, learning_rate=0.001)
VARIANTS = {
    "features_logistic": BASE,
    "features_knn": replace(BASE, models=("features_knn",)),
    "finetune": FINETUNE,
    "finetune_equal_rates": replace(FINETUNE, lowest_rate=1.0),
    "finetune_progressive": replace(FINETUNE, first_share=0.75),
    "finetune_upper": replace(BASE, models=("finetune_upper",)),
    "finetune_low_rate": LOW_RATE,
    "finetune_frozen_norms": replace(LOW_RATE, norms_learn=False),
    "finetune_tta": replace(FINETUNE, views=6),
    "finetune_tta_geometric": replace(FINETUNE, views=6, mean="geometric"),
    "finetune_occlusion": replace(BASE, models=("finetune_occlusion",)),
    "finetune_mixup": replace(BASE, models=("finetune_mixup",)),
    "finetune_cutmix": replace(BASE, models=("finetune_cutmix",)),
    "pseudo_labels": replace(BASE, models=("pseudo_labels",)),
    "pseudo_labels_hard": replace(BASE, models=("pseudo_labels_hard",)),
    "resnet_small": replace(BASE, models=("resnet_small",)),
    "inception_small": replace(BASE, models=("inception_small",)),
    "blend": replace(BASE, models=("finetune", "resnet_small"), views=6),
}
PARENT = {
    "features_knn": "features_logistic",
    "finetune": "features_logistic",
    "finetune_equal_rates": "finetune",
    "finetune_progressive": "finetune",
    "finetune_upper": "finetune",
    "finetune_low_rate": "finetune",
    "finetune_frozen_norms": "finetune_low_rate",
    "finetune_tta": "finetune",
    "finetune_tta_geometric": "finetune_tta",
    "finetune_occlusion": "finetune",
    "finetune_mixup": "finetune",
    "finetune_cutmix": "finetune",
    "pseudo_labels": "finetune",
    "pseudo_labels_hard": "pseudo_labels",
    "resnet_small": "finetune",
    "inception_small": "resnet_small",
    "blend": "finetune_tta",
}
DEFAULT = "blend"
DIAGNOSTICS = ()
TINY = {
    "n_folds": 2,
    "side_px": 16,
    "backbone": "tiny",
    "n_neighbors": 3,
    "epochs": 1,
    "scratch_epochs": 1,
    "threads": 1,
}
