"""Taxi Trajectory I: where a taxi's trip will end, from its beginning.

https://www.kaggle.com/competitions/pkdd-15-predict-taxi-service-trajectory-i
"""

from dataclasses import dataclass, replace

from common.contract import KaggleCompetition, Metric, SubmissionFile, Table
from common.metrics.geo import mean_haversine_km

SOURCE = KaggleCompetition("pkdd-15-predict-taxi-service-trajectory-i")
TRIPS = (
    "TRIP_ID",
    "CALL_TYPE",
    "ORIGIN_CALL",
    "ORIGIN_STAND",
    "TAXI_ID",
    "TIMESTAMP",
    "DAY_TYPE",
    "MISSING_DATA",
    "POLYLINE",
)
FILES = (
    Table("train.csv", columns=TRIPS),
    Table("test.csv", columns=TRIPS),
    Table("sampleSubmission.csv", columns=("TRIP_ID", "LATITUDE", "LONGITUDE")),
)
SUBMISSION = SubmissionFile("sampleSubmission.csv", id_column="TRIP_ID")
METRIC = Metric("mean haversine km", mean_haversine_km, lower_is_better=True)
LEADERBOARD = None
TECHNIQUES = (
    "mean shift",
    "softmax over clusters",
    "nearest neighbours",
    "recurrent net",
    "entity embeddings",
    "blending on held-out rows",
)


@dataclass(frozen=True)
class Config:
    models: tuple[str, ...] = ("last_point",)  # fitted one by one; several are blended
    n_folds: int = 5  # each holds its share of the taxis
    cuts: str = "snapshots"  # where trips are cut: snapshots, or end: one point before it (a leak)
    snapshot_s: int = 60  # seconds of driving between two prefixes to fit on
    held_s: int = 600  # seconds of driving between two prefixes to hold out
    held_days: int = 14  # only the last days are held out, where train is four times as long
    max_snapshots: int = 400_000  # about so many prefixes at most, fitted on or held
    max_seen: int = 1_000_000  # rows that a net sees in all its epochs, one epoch at least
    bandwidth_km: float = 0.4  # of mean shift over destinations
    n_neighbors: int = 20  # prefixes whose destinations are averaged
    hidden: int = 200  # units of the dense layer
    units: int = 32  # of the recurrent layer, each way
    embedding_dropout: float = 0.9  # share of embedding values dropped; less where trips are many
    epochs: int = 12  # passes over the rows; nets only
    threads: int = 1  # per fit


BASE = Config()
VARIANTS = {
    "last_point": BASE,
    "knn_prefix": replace(BASE, models=("knn_prefix",)),
    "regression_mlp": replace(BASE, models=("regression_mlp",)),
    "mean_shift_mlp": replace(BASE, models=("mean_shift_mlp",)),
    "mean_shift_rnn": replace(BASE, models=("mean_shift_rnn",)),
    "blend": replace(
        BASE,
        models=("last_point", "knn_prefix", "regression_mlp", "mean_shift_mlp", "mean_shift_rnn"),
    ),
    "notebook_end": replace(BASE, cuts="end"),
}
PARENT = {
    "knn_prefix": "last_point",
    "regression_mlp": "last_point",
    "mean_shift_mlp": "regression_mlp",
    "mean_shift_rnn": "mean_shift_mlp",
    "blend": "mean_shift_mlp",
}
DEFAULT = "blend"
DIAGNOSTICS = ("notebook_end",)
TINY = {
    "n_folds": 2,
    "snapshot_s": 600,
    "n_neighbors": 5,
    "hidden": 8,
    "units": 4,
    "epochs": 1,
}
