import dataclasses
import json
import logging
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common.data import folds
from common.data.folds import FoldStore, load_versions


@dataclasses.dataclass(frozen=True)
class Config:
    rounds: int = 10
    rate: float = 0.1
    models: tuple[str, ...] = ("a", "b")
    threads: int = 1


TASK = {"fit_rows": np.arange(6), "rows": np.array([7, 8]), "seed": 11}
RESULT = {
    "prediction": np.array([[0.1, -1e-300], [np.pi, 2.0]]),
    "seconds": np.array(1.5),
    "n_parameters": np.array(7),
}


@pytest.fixture
def places(tmp_path):
    """A work folder, raw files of a kind, and a competition's code."""
    work, raw, code = tmp_path / "work", tmp_path / "raw" / "open", tmp_path / "bikes"
    raw.mkdir(parents=True)
    (raw / "train.csv").write_text("a,b\n1,2\n")
    code.mkdir()
    (code / "pipeline.py").write_text("x = 1\n")
    return work, raw, code


def open_shelf(places, name="xgboost", config=None, **options):
    return FoldStore(*places).of(name, config or Config(), **options)


def is_kept(places, task=None, **options):
    return open_shelf(places, **options).load(task or TASK) is not None


@pytest.fixture
def kept(places):
    open_shelf(places).write(TASK, RESULT)
    return places


def test_what_is_kept_comes_back_bit_by_bit(kept):
    loaded = open_shelf(kept).load(TASK)

    assert loaded is not None and loaded.keys() == RESULT.keys()
    for name, array in RESULT.items():
        assert loaded[name].dtype == array.dtype and loaded[name].shape == array.shape
        assert loaded[name].tobytes() == array.tobytes()


def test_nothing_is_found_where_nothing_was_kept(places):
    assert open_shelf(places).load(TASK) is None


def test_equal_facts_find_the_fit_from_another_process(kept):
    """The key may depend neither on hash seeds nor on the integer type of the rows."""
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parents[3])!r})
import numpy as np
from pathlib import Path
from tests.common.data.test_folds import Config, FoldStore
task = {{"seed": 11, "rows": np.array([7, 8], dtype=np.int32), "fit_rows": np.arange(6)[::1]}}
print(FoldStore(*map(Path, sys.argv[1:])).of("xgboost", Config()).load(task)["seconds"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, kept)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONHASHSEED": "77"},
    )
    assert done.stdout.strip() == "1.5", done.stderr


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 12},
        {"fit_rows": np.arange(5)},
        {"fit_rows": np.arange(6)[::-1]},
        {"fit_rows": np.array([0, 1, 2, 3, 4, 6])},
        {"rows": np.array([7, 9])},
        {"rows": np.arange(6), "fit_rows": np.array([7, 8])},
    ],
)
def test_another_seed_or_other_rows_do_not_find_it(kept, other):
    assert is_kept(kept, TASK)
    assert not is_kept(kept, TASK | other)


def test_another_fit_does_not_find_it(kept):
    assert not is_kept(kept, name="lightgbm")


CHANGES = [{"rounds": 11}, {"rate": 0.1 + 1e-12}, {"models": ("a",)}, {"threads": 2}]


@pytest.mark.parametrize("change", CHANGES)
def test_another_setting_does_not_find_it(kept, change):
    assert not is_kept(kept, config=dataclasses.replace(Config(), **change))


@pytest.mark.parametrize("change", CHANGES)
def test_a_setting_that_the_fit_is_not_given_may_differ_and_no_other(places, change):
    open_shelf(places, without=change).write(TASK, RESULT)

    assert is_kept(places, config=dataclasses.replace(Config(), **change), without=change)
    for other in CHANGES:
        if other is not change:
            assert not is_kept(
                places, config=dataclasses.replace(Config(), **other), without=change
            )


def test_other_raw_bytes_or_names_do_not_find_it(kept):
    _, raw, _ = kept
    path = raw / "train.csv"
    path.write_text("a,b\n1,3\n")
    assert not is_kept(kept)

    path.write_text("a,b\n1,2\n")
    assert is_kept(kept)

    path.rename(raw / "test.csv")
    assert not is_kept(kept)


def test_how_and_when_raw_files_came_does_not_matter(kept):
    _, raw, _ = kept
    (raw / "source.json").write_text("{}")
    os.utime(raw / "train.csv", (1, 1))

    assert is_kept(kept)


def test_another_kind_with_the_same_bytes_does_not_find_it(kept):
    work, raw, code = kept
    raw.rename(raw.parent / "kaggle")

    assert not is_kept((work, raw.parent / "kaggle", code))


