"""Kaggle through its official command line, run as a child process; its failures become advice.

The command line finds the user's credentials, resumes downloads and speaks to the server. What it
says is read from its JSON where it has any, and from its error text where it has none.
"""

import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from common.checks import InputError

RETRY_DELAYS_S = (15, 45, 120)
"""Waits after Kaggle's "too many requests"; its limits count by the minute."""
POLL_S = 0.2
MARKER = ".kaggle-partial"
"""Ending of the file in which the CLI keeps the full size and version of a half download."""

CREDENTIALS = (
    "make a token at https://www.kaggle.com/settings/api and save it as ~/.kaggle/access_token "
    "or set KAGGLE_API_TOKEN (a kaggle.json in ~/.kaggle, KAGGLE_USERNAME with KAGGLE_KEY, "
    "and `kaggle auth login` do as well)"
)

# Looked for in this order: a traceback tells more than the help on credentials above it.
SIGNS = {
    "setup": r"No module named",
    "disk": r"No space left on device",
    "limit": r"429 Client Error|too many requests",
    "rules": r"403 Client Error|forbidden|accept\b.*\brules",
    "absent": r"404 Client Error|\bnot found\b",
    "server": r"5\d\d Server Error",
    "damaged": r"does not match expected size",
    "network": r"ConnectionError|ConnectTimeout|ReadTimeout|ProtocolError|Connection broken|"
    r"IncompleteRead|Max retries exceeded|Connection aborted|timed out",
    "credentials": r"Authentication required|401 Client Error|unauthorized",
}


class KaggleError(InputError):
    """The command line failed. `sign` is the key of `SIGNS` that its words showed, or ""."""

    def __init__(self, sign: str, advice: str) -> None:
        super().__init__(advice)
        self.sign = sign


@dataclass(frozen=True)
class Submission:
    """One of one's own submissions; `status` is PENDING, COMPLETE or ERROR."""

    ref: int
    date: str
    description: str
    status: str
    public: float | None
    private: float | None


