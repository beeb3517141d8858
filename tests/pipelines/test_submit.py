"""A submission's way to Kaggle and its score's way back, through the real kaggle command line."""

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console

from common.checks import InputError
from common.contract import KaggleCompetition, SubmissionFile
from common.data.paths import Home
from pipelines import submit as submitting
from pipelines.catalog import Competition
from pipelines.manifests import FORMAT
from pipelines.submit import submit
from tests.helpers.kaggle_server import DATE, Stand, serve

CSV = "id,count\n7,1.5\n8,0\n"
MARK = f"[{hashlib.sha256(CSV.encode()).hexdigest()[:12]}]"
SCORED = {"status": "COMPLETE", "publicScore": "0.41", "privateScore": "0.42"}


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> Any:
    facts: Any = ModuleType("toy")
    facts.DIAGNOSTICS, facts.DEFAULT = ("leaky",), "linear"
    facts.SOURCE = KaggleCompetition("toy-demand")
    facts.SUBMISSION = SubmissionFile("sampleSubmission.csv", id_column="id", minimum=0.0)
    monkeypatch.setattr(submitting, "load_competition", lambda name: Competition(name, facts))
    return facts


@pytest.fixture
def home(facts: Any, tmp_path: Path) -> Home:
    home = Home(tmp_path)
    raw = home.raw("toy_demand", "kaggle")
    raw.mkdir(parents=True)
    (raw / "sampleSubmission.csv").write_text("id,count\n7,0\n8,0\n")
    return home


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stand]:
    with serve(monkeypatch, tmp_path) as stand:
        stand.files["toy-demand"] = {}
        yield stand


def write_run(home: Home, csv: str = CSV, kind: str = "kaggle") -> Path:
    """Write a CSV and its manifest, as `run` does."""
    path = home.submissions("toy_demand", kind) / "blend-seed0.json"
    path.parent.mkdir(parents=True)
    path.with_suffix(".csv").write_text(csv)
    digest = hashlib.sha256(csv.encode()).hexdigest()
    manifest = {
        "format": FORMAT,
        "competition": "toy_demand",
        "variant": "blend",
        "seed": 0,
        "kind": kind,
        "submission": {"file": "blend-seed0.csv", "sha256": digest, "sample": [[7, 1.5]]},
    }
    path.write_text(json.dumps(manifest))
    return path


def send(path: Path, home: Home, **options: Any) -> tuple[str, list[float]]:
    """Submit; return what the user saw and the waits between looks."""
    console, waits = Console(file=io.StringIO()), []
    submit(path, home, console, sleep=waits.append, **options)
    return console.file.getvalue(), waits  # type: ignore[attr-defined]


def test_a_score_comes_back_and_nothing_is_sent_twice(stand: Stand, home: Home) -> None:
    path = write_run(home)
    stand.verdicts.extend([{"status": "PENDING"}, {"status": "PENDING"}, SCORED])
    told, waits = send(path, home)
    assert stand.uploads == [CSV.encode()]
    assert stand.submissions[0]["description"] == f"blend-seed0 {MARK}"
    assert waits == [2, 3]
    assert "public 0.41, private 0.42" in told
    manifest = json.loads(path.read_text())
    assert manifest["submission"]["sample"] == [[7, 1.5]]
    assert manifest["kaggle"] == {
        "public": 0.41,
        "private": 0.42,
        "status": "COMPLETE",
        "ref": 100,
        "date": DATE[:19],
    }

    told, _ = send(path, home)
    assert "Kaggle has this already" in told
    assert len(stand.uploads) == 1

    stand.verdicts.extend([{}, SCORED | {"publicScore": "0.43"}])
    send(path, home, again=True)
    assert len(stand.uploads) == 2
    assert json.loads(path.read_text())["kaggle"]["ref"] == 101


def test_an_upload_that_fails_silently_is_found_out(stand: Stand, home: Home) -> None:
    path = write_run(home)
    stand.failures["PUT"].extend([(503, "")] * 2)
    with pytest.raises(InputError, match="Kaggle did not take the submission: none is marked"):
        send(path, home)
    earlier = {"ref": 5, "date": DATE, "description": MARK}
    stand.submissions.append(earlier | SCORED)
    with pytest.raises(InputError, match="Kaggle did not take the submission"):
        send(path, home, again=True)
    assert "kaggle" not in json.loads(path.read_text())


