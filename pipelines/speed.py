"""How fast the library is: the same work by ours and by well-known ones, on the same data."""

import importlib
import json
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from common.checks import InputError, check_choices
from common.data.folds import load_versions
from common.data.paths import Home, written_whole
from pipelines.manifests import FORMAT, load_git_facts, load_machine_facts
from pipelines.memory import PeakMemory
from pipelines.session import quiet_tensorflow

SUITES = ("neighbors", "pictures")
"""Races that are run and stored together: `speed_<suite>.py` lists them."""
OURS = "ours"
COLUMNS = ("work", "library", "seconds", "times ours", "MiB more at the peak")
SEEN_EVERY_S = 0.01


@dataclass(frozen=True)
class Race:
    """The same work, done by several libraries.

    Attributes:
        family: what is raced, "exact kNN" for example.
        detail: what else this race is of, its size above all, in words.
        rows: of the data, where a family is raced over sizes.
        make: makes the data and gives {library: its run, which returns the result}; ours is one.
        differ: (our result, another's) -> how they differ beyond rounding, or "".
        slow: libraries that are run once, since a run takes minutes.
        unit: what the rows are, where a table shall tell how many a second; "pictures" for example.
    """

    family: str
    detail: str
    rows: int
    make: Callable[[], Mapping[str, Callable[[], Any]]]
    differ: Callable[[Any, Any], str]
    slow: tuple[str, ...] = ()
    unit: str = ""

    @property
    def name(self) -> str:
        return f"{self.family}, {self.detail}"


def race_suites(
    names: Sequence[str], home: Home, console: Console, *, n_rounds: int, share: float
) -> None:
    """Run the races of some suites, or of all.

    Args:
        names: of `SUITES`; all where none is named.
        home: where results go: what is raced over all rows beside the submissions, a quick look
            below the work folder.
        console: what the user sees.
        n_rounds: >= 1.
        share: of all rows, in (0, 1].

    Raises:
        InputError: there is no such suite, or the results of two libraries differ.
    """
    names = tuple(names) or SUITES
    check_choices("speed", names, SUITES, error=InputError)
    work = home.work("speed")
    for name in names:
        suite = importlib.import_module(f"pipelines.speed_{name}")
        stored = home.submissions("speed", name) if share == 1 else work / name
        with quiet_tensorflow():
            race(
                suite.make_races(share=share),
                console,
                path=stored / "speed.json",
                picture=work / f"{name}.png",
                n_rounds=n_rounds,
                libraries=suite.LIBRARIES,
            )


def race(
    races: Sequence[Race],
    console: Console,
    *,
    path: Path,
    picture: Path,
    n_rounds: int,
    libraries: Sequence[str] = (),
) -> dict[str, Any]:
    """Run all races, and store, print and draw the result.

    A first run of every library, not timed, shows that results agree. Then rounds are interleaved,
    so that what else the machine does hits all alike, and medians are taken. Memory is taken in
    processes of their own. Nothing is stored before the last race has ended: a table is of one run
    of one code, whole, and a wrong result casts doubt on all of it.

    Args:
        races: what to run.
        console: what the user sees.
        path: where the table goes, as JSON.
        picture: where the picture goes.
        n_rounds: >= 1.
        libraries: packages whose version is noted beside those that figures depend on.

    Returns:
        The table: {"rows": [...], and facts on code and machine}.

    Raises:
        InputError: the results of two libraries differ.
    """
    git = load_git_facts()
    rows = []
    for one in races:
        with console.status(one.name):
            found = _run(one, n_rounds)
        rows += found
        for row in found:
            told = f"{one.name}: {row['library']} {row['seconds']:.3g} s"
            console.print(told, highlight=False, soft_wrap=True)
    table = {
        "format": FORMAT,
        "git": git,
        "rounds": n_rounds,
        "machine": load_machine_facts(),
        "versions": load_versions() | {name: version(name) for name in libraries},
        "rows": rows,
    }
    with written_whole(path) as partial:
        partial.write_text(json.dumps(table, indent=1) + "\n")
    shown = Table(*COLUMNS, title=f"median of {n_rounds} rounds")
    for row in rows:
        shown.add_row(*make_cells(row))
    console.print(shown)
    draw(table, picture)
    console.print(f"stored in {path}\ndrawn in {picture}", soft_wrap=True, highlight=False)
    return table


