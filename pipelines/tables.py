"""The measured tables of the READMEs, from tracked manifests into their markers; and `list`."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from common.checks import InputError
from common.data.paths import KINDS, Home, written_whole
from pipelines.catalog import Competition, load_competition, load_names
from pipelines.manifests import CODE, load_tracked_manifests

MARKED = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- /table -->)", re.DOTALL)
SPEED = "speed.json"
RANKED_KINDS = tuple(kind for kind in KINDS if kind != "sample")
Manifests = Mapping[Path, dict[str, Any]]


def make_pages() -> dict[Path, str]:
    """Make every README anew with the tables that the tracked manifests give.

    Returns:
        {path of a README with markers: its whole text}.

    Raises:
        InputError: a marker names no table.
    """
    manifests = load_tracked_manifests(CODE)
    pages = {}
    for path in (CODE / "README.md", *sorted(CODE.glob("competitions/*/README.md"))):
        name = path.parent.name

        def fill(match: re.Match[str], path: Path = path, name: str = name) -> str:
            return match[1] + _make_table(match[2], name, manifests, path) + match[3]

        pages[path] = MARKED.sub(fill, path.read_text())
    return pages


def write_tables(console: Console) -> None:
    """Write the READMEs whose tables changed."""
    for path, text in make_pages().items():
        changed = path.read_text() != text
        if changed:
            with written_whole(path) as partial:
                partial.write_text(text)
        console.print(
            f"{path.relative_to(CODE)}: {'written' if changed else 'up to date'}", highlight=False
        )


def show_list(home: Home, console: Console) -> None:
    """Print every competition: data at hand, the default's tracked score, medal cuts."""
    manifests = load_tracked_manifests(CODE)
    shown = Table("competition", "data here", "tracked score", "medals")
    for column in shown.columns[1:]:
        column.no_wrap = True
    shown.columns[0].min_width = max(map(len, load_names()))
    for name in load_names():
        competition = load_competition(name)
        facts = competition.facts
        at_hand = [kind for kind in KINDS if home.raw(name, kind).is_dir()]
        scores = [
            f"{kind} {_describe_best_known(manifest['score'])}"
            for kind, manifest in _find_default(competition, manifests).items()
        ]
        board = facts.LEADERBOARD
        shown.add_row(
            f"{name}\n[dim]{', '.join(facts.TECHNIQUES)}[/]",
            "\n".join(at_hand) or "none",
            "\n".join([facts.DEFAULT, *(scores or ["none"])]),
            f"gold {board.gold}\nsilver {board.silver}\nbronze {board.bronze}" if board else "–",
        )
    console.print(shown)


def _make_table(table: str, name: str, manifests: Manifests, path: Path) -> str:
    if table == "competitions":
        return _make_competitions(manifests)
    kind, _, what = table.partition("-")
    if kind == "speed" and what:
        return _make_speed(manifests, what)
    competition = load_competition(name)
    if kind in RANKED_KINDS and what == "variants":
        return _make_variants(competition, kind, manifests)
    if kind in RANKED_KINDS and what == "bench":
        return _make_bench(name, kind, manifests)
    if table == "growth":
        return _make_growth(name, manifests)
    raise InputError(
        f"{path}: a marker must be competitions, speed-SUITE, growth, KIND-variants or "
        f"KIND-bench, received {table}"
    )


def _make_competitions(manifests: Manifests) -> str:
    rows = []
    for name in load_names():
        competition = load_competition(name)
        facts = competition.facts
        about = [f"[{competition.title}](competitions/{name})", ", ".join(facts.TECHNIQUES)]
        for kind, manifest in _find_default(competition, manifests).items():
            score = manifest["score"]
            rows.append(
                [
                    *about,
                    f"`{facts.DEFAULT}`",
                    kind,
                    f"{score['metric']} {score['out_of_fold']:.4f}",
                    _describe_expected(score),
                    "–" if score["true"] is None else f"{score['true']:.4f}",
                    _describe_cuts(facts) if kind == "kaggle" else "not comparable",
                ]
            )
            about = ["", ""]
    heads = [
        "competition",
        "techniques",
        "variant",
        "data",
        "out of fold",
        "expected on the test (95 %)",
        "true score",
    ]
    return _write_markdown([*heads, "gold / silver / bronze"], rows)


