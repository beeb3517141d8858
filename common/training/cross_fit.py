"""Fit on every fold, side by side, and predict what each fit has not seen."""

import logging
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from joblib import Parallel, delayed

from common.checks import check_shape
from common.contract import Cost
from common.seeds import derive
from common.training.fitted import Fitted
from common.validation.folds import Fold, check_folds

Fit = Callable[[np.ndarray, int], Fitted]
"""fit(fit_rows (n,) int, seed) -> Fitted, whose `predict` takes row numbers too."""

log = logging.getLogger(__name__)


class Keep(Protocol):
    """Where finished fits are kept: a `FoldStore`'s shelf."""

    def load(self, task: Mapping[str, Any]) -> dict[str, np.ndarray] | None: ...

    def write(self, task: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None: ...


@dataclass(frozen=True)
class CrossFitted:
    """One model's predictions, each by a fit that did not see the row.

    Attributes:
        prediction: (n, ...) float64; NaN in rows that no fold held.
        fold: (n,) int, the fold that held the row, or -1.
        test: (F, n_test, ...) float64, what each of the F folds' fits says of the test rows, in
            their order; (0, n_test, ...) where they were not asked to be kept apart.
        cost: summed over fits.
    """

    prediction: np.ndarray
    fold: np.ndarray
    test: np.ndarray
    cost: Cost


def cross_fit(
    fit: Fit,
    folds: Sequence[Fold],
    is_test: np.ndarray,
    *,
    test_from: Literal["folds", "each", "refit", "held"],
    seed: int,
    keep: Keep,
    name: str = "model",
) -> CrossFitted:
    """Fit once per fold and predict the fold's held rows; predict the test rows too.

    Fits run side by side through joblib, as the ambient `joblib.parallel_config` says. Workers
    return arrays; only this process writes. Each fit gets its own seed, whatever the order in which
    they end.

    Args:
        fit: fits on given rows; must be picklable by cloudpickle.
        folds: row numbers into one frame of train and test rows.
        is_test: (n,) bool, the frame's test rows.
        test_from: "folds": the mean over the folds' fits, for exchangeable folds. "each": the
            same, from the same kept fits, and every fit's own in `test`, for what is made of a
            prediction in the space of its fit. "refit": one more fit on all train rows, for folds
            that differ from the test in time. "held": folds hold the test rows themselves.
        seed: of this model.
        keep: where finished fits are kept.
        name: for the log.

    Raises:
        ValueError: a fit's prediction has another length than the rows it was asked for, or is not
            finite.
    """
    check_folds(folds, n_rows=len(is_test))
    test_rows = np.flatnonzero(is_test)
    also = test_rows if test_from in ("folds", "each") else test_rows[:0]
    tasks = [
        {"fit_rows": fold.fit_rows, "rows": np.concatenate([fold.held_rows, also])}
        | {"seed": derive(seed, f"fold {k}")}
        for k, fold in enumerate(folds)
    ]
    if test_from == "refit":
        tasks.append(
            {"fit_rows": np.flatnonzero(~is_test), "rows": test_rows, "seed": derive(seed, "refit")}
        )
    results = _run_tasks(fit, tasks, keep, name)

    held_fold = np.full(len(is_test), -1)
    prediction = np.full((len(is_test), *results[0]["prediction"].shape[1:]), np.nan)
    for k, (fold, result) in enumerate(zip(folds, results, strict=False)):
        held_fold[fold.held_rows] = k
        prediction[fold.held_rows] = result["prediction"][: len(fold.held_rows)]
    test = np.empty((0, len(test_rows), *prediction.shape[1:]))
    if test_from in ("folds", "each"):
        of_test = np.stack(
            [
                result["prediction"][len(fold.held_rows) :]
                for fold, result in zip(folds, results, strict=True)
            ]
        )
        prediction[test_rows] = of_test.mean(axis=0)
        test = of_test if test_from == "each" else test
    if test_from == "refit":
        prediction[test_rows] = results[-1]["prediction"]
    return CrossFitted(prediction, held_fold, test, _sum_costs(results))


def _run_tasks(
    fit: Fit, tasks: Sequence[dict[str, Any]], keep: Keep, name: str
) -> list[dict[str, np.ndarray]]:
    """Load the fits that are kept, make the others, keep each as soon as it is there."""
    results = [keep.load(task) for task in tasks]
    missing = [k for k, result in enumerate(results) if result is None]
    n_done = len(tasks) - len(missing)
    _report(name, n_done, len(tasks))
    made = Parallel(return_as="generator_unordered")(
        delayed(_run_task)(fit, k, tasks[k]) for k in missing
    )
    for k, result in made:
        keep.write(tasks[k], result)
        results[k] = result
        n_done += 1
        _report(name, n_done, len(tasks))
    return [result for result in results if result is not None]


def _report(name: str, n_done: int, n_tasks: int) -> None:
    log.info(
        "%s: %d of %d fits", name, n_done, n_tasks, extra={"progress": (name, n_done, n_tasks)}
    )


def _run_task(fit: Fit, k: int, task: Mapping[str, Any]) -> tuple[int, dict[str, np.ndarray]]:
    start = time.perf_counter()
    fitted = fit(task["fit_rows"], task["seed"])
    prediction = np.asarray(fitted.predict(task["rows"]), dtype=np.float64)
    check_shape("prediction", prediction, (len(task["rows"]), *(None,) * (prediction.ndim - 1)))
    if not np.isfinite(prediction).all():
        raise ValueError(
            f"prediction must be finite, received {prediction[~np.isfinite(prediction)][0]}"
        )
    unit = 1024**2 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere
    return k, {
        "prediction": prediction,
        "seconds": np.array(time.perf_counter() - start),
        "peak_mib": np.array(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit),
        "n_parameters": np.array(fitted.n_parameters),
    }


def _sum_costs(results: Sequence[Mapping[str, np.ndarray]]) -> Cost:
    return Cost(
        seconds=float(sum(result["seconds"] for result in results)),
        peak_mib=float(max(result["peak_mib"] for result in results)),
        n_parameters=int(results[-1]["n_parameters"]),
    )
