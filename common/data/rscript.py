"""R scripts as one function: tables in, a table out."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from common.checks import InputError
from common.data.tables import load_table

HOW_TO_GET_R = "Debian: apt-get install r-base-core r-cran-ranger r-cran-data.table"

_TELL_VERSIONS = """
tell <- function(name) tryCatch(format(packageVersion(name)), error = function(e) "none")
cat(format(getRversion()), sapply(commandArgs(TRUE), tell))
"""


def run_rscript(
    script: Path, tables: Mapping[str, pd.DataFrame], *, arguments: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Run an R script in a folder of its own, which is gone afterwards.

    Args:
        script: run as `Rscript script argument…` where every table lies as `<name>.csv`; it must
            write `result.csv`.
        tables: {name: table}, without their index; missing values are written as NA.
        arguments: for the script.

    Returns:
        The result.

    Raises:
        InputError: R is not on this machine, or the script failed; R's error is told in one line.
    """
    program = shutil.which("Rscript")
    if program is None:
        raise InputError(
            f"{script.name} needs Rscript, which is not on this machine: install R ({HOW_TO_GET_R})"
        )
    with tempfile.TemporaryDirectory() as folder:
        for name, table in tables.items():
            table.to_csv(Path(folder) / f"{name}.csv", index=False, na_rep="NA")
        done = subprocess.run(
            [program, "--vanilla", str(script.resolve()), *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        result = Path(folder) / "result.csv"
        if done.returncode or not result.is_file():
            raise InputError(f"{script.name} failed in R: {_find_error(done)}")
        return load_table(result)


def load_r_versions(*packages: str) -> dict[str, str]:
    """Read the versions of R and of packages: they belong to the key of a fit that R makes.

    Returns:
        {"R" and each package: its version, or "none"}; nothing where R is not on this machine or
        does not start, of which `run_rscript` tells.
    """
    program = shutil.which("Rscript")
    if program is None:
        return {}
    asked = [program, "--vanilla", "-e", _TELL_VERSIONS, *packages]
    done = subprocess.run(asked, capture_output=True, text=True)
    return dict(zip(("R", *packages), done.stdout.split(), strict=False))


def _find_error(done: subprocess.CompletedProcess[str]) -> str:
    """Take R's error, which it breaks over lines, out of all that it said."""
    found = re.search(r"^Error.*?(?=^Execution halted|^Calls:|\Z)", done.stderr, re.DOTALL | re.M)
    if found:
        return " ".join(found.group().split())
    return f"it left no result.csv (exit status {done.returncode})"
