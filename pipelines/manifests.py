"""Manifests: what a run was given, what it gave, and on what machine. Only the standard library is imported."""

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from common.checks import InputError

CODE = Path(__file__).resolve().parents[1]
FORMAT = 1


def load_manifest(path: Path) -> dict[str, Any]:
    """Read a manifest.

    Raises:
        InputError: it is missing, or no manifest of this format.
    """
    try:
        manifest = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path} is missing: a manifest is the JSON that `run` writes") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise InputError(f"{path} is not JSON: a manifest is what `run` writes") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError(f"{path} must be a manifest of format {FORMAT}: a file that `run` wrote")
    return manifest


def load_tracked_manifests(root: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Read the manifests that READMEs quote: those that git tracks, as they stand in its index.

    A run on another machine rewrites the files, with its own seconds; the quoted figures stay until somebody stages the
    new ones. Where the tree is no git checkout (a downloaded archive) the files themselves are read.

    Yields:
        (path relative to `root`, manifest), sorted by path.
    """
    listed = _git(root, "ls-files", "--stage", "--", "submissions")
    if listed is None:
        for path in sorted(root.glob("submissions/*/*/*.json")):
            yield path.relative_to(root), load_manifest(path)
        return
    for line in sorted(listed.splitlines(), key=lambda line: line.partition("\t")[2]):
        facts, _, name = line.partition("\t")
        if name.endswith(".json"):
            text = _git(root, "cat-file", "blob", facts.split()[1])
            yield Path(name), json.loads(text or "{}")


def load_git_facts() -> dict[str, Any]:
    """Read the commit that is checked out, and whether anything but results differs from it; None without git."""
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
    """Write a manifest as JSON that diffs line by line, but with one row of the sample in a line."""
    sample = [json.dumps(row) for row in manifest["submission"]["sample"]]
    bare = {**manifest, "submission": {**manifest["submission"], "sample": []}}
    text = json.dumps(bare, indent=1)
    return text.replace('"sample": []', '"sample": [\n' + ",\n".join(sample) + "\n]") + "\n"


def _git(folder: Path, *arguments: str) -> str | None:
    """Ask git something; None where there is no git or no checkout."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return done.stdout
