"""What a run says at its end, and the pictures that a competition draws of it."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from common.contract import Outcome
from common.data.paths import written_folder
from pipelines.catalog import Competition
from pipelines.leaderboard import describe_place
from pipelines.session import locked

KIND_NOTES = {
    "kaggle": "Kaggle's own files",
    "holdout": "a test set cut from Kaggle's train files",
    "open": "real open data",
    "sample": "made up",
}


def print_report(facts: Any, manifest: dict[str, Any], folder: Path, console: Console) -> None:
    """Print scores, place, files and cost of a run.

    Args:
        facts: the competition's facts.
        manifest: of the run.
        folder: where its CSV lies.
        console: what the user sees.
    """
    score, cost, kind = manifest["score"], manifest["run"], manifest["kind"]
    better = "lower" if facts.METRIC.lower_is_better else "higher"
    low, high = score["interval"]
    name = score["metric"]
    lines = [
        (f"{name}, out of fold", f"[bold]{score['out_of_fold']:.5f}[/]  ({better} is better)"),
        ("folds", "  ".join(f"{fold:.5f}" for fold in score["folds"])),
        ("expected on the test", f"{score['expected']:.5f}, 95 % interval {low:.5f} to {high:.5f}"),
    ]
    lines += [("", f"[yellow]{describe_thin(thin)}[/]") for thin in score["thin"]]
    if score["true"] is not None:
        where = "inside" if low <= score["true"] <= high else "outside"
        lines.append((f"{name}, true", f"[bold]{score['true']:.5f}[/]  ({where} the interval)"))
    if facts.LEADERBOARD is not None:
        of = "expected" if score["true"] is None else "true"
        place = (
            f"by its {of} score, {describe_place(facts.LEADERBOARD, facts.METRIC, score[of])}"
            if kind == "kaggle"
            else f"not comparable: the test rows are not Kaggle's ({KIND_NOTES[kind]})"
        )
        lines.append(("leaderboard", place))
    path = folder / manifest["submission"]["file"]
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    n_rows, gib = manifest["submission"]["rows"], cost["peak_memory_mib"] / 1024
    lines.append(("submission", f"{escape(str(shown))} ({n_rows:,} rows, checked)"))
    lines.append(("took", f"{cost['seconds']:.0f} s, {gib:.1f} GiB at most"))
    for head, text in lines:
        console.print(f"  {head:<23}{text}", soft_wrap=True, highlight=False)


def describe_thin(thin: dict[str, Any]) -> str:
    """Say what the interval cannot answer for."""
    return (
        f'{thin["n_test"]} of the test\'s groups are "{thin["stratum"]}", {thin["n_held"]} such '
        "were held out: the interval does not cover what they may bring"
    )


def draw_pictures(
    competition: Competition, outcome: Outcome, raw: Path, out: Path, console: Console
) -> None:
    """Let the competition draw into the work folder: pictures may show Kaggle's data."""
    with locked(out.parent, console), written_folder(out) as new:
        competition.load("pipeline").draw(outcome, raw, new)
    for path in sorted(out.iterdir()):
        console.print(f"  {'picture':<23}{escape(str(path))}", soft_wrap=True, highlight=False)
