import hashlib
import zipfile

import pytest

from common.checks import InputError
from common.data.packages import Wheel, load_member


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "isle-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("isle/data/bikes.csv", b"day,bikers\r\n1,16\r\n")
        archive.writestr("isle/empty.csv", b"")
    return Wheel(path.name, hashlib.sha256(path.read_bytes()).hexdigest())


def test_a_member_comes_out_byte_by_byte_and_nothing_is_unpacked(tmp_path, wheel):
    assert load_member(tmp_path, wheel, "isle/data/bikes.csv") == b"day,bikers\r\n1,16\r\n"
    assert load_member(tmp_path, wheel, "isle/empty.csv") == b""
    assert [path.name for path in tmp_path.iterdir()] == [wheel.file]


def test_a_missing_wheel_is_told_with_the_command_that_brings_it(tmp_path, wheel):
    (tmp_path / wheel.file).unlink()

    with pytest.raises(InputError, match=rf"{wheel.file} is missing: run `make setup`"):
        load_member(tmp_path, wheel, "isle/data/bikes.csv")


def test_a_wheel_with_other_bytes_is_refused_before_it_is_opened(tmp_path, wheel, monkeypatch):
    path = tmp_path / wheel.file
    path.write_bytes(path.read_bytes() + b" ")
    received = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(zipfile, "ZipFile", None)

    with pytest.raises(
        InputError,
        match=f"must have sha256 {wheel.sha256}, received {received}: "
        "delete it and run `make setup`",
    ):
        load_member(tmp_path, wheel, "isle/data/bikes.csv")


def test_a_missing_member_is_told(tmp_path, wheel):
    with pytest.raises(InputError, match=rf"{wheel.file} has no file isle/cars\.csv"):
        load_member(tmp_path, wheel, "isle/cars.csv")
