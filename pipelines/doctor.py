"""What is missing on this machine, and how to get it."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement
from rich.console import Console
from rich.table import Table

from common.checks import InputError
from common.data.kaggle import check_credentials
from common.data.paths import KINDS, Home
from pipelines.catalog import load_competition, load_names
from pipelines.manifests import CODE, load_machine_facts

PIN = re.compile(r"^[A-Za-z0-9_.-]+==[^\\\n]+?(?= --hash| \\)", re.MULTILINE)


def examine(home: Home) -> Iterator[tuple[str, bool | None, str]]:
    """Look at everything a run needs.

    Yields:
        (what, whether it is well or None where one can do without, what was found and what to do).
    """
    yield _examine_python()
    yield _examine_packages()
    machine = load_machine_facts()
    yield (
        "machine",
        True,
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB",
    )
    yield "GPU", True, _find_gpu()
    yield (
        "R",
        shutil.which("Rscript") is not None or None,
        shutil.which("Rscript")
        or "none: variants with R in their name need it (apt-get install "
        "r-base-core r-cran-ranger r-cran-data.table)",
    )
    yield _examine_disk(home)
    yield _examine_wheels(home)
    try:
        yield "kaggle credentials", True, check_credentials()
    except InputError as error:
        yield "kaggle credentials", None, f"for `download` and `submit` only: {error}"
    for name in load_names():
        kinds = [kind for kind in KINDS if home.raw(name, kind).is_dir()]
        ways = "download, import" + (", open" if load_competition(name).has("open_data") else "")
        yield (
            f"data of {name}",
            bool(kinds) or None,
            ", ".join(kinds) or f"none: {ways} or sample brings some",
        )


def show(home: Home, console: Console) -> bool:
    """Print the examination; True if all that is needed is there."""
    table, is_well = Table("", "what", "found", show_header=False), True
    marks = {True: "[green]ok[/]", False: "[red]no[/]", None: "[yellow]–[/]"}
    for what, well, found in examine(home):
        table.add_row(marks[well], what, found)
        is_well &= well is not False
    console.print(table)
    return is_well


def _examine_python() -> tuple[str, bool, str]:
    found = ".".join(map(str, sys.version_info[:3]))
    return (
        "Python",
        sys.version_info[:2] == (3, 11),
        f"{found} (3.11 is wanted: `make PYTHON=… setup`)",
    )


def _examine_packages() -> tuple[str, bool, str]:
    wrong, pins = [], _load_pins("requirements.txt")
    for name, pinned in pins.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "nothing"
        if found != pinned:
            wrong.append(f"{name} {pinned} wanted, {found} found")
    return (
        "packages",
        not wrong,
        "; ".join([*wrong[:3], "`make setup`"]) if wrong else f"{len(pins)} as pinned",
    )


def _load_pins(file: str) -> dict[str, str]:
    """Read {package: version} of a requirements file, those for other systems left out."""
    lines = PIN.findall((CODE / file).read_text())
    pins = [Requirement(line) for line in lines]
    return {
        pin.name: str(pin.specifier).removeprefix("==")
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }


def _find_gpu() -> str:
    tool = shutil.which("nvidia-smi")
    return (
        "an NVIDIA driver is here: TensorFlow may use it"
        if tool
        else "none: everything runs on the CPU"
    )


def _examine_disk(home: Home) -> tuple[str, bool, str]:
    free = shutil.disk_usage(home.root).free / 2**30
    used = sum(map(_size, (home.root / "data" / "work").rglob("*")))
    can_write = os.access(home.root, os.W_OK)
    found = f"{home.root}: {free:.0f} GiB free; data/work ({used / 2**20:.0f} MiB) may be deleted"
    return "disk", free > 2 and can_write, found if can_write else f"{home.root} cannot be written"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # A run that goes on has just given it its final name.
        return 0


def _examine_wheels(home: Home) -> tuple[str, bool, str]:
    missing = [
        f"{name} {pinned}"
        for name, pinned in _load_pins("requirements-data.txt").items()
        if not any(home.packages.glob(f"{name.replace('-', '_')}-{pinned}-*.whl"))
    ]
    found = f"{', '.join(missing)} missing: `make setup`" if missing else "all here"
    return "data wheels", not missing, found
