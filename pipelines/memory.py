"""Peak memory of this process and all that it starts."""

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
        first_seen: dict[int, float] = {}
        while True:
            now, total = time.monotonic(), _resident(me)
            for child in me.children(recursive=True):
                # One that has not yet started its own program shows all of its parent's memory.
                if now - first_seen.setdefault(child.pid, now) >= SETTLED_S:
                    total += _resident(child)
            self.mib = max(self.mib, total / 2**20)
            if self._stop.wait(self._every_s):
                return


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:  # it ended between the listing and the look
        return 0
