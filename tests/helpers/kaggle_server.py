"""A stand-in for Kaggle's server on the loopback, for the real command line: data, submissions,
scripted failures.
"""

import hashlib
import json
import re
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlparse

import pytest

ALL = "all.zip"
DATE = "2026-01-02T03:04:05.000Z"


@dataclass
class Stand:
    """What the server holds, what it shall do, and what it was asked.

    Attributes:
        files: {slug: {file: bytes}}; the file `ALL` is the competition's zip.
        failures: {method: (status, message) for the next calls of it}; "PUT" and "GET" are methods
            too.
        cuts: each next download breaks off after so many bytes.
        verdicts: {status, publicScore, ...} that the next listings of submissions show.
        calls: the methods that were called, in order.
        ranges: the Range header of each download, or "".
        uploads: the bytes of each upload.
    """

    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    failures: dict[str, deque[tuple[int, str]]] = field(default_factory=lambda: defaultdict(deque))
    cuts: deque[int] = field(default_factory=deque)
    verdicts: deque[dict[str, Any]] = field(default_factory=deque)
    submissions: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    uploads: list[bytes] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    stand: Stand

    def do_POST(self) -> None:
        body = json.loads(self._read())
        method = self.path.rpartition("/")[2]
        if self._fails(method):
            return
        slug = body.get("competitionName", "")
        if slug and slug not in self.stand.files:
            self._send_error(404, "")
            return
        getattr(self, method)(slug, body)

    def ListCompetitions(self, slug: str, body: dict[str, Any]) -> None:  # noqa: N802
        word = body["search"].split()[0]
        refs = [
            f"https://www.kaggle.com/competitions/{known}"
            for known in self.stand.files
            if word in known
        ]
        self._send_json({"competitions": [{"ref": ref} for ref in refs]})

    def ListDataFiles(self, slug: str, body: dict[str, Any]) -> None:  # noqa: N802
        files = self.stand.files[slug].items()
        rows = [
            {"name": name, "totalBytes": len(data), "creationDate": DATE}
            for name, data in files
            if name != ALL
        ]
        self._send_json({"files": rows, "nextPageToken": "more"})

    def DownloadDataFiles(self, slug: str, body: dict[str, Any]) -> None:  # noqa: N802
        self._redirect(slug, ALL)

    def DownloadDataFile(self, slug: str, body: dict[str, Any]) -> None:  # noqa: N802
        name = body["fileName"]
        there = next((n for n in (name, f"{name}.zip") if n in self.stand.files[slug]), None)
        if there:
            self._redirect(slug, there)
        else:
            self._send_error(404, "")

    def StartSubmissionUpload(self, slug: str, body: dict[str, Any]) -> None:  # noqa: N802
        self._send_json({"token": "a-token", "createUrl": "http://localhost/upload"})

    def CreateSubmission(self, slug: str, body: dict[str, Any]) -> None:  # noqa: N802
        ref = 100 + len(self.stand.submissions)
        row = {
            "ref": ref,
            "date": DATE,
            "fileName": "s.csv",
            "description": body["submissionDescription"],
        }
        self.stand.submissions.insert(0, row)
        self._send_json({"message": "Successfully submitted", "ref": ref})

    def ListSubmissions(self, slug: str, body: dict[str, Any]) -> None:  # noqa: N802
        if self.stand.submissions and self.stand.verdicts:
            self.stand.submissions[0] |= self.stand.verdicts.popleft()
        self._send_json({"submissions": self.stand.submissions})

    def do_PUT(self) -> None:
        data = self._read()
        if not self._fails("PUT"):
            self.stand.uploads.append(data)
            self._send(200, b"")

    def do_GET(self) -> None:
        self.stand.ranges.append(self.headers.get("Range", ""))
        if self._fails("GET"):
            return
        _, _, slug, name = urlparse(self.path).path.split("/", 3)
        data = self.stand.files[slug][unquote(name)]
        tag = f'"{hashlib.sha256(data).hexdigest()}"'
        start = 0
        if self.headers.get("If-Range", tag) == tag:
            start = int(re.sub(r"\D", "", self.headers.get("Range", "")) or 0)
        rest = data[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("ETag", tag)
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        cut = self.stand.cuts.popleft() if self.stand.cuts else len(rest)
        self.wfile.write(rest[:cut])
        self.close_connection = True

    def _fails(self, method: str) -> bool:
        self.stand.calls.append(method)
        if not self.stand.failures[method]:
            return False
        self._send_error(*self.stand.failures[method].popleft())
        return True

    def _redirect(self, slug: str, name: str) -> None:
        self.send_response(302)
        self.send_header("Location", f"http://localhost/data/{slug}/{quote(name)}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _read(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _send_json(self, value: dict[str, Any]) -> None:
        self._send(200, json.dumps(value).encode(), "application/json")

    def _send_error(self, status: int, message: str) -> None:
        """Kaggle fails in two ways: a bare status, or JSON whose message hides the status from the
        user.
        """
        if message:
            self._send(
                status,
                json.dumps({"code": status, "message": message}).encode(),
                "application/json",
            )
        else:
            self._send(status, b"")

    def _send(self, status: int, data: bytes, kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Keep the tests' output clean."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that hangs up in the middle is what some tests are about.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serve(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[Stand]:
    """Run a stand-in, and point the command line of this process's children at it, with credentials
    of its own.
    """
    stand = Stand()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"stand": stand}))
    for name in (
        "KAGGLE_API_TOKEN",
        "KAGGLE_CONFIG_DIR",
        "XDG_CONFIG_HOME",
        "HTTP_PROXY",
        "NO_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
        "KAGGLE_USERNAME": "somebody",
        "KAGGLE_KEY": "a-key",
        "http_proxy": f"http://127.0.0.1:{server.server_port}",
        "no_proxy": "",
        "HOME": str(home),
    }.items():
        monkeypatch.setenv(name, value)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    try:
        yield stand
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
