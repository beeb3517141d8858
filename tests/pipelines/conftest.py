from pathlib import Path

import pytest

from common.data.paths import Home
from pipelines import bench as benchmark
from tests.helpers.benches import Runs


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home of its own, beside what else a test writes."""
    return Home(tmp_path / "home")


@pytest.fixture
def raw(home: Home) -> Path:
    """Where the toy competition's downloads lie."""
    return home.raw("toy_demand", "kaggle")


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Stand-ins for the runs of a bench."""
    runs = Runs()
    monkeypatch.setattr(benchmark, "_run_child", runs.run_child)
    return runs
