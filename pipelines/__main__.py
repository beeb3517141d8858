"""The commands: python -m pipelines <command>."""

import errno
import os
import sys

if sys.version_info[:2] != (3, 11):
    found = ".".join(map(str, sys.version_info[:3]))
    print(
        f"error: Python 3.11 is wanted, this is {found}: "
        "use .venv/bin/python, which `make setup` makes",
        file=sys.stderr,
    )
    sys.exit(2)

from pathlib import Path
from typing import Annotated

try:
    import typer
    from rich.console import Console
except ModuleNotFoundError as missing:
    print(
        f"error: the package {missing.name} is missing: "
        "run `make setup`, then use .venv/bin/python",
        file=sys.stderr,
    )
    sys.exit(2)

from common.checks import InputError
from common.data.paths import load_home

app = typer.Typer(
    help="Complete, rerunnable solutions to Kaggle competitions.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
console = Console()
Name = Annotated[str, typer.Argument(help="The competition; `list` names them.")]
Kind = Annotated[str | None, typer.Option("--data", help="kaggle, holdout, open or sample.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="field=value of the config.")]
Jobs = Annotated[
    int | None, typer.Option(min=1, help="Fits side by side [default: cores / threads].")
]


@app.command("list")
def list_() -> None:
    """Show every competition, its techniques, data at hand and tracked score."""
    from pipelines.tables import show_list

    show_list(load_home(), console)


@app.command()
def doctor() -> None:
    """Say what is missing on this machine and how to get it."""
    from pipelines.doctor import show

    if not show(load_home(), console):
        raise typer.Exit(1)


@app.command()
def download(
    name: Name,
    file: Annotated[str | None, typer.Option(help="Only this file.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Fetch again what is here.")] = False,
) -> None:
    """Download a competition's files with the kaggle CLI."""
    from pipelines import fetch
    from pipelines.catalog import load_competition

    fetch.download(load_competition(name), load_home(), console, file=file, replace=replace)


@app.command("import")
def import_(
    name: Name,
    path: Annotated[Path, typer.Argument(help="A zip or a folder.")],
    kind: Annotated[str, typer.Option("--as", help="kaggle or holdout.")] = "kaggle",
    replace: Annotated[
        bool, typer.Option("--replace", help="Files may differ from those here.")
    ] = False,
) -> None:
    """Take in files that are on this machine already."""
    from pipelines import fetch
    from pipelines.catalog import load_competition

    fetch.import_(load_competition(name), load_home(), console, path, kind=kind, replace=replace)


@app.command("open")
def open_(name: Name) -> None:
    """Make the competition's files from real open data."""
    from pipelines import fetch
    from pipelines.catalog import load_competition

    fetch.open_(load_competition(name), load_home(), console)


@app.command()
def holdout(
    name: Name,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also in the place of an imported cut.")
    ] = False,
) -> None:
    """Cut a test set with known answers out of Kaggle's train files."""
    from pipelines import fetch
    from pipelines.catalog import load_competition

    fetch.holdout(load_competition(name), load_home(), console, replace=replace)


@app.command()
def sample(
    name: Name,
    rows: Annotated[int | None, typer.Option(min=1, help="About how many train rows.")] = None,
    signal: Annotated[bool, typer.Option(help="Whether there is anything to learn.")] = True,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Make up data of any size in the competition's form."""
    from pipelines import fetch
    from pipelines.catalog import load_competition

    fetch.sample(load_competition(name), load_home(), console, rows=rows, signal=signal, seed=seed)


@app.command()
def run(
    name: Name,
    variant: Annotated[str | None, typer.Argument(help="[default: the competition's]")] = None,
    data: Kind = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    set_: Settings = None,
    jobs: Jobs = None,
    pictures: Annotated[bool, typer.Option("--pictures", help="Also draw.")] = False,
    work: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run one variant: from raw files to a checked submission."""
    from pipelines import run as pipeline
    from pipelines.catalog import load_competition

    competition, home = load_competition(name), load_home()
    kind = pipeline.choose_kind(competition, home, data)
    request = pipeline.Request(
        competition,
        variant or competition.facts.DEFAULT,
        kind,
        seed,
        _split_settings(set_ or []),
        jobs,
    )
    pipeline.run(request, home, console, work=work, pictures=pictures)


@app.command()
def bench(
    name: Name,
    variants: Annotated[list[str] | None, typer.Argument(help="[default: all]")] = None,
    data: Kind = None,
    seeds: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Compare variants over seeds: one table, one picture."""
    from pipelines import bench as benchmark
    from pipelines.catalog import load_competition
    from pipelines.run import choose_kind

    competition, home = load_competition(name), load_home()
    kind = choose_kind(competition, home, data)
    benchmark.bench(competition, home, console, variants=variants or (), kind=kind, n_seeds=seeds)


@app.command()
def growth(
    name: Name,
    variant: Annotated[str | None, typer.Argument(help="[default: the competition's]")] = None,
    rows: Annotated[
        str, typer.Option(help="Sizes of made-up data, in train rows.")
    ] = "1000,10000,100000",
    set_: Settings = None,
) -> None:
    """Measure how seconds and memory grow, on made-up data."""
    from pipelines.catalog import load_competition
    from pipelines.growth import grow

    competition = load_competition(name)
    try:
        sizes = [int(size) for size in rows.split(",")]
    except ValueError:
        raise InputError(f"--rows must be numbers like 1000,10000, received {rows}") from None
    chosen = variant or competition.facts.DEFAULT
    settings = _split_settings(set_ or [])
    grow(competition, load_home(), console, variant=chosen, sizes=sizes, settings=settings)


@app.command()
def reproduce(
    manifest: Annotated[Path, typer.Argument(help="A JSON file that `run` wrote.")],
    anyway: Annotated[bool, typer.Option("--anyway", help="Even if raw files differ.")] = False,
    jobs: Jobs = None,
) -> None:
    """Make a manifest's submission again from nothing and compare."""
    from pipelines.reproduce import reproduce as again

    if not again(manifest, load_home(), console, anyway=anyway, jobs=jobs):
        raise typer.Exit(1)


@app.command()
def submit(
    manifest: Annotated[Path, typer.Argument(help="A JSON file that `run` wrote.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check, do not send.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Send even if it was sent before.")
    ] = False,
) -> None:
    """Check a submission, send it, wait for its score and keep that in the manifest."""
    from pipelines.submit import submit as send

    send(manifest, load_home(), console, dry_run=dry_run, again=again)


@app.command()
def speed(
    suites: Annotated[
        list[str] | None, typer.Argument(help="neighbors, pictures [default: all]")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    share: Annotated[
        float, typer.Option(min=0.0001, max=1.0, help="Of all rows: less for a quick look.")
    ] = 1.0,
) -> None:
    """Race neighbours, clusters and pictures against well-known libraries."""
    # Idle threads of another library's OpenMP would take the cores from ours, or ours from its.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from pipelines.speed import race_suites

    race_suites(suites or (), load_home(), console, n_rounds=rounds, share=share)


@app.command()
def tables() -> None:
    """Write the measured tables of the READMEs from tracked manifests."""
    from pipelines.tables import write_tables

    write_tables(console)


def _split_settings(settings: list[str]) -> tuple[tuple[str, str], ...]:
    for setting in settings:
        if "=" not in setting:
            raise InputError(f"--set wants field=value, received {setting}")
    return tuple((field, value) for field, _, value in (text.partition("=") for text in settings))


def main() -> None:
    """Run a command; whatever the user can put right ends as one line and exit code 2."""
    try:
        app()
    except InputError as error:
        _end(str(error), 2)
    except (KeyboardInterrupt, SystemExit) as end:
        # Typer turns Ctrl-C into an exit with 130 and says nothing.
        if isinstance(end, SystemExit) and end.code != 130:
            raise
        _end("stopped; finished fits are kept, the same command goes on from there", 130)
    except ModuleNotFoundError as missing:
        if str(missing.name).partition(".")[0] in ("common", "competitions", "pipelines"):
            raise
        _end(
            f"the package {missing.name} is missing: run `make setup`, then use .venv/bin/python", 2
        )
    except OSError as error:
        advice = {
            errno.ENOSPC: "the disk is full: free some space and run the same command again",
            errno.EDQUOT: "the disk quota is used up: free some space and run the same command",
            errno.EROFS: "the folder is read-only: set PIPELINES_HOME to one that can be written",
            errno.EACCES: "no permission: set PIPELINES_HOME to a folder that can be written",
            errno.EPERM: "no permission: set PIPELINES_HOME to a folder that can be written",
        }
        if error.errno not in advice:
            raise
        _end(f"{error.filename or load_home().root}: {advice[error.errno]}", 2)


def _end(line: str, code: int) -> None:
    print(f"error: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
