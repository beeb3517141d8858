"""The real kaggle command line against a stand-in for Kaggle's server."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from common.checks import InputError
from common.data import kaggle
from common.data.kaggle import Kaggle, KaggleError, Submission
from tests.helpers.kaggle_server import ALL, DATE, Stand, serve

SLUG = "bikes-and-rain"
BYTES = os.urandom(6 * 2**20)


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stand]:
    with serve(monkeypatch, tmp_path) as stand:
        stand.files[SLUG] = {ALL: BYTES, "train.csv": b"a\n1\n", "imgs/a b.csv.zip": b"zipped"}
        yield stand


def test_all_files_arrive_with_progress(stand: Stand, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    stand.cuts.append(2**20)  # The command line itself goes on after two seconds: time to look.
    came = Kaggle(SLUG).download_data(tmp_path / "d", on_progress=lambda *state: seen.append(state))
    assert came == tmp_path / "d" / f"{SLUG}.zip"
    assert came.read_bytes() == BYTES
    assert (2**20, len(BYTES)) in seen
    assert stand.ranges == ["", f"bytes={2**20}-"]


def test_one_file_arrives_under_its_own_name(stand: Stand, tmp_path: Path) -> None:
    came = Kaggle(SLUG).download_data(tmp_path / "d", file="imgs/a b.csv")
    assert came.name == "a b.csv.zip"
    assert came.read_bytes() == b"zipped"


def test_a_killed_download_goes_on_where_it_stopped(stand: Stand, tmp_path: Path) -> None:
    def stop(have: int, whole: int) -> None:
        if have == 2 * 2**20:
            raise KeyboardInterrupt

    stand.cuts.append(2 * 2**20)
    with pytest.raises(KeyboardInterrupt):
        Kaggle(SLUG).download_data(tmp_path / "d", on_progress=stop)
    assert (tmp_path / "d" / f"{SLUG}.zip").stat().st_size == 2 * 2**20
    stand.ranges.clear()
    came = Kaggle(SLUG).download_data(tmp_path / "d")
    assert came.read_bytes() == BYTES
    assert stand.ranges == [
        "",
        f"bytes={2 * 2**20}-",
    ]  # The first, unread, asks for size and version.


def test_what_an_error_page_spoilt_is_fetched_again(stand: Stand, tmp_path: Path) -> None:
    """The command line takes a 503 in the middle of a download for the file's bytes."""

    def fail_next(have: int, whole: int) -> None:
        if have and not stand.failures["GET"]:
            stand.failures["GET"].extend([(503, "busy"), (503, "busy")])

    stand.cuts.append(2**20)
    with pytest.raises(KaggleError, match="damaged and was deleted"):
        Kaggle(SLUG).download_data(tmp_path / "d", on_progress=fail_next)
    stand.failures.clear()
    assert Kaggle(SLUG).download_data(tmp_path / "d").read_bytes() == BYTES


