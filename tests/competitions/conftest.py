import shutil

import pytest

from competitions.bike_sharing_demand import sample as bikes
from competitions.rossmann_store_sales import sample as stores
from competitions.state_farm_distracted_driver_detection import sample as frames


@pytest.fixture(scope="session")
def bike_sample(tmp_path_factory):
    """Bike Sharing Demand's made-up files of four months; nobody changes them."""
    folder = tmp_path_factory.mktemp("bikes")
    bikes.write_sample(folder, 0)
    return folder


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """Rossmann's made-up files, with the forum's; nobody changes them."""
    folder = tmp_path_factory.mktemp("rossmann")
    stores.write_sample(folder, 0)
    return folder


@pytest.fixture(scope="session")
def farm_sample(tmp_path_factory):
    """State Farm's made-up frames; nobody changes them."""
    folder = tmp_path_factory.mktemp("frames") / "sample"
    folder.mkdir()
    frames.write_sample(folder, 0)
    return folder


@pytest.fixture
def raw(whole, tmp_path):
    """A copy to damage."""
    return shutil.copytree(whole, tmp_path / "raw")
