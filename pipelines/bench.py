"""Variants x seeds: one table, one picture, with honest differences."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from common.checks import InputError
from common.contract import Metric, OutOfFold
from common.data.paths import Home, written_whole
from common.validation.significance import holm, nadeau_bengio, paired_difference
from pipelines.catalog import Competition, choose_config
from pipelines.children import run_child
from pipelines.manifests import FORMAT, load_manifest
from pipelines.run import Request

COLUMNS = (
    ("variant", "variant"),
    ("rows", "held rows"),
    ("score", "out of fold"),
    ("true", "true score"),
    ("difference", "difference to parent (95 %)"),
    ("p_groups", "p (groups)"),
    ("p_folds", "p (folds)"),
    ("folds_won", "folds won"),
    ("seconds", "fit seconds"),
    ("memory", "peak MiB"),
    ("parameters", "parameters"),
)

WIDE = 200  # characters that the whole table takes


@dataclass(frozen=True)
class Benched:
    """All seeds of one variant: manifests, held-out rows by id, fit rows of each fold."""

    variant: str
    manifests: tuple[dict[str, Any], ...]
    oofs: tuple[OutOfFold, ...]
    n_fit: tuple[np.ndarray, ...]

    def join(self) -> OutOfFold:
        """Lay all seeds' rows one after another; a group is drawn with all its seeds."""
        parts = {
            key: np.concatenate([getattr(oof, key) for oof in self.oofs])
            for key in ("fold", "group", "target", "prediction")
        }
        ids = [np.char.add(oof.ids, f" seed {seed}") for seed, oof in enumerate(self.oofs)]
        return OutOfFold(ids=np.concatenate(ids), **parts)


def bench(
    competition: Competition,
    home: Home,
    console: Console,
    *,
    variants: Sequence[str],
    kind: str,
    n_seeds: int,
) -> dict[str, Any]:
    """Run variants with several seeds, compare each with its parent, and store, print and draw the
    result.

    Every run is a process of its own, with one fold after another, so that seconds and memory are
    its own. Runs that share fits (a blend and its members) share them through the FoldStore, with
    the seconds that they took.

    Args:
        competition: which.
        home: where results go.
        console: what the user sees.
        variants: which; all where none is named.
        kind: of data.
        n_seeds: seeds 0 … n_seeds - 1.

    Returns:
        What is stored in `bench.json`: the table's rows, with everything that they were made from.

    Raises:
        InputError: an unknown variant, or a run failed; its own message is passed on.
    """
    facts = competition.facts
    variants = tuple(dict.fromkeys(variants)) or tuple(facts.VARIANTS)
    for variant in variants:
        choose_config(competition, variant, {})
    benched = {
        variant: _run_seeds(competition, home, console, variant, kind, n_seeds)
        for variant in variants
    }
    table = {
        "format": FORMAT,
        "competition": competition.name,
        "kind": kind,
        "metric": facts.METRIC.name,
        "seeds": n_seeds,
        **_load_common_facts([one for each in benched.values() for one in each.manifests]),
        "rows": _compare(competition, benched),
    }
    path = home.submissions(competition.name, kind) / "bench.json"
    with written_whole(path) as partial:
        partial.write_text(json.dumps(table, indent=1) + "\n")
    print_bench(table, console)
    picture = home.work(competition.name) / "pictures" / kind / "bench.png"
    _draw(table, facts.METRIC.lower_is_better, picture)
    console.print(f"stored in {path}\ndrawn in {picture}", soft_wrap=True, highlight=False)
    return table


