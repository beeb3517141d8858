"""Let go of what a memory map holds of its file, so that a pass over it takes no memory."""

import mmap
from typing import Any

import numpy as np

# A private map ("c") would lose what was written to it.
_SHARED_MODES = ("r", "r+", "w+")


def release_pages(array: np.ndarray) -> None:
    """Let go of the pages of a memory map; what is read again soon is in the system's cache.

    Args:
        array: any; the whole map goes where it is a part of one. Nothing happens to an array in
            memory, nor to a map of mode "c", whose changes have no other place.
    """
    base: Any = array
    while isinstance(base, np.ndarray) and not isinstance(base.base, mmap.mmap):
        base = base.base
    if isinstance(base, np.memmap) and base.mode in _SHARED_MODES:
        pages: Any = base.base
        pages.madvise(mmap.MADV_DONTNEED)
