"""What the stages of a road take, told as they end."""

import logging
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


@contextmanager
def timed(stage: str) -> Iterator[None]:
    """Log what a stage took, and the most memory that this process has held so far.

    The record carries `stage`, (name, seconds), for whoever keeps them.

    Args:
        stage: its name.
    """
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    unit = 1024**3 if sys.platform == "darwin" else 1024**2  # bytes there, kibibytes elsewhere
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    told = f"{stage}: {seconds:.1f} s, {gib:.1f} GiB at most so far"
    log.info(told, extra={"stage": (stage, seconds)})
