"""The words that pipelines and competitions share.

A competition states its facts in `competition.py` with these types and hands over an `Outcome`.
Only the standard library is imported here, so that listing all competitions takes no time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from common.validation.folds import Fold


@dataclass(frozen=True)
class KaggleCompetition:
    """A competition on Kaggle. `code_only`: Kaggle takes notebooks there, not CSV files."""

    slug: str
    code_only: bool = False

    @property
    def url(self) -> str:
        return f"https://www.kaggle.com/competitions/{self.slug}"


@dataclass(frozen=True)
class Table:
    """A CSV file, or a glob of equal ones, among the raw files.

    `columns` are those that must be there; others may be. `optional`, when not empty, says where
    the file comes from, and the pipeline works without it. `separator` stands between the fields.
    """

    path: str
    columns: tuple[str, ...]
    optional: str = ""
    separator: str = ","


@dataclass(frozen=True)
class Pictures:
    """JPEG or PNG files by a glob of their paths among the raw files: "train/*/*.png", say.

    `optional` is as of a `Table`.
    """

    path: str
    optional: str = ""


@dataclass(frozen=True)
class SubmissionFile:
    """What a submission must look like: Kaggle's sample among the raw files decides.

    `minimum` is the least value that the metric can take (0 for counts), or None. `classes`, when
    not empty, are the words that stand in the value column; the metric takes their numbers.
    """

    path: str
    id_column: str
    minimum: float | None = None
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Metric:
    """A competition's score.

    Attributes:
        name: as the field writes it, for example "RMSLE".
        function: (target (n, ...), prediction (n, ...)) -> float.
        lower_is_better: the direction.
        best_constant: target (n, ...) -> the one value whose constant prediction scores best; the
            leak alarm's opponent. None exempts the metric from the alarm.
    """

    name: str
    function: Callable[[np.ndarray, np.ndarray], float]
    lower_is_better: bool
    best_constant: Callable[[np.ndarray], float] | None = None

    def __call__(self, target: np.ndarray, prediction: np.ndarray) -> float:
        return float(self.function(target, prediction))

    def is_better(self, score: float, than: float) -> bool:
        return score < than if self.lower_is_better else score > than


@dataclass(frozen=True)
class Leaderboard:
    """A final private leaderboard as facts.

    `gold`, `silver` and `bronze` are the scores at each medal's cut. `quantiles` holds (fraction of
    teams from the top, score there), from the best downwards.
    """

    teams: int
    first: float
    gold: float
    silver: float
    bronze: float
    quantiles: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Cost:
    """What fitting took; seconds are summed over fits as if run one after another."""

    seconds: float
    peak_mib: float
    n_parameters: int


def add_costs(costs: Iterable[Cost]) -> Cost:
    """Add seconds and parameters up; the peak is the largest."""
    costs = list(costs)
    return Cost(
        seconds=sum(cost.seconds for cost in costs),
        peak_mib=max(cost.peak_mib for cost in costs),
        n_parameters=sum(cost.n_parameters for cost in costs),
    )


@dataclass(frozen=True)
class OutOfFold:
    """Every held-out row once, with the prediction of a fit that did not see it.

    Attributes:
        ids: (n,) the rows' ids.
        fold: (n,) int, the fold that held the row.
        group: (n,) what the rows come in (days, stores, drivers): intervals resample these. None:
            rows.
        target: (n, ...) on the competition's own scale.
        prediction: (n, ...) on the same scale.
        stratum: (n,) what sort of group it is (a holiday, a stormy day), for a test that mixes them
            otherwise than the held-out rows do; constant within a group. None: all alike.
    """

    ids: np.ndarray
    fold: np.ndarray
    group: np.ndarray | None
    target: np.ndarray
    prediction: np.ndarray
    stratum: np.ndarray | None = None

    def score(self, metric: Metric) -> float:
        """Score all rows together."""
        return metric(self.target, self.prediction)

    def score_folds(self, metric: Metric) -> tuple[float, ...]:
        """Score each fold's rows, folds in their order."""
        folds = sorted(set(self.fold.tolist()))
        rows = [self.fold == fold for fold in folds]
        return tuple(metric(self.target[here], self.prediction[here]) for here in rows)


@dataclass(frozen=True)
class Outcome:
    """What a competition's `run` hands over.

    Attributes:
        submission: one row per test row, in the sample submission's order and columns.
        score: the metric pooled over all held-out rows: the one figure that is quoted.
        fold_scores: the metric on each fold.
        n_fit: how many rows the fit of each fold was given.
        oof: the rows behind the score.
        cost: what fitting took, summed over all parts.
        test_stratum: (n_test,) of the submission's rows, where `oof.stratum` is given.
        folds_are_windows: whether folds are windows of time and the test is one more of them.
    """

    submission: pd.DataFrame
    score: float
    fold_scores: tuple[float, ...]
    n_fit: tuple[int, ...]
    oof: OutOfFold
    cost: Cost
    test_stratum: np.ndarray | None = None
    folds_are_windows: bool = False


@dataclass(frozen=True)
class LeakCheck:
    """What the leak alarm looks at: the features and folds of a run, open to another target.

    Attributes:
        make_features: (n, ...) target -> (n, D) features of all rows, by the code of the run.
        target: (n, ...), any value in rows that no fold uses.
        folds: of the run.
        groups: (n,) rows that are alike in the target (a day's hours), or None.
    """

    make_features: Callable[[np.ndarray], np.ndarray]
    target: np.ndarray
    folds: Sequence[Fold]
    groups: np.ndarray | None