@dataclass(frozen=True)
class Kaggle:
    """One competition on Kaggle.

    Attributes:
        slug: its name in Kaggle's addresses.
        known: slugs to look among when Kaggle does not know this one.
        sleep: waits so many seconds.
    """

    slug: str
    known: tuple[str, ...] = ()
    sleep: Callable[[float], None] = time.sleep

    @property
    def page(self) -> str:
        return f"https://www.kaggle.com/competitions/{self.slug}"

    def download_data(
        self,
        into: Path,
        *,
        file: str | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Path:
        """Download the competition's zip or one file, going on where an earlier call stopped.

        Args:
            into: a folder for this download alone; it keeps the unfinished file between calls.
            file: the file as Kaggle lists it; None for everything. Kaggle may send it zipped.
            on_progress: called with the bytes that are there and those of the whole.

        Returns:
            The file that came.

        Raises:
            KaggleError: the download failed; what to do about it.
            InputError: the disk has no room.
        """
        into.mkdir(parents=True, exist_ok=True)
        arguments = ["download", self.slug, "--path", str(into), "--quiet"]
        if file is not None:
            arguments += ["--file", file]

        def watch() -> None:
            for marker in into.glob(f"*{MARKER}"):
                have, whole = _load_state(marker)
                _check_room(into, have, whole)
                if on_progress and whole:
                    on_progress(have, whole)

        try:
            self._call(*arguments, watch=watch, file=file)
        except KaggleError as error:
            if error.sign == "damaged":  # The command line would go on from the wrong bytes.
                shutil.rmtree(into)
            raise
        files = [path for path in into.iterdir() if not path.name.endswith(MARKER)]
        if not files:
            raise KaggleError("", f"kaggle ended well and brought nothing of {self.slug}")
        came = max(files, key=lambda path: path.stat().st_mtime_ns)
        return came.replace(came.with_name(unquote(came.name)))

    def download_sizes(self) -> dict[str, int]:
        """List the competition's first 200 files: {name: bytes}."""
        rows = self._call_json("files", self.slug, "--page-size", "200")
        return {row["name"]: int(row["size"]) for row in rows}

    def download_submissions(self) -> list[Submission]:
        """List one's own newest 200 submissions, newest first."""
        rows = self._call_json("submissions", self.slug, "--page-size", "200")
        return [
            Submission(
                ref=int(row["ref"]),
                date=row["date"],
                description=row["description"] or "",
                status=row["status"].rpartition(".")[2],
                public=_parse_score(row["publicScore"]),
                private=_parse_score(row["privateScore"]),
            )
            for row in rows
        ]

    def upload_submission(self, csv: Path, description: str) -> str:
        """Send a CSV file; the CLI may exit 0 after a failed upload, so its words come back."""
        words = self._call(
            "submit", self.slug, "--file", str(csv), "--message", description, "--quiet"
        )
        return " ".join(words.split())

    def _call_json(self, *arguments: str) -> list[dict[str, Any]]:
        return _parse_rows(self._call(*arguments, "--format", "json"))

    def _call(
        self, *arguments: str, watch: Callable[[], None] = lambda: None, file: str | None = None
    ) -> str:
        """Run `kaggle competitions ...`, again after a wait when Kaggle asks for fewer requests."""
        for delay_s in (*RETRY_DELAYS_S, None):
            code, output, errors = _run_cli(*arguments, watch=watch)
            if code == 0:
                return output
            words = f"{output}\n{errors}".strip()
            sign = next((name for name, sign in SIGNS.items() if re.search(sign, words, re.I)), "")
            if sign != "limit" or delay_s is None:
                break
            self.sleep(delay_s)
        raise KaggleError(sign, self._advise(sign, words.rpartition("\n")[2], file))

    def _advise(self, sign: str, said: str, file: str | None) -> str:
        match sign:
            case "setup":
                return f"the kaggle package cannot be run ({said}): run `make setup`"
            case "disk":
                return (
                    "the disk is full: make room and run this again; the download goes on where it "
                    "stopped"
                )
            case "limit":
                return (
                    f"Kaggle still wants fewer requests after {sum(RETRY_DELAYS_S)} s (429): try "
                    "again in an hour"
                )
            case "rules":
                return (
                    f"Kaggle refuses access (403): join and accept the rules at {self.page}/rules, "
                    "then run this again"
                )
            case "absent" if file is not None:
                near = _near(file, tuple(self.download_sizes()))
                return f"{self.slug} has no file {file} (404){near}"
            case "absent":
                return f"Kaggle has no competition {self.slug} (404){self._near_slugs()}"
            case "server":
                return f"Kaggle's server failed ({said}): nothing is wrong here, try again later"
            case "damaged":
                return f"the download came damaged and was deleted ({said}): run this again"
            case "network":
                return (
                    "Kaggle cannot be reached, or the connection broke: check the network and "
                    "run this again; a download goes on where it stopped"
                )
            case "credentials":
                return (
                    f"Kaggle refuses the credentials in {check_credentials()} (401): {CREDENTIALS}"
                )
        return f"kaggle failed: {said}"

    def _near_slugs(self) -> str:
        """Name the slugs nearest to this one, known here or found by Kaggle's search."""
        code, output, _ = _run_cli(
            "list", "--search", self.slug.replace("-", " "), "--format", "json"
        )
        # A failed search only leaves fewer names to offer.
        found = [row["ref"].rpartition("/")[2] for row in _parse_rows(output)] if code == 0 else []
        return _near(self.slug, (*self.known, *found))


def check_credentials() -> str:
    """Say where the command line finds the user's credentials, by its own rules.

    Raises:
        InputError: nowhere; how to make them and where they go.
    """
    if os.environ.get("KAGGLE_API_TOKEN"):
        return "KAGGLE_API_TOKEN"
    if os.environ.get("KAGGLE_USERNAME") and os.environ.get("KAGGLE_KEY"):
        return "KAGGLE_USERNAME and KAGGLE_KEY"
    home = Path.home() / ".kaggle"
    config = Path(os.environ.get("KAGGLE_CONFIG_DIR") or home)
    if not config.exists():
        config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kaggle"
    places = [home / name for name in ("access_token", "access_token.txt", "credentials.json")]
    for path in (*places, config / "kaggle.json"):
        if path.is_file():
            return str(path)
    raise InputError(f"Kaggle wants credentials and there are none: {CREDENTIALS}")


def _run_cli(*arguments: str, watch: Callable[[], None] = lambda: None) -> tuple[int, str, str]:
    """Run `kaggle competitions ...`; an exception, Ctrl-C too, ends the child before it goes on."""
    with subprocess.Popen(
        [sys.executable, "-m", "kaggle", "--no-warn", "competitions", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        env=os.environ | {"PYTHONUTF8": "1"},
    ) as child:
        try:
            while True:
                try:
                    output, errors = child.communicate(timeout=POLL_S)
                    return child.returncode, output, errors
                except subprocess.TimeoutExpired:
                    watch()
        finally:
            child.kill()


def _load_state(marker: Path) -> tuple[int, int]:
    """Read how far a download is: bytes there, bytes of the whole (0 where not known)."""
    try:
        size = json.loads(marker.read_text())["size"]
        return marker.with_name(marker.name.removesuffix(MARKER)).stat().st_size, int(size or 0)
    except (FileNotFoundError, json.JSONDecodeError):
        return 0, 0  # The command line is just writing or removing it; the next look tells.


def _check_room(folder: Path, have: int, whole: int) -> None:
    """Check that the rest of a download fits, and its contents, at least as large, beside it."""
    need, free = 2 * whole - have, shutil.disk_usage(folder).free
    if need > free:
        raise InputError(
            f"{folder} needs {need:,} bytes of disk, {free:,} are free: make room and run this "
            "again"
        )


def _parse_rows(output: str) -> list[dict[str, Any]]:
    """Read the JSON list out of the CLI's output; notes may stand above it, or it is absent."""
    start = re.search(r"^\[", output, re.M)
    return json.loads(output[start.start() :]) if start else []


def _parse_score(text: str | None) -> float | None:
    return float(text) if text else None


def _near(name: str, names: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, dict.fromkeys(names), n=3, cutoff=0.4)
    return f": did you mean {', '.join(near)}?" if near else ""
