"""Rossmann Store Sales: what each of 1,115 drug stores sells on each day of the next six weeks.

https://www.kaggle.com/competitions/rossmann-store-sales
"""

from dataclasses import dataclass, replace

from common.contract import KaggleCompetition, Leaderboard, Metric, SubmissionFile, Table
from common.metrics.regression import rmspe, rmspe_constant

SOURCE = KaggleCompetition("rossmann-store-sales")
TRAIN = (
    "Store",
    "DayOfWeek",
    "Date",
    "Sales",
    "Customers",
    "Open",
    "Promo",
    "StateHoliday",
    "SchoolHoliday",
)
TEST = ("Id", "Store", "DayOfWeek", "Date", "Open", "Promo", "StateHoliday", "SchoolHoliday")
STORES = (
    "Store",
    "StoreType",
    "Assortment",
    "CompetitionDistance",
    "CompetitionOpenSinceMonth",
    "CompetitionOpenSinceYear",
    "Promo2",
    "Promo2SinceWeek",
    "Promo2SinceYear",
    "PromoInterval",
)
WEATHER = (
    "Date",
    "Max_TemperatureC",
    "Mean_TemperatureC",
    "Mean_Humidity",
    "Max_Wind_SpeedKm_h",
    "Precipitationmm",
    "CloudCover",
    "Events",
)
FORUM = "shared on the competition's forum; see README"
FILES = (
    Table("train.csv", columns=TRAIN),
    Table("test.csv", columns=TEST),
    Table("store.csv", columns=STORES),
    Table("sample_submission.csv", columns=("Id", "Sales")),
    Table("store_states.csv", columns=("Store", "State"), optional=FORUM),
    Table("weather/*.csv", columns=WEATHER, optional=FORUM, separator=";"),
    Table("googletrend/Rossmann_DE_*.csv", columns=("Woche",), optional=FORUM),
)
SUBMISSION = SubmissionFile("sample_submission.csv", id_column="Id", minimum=0.0)
METRIC = Metric("RMSPE", rmspe, lower_is_better=True, best_constant=rmspe_constant)
LEADERBOARD = Leaderboard(
    teams=3303,
    first=0.10021,
    gold=0.11037,
    silver=0.11551,
    bronze=0.11773,
    quantiles=(
        (0.01, 0.1112),
        (0.02, 0.11262),
        (0.05, 0.11554),
        (0.10, 0.11774),
        (0.15, 0.11959),
        (0.20, 0.12021),
        (0.25, 0.12021),
        (0.30, 0.12105),
        (0.40, 0.12512),
        (0.50, 0.12967),
        (0.60, 0.14148),
        (0.75, 0.16365),
        (0.90, 0.37642),
    ),
)
TECHNIQUES = (
    "entity embeddings",
    "piecewise-linear numerical embeddings",
    "TabM",
    "XGBoost",
    "LightGBM",
    "forecast features without look-ahead",
    "time windows",
    "ranger (R)",
)


@dataclass(frozen=True)
class Config:
    models: tuple[str, ...] = ("xgboost",)  # fitted one by one; several are blended
    windows: tuple[int, ...] = (1, 2)  # held out, counted in horizons back from the test
    year_ago: bool = True  # hold out the two windows, too, in which the test lies a year earlier
    n_stores: int = 0  # fitted and held stores, chosen evenly among the test's; 0: all
    without: tuple[str, ...] = ("trend",)  # features left out, and all that begin with these and _
    ratio: bool = True  # learn log sales less the store's mean for the weekday and promo
    outlier: float = 1.0  # fit rows further than this from that log mean are left out
    mean: str = "geometric"  # of the blended models' sales, or harmonic
    factor: str = "none"  # times the blend: none, chosen on other windows, or lognormal
    target_means: bool = False  # give trees the target's mean in the store's month, out of fold
    rounds: int = 300  # trees of XGBoost and LightGBM
    tree_rate: float = 0.07  # shrinkage of each tree
    depth: int = 8  # of XGBoost's trees; LightGBM's have half as many leaves as such a tree
    leaf: int = 20  # least rows in a leaf
    subsample: float = 0.8  # share of rows for each tree
    colsample: float = 0.5  # share of features for each tree
    r_rows: int = 100_000  # fit rows that ranger is given
    r_trees: int = 200  # of ranger's forest
    ridge: float = 100.0  # the linear model's penalty
    epochs: int = 5  # passes over the fit rows; nets only, as all below
    stop: bool = False  # take the best number of epochs up to that, by the last forecast's days
    n_nets: int = 1  # nets whose mean is taken
    n_members: int = 0  # of a TabM; 0: a plain net
    hidden: tuple[int, ...] = (256, 128)  # units of the dense layers
    store_dims: int = 10  # of the store's embedding
    dropout: float = 0.0  # of hidden units
    embedding_dropout: float = 0.1  # of embedding values
    missing_flags: bool = True  # flag missing numbers
    n_bins: int = 0  # of piecewise-linear numerical embeddings; 0: numbers as they are
    line: bool = False  # let each of these curves begin as a straight line
    output_range: bool = False  # squash the output into the target's range
    loss: str = "mse"  # on the log scale
    schedule: str = "one_cycle"  # of the learning rate, or constant
    net_rate: float = 0.003  # the highest learning rate
    weight_decay: float = 0.0001  # of AdamW
    ema_momentum: float = 0.0  # of averaged weights; 0: the last ones
    batch_size: int = 1024  # rows in a step
    threads: int = 1  # per fit