def test_a_submission_that_cannot_be_scored_is_an_error(stand: Stand, home: Home) -> None:
    path = write_run(home)
    stand.verdicts.append({"status": "ERROR"})
    with pytest.raises(InputError, match=r"could not score .*toy-demand/submissions says why"):
        send(path, home)
    assert json.loads(path.read_text())["kaggle"]["status"] == "ERROR"


def test_waiting_has_an_end(stand: Stand, home: Home) -> None:
    with pytest.raises(InputError, match=r"not scored .* within 3 s: submit it again later"):
        send(write_run(home), home, timeout_s=3)


def test_a_dry_run_asks_nobody(stand: Stand, home: Home) -> None:
    told, _ = send(write_run(home), home, dry_run=True)
    assert "is fit to be sent" in told
    assert stand.calls == []


def test_a_run_with_settings_is_named_by_its_file(stand: Stand, home: Home) -> None:
    """Two runs of one variant differ by name on Kaggle's page as they do here."""
    path = write_run(home)
    path = path.rename(path.with_name("blend+01234567-seed0.json"))
    stand.verdicts.append(SCORED)
    send(path, home)
    assert stand.submissions[0]["description"] == f"blend+01234567-seed0 {MARK}"


def test_a_bench_table_is_not_for_kaggle(stand: Stand, home: Home) -> None:
    path = write_run(home).with_name("bench.json")
    path.write_text(json.dumps({"format": FORMAT, "competition": "toy_demand", "rows": []}))
    with pytest.raises(InputError) as refused:
        send(path, home)
    assert str(refused.value) == f"{path} must be the manifest of a run, received a bench table"
    assert stand.calls == []


def test_other_kinds_are_not_for_kaggle(stand: Stand, home: Home) -> None:
    with pytest.raises(
        InputError, match="this one is on open data, whose test rows are not Kaggle's"
    ):
        send(write_run(home, kind="open"), home)


def test_code_competitions_say_how_to_go_on(stand: Stand, home: Home, facts: Any) -> None:
    facts.SOURCE = KaggleCompetition("toy-demand", code_only=True)
    with pytest.raises(InputError, match=r"competitions/toy-demand/code make a notebook"):
        send(write_run(home), home)


def test_diagnostics_are_never_submitted(stand: Stand, home: Home, facts: Any) -> None:
    facts.DIAGNOSTICS = ("blend",)
    with pytest.raises(InputError, match=r"blend is a diagnostic, .* run toy_demand linear"):
        send(write_run(home), home)
    assert not stand.submissions


def test_a_score_is_not_written_into_the_manifest_of_a_later_run(
    stand: Stand, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Kaggle scores, a run with other bytes replaces the manifest."""
    path = write_run(home)
    stand.verdicts.append(SCORED)
    later = json.loads(path.read_text())
    later["submission"]["sha256"] = "0" * 64
    wait = submitting._wait

    def wait_and_run(*arguments: Any) -> Any:
        path.write_text(json.dumps(later))
        return wait(*arguments)

    monkeypatch.setattr(submitting, "_wait", wait_and_run)
    send(path, home)
    assert json.loads(path.read_text()) == later


@pytest.mark.parametrize(
    ("csv", "told"),
    [
        ("id,count\n8,1\n7,1\n", "must be 7, received 8"),
        ("id,count\n7,\n8,1\n", "finite numbers"),
        ("id\n7\n8\n", "must have columns id, count"),
    ],
)
def test_unfit_submissions_are_not_sent(stand: Stand, home: Home, csv: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        send(write_run(home, csv), home)
    assert stand.calls == []


def test_the_csv_must_be_the_one_of_the_manifest(stand: Stand, home: Home) -> None:
    path = write_run(home)
    path.with_suffix(".csv").write_text(CSV.replace("1.5", "1.6"))
    with pytest.raises(InputError, match="must have sha256"):
        send(path, home)
    path.with_suffix(".csv").unlink()
    with pytest.raises(InputError, match=r"blend-seed0\.csv is missing"):
        send(path, home)
    assert stand.calls == []
