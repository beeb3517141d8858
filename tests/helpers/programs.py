"""Programs that not every machine has."""

import pytest

from common.data.rscript import load_r_versions


def skip_without_r(*packages: str) -> None:
    """Skip the test where R, or one of its packages, is not on this machine."""
    versions = load_r_versions(*packages)
    missing = [name for name in ("R", *packages) if versions.get(name, "none") == "none"]
    if missing:
        pytest.skip(f"not on this machine: {', '.join(missing)}")
