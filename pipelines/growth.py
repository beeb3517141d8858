"""How a competition's road grows: the same variant on made-up data of several sizes."""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from common.checks import InputError
from common.data.paths import Home, written_whole
from pipelines.catalog import Competition, choose_config
from pipelines.children import run_child
from pipelines.manifests import FORMAT, load_manifest

FILE = "growth.json"


def grow(
    competition: Competition,
    home: Home,
    console: Console,
    *,
    variant: str,
    sizes: Sequence[int],
    settings: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """Make a sample of each size, run a variant on it, and store and print what that took.

    Samples and results lie in a home of their own, which is deleted: nothing of the user's is
    touched, and scores, which mean nothing here, are not kept.

    Args:
        competition: which.
        home: where the table goes.
        console: what the user sees.
        variant: which.
        sizes: train rows, each > 0.
        settings: (field, value as typed) laid over the variant's config.

    Returns:
        What is stored in `growth.json`.

    Raises:
        InputError: an unknown variant or field, or a command failed.
    """
    choose_config(competition, variant, dict(settings))
    if not sizes or min(sizes) < 1:
        raise InputError(f"--rows must be numbers > 0, received {', '.join(map(str, sizes))}")
    manifests = {}
    for size in sorted(set(sizes)):
        with console.status(f"{variant} on {size:,} rows"):
            manifests[size] = _run(competition, home, variant, size, settings)
        took = manifests[size]["run"]
        console.print(
            f"{size:,} rows: {took['seconds']:.0f} s, {took['peak_memory_mib']:,} MiB",
            highlight=False,
        )
    first = next(iter(manifests.values()))
    table = {
        "format": FORMAT,
        "competition": competition.name,
        "variant": variant,
        **{key: first[key] for key in ("git", "code", "config", "machine", "versions")},
        "rows": [_make_row(size, manifest) for size, manifest in manifests.items()],
    }
    path = home.submissions(competition.name, "sample") / FILE
    with written_whole(path) as partial:
        partial.write_text(json.dumps(table, indent=1) + "\n")
    columns, rows = make_cells(table)
    shown = Table(*columns, title=f"{competition.name} {variant}")
    for row in rows:
        shown.add_row(*row)
    console.print(shown)
    console.print(f"stored in {path}", soft_wrap=True, highlight=False)
    return table


def _run(
    competition: Competition,
    home: Home,
    variant: str,
    size: int,
    settings: Sequence[tuple[str, str]],
) -> dict[str, Any]:
    work = home.work(competition.name)
    work.mkdir(parents=True, exist_ok=True)
    own = Home(Path(tempfile.mkdtemp(prefix="growth", dir=work)))
    try:
        # What `make setup` fetched serves here too.
        own.packages.parent.mkdir(parents=True)
        own.packages.symlink_to(home.packages)
        run_child(["sample", competition.name, "--rows", str(size)], own)
        words = ["run", competition.name, variant, "--data", "sample", "--jobs", "1"]
        words += [word for field, value in settings for word in ("--set", f"{field}={value}")]
        run_child(words, own)
        (path,) = own.submissions(competition.name, "sample").glob("*.json")
        manifest = load_manifest(path)
        raw = own.raw(competition.name, "sample")
        sizes = [path.stat().st_size for path in raw.rglob("*") if path.is_file()]
        return manifest | {"raw_mib": sum(sizes) / 2**20}
    finally:
        shutil.rmtree(own.root)


def _make_row(size: int, manifest: Mapping[str, Any]) -> dict[str, Any]:
    took = manifest["run"]
    return {
        "rows": size,
        "raw_mib": round(manifest["raw_mib"], 1),
        **{key: took[key] for key in ("stages", "seconds", "peak_memory_mib")},
    }


def make_cells(table: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Write a stored table as text: its columns, with one for each stage, and its rows."""
    stages = list(dict.fromkeys(stage for row in table["rows"] for stage in row["stages"]))
    columns = ["rows", "raw MiB", *(f"{stage}, s" for stage in stages), "all, s", "peak MiB"]
    rows = [
        [
            f"{row['rows']:,}",
            f"{row['raw_mib']:,.1f}",
            *(f"{row['stages'].get(stage, 0):.1f}" for stage in stages),
            f"{row['seconds']:.1f}",
            f"{row['peak_memory_mib']:,}",
        ]
        for row in table["rows"]
    ]
    return columns, rows