BASE = Config()
BLEND = replace(BASE, models=("xgboost", "xgboost_sales", "lightgbm", "embedding", "tabm"))
SUBSET = replace(BASE, n_stores=300)  # on which the details are measured
NET = replace(SUBSET, models=("embedding",))
TABM = replace(SUBSET, models=("tabm",))
STEADY = replace(NET, schedule="constant")
VARIANTS = {
    "median": replace(BASE, models=("median",)),
    "linear": replace(BASE, models=("linear",)),
    "r_ranger": replace(BASE, models=("r_ranger",)),
    "xgboost": BASE,
    "xgboost_sales": replace(BASE, models=("xgboost_sales",)),
    "xgboost_summer": replace(BASE, models=("xgboost_summer",)),
    "xgboost_on_embeddings": replace(BASE, models=("xgboost_on_embeddings",)),
    "searches": replace(BASE, without=()),
    "no_weather": replace(BASE, without=("trend", "weather")),
    "no_forum": replace(BASE, without=("trend", "weather", "state")),
    "lightgbm": replace(BASE, models=("lightgbm",)),
    "embedding": replace(BASE, models=("embedding",)),
    "tabm": replace(BASE, models=("tabm",)),
    "blend": BLEND,
    "blend_harmonic": replace(BLEND, mean="harmonic"),
    "blend_factor": replace(BLEND, factor="chosen"),
    "blend_lognormal": replace(BLEND, factor="lognormal"),
    "xgboost_300": SUBSET,
    "xgboost_outliers": replace(SUBSET, outlier=9.0),
    "xgboost_target_means": replace(SUBSET, target_means=True),
    "embedding_300": NET,
    "embedding_dropout": replace(NET, dropout=0.1),
    "embedding_no_embedding_dropout": replace(NET, embedding_dropout=0.0),
    "embedding_no_schedule": STEADY,
    "embedding_averaged": replace(STEADY, ema_momentum=0.99),
    "embedding_three_nets": replace(NET, n_nets=3),
    "embedding_store_50": replace(NET, store_dims=50),
    "embedding_large_layers": replace(NET, hidden=(1000, 500)),
    "embedding_range": replace(NET, output_range=True),
    "embedding_no_flags": replace(NET, missing_flags=False),
    "embedding_mae": replace(NET, loss="mae"),
    "embedding_sales": replace(NET, ratio=False),
    "embedding_ple": replace(NET, n_bins=16),
    "embedding_ple_line": replace(NET, n_bins=16, line=True),
    "tabm_300": TABM,
    "tabm_ple": replace(TABM, n_bins=16),
    "tabm_ple_line": replace(TABM, n_bins=16, line=True),
    "tabm_no_schedule": replace(TABM, schedule="constant"),
    "tabm_stopped": replace(TABM, schedule="constant", stop=True),
}
PARENT = {
    "linear": "median",
    "r_ranger": "linear",
    "xgboost": "linear",
    "xgboost_sales": "xgboost",
    "xgboost_summer": "xgboost",
    "xgboost_on_embeddings": "xgboost",
    "searches": "xgboost",
    "no_weather": "xgboost",
    "no_forum": "xgboost",
    "lightgbm": "xgboost",
    "embedding": "xgboost",
    "tabm": "xgboost",
    "blend": "xgboost",
    "blend_harmonic": "blend",
    "blend_factor": "blend",
    "blend_lognormal": "blend",
    "xgboost_300": "xgboost",
    "xgboost_outliers": "xgboost_300",
    "xgboost_target_means": "xgboost_300",
    "embedding_300": "xgboost_300",
    "embedding_dropout": "embedding_300",
    "embedding_no_embedding_dropout": "embedding_300",
    "embedding_no_schedule": "embedding_300",
    "embedding_averaged": "embedding_no_schedule",
    "embedding_three_nets": "embedding_300",
    "embedding_store_50": "embedding_300",
    "embedding_large_layers": "embedding_300",
    "embedding_range": "embedding_300",
    "embedding_no_flags": "embedding_300",
    "embedding_mae": "embedding_300",
    "embedding_sales": "embedding_300",
    "embedding_ple": "embedding_300",
    "embedding_ple_line": "embedding_ple",
    "tabm_300": "embedding_300",
    "tabm_ple": "tabm_300",
    "tabm_ple_line": "tabm_ple",
    "tabm_no_schedule": "tabm_300",
    "tabm_stopped": "tabm_no_schedule",
}
DEFAULT = "blend"
DIAGNOSTICS = ("xgboost_target_means",)
TINY = {
    "year_ago": False,
    "rounds": 20,
    "epochs": 1,
    "n_nets": 1,
    "hidden": (16,),
    "ema_momentum": 0.0,  # three steps are too few to average
    # A net's first step takes seconds, the more so the more categories there are.
    "without": (
        "trend",
        "week",
        "day_of_month",
        "promo",
        "promo2",
        "holiday",
        "store_type",
        "assortment",
        "state",
    ),
}