def test_a_full_disk_stops_the_download_early(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.cuts.append(2**20)
    free = 2 * len(BYTES) - 2**20 - 1  # One byte less than the rest of the zip and its contents.
    monkeypatch.setattr(kaggle.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    with pytest.raises(InputError, match=f"needs [0-9,]+ bytes of disk, {free:,} are free"):
        Kaggle(SLUG).download_data(tmp_path / "d")


def test_files_are_listed_with_sizes(stand: Stand) -> None:
    assert Kaggle(SLUG).download_sizes() == {"train.csv": 4, "imgs/a b.csv.zip": 6}


def test_an_unknown_file_names_the_nearest(stand: Stand, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{SLUG} has no file trian.csv .*did you mean train.csv"):
        Kaggle(SLUG).download_data(tmp_path / "d", file="trian.csv")


def test_an_unknown_competition_names_the_nearest(stand: Stand) -> None:
    with pytest.raises(KaggleError, match=r"\(404\): did you mean bikes-and-rain, bike-rain\?"):
        Kaggle("bikes-and-rian", known=("bike-rain", "digit-recognizer")).download_sizes()


@pytest.mark.parametrize(
    ("status", "message", "advice"),
    [
        (403, "", f"https://www.kaggle.com/competitions/{SLUG}/rules"),
        (403, "You must accept this competition's rules first.", f"/{SLUG}/rules"),
        (401, "", "refuses the credentials in KAGGLE_USERNAME and KAGGLE_KEY"),
        (500, "", "Kaggle's server failed .*try again later"),
        (400, "Something new", "^kaggle failed: Something new$"),
    ],
)
def test_failures_become_advice(stand: Stand, status: int, message: str, advice: str) -> None:
    stand.failures["ListDataFiles"].append((status, message))
    with pytest.raises(KaggleError, match=advice) as caught:
        Kaggle(SLUG).download_sizes()
    assert "\n" not in str(caught.value)


def test_too_many_requests_are_repeated_later(stand: Stand) -> None:
    waits: list[float] = []
    stand.failures["ListDataFiles"].extend([(429, ""), (429, "Too many requests")])
    assert Kaggle(SLUG, sleep=waits.append).download_sizes()
    assert waits == [15, 45]


def test_too_many_requests_end_in_advice(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kaggle, "RETRY_DELAYS_S", (1,))
    stand.failures["ListDataFiles"].extend([(429, "")] * 2)
    with pytest.raises(KaggleError, match="try again in an hour"):
        Kaggle(SLUG, sleep=lambda _: None).download_sizes()


def test_no_credentials_say_where_they_go(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAGGLE_KEY")
    with pytest.raises(InputError, match=r"wants credentials .*settings/api .*access_token"):
        Kaggle(SLUG).download_sizes()


def test_a_refused_token_is_named(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAGGLE_KEY")
    monkeypatch.setenv("KAGGLE_API_TOKEN", "revoked")
    stand.failures["IntrospectToken"].extend([(403, "")] * 2)
    with pytest.raises(KaggleError, match="refuses the credentials in KAGGLE_API_TOKEN"):
        Kaggle(SLUG).download_sizes()


def test_credentials_are_found_where_the_command_line_finds_them(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert kaggle.check_credentials() == "KAGGLE_USERNAME and KAGGLE_KEY"
    monkeypatch.delenv("KAGGLE_KEY")
    file = tmp_path / ".config" / "kaggle" / "kaggle.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"username": "somebody", "key": "a-key"}')
    file.chmod(0o600)
    assert kaggle.check_credentials() == str(file)
    assert Kaggle(SLUG).download_sizes()


def test_no_network_is_one_line(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(KaggleError, match="cannot be reached"):
        Kaggle(SLUG).download_sizes()


def test_a_submission_is_sent_and_listed(stand: Stand, tmp_path: Path) -> None:
    csv = tmp_path / "s.csv"
    csv.write_bytes(b"id,count\n1,2\n")
    assert Kaggle(SLUG).download_submissions() == []
    said = Kaggle(SLUG).upload_submission(csv, "blend, seed 0 [abc]")
    assert said == "Successfully submitted"
    assert stand.uploads == [b"id,count\n1,2\n"]
    stand.verdicts.append({"status": "COMPLETE", "publicScore": "0.5", "privateScore": ""})
    assert Kaggle(SLUG).download_submissions() == [
        Submission(100, DATE[:19], "blend, seed 0 [abc]", "COMPLETE", 0.5, None)
    ]


def test_a_failed_upload_may_end_without_an_error(stand: Stand, tmp_path: Path) -> None:
    """Why `submit` looks for its mark: a 503 on the upload itself exits with 0."""
    (tmp_path / "s.csv").write_bytes(b"id,count\n")
    stand.failures["PUT"].append((503, ""))
    said = Kaggle(SLUG).upload_submission(tmp_path / "s.csv", "blend")
    assert "Could not submit" in said
    assert stand.submissions == []
