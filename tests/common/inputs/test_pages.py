import numpy as np
import pytest

from common.inputs.pages import release_pages
from tests.helpers.memory import load_resident_mib, needs_proc, write_large


@needs_proc
@pytest.mark.parametrize("kind", ["whole", "part", "plain view"])
def test_a_map_that_was_read_takes_no_memory(kind, tmp_path):
    pictures = write_large(tmp_path / "kept.npy")
    seen = {"whole": pictures, "part": pictures[5:], "plain view": np.asarray(pictures)}[kind]
    before = load_resident_mib()
    total = int(seen.sum())
    assert load_resident_mib() - before > 150

    release_pages(seen)

    assert load_resident_mib() - before < 20 and total == int(seen.sum()) == seen.size


@pytest.mark.parametrize("mode", ["r", "r+", "w+", "c"])
def test_nothing_that_was_written_is_lost(mode, tmp_path):
    """Changes of a private map ("c") are nowhere but in its pages."""
    path = tmp_path / "kept.npy"
    np.lib.format.open_memmap(path, "w+", np.uint8, (5000, 2))[:] = 3
    mapped = np.memmap(path, np.uint8, mode, offset=128, shape=(5000, 2))
    if mode != "r":
        mapped[100:] = 7
    kept = mapped.copy()

    release_pages(mapped)
    release_pages(mapped[1000:])
    release_pages(np.asarray(mapped)[2000:])

    np.testing.assert_array_equal(mapped, kept)
    assert kept[200, 0] == (3 if mode == "r" else 7)


def test_arrays_in_memory_stay():
    array = np.arange(10)
    release_pages(array)
    release_pages(array[3:])
    assert array.sum() == 45
