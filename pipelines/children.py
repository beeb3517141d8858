"""Commands run as processes of their own, so that seconds and memory are their own."""

import os
import subprocess
import sys
from collections.abc import Sequence

from common.checks import InputError
from common.data.paths import Home
from pipelines.manifests import CODE


def run_child(words: Sequence[str], home: Home) -> None:
    """Run a command of `python -m pipelines` to its end.

    Args:
        words: the command and what follows it.
        home: where it finds data and puts results.

    Raises:
        InputError: it failed; its own last line is passed on.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", *words],
        cwd=CODE,
        env=os.environ | {"PIPELINES_HOME": str(home.root)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise InputError(f"`{' '.join(words)}` failed: {''.join(last)}")
