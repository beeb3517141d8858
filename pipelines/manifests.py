"""Manifests: what a run was given and gave, and where. Imports only the standard library."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.checks import InputError

CODE = Path(__file__).resolve().parents[1]
FORMAT = 2


def load_manifest(path: Path, *, any_format: bool = False) -> dict[str, Any]:
    """Read a manifest.

    Args:
        path: the file.
        any_format: take one of an old format for an empty one instead of refusing it.

    Raises:
        InputError: it is missing, or no manifest of this format.
    """
    try:
        data = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise InputError(f"{path} is no file: a manifest is the JSON that `run` writes") from None
    return _parse(path, data, any_format=any_format)


def load_run_manifest(path: Path) -> dict[str, Any]:
    """Read the manifest of a run.

    Raises:
        InputError: as `load_manifest`; or it is the table of a bench.
    """
    manifest = load_manifest(path)
    if "submission" not in manifest:
        raise InputError(f"{path} must be the manifest of a run, received a bench table")
    return manifest


def load_tracked_manifests(root: Path) -> dict[Path, dict[str, Any]]:
    """Read the manifests that READMEs quote: those that git tracks, as they stand in its index.

    A run on another machine rewrites the files, with its own seconds; the quoted figures stay until
    somebody stages the new ones. Where the tree is no git checkout (a downloaded archive) the files
    themselves are read.

    Returns:
        {path relative to `root`: manifest}, sorted by path.

    Raises:
        InputError: one is no manifest of this format.
    """
    listed = _git(root, "ls-files", "--stage", "--", "submissions/*.json")
    if listed is None:
        paths = sorted(root.glob("submissions/*/*/*.json"))
        return {path.relative_to(root): load_manifest(path) for path in paths}
    blobs = {}
    for line in listed.splitlines():
        facts, _, name = line.partition("\t")
        blobs[Path(name)] = facts.split()[1]
    # One process for all of them: `list` must stay quick with hundreds.
    texts = _git(root, "cat-file", "--batch", stdin="".join(f"{blob}\n" for blob in blobs.values()))
    found = {}
    for path in blobs:
        head, _, texts = (texts or "").partition("\n")
        size = int(head.rpartition(" ")[2])
        text, texts = texts[:size], texts[size + 1 :]
        found[path] = _parse(path, text.encode("latin-1"))
    return dict(sorted(found.items()))


def load_git_facts() -> dict[str, Any]:
    """Read the commit, and whether more than results and documents differ; None without git."""
    commit = _git(CODE, "rev-parse", "HEAD")
    changes = _git(CODE, "status", "--porcelain", "--", ".", ":!submissions", ":!*.md")
    return {"commit": commit and commit.strip(), "dirty": None if commit is None else bool(changes)}


def load_machine_facts() -> dict[str, Any]:
    """Read what the machine is: system, processor, cores, memory in GiB."""
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text().splitlines() if cpu_info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
    }


def dump_manifest(manifest: Mapping[str, Any]) -> str:
    """Write a manifest as JSON that diffs line by line, with one row of the sample in a line."""
    sample = [json.dumps(row) for row in manifest["submission"]["sample"]]
    bare = {**manifest, "submission": {**manifest["submission"], "sample": []}}
    text = json.dumps(bare, indent=1)
    return text.replace('"sample": []', '"sample": [\n' + ",\n".join(sample) + "\n]") + "\n"


def _parse(path: Path, data: bytes, *, any_format: bool = False) -> dict[str, Any]:
    try:
        manifest = json.loads(data.decode())
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise InputError(f"{path} is not JSON: a manifest is what `run` writes") from None
    if isinstance(manifest, dict) and manifest.get("format") == FORMAT:
        return manifest
    if any_format:
        return {}
    raise InputError(f"{path} must be a manifest of format {FORMAT}: run it again")


def _git(folder: Path, *arguments: str, stdin: str | None = None) -> str | None:
    """Ask git something; None where there is no git or no checkout.

    What it says to `stdin` is not text but bytes: each comes as the character of its number.
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            input=None if stdin is None else stdin.encode(),
            capture_output=True,
            check=True,
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return done.stdout.decode("latin-1" if stdin is not None else "utf-8")