def _make_speed(manifests: Manifests, suite: str) -> str:
    """A line for each race of a suite: ours, and how many times as long others take."""
    from pipelines.speed import make_line

    races: dict[str, list[dict[str, Any]]] = {}
    for path, table in manifests.items():
        if path.name == SPEED and path.parent.name == suite:
            for row in table["rows"]:
                races.setdefault(row["work"], []).append(row)
    heads = ["work", "ours: seconds", "MiB", "others: times our seconds (MiB)"]
    return _write_markdown(heads, [make_line(rows) for rows in races.values()])


def _make_variants(competition: Competition, kind: str, manifests: Manifests) -> str:
    """One line per variant, seed 0, in the order of VARIANTS."""
    facts, rows = competition.facts, []
    for variant in facts.VARIANTS:
        manifest = _find(manifests, competition.name, kind, variant)
        if manifest is None:
            continue
        score, cost = manifest["score"], manifest["run"]
        rows.append(
            [
                f"`{variant}`" + (" (diagnostic)" if variant in facts.DIAGNOSTICS else ""),
                f"{score['out_of_fold']:.4f}",
                _describe_expected(score),
                "–" if score["true"] is None else f"{score['true']:.4f}",
                f"{cost['fit_seconds']:.0f}",
                f"{cost['peak_memory_mib']:,}",
                f"{cost['n_parameters']:,}",
            ]
        )
    heads = [
        "variant",
        f"{facts.METRIC.name}, out of fold",
        "expected on the test (95 %)",
        "true score",
    ]
    return _write_markdown([*heads, "fit seconds", "peak MiB", "parameters"], rows)


def _make_bench(name: str, kind: str, manifests: Manifests) -> str:
    from pipelines.bench import COLUMNS, make_cells

    tables = [
        manifest
        for path, manifest in manifests.items()
        if path.name == "bench.json" and (manifest["competition"], manifest["kind"]) == (name, kind)
    ]
    return _write_markdown(
        [heading for _, heading in COLUMNS],
        [make_cells(row) for table in tables for row in table["rows"]],
    )


def _make_growth(name: str, manifests: Manifests) -> str:
    from pipelines import growth

    path = Path("submissions") / name / "sample" / growth.FILE
    if path not in manifests:
        return _write_markdown([], [])
    return _write_markdown(*growth.make_cells(manifests[path]))


def _find_default(competition: Competition, manifests: Manifests) -> dict[str, dict[str, Any]]:
    found = {
        kind: _find(manifests, competition.name, kind, competition.facts.DEFAULT)
        for kind in RANKED_KINDS
    }
    return {kind: manifest for kind, manifest in found.items() if manifest is not None}


def _find(manifests: Manifests, name: str, kind: str, variant: str) -> dict[str, Any] | None:
    wanted = Path("submissions") / name / kind / f"{variant}-seed0.json"
    return manifests.get(wanted)


def _describe_best_known(score: dict[str, Any]) -> str:
    of = "expected" if score["true"] is None else "true"
    return f"{score[of]:.4f} {of}"


def _describe_expected(score: dict[str, Any]) -> str:
    low, high = score["interval"]
    return f"{score['expected']:.3f} ({low:.3f} to {high:.3f})"


def _describe_cuts(facts: Any) -> str:
    board = facts.LEADERBOARD
    return "–" if board is None else f"{board.gold:g} / {board.silver:g} / {board.bronze:g}"


def _write_markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "No tracked run yet.\n"
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
