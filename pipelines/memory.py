"""Peak memory of this process and all that it starts."""

import os
import threading
import time
from types import TracebackType

import psutil

SETTLED_S = 0.2


class PeakMemory:
    """Watch the resident memory of this process and its children, several times a second.

    Pages that two processes share are counted in both, so the sum errs upwards.

    Attributes:
        mib: the peak so far, MiB.
    """

    def __init__(self, *, every_s: float = 0.2) -> None:
        self.mib = 0.0
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while True:
            self.mib = max(
                self.mib, sum(map(_resident, [me, *me.children(recursive=True)])) / 2**20
            )
            if self._stop.wait(self._every_s):
                return


def _resident(process: psutil.Process) -> int:
    try:
        # A child that has not yet started its own program shows all of its parent's memory.
        is_settled = process.pid == os.getpid() or time.time() - process.create_time() > SETTLED_S
        return int(process.memory_info().rss) if is_settled else 0
    except psutil.NoSuchProcess:  # it ended between the listing and the look
        return 0
