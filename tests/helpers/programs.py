"""Programs that not every machine has."""

import shutil
import subprocess

import pytest


def skip_without_r(*packages: str) -> None:
    """Skip the test where R, or one of its packages, is not on this machine."""
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not on this machine")
    wanted = "; ".join(f"library({package})" for package in packages)
    if subprocess.run(["Rscript", "--vanilla", "-e", wanted], capture_output=True).returncode:
        pytest.skip(f"R lacks one of {', '.join(packages)}")
