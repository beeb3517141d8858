"""Manifests: what is written is what is read; what READMEs quote is what git's index holds."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from common.checks import InputError
from pipelines import manifests
from pipelines.manifests import (
    FORMAT,
    dump_manifest,
    load_git_facts,
    load_machine_facts,
    load_manifest,
    load_run_manifest,
    load_tracked_manifests,
)

PLACE = "submissions/toys/open/plain-seed0.json"


def make_manifest(score: float) -> dict:
    return {
        "format": FORMAT,
        "competition": "toys",
        "score": {"out_of_fold": score, "true": None, "interval": [0.1 + 0.2, 1e-300]},
        "submission": {"file": "a.csv", "sample": [["2011-01-01", 1 / 3], ["\u00e9\n[", 2.0]]},
        "kaggle": {"public": 1.0},
    }


def git(root, *words: str) -> str:
    """Run git in a repository of the test's own, whatever the user's settings are."""
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    return subprocess.run(
        ["git", *who, *words],
        cwd=root,
        env=os.environ | alone,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@pytest.fixture
def repository(tmp_path):
    """A checkout with one commit: a manifest, a source file, a README."""
    git(tmp_path, "init", "-q")
    write(tmp_path / PLACE, dump_manifest(make_manifest(1.0)))
    write(tmp_path / "code.py", "")
    write(tmp_path / "README.md", "")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def write(path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_what_is_written_is_what_is_read(tmp_path):
    manifest = make_manifest(0.1)
    write(tmp_path / "m.json", dump_manifest(manifest))
    assert load_manifest(tmp_path / "m.json") == manifest
    assert list(load_manifest(tmp_path / "m.json")) == list(manifest)


def test_a_row_of_the_sample_is_a_line():
    lines = dump_manifest(make_manifest(0.1)).splitlines()
    assert '["2011-01-01", 0.3333333333333333],' in lines
    assert ' "competition": "toys",' in lines


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (None, "is no file: a manifest is the JSON that `run` writes"),
        (b"{", "is not JSON"),
        (b"\xff\xfe{", "is not JSON"),
        (b"[]", "must be a manifest of format 2: run it again"),
        (b"{}", "must be a manifest of format 2: run it again"),
        (b'{"format": 1}', "must be a manifest of format 2: run it again"),
    ],
)
def test_what_is_no_manifest_is_refused_by_name(tmp_path, data, told):
    path = tmp_path / "m.json"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=told) as refused:
        load_manifest(path)
    assert str(path) in str(refused.value)


def test_a_bench_table_is_no_manifest_of_a_run(tmp_path):
    path, table = tmp_path / "bench.json", {"format": FORMAT, "rows": []}
    write(path, json.dumps(table))
    assert load_manifest(path) == table
    with pytest.raises(InputError) as refused:
        load_run_manifest(path)
    assert str(refused.value) == f"{path} must be the manifest of a run, received a bench table"
    write(path, dump_manifest(make_manifest(1.0)))
    assert load_run_manifest(path) == make_manifest(1.0)


def test_quoted_manifests_are_those_of_the_index_not_those_that_lie_there(repository):
    """A rerun and a new file change nothing until they are staged."""
    write(repository / PLACE, dump_manifest(make_manifest(2.0)))
    write(repository / "submissions/a/open/x-seed0.json", dump_manifest(make_manifest(3.0)))
    write(repository / "submissions/a/open/x-seed0.csv", "id\n")
    assert load_scores(repository) == {PLACE: 1.0}
    git(repository, "add", ".")
    assert list(load_scores(repository).items()) == [
        ("submissions/a/open/x-seed0.json", 3.0),
        (PLACE, 2.0),
    ]
    (repository / PLACE).unlink()
    assert load_scores(repository)[PLACE] == 2.0


def test_without_git_the_files_themselves_are_read(repository, tmp_path_factory, monkeypatch):
    bare = tmp_path_factory.mktemp("archive")
    write(bare / PLACE, dump_manifest(make_manifest(5.0)))
    write(bare / "submissions/a/open/x-seed0.json", dump_manifest(make_manifest(6.0)))
    assert list(load_scores(bare).values()) == [6.0, 5.0]
    write(repository / PLACE, dump_manifest(make_manifest(7.0)))
    monkeypatch.setenv("PATH", "")
    assert load_scores(repository) == {PLACE: 7.0}


def test_all_quoted_manifests_come_whole_from_one_question_to_git(repository, monkeypatch):
    """Bytes are counted, not letters: text beyond ASCII, and none at the end, shifts nothing."""
    texts = ["caf\u00e9 \u20ac \U0001f6b2", "\n\u2028", "", "plain"]
    wanted = {}
    for k, text in enumerate(texts):
        path = Path(f"submissions/toys/open/v{k}-seed0.json")
        wanted[path] = make_manifest(float(k)) | {"settings": {"note": text}}
        write(repository / path, json.dumps(wanted[path], ensure_ascii=False) + "\n" * k)
    copy = Path("submissions/a/kaggle/copy.json")
    wanted[copy] = wanted[Path("submissions/toys/open/v0-seed0.json")]
    write(repository / copy, (repository / "submissions/toys/open/v0-seed0.json").read_text())
    git(repository, "add", ".")
    wanted[Path(PLACE)] = make_manifest(1.0)
    asked, ask = [], subprocess.run
    monkeypatch.setattr(
        manifests.subprocess, "run", lambda words, **more: asked.append(words) or ask(words, **more)
    )
    found = load_tracked_manifests(repository)
    assert found == wanted and list(found) == sorted(wanted)
    assert len(asked) == 2


@pytest.mark.parametrize("text", ['{"format": 1}', "[]", "{", '{"format": '])
@pytest.mark.parametrize("is_staged", [True, False])
def test_a_quoted_file_that_is_no_manifest_is_refused_by_name(repository, text, is_staged):
    write(repository / PLACE, text)
    if is_staged:
        git(repository, "add", ".")
        with pytest.raises(InputError, match=r"toys/open/plain-seed0\.json "):
            load_tracked_manifests(repository)
    else:
        assert load_scores(repository) == {PLACE: 1.0}


def load_scores(root) -> dict[str, float]:
    return {
        path.as_posix(): manifest["score"]["out_of_fold"]
        for path, manifest in load_tracked_manifests(root).items()
    }


def test_git_facts_name_the_commit_and_results_or_documents_do_not_make_it_dirty(
    repository, monkeypatch
):
    monkeypatch.setattr(manifests, "CODE", repository)
    clean = {"commit": git(repository, "rev-parse", "HEAD").strip(), "dirty": False}
    assert load_git_facts() == clean
    write(repository / PLACE, "{}")
    write(repository / "README.md", "more")
    assert load_git_facts() == clean
    write(repository / "code.py", "changed")
    assert load_git_facts() == clean | {"dirty": True}
    git(repository, "checkout", "-q", "code.py")
    assert load_git_facts() == clean
    write(repository / "new.py", "")
    assert load_git_facts() == clean | {"dirty": True}


def test_without_git_there_is_no_commit_and_nobody_knows_what_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(manifests, "CODE", tmp_path)
    assert load_git_facts() == {"commit": None, "dirty": None}


def test_machine_facts_are_json(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    facts = load_machine_facts()
    assert json.loads(json.dumps(facts)) == facts
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert facts["cores"] == 3 and abs(facts["memory_gib"] * 2**30 - pages) < 2**27
    assert facts["cpu"] and facts["system"].startswith(os.uname().sysname)