def _run(one: Race, n_rounds: int) -> list[dict[str, Any]]:
    runs = one.make()
    ours, first_s = _time(runs[OURS])
    seconds: dict[str, list[float]] = {library: [] for library in runs}
    for library, run in runs.items():
        result, taken_s = (ours, first_s) if library == OURS else _time(run)
        if library in one.slow:
            seconds[library].append(taken_s)
        if found := one.differ(ours, result):
            raise InputError(f"{one.name}: {library} gives another result: {found}")
    for _ in range(n_rounds):
        for library, run in runs.items():
            if library not in one.slow:
                seconds[library].append(_time(run)[1])
    base = float(np.median(seconds[OURS]))
    return [
        {
            "work": one.name,
            "family": one.family,
            "size": one.rows,
            "unit": one.unit,
            "library": library,
            "seconds": float(np.median(times)),
            "all_seconds": times,
            "times_ours": float(np.median(times)) / base,
            "memory_mib": _measure_memory(one, library),
        }
        for library, times in seconds.items()
    ]


def _time(run: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = run()
    return result, time.perf_counter() - start


def _measure_memory(one: Race, library: str) -> float:
    """Run in a new process, whose memory nothing else has used: MiB above what the data take."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return float(pool.apply(_run_watched, (one.make, library)))


def _run_watched(make: Callable[[], Mapping[str, Callable[[], Any]]], library: str) -> float:
    run = make()[library]
    with PeakMemory(every_s=SEEN_EVERY_S) as before:
        time.sleep(5 * SEEN_EVERY_S)
    with PeakMemory(every_s=SEEN_EVERY_S) as peak:
        run()
    return max(0.0, peak.mib - before.mib)


def make_cells(row: Mapping[str, Any]) -> list[str]:
    """Write one row of a table as text, in the order of COLUMNS."""
    return [
        row["work"],
        row["library"],
        _tell_seconds(row),
        f"{row['times_ours']:.2f}",
        f"{row['memory_mib']:,.0f}",
    ]


def make_line(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write all rows of one race in a line: work, our seconds and MiB, and what others take."""
    ours = next(row for row in rows if row["library"] == OURS)
    others = [
        f"{row['library']} {row['times_ours']:.2f} ({row['memory_mib']:,.0f})"
        for row in rows
        if row is not ours
    ]
    told = "; ".join(others) or "–"
    return [ours["work"], _tell_seconds(ours), f"{ours['memory_mib']:,.0f}", told]


def _tell_seconds(row: Mapping[str, Any]) -> str:
    unit = row.get("unit", "")
    a_second = f" ({row['size'] / row['seconds']:,.0f} {unit}/s)" if unit else ""
    return f"{row['seconds']:.3g}{a_second}"


def draw(table: Mapping[str, Any], path: Path) -> None:
    """Draw seconds, a panel for each family: over sizes as lines, or as bars where one size is all
    there is. A library has one colour in all panels.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    families = list(dict.fromkeys(row["family"] for row in table["rows"]))
    libraries = list(dict.fromkeys(row["library"] for row in table["rows"]))
    colours = {library: f"C{k}" for k, library in enumerate(libraries)}
    figure = Figure(figsize=(5 * len(families), 4.5), layout="constrained")
    panels = figure.subplots(1, len(families), squeeze=False)[0]
    for axes, family in zip(panels, families, strict=True):
        rows = [row for row in table["rows"] if row["family"] == family]
        if len({row["size"] for row in rows}) > 1:
            _draw_lines(axes, rows, colours)
        else:
            _draw_bars(axes, rows, colours)
        axes.set_title(family)
        axes.grid(alpha=0.3)
    handles = [Patch(color=colours[library], label=library) for library in libraries]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(libraries))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _draw_lines(axes: Any, rows: Sequence[Mapping[str, Any]], colours: Mapping[str, str]) -> None:
    for library in dict.fromkeys(row["library"] for row in rows):
        line = sorted((row["size"], row["seconds"]) for row in rows if row["library"] == library)
        axes.loglog(*zip(*line, strict=True), "o-", color=colours[library])
    axes.set(xlabel=rows[0]["unit"] or "rows", ylabel="seconds")


def _draw_bars(axes: Any, rows: Sequence[Mapping[str, Any]], colours: Mapping[str, str]) -> None:
    """One bar for each run, over it a line from its fastest round to its slowest."""
    works = list(dict.fromkeys(row["work"] for row in rows))
    places = [k + works.index(row["work"]) for k, row in enumerate(rows)]
    seconds = np.array([row["seconds"] for row in rows])
    ends = np.array([(min(row["all_seconds"]), max(row["all_seconds"])) for row in rows])
    axes.barh(
        places,
        seconds,
        xerr=np.abs(ends - seconds[:, None]).T,
        color=[colours[row["library"]] for row in rows],
    )
    axes.set_yticks([])
    first = {row["work"]: place for place, row in zip(places[::-1], rows[::-1], strict=True)}
    for work, place in first.items():
        told = work.removeprefix(f"{rows[0]['family']}, ")
        axes.text(0, place - 0.5, told, va="bottom", fontsize=8)
    axes.set_ylim(max(places) + 0.6, -1.1)
    axes.set_xlabel("seconds")
