"""Every way by which data comes in but downloads, on a toy competition."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.checks import InputError
from common.contract import Pictures, Table
from common.data.images import write_picture
from common.data.paths import Home
from pipelines import fetch
from pipelines.session import locked
from tests.helpers.toys import (
    NEEDED,
    RAIN,
    TEST,
    TRAIN,
    Toy,
    load_told,
    load_tree,
    make_console,
    make_toy,
    make_zip,
    write_zip,
)


def test_import_takes_a_zip_then_adds_optional_files(home: Home, raw: Path, tmp_path: Path) -> None:
    fetch.import_(make_toy(), home, make_console(), write_zip(tmp_path / "toy.zip", NEEDED))
    (tmp_path / "more" / "weather").mkdir(parents=True)
    (tmp_path / "more" / "weather" / "rain.csv").write_bytes(RAIN)
    fetch.import_(make_toy(), home, make_console(), tmp_path / "more")
    assert load_tree(raw) == NEEDED | {"weather/rain.csv": RAIN}


def test_import_asks_before_it_replaces(home: Home, raw: Path, tmp_path: Path) -> None:
    toy, console = make_toy(), make_console()
    fetch.import_(toy, home, console, write_zip(tmp_path / "toy.zip", NEEDED))
    other = write_zip(tmp_path / "other.zip", {"train.csv": b"id,y\n1,3\n"})
    with pytest.raises(InputError, match=r"train\.csv is there with other bytes: add --replace"):
        fetch.import_(toy, home, console, other)
    assert load_tree(raw) == NEEDED
    fetch.import_(toy, home, console, other, replace=True)
    assert load_tree(raw) == {"train.csv": b"id,y\n1,3\n", "test.csv": TEST}


def test_import_as_holdout_is_a_kind_of_its_own(home: Home, raw: Path, tmp_path: Path) -> None:
    source = write_zip(tmp_path / "toy.zip", NEEDED)
    fetch.import_(make_toy(), home, make_console(), source, kind="holdout")
    assert load_tree(home.raw("toy_demand", "holdout")) == NEEDED
    assert not raw.exists()
    with pytest.raises(InputError, match="--as must be kaggle or holdout, received open"):
        fetch.import_(make_toy(), home, make_console(), source, kind="open")


def test_answers_of_another_cut_do_not_stay(home: Home, tmp_path: Path) -> None:
    """Whoever cut the new files keeps their answers; those of a refused or other kind stay."""
    toy, source = make_toy(), write_zip(tmp_path / "toy.zip", NEEDED)
    for kind in ("kaggle", "holdout"):
        home.answers("toy_demand", kind).parent.mkdir(parents=True, exist_ok=True)
        home.answers("toy_demand", kind).write_text("id,y\n2,1\n")
    bad = write_zip(tmp_path / "bad.zip", {"train.csv": TRAIN})
    with pytest.raises(InputError, match=r"test\.csv is missing"):
        fetch.import_(toy, home, make_console(), bad, kind="holdout")
    fetch.import_(toy, home, make_console(), source)
    assert home.answers("toy_demand", "kaggle").exists()
    assert home.answers("toy_demand", "holdout").exists()
    fetch.import_(toy, home, make_console(), source, kind="holdout")
    assert home.answers("toy_demand", "kaggle").exists()
    assert not home.answers("toy_demand", "holdout").exists()


def test_answers_stay_with_data_that_is_not_replaced(home: Home, tmp_path: Path) -> None:
    """A refused import, or one that only adds an optional file, changes no test row."""
    toy, source = make_toy(split={"write_split": lambda _, raw: write_needed(raw, 1)}), tmp_path
    fetch.import_(toy, home, make_console(), write_zip(source / "toy.zip", NEEDED))
    fetch.holdout(toy, home, make_console())
    answers = home.answers("toy_demand", "holdout")
    other = write_zip(source / "other.zip", {"train.csv": b"id,y\n9,9\n", "test.csv": TEST})
    more = write_zip(source / "more.zip", {"weather/rain.csv": RAIN})
    with pytest.raises(InputError, match="is there with other bytes: add --replace"):
        fetch.import_(toy, home, make_console(), other, kind="holdout")
    fetch.import_(toy, home, make_console(), more, kind="holdout")
    assert answers.read_text() == "id,y\n2,1\n"
    fetch.import_(toy, home, make_console(), other, kind="holdout", replace=True)
    assert not answers.exists()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"train.csv": TRAIN}, r"in\.zip: test\.csv is missing"),
        (
            {"train.csv": b"id\n1\n", "test.csv": TEST},
            r"in\.zip: train\.csv must have a column y, received id",
        ),
        ({"train.csv": b"", "test.csv": TEST}, r"in\.zip: train\.csv is empty"),
        (
            {"notes.txt": b"hi"},
            r"in\.zip must hold files of toy_demand \(train\.csv, .* received notes\.txt",
        ),
        ({}, r"in\.zip must hold files of toy_demand .* received nothing"),
    ],
)
def test_unfit_files_never_get_their_names(
    home: Home, tmp_path: Path, files: dict[str, bytes], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        fetch.import_(make_toy(), home, make_console(), write_zip(tmp_path / "in.zip", files))
    assert load_tree(home.root) == {}


def write_needed(raw: Path, n: int) -> pd.DataFrame:
    """Write files whose first train id is `n`; the answers hold it too."""
    (raw / "train.csv").write_text(f"id,y\n{n},2\n")
    (raw / "test.csv").write_bytes(TEST)
    return pd.DataFrame({"id": [2], "y": [n]})


def test_two_commands_do_not_write_at_once(home: Home, raw: Path, tmp_path: Path) -> None:
    source, console, done = write_zip(tmp_path / "toy.zip", NEEDED), make_console(), []

    def add() -> None:
        fetch.import_(make_toy(), home, console, source)
        done.append(load_tree(raw))

    second = threading.Thread(target=add)
    with locked(raw.parent, make_console()):
        second.start()
        deadline = time.monotonic() + 20
        while "another command is using" not in load_told(console):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        second.join(timeout=0.3)
        assert second.is_alive() and not raw.exists()
    second.join(timeout=20)
    assert done == [NEEDED]


def test_open_data_keeps_its_answers_apart(home: Home) -> None:
    seen: list[Path] = []

    def write_open_data(packages: Path, raw: Path) -> pd.DataFrame:
        seen.append(packages)
        return write_needed(raw, len(seen))

    toy = make_toy(open_data={"write_open_data": write_open_data})
    fetch.open_(toy, home, make_console())
    fetch.open_(toy, home, make_console())
    assert seen == [home.packages] * 2
    assert load_tree(home.raw("toy_demand", "open"))["train.csv"] == b"id,y\n2,2\n"
    assert home.answers("toy_demand", "open").read_text() == "id,y\n2,2\n"


def test_a_crash_never_leaves_answers_of_other_data(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = make_toy(
        open_data={"write_open_data": lambda packages, raw: write_needed(raw, len(calls))}
    )
    calls = ["first"]
    fetch.open_(toy, home, make_console())
    calls.append("second")

    def crash(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch, "written_whole", crash)
    with pytest.raises(KeyboardInterrupt):
        fetch.open_(toy, home, make_console())
    assert load_tree(home.raw("toy_demand", "open"))["train.csv"] == b"id,y\n2,2\n"
    assert not home.answers("toy_demand", "open").exists()


def test_a_holdout_is_cut_from_kaggle_files(home: Home, tmp_path: Path) -> None:
    def write_split(kaggle_raw: Path, raw: Path) -> pd.DataFrame:
        return write_needed(raw, len(pd.read_csv(kaggle_raw / "train.csv")))

    toy = make_toy(split={"write_split": write_split})
    with pytest.raises(InputError, match="has none: run `download toy_demand`"):
        fetch.holdout(toy, home, make_console())
    fetch.import_(toy, home, make_console(), write_zip(tmp_path / "toy.zip", NEEDED))
    fetch.holdout(toy, home, make_console())
    assert load_tree(home.raw("toy_demand", "holdout")) == {
        "train.csv": b"id,y\n1,2\n",
        "test.csv": TEST,
    }
    assert home.answers("toy_demand", "holdout").read_text() == "id,y\n2,1\n"


def test_an_imported_cut_is_not_lost_to_another(home: Home, tmp_path: Path) -> None:
    toy = make_toy(split={"write_split": lambda kaggle_raw, raw: write_needed(raw, 5)})
    zipped = write_zip(tmp_path / "toy.zip", NEEDED)
    for kind in ("kaggle", "holdout"):
        fetch.import_(toy, home, make_console(), zipped, kind=kind)
    with pytest.raises(InputError, match="imported: add --replace to cut a test in their place"):
        fetch.holdout(toy, home, make_console())
    assert load_tree(home.raw("toy_demand", "holdout")) == NEEDED
    for replace in (True, False):  # The second time it is our own cut.
        fetch.holdout(toy, home, make_console(), replace=replace)
        assert load_tree(home.raw("toy_demand", "holdout"))["train.csv"] == b"id,y\n5,2\n"


def test_an_imported_cut_takes_the_place_of_the_own_one_whole(home: Home, tmp_path: Path) -> None:
    def write_split(kaggle_raw: Path, raw: Path) -> pd.DataFrame:
        (raw / "picture of train.png").write_bytes(b"in the test of the other cut")
        return write_needed(raw, 5)

    toy = make_toy(split={"write_split": write_split})
    zipped = write_zip(tmp_path / "toy.zip", NEEDED)
    fetch.import_(toy, home, make_console(), zipped)
    fetch.holdout(toy, home, make_console())
    with pytest.raises(InputError, match="with other bytes: add --replace"):
        fetch.import_(toy, home, make_console(), zipped, kind="holdout")
    assert home.answers("toy_demand", "holdout").is_file()
    fetch.import_(toy, home, make_console(), zipped, kind="holdout", replace=True)
    assert load_tree(home.raw("toy_demand", "holdout")) == NEEDED
    assert not home.answers("toy_demand", "holdout").exists()


def test_a_split_that_imports_tensorflow_stays_quiet(home: Home, tmp_path: Path, capfd) -> None:
    def write_split(kaggle_raw: Path, raw: Path) -> pd.DataFrame:
        os.write(2, b"I0000 00:00:1795916899.514332 20954 port.cc:153] oneDNN is on.\nheard\n")
        return write_needed(raw, 1)

    toy = make_toy(split={"write_split": write_split})
    fetch.import_(toy, home, make_console(), write_zip(tmp_path / "toy.zip", NEEDED))
    fetch.holdout(toy, home, make_console())
    heard, deadline = "", time.monotonic() + 10
    while not heard and time.monotonic() < deadline:  # A busy machine may pass it on later.
        heard = capfd.readouterr().err
        time.sleep(0.01)
    assert heard == "heard\n"


def test_samples_take_the_place_of_older_ones(home: Home) -> None:
    def write_sample(raw: Path, seed: int, *, n_rows: int | None, signal: bool) -> None:
        write_needed(raw, seed)
        (raw / "asked.txt").write_text(f"{n_rows} {signal}")

    toy = make_toy(sample={"write_sample": write_sample})
    fetch.sample(toy, home, make_console())
    fetch.sample(toy, home, make_console(), rows=7, signal=False, seed=3)
    tree = load_tree(home.raw("toy_demand", "sample"))
    assert (tree["train.csv"], tree["asked.txt"]) == (b"id,y\n3,2\n", b"7 False")


def test_a_sample_must_be_whole_by_itself(home: Home) -> None:
    """Files of an older sample do not make up for those that the new one lacks."""

    def write_sample(raw: Path, seed: int, *, n_rows: int | None, signal: bool) -> None:
        write_needed(raw, seed)
        if seed == 1:
            (raw / "test.csv").unlink()

    toy = make_toy(sample={"write_sample": write_sample})
    fetch.sample(toy, home, make_console())
    with pytest.raises(InputError, match=r"sample\.py: test\.csv is missing"):
        fetch.sample(toy, home, make_console(), seed=1)
    assert "test.csv" in load_tree(home.raw("toy_demand", "sample"))


SEEDLINGS = ("train/Gräser, süß/1 a.png", "train/Scentless Mayweed/2.png", "test/1.png")


def make_seedlings(**parts: object) -> Toy:
    """A toy competition of pictures in folders by their class."""
    toy = make_toy(**parts)
    toy.facts.FILES = (
        Pictures("train/*/*.png"),
        Pictures("test/*.png"),
        Table("more.csv", columns=("id",), optional="shared on the forum"),
    )
    return toy


def write_seedlings(raw: Path, seed: int = 0, **_: object) -> None:
    for k, name in enumerate(SEEDLINGS):
        write_picture(raw / name, np.full((4, 4, 3), seed + k, np.uint8))


def test_folders_of_pictures_come_in_every_way(home: Home, raw: Path, tmp_path: Path) -> None:
    """A folder, a zip with a zip in it, and a sample: names keep their spaces and umlauts."""
    write_seedlings(tmp_path / "in")
    pictures = load_tree(tmp_path / "in")
    train = {name: data for name, data in pictures.items() if name.startswith("train")}
    source = write_zip(
        tmp_path / "in.zip", {"train.zip": make_zip(train), "test/1.png": pictures["test/1.png"]}
    )
    toy = make_seedlings(sample={"write_sample": write_seedlings})

    fetch.import_(toy, home, make_console(), tmp_path / "in")
    fetch.import_(toy, home, make_console(), source, kind="holdout")
    fetch.sample(toy, home, make_console())

    for kind in ("kaggle", "holdout", "sample"):
        assert load_tree(home.raw("toy_demand", kind)) == pictures
        assert toy.has_files(home.raw("toy_demand", kind))


def test_what_is_no_picture_never_gets_its_name(home: Home, tmp_path: Path) -> None:
    write_seedlings(tmp_path / "in")
    (tmp_path / "in" / SEEDLINGS[1]).write_text("hello")
    told = r"in: train/Scentless Mayweed/2\.png must be a JPEG or PNG picture, .* b'hello'$"
    with pytest.raises(InputError, match=told):
        fetch.import_(make_seedlings(), home, make_console(), tmp_path / "in")

    write_seedlings(tmp_path / "in")
    (tmp_path / "in" / SEEDLINGS[2]).unlink()
    with pytest.raises(InputError, match=r"in: test/\*\.png is missing$"):
        fetch.import_(make_seedlings(), home, make_console(), tmp_path / "in")
    assert load_tree(home.root) == {}