def _load_common_facts(manifests: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Take what all runs must have in common to be compared.

    Raises:
        InputError: source or data changed between two runs.
    """
    for fact in ("code", "raw"):
        if len({json.dumps(manifest[fact]) for manifest in manifests}) > 1:
            raise InputError(f"{fact} changed between two runs of the bench: run it again")
    first = manifests[0]
    return {"git": first["git"], "code": first["code"], "raw": first["raw"]["digest"]} | {
        "machine": first["machine"]
    }


def _run_seeds(
    competition: Competition, home: Home, console: Console, variant: str, kind: str, n_seeds: int
) -> Benched:
    manifests, oofs, n_fit = [], [], []
    for seed in range(n_seeds):
        request = Request(competition, variant, kind, seed=seed)
        with console.status(f"running {variant} seed {seed}"):
            manifests.append(_run_child(request, home))
        score, cost = manifests[-1]["score"], manifests[-1]["run"]
        console.print(
            f"{variant} seed {seed}: {score['metric']} {score['out_of_fold']:.5f}, "
            f"{cost['fit_seconds']:.0f} s of fits",
            highlight=False,
        )
        with np.load(home.oof(competition.name, kind, request.stem)) as file:
            rows = dict(file)
        n_fit.append(rows.pop("n_fit"))
        order = np.argsort(rows["ids"])
        oofs.append(OutOfFold(**{key: array[order] for key, array in rows.items()}))
    return Benched(variant, tuple(manifests), tuple(oofs), tuple(n_fit))


def _run_child(request: Request, home: Home) -> dict[str, Any]:
    words = [request.competition.name, request.variant, "--data", request.kind]
    # A work folder of its own: fits that a run kept while another was beside it took longer.
    words += ["--seed", str(request.seed), "--jobs", "1"]
    words += ["--work", str(home.work(request.competition.name) / "bench")]
    run_child(["run", *words], home)
    folder = home.submissions(request.competition.name, request.kind)
    return load_manifest(folder / f"{request.stem}.json")


def _compare(competition: Competition, benched: dict[str, Benched]) -> list[dict[str, Any]]:
    """Make the table's rows: ranked variants from the best down, then the diagnostics."""
    facts = competition.facts
    rows = [_make_row(facts, benched, one) for one in benched.values()]
    for key in ("p_groups", "p_folds"):
        compared = [row for row in rows if row[key] is not None and not row["diagnostic"]]
        for row, p in zip(compared, holm(np.array([row[key] for row in compared])), strict=True):
            row[key] = float(p)
    sign = 1 if facts.METRIC.lower_is_better else -1
    return sorted(rows, key=lambda row: (row["diagnostic"], sign * row["score"]))


def _make_row(facts: Any, benched: dict[str, Benched], one: Benched) -> dict[str, Any]:
    scores = [manifest["score"] for manifest in one.manifests]
    truths = [score["true"] for score in scores]
    row: dict[str, Any] = {
        "variant": one.variant,
        "diagnostic": one.variant in facts.DIAGNOSTICS,
        "parent": facts.PARENT.get(one.variant),
        "rows": len(one.oofs[0].ids),
        "score": float(np.mean([score["out_of_fold"] for score in scores])),
        "scores": [score["out_of_fold"] for score in scores],
        "interval": np.mean([score["interval"] for score in scores], axis=0).tolist(),
        "true": None if None in truths else float(np.mean(truths)),
        "seconds": float(np.mean([manifest["run"]["fit_seconds"] for manifest in one.manifests])),
        "memory": max(manifest["run"]["peak_memory_mib"] for manifest in one.manifests),
        "parameters": one.manifests[0]["run"]["n_parameters"],
        "difference": None,
        "p_groups": None,
        "p_folds": None,
        "folds_won": None,
    }
    parent = benched.get(row["parent"])
    if parent is None or not np.array_equal(parent.oofs[0].ids, one.oofs[0].ids):
        return row
    pooled = paired_difference(one.join(), parent.join(), facts.METRIC, seed=0)
    by_fold, test_over_train = _compare_folds(one, parent, facts.METRIC)
    better = by_fold < 0 if facts.METRIC.lower_is_better else by_fold > 0
    return row | {
        "difference": [float(pooled.value), float(pooled.low), float(pooled.high)],
        "p_groups": float(pooled.p),
        "p_folds": nadeau_bengio(by_fold, test_over_train=test_over_train).p,
        "folds_won": f"{int(better.sum())} of {len(better)}",
    }


def _compare_folds(one: Benched, parent: Benched, metric: Metric) -> tuple[np.ndarray, float]:
    """Score both on the parent's folds.

    Returns:
        Differences, one per fold: seeds that do not redraw the folds are averaged, others bring
        folds of their own. Held over fit rows, the mean.
    """
    differences, shares = [], []
    for a, b, n_fit in zip(one.oofs, parent.oofs, parent.n_fit, strict=True):
        a_scores = replace(a, fold=b.fold).score_folds(metric)
        differences.append(np.subtract(a_scores, b.score_folds(metric)))
        shares.append(np.mean(np.unique(b.fold, return_counts=True)[1] / n_fit))
    is_redrawn = any(not np.array_equal(b.fold, parent.oofs[0].fold) for b in parent.oofs)
    by_fold = np.concatenate(differences) if is_redrawn else np.mean(differences, axis=0)
    return by_fold, float(np.mean(shares))


def make_cells(row: dict[str, Any]) -> list[str]:
    """Write one row of a bench table as text, in the order of COLUMNS."""
    difference = "–"
    if row["difference"]:
        value, low, high = row["difference"]
        difference = f"{value:+.4f} ({low:+.4f} to {high:+.4f}) against {row['parent']}"
    return [
        row["variant"] + (" (diagnostic)" if row["diagnostic"] else ""),
        f"{row['rows']:,}",
        f"{row['score']:.4f}",
        "–" if row["true"] is None else f"{row['true']:.4f}",
        difference,
        *(_describe_p(row[key]) for key in ("p_groups", "p_folds")),
        row["folds_won"] or "–",
        f"{row['seconds']:.0f}",
        f"{row['memory']:,}",
        f"{row['parameters']:,}",
    ]


def _describe_p(p: float | None) -> str:
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def print_bench(table: dict[str, Any], console: Console) -> None:
    """Print a stored bench table, as much of it as the screen is wide for."""
    n_seeds = f"{table['seeds']} seed{'s' if table['seeds'] > 1 else ''}"
    shown = Table(title=f"{table['competition']} · {table['metric']} · {table['kind']} · {n_seeds}")
    narrow = {"variant", "score", "difference", "p_groups", "seconds"}
    columns = [key for key, _ in COLUMNS if console.width >= WIDE or key in narrow]
    for key, heading in COLUMNS:
        if key in columns:
            shown.add_column(
                heading, justify="left" if key in ("variant", "difference") else "right"
            )
    for row in table["rows"]:
        cells = dict(zip((key for key, _ in COLUMNS), make_cells(row), strict=True))
        shown.add_row(*(cells[key] for key in columns))
    console.print(shown)


def _draw(table: dict[str, Any], lower_is_better: bool, path: Path) -> None:
    """Draw every variant's score with its interval, and the true score where it is known."""
    from matplotlib.figure import Figure

    rows = table["rows"][::-1]
    figure = Figure(figsize=(8, 0.5 * len(rows) + 1.5), layout="constrained")
    axes = figure.subplots()
    for y, row in enumerate(rows):
        low, high = row["interval"]
        axes.plot([low, high], [y, y], color="tab:gray" if row["diagnostic"] else "tab:blue", lw=2)
        axes.plot(row["scores"], [y] * len(row["scores"]), "o", color="black", ms=4)
        if row["true"] is not None:
            axes.plot(row["true"], y, "D", color="tab:red", ms=6)
    axes.plot([], [], "o", color="black", label="out of fold, each seed")
    axes.plot([], [], "-", color="tab:blue", label="95 % interval for the test")
    if any(row["true"] is not None for row in rows):
        axes.plot([], [], "D", color="tab:red", label="true score")
    axes.set_yticks(range(len(rows)), [row["variant"] for row in rows])
    axes.set_xlabel(f"{table['metric']} ({'lower' if lower_is_better else 'higher'} is better)")
    axes.set_title(f"{table['competition']}, data: {table['kind']}")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="best", fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
