"""Bike Sharing Demand: how many bicycles are rented in an hour, from calendar and weather.

https://www.kaggle.com/competitions/bike-sharing-demand
"""

from dataclasses import dataclass, replace

from common.contract import KaggleCompetition, Leaderboard, Metric, SubmissionFile, Table
from common.metrics.regression import rmsle, rmsle_constant

SOURCE = KaggleCompetition("bike-sharing-demand")
GIVEN = (
    "datetime",
    "season",
    "holiday",
    "workingday",
    "weather",
    "temp",
    "atemp",
    "humidity",
    "windspeed",
)
COUNTS = ("casual", "registered", "count")
FILES = (
    Table("train.csv", columns=(*GIVEN, *COUNTS)),
    Table("test.csv", columns=GIVEN),
    Table("sampleSubmission.csv", columns=("datetime", "count")),
)
SUBMISSION = SubmissionFile("sampleSubmission.csv", id_column="datetime", minimum=0.0)
METRIC = Metric("RMSLE", rmsle, lower_is_better=True, best_constant=rmsle_constant)
LEADERBOARD = Leaderboard(
    teams=3251,
    first=0.33756,
    gold=0.36367,
    silver=0.3901,
    bronze=0.40856,
    quantiles=(
        (0.01, 0.36723),
        (0.02, 0.37106),
        (0.05, 0.39025),
        (0.10, 0.40869),
        (0.15, 0.42283),
        (0.20, 0.43304),
        (0.25, 0.44741),
        (0.30, 0.46226),
        (0.40, 0.48368),
        (0.50, 0.49644),
        (0.60, 0.53128),
        (0.75, 0.67031),
        (0.90, 1.24817),
    ),
)
TECHNIQUES = (
    "entity embeddings",
    "XGBoost",
    "LightGBM",
    "ridge regression",
    "blending on held-out rows",
    "forward validation",
)


@dataclass(frozen=True)
class Config:
    models: tuple[str, ...] = ("xgboost",)  # fitted one by one; several are blended
    folds: str = "weeks"  # what is held out: weeks, late_days, past or random_hours
    n_folds: int = 4  # how many; "past" has one per month instead
    rounds: int = 700  # trees of XGBoost and LightGBM
    ridge: float = 3.0  # the linear model's penalty
    epochs: int = 15  # passes over the train rows; nets only
    n_nets: int = 3  # nets whose mean is taken
    threads: int = 1  # per fit


BASE = Config()
VARIANTS = {
    "baseline": replace(BASE, models=("median",)),
    "linear": replace(BASE, models=("linear",)),
    "xgboost": BASE,
    "lightgbm": replace(BASE, models=("lightgbm",)),
    "embedding": replace(BASE, models=("embedding",)),
    "casual_registered": replace(BASE, models=("casual_registered",)),
    "blend": replace(
        BASE, models=("linear", "xgboost", "lightgbm", "embedding", "casual_registered")
    ),
    "causal": replace(BASE, folds="past"),
    "late_days": replace(BASE, folds="late_days"),
    "random_hours": replace(BASE, folds="random_hours"),
}
PARENT = {
    "linear": "baseline",
    "xgboost": "linear",
    "lightgbm": "xgboost",
    "embedding": "xgboost",
    "casual_registered": "xgboost",
    "blend": "xgboost",
    "causal": "late_days",
    "random_hours": "xgboost",
}
DEFAULT = "blend"
DIAGNOSTICS = ("late_days", "random_hours")
TINY = {"n_folds": 2, "rounds": 20, "epochs": 1, "n_nets": 1}