def test_other_code_does_not_find_it(kept):
    _, _, code = kept
    (code / "pipeline.py").write_text("x = 2\n")
    assert not is_kept(kept)

    (code / "pipeline.py").write_text("x = 1\n")
    assert is_kept(kept)

    (code / "deep").mkdir()
    (code / "deep" / "features.py").write_text("")
    assert not is_kept(kept)


def test_documents_and_leftovers_beside_the_code_do_not_matter(kept):
    _, _, code = kept
    (code / "README.md").write_text("new")
    (code / "__pycache__").mkdir()
    (code / "__pycache__" / "pipeline.cpython-311.pyc").write_bytes(b"1")

    assert is_kept(kept)


@pytest.mark.parametrize("package", ["tensorflow", "xgboost", "lightgbm", "numpy", "scikit-learn"])
def test_another_package_version_does_not_find_it(kept, monkeypatch, package):
    really = folds.version
    monkeypatch.setattr(folds, "version", lambda name: really(name) + ".1" * (name == package))

    assert not is_kept(kept)


def test_another_version_of_a_program_that_the_fit_runs_does_not_find_it(places):
    open_shelf(places, versions={"R": "4.2.2"}).write(TASK, RESULT)

    assert is_kept(places, versions={"R": "4.2.2"})
    assert not is_kept(places, versions={"R": "4.3.0"})
    assert not is_kept(places)


def test_another_python_or_processor_does_not_find_it(kept, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert not is_kept(kept)

    monkeypatch.undo()
    assert is_kept(kept)

    monkeypatch.setattr(platform, "python_version", lambda: "3.11.999")
    assert not is_kept(kept)


def test_versions_are_json_of_python_and_every_library():
    versions = json.loads(json.dumps(load_versions()))

    assert versions["python"] == platform.python_version()
    assert versions["numpy"] == np.__version__
    assert set(folds.LIBRARIES) < set(versions)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_told_and_counts_as_none(kept, caplog, keep):
    (path,) = (kept[0] / "folds").iterdir()
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])

    with caplog.at_level(logging.WARNING):
        assert not is_kept(kept)

    (record,) = caplog.records
    assert str(path) in record.getMessage() and "fitting again" in record.getMessage()


def test_no_single_damaged_byte_is_an_error_or_changes_a_figure(kept, caplog):
    caplog.set_level(logging.ERROR)
    (path,) = (kept[0] / "folds").iterdir()
    data, shelf, n_refused = path.read_bytes(), open_shelf(kept), 0
    rng = np.random.default_rng(0)

    for place in rng.permutation(len(data))[:400]:
        damaged = bytearray(data)
        damaged[place] ^= rng.integers(1, 256)
        path.write_bytes(damaged)
        loaded = shelf.load(TASK)
        n_refused += loaded is None
        for name, array in (loaded or {}).items():
            assert array.tobytes() == RESULT[name].tobytes()

    assert n_refused > 100


def test_a_fit_kept_again_replaces_what_could_not_be_read(kept):
    (path,) = (kept[0] / "folds").iterdir()
    path.write_bytes(b"not a fit")
    open_shelf(kept).write(TASK, RESULT)

    assert is_kept(kept)
    assert [other.name for other in path.parent.iterdir()] == [path.name]


def test_a_fit_half_written_when_an_error_comes_is_never_found(places, monkeypatch):
    def savez(file, **arrays):
        file.write(b"PK half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", savez)
    with pytest.raises(OSError, match="disk full"):
        open_shelf(places).write(TASK, RESULT)

    assert not is_kept(places)
    assert list((places[0] / "folds").iterdir()) == []


def test_a_fit_has_no_name_until_it_is_whole(places, monkeypatch):
    really, seen = np.savez, []

    def savez(file, **arrays):
        really(file, **arrays)
        seen.append(is_kept(places))

    monkeypatch.setattr(np, "savez", savez)
    open_shelf(places).write(TASK, RESULT)

    assert seen == [False] and is_kept(places)


def test_objects_are_neither_kept_nor_loaded(places):
    """Pickles run code when they are read."""
    with pytest.raises(ValueError, match=r"[Oo]bject arrays cannot be saved"):
        open_shelf(places).write(TASK, {"prediction": np.array([{}], dtype=object)})

    assert list((places[0] / "folds").iterdir()) == []


@pytest.mark.parametrize("rows", [{1, 2}, np.array([0.5, 1.5])], ids=["set", "float"])
def test_a_task_holds_json_values_and_row_numbers_only(places, rows):
    with pytest.raises(TypeError, match="must hold JSON values and row numbers, received"):
        open_shelf(places).load({"rows": rows})
