"""What a process holds in memory, and large arrays on disk to read without holding them."""

from pathlib import Path

import numpy as np
import pytest

_STATM = Path("/proc/self/statm")
needs_proc = pytest.mark.skipif(not _STATM.exists(), reason="memory is read from /proc")


def load_resident_mib() -> float:
    return int(_STATM.read_text().split()[1]) * 4096 / 2**20


def write_large(path: Path, n: int = 2000) -> np.memmap:
    """Write n pictures of 100 kB, all ones, and map them."""
    written = np.lib.format.open_memmap(path, "w+", np.uint8, (n, 183, 183, 3))
    written[:] = 1
    del written
    mapped = np.load(path, mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    return mapped
