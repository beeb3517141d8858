"""Tests that are cut from Kaggle's own train pictures; here made-up ones stand for them."""

import numpy as np
import pandas as pd
import pytest

from common.checks import InputError
from common.data.files import check_files
from common.data.tables import load_table
from competitions.plant_seedlings_classification import competition as seedlings
from competitions.plant_seedlings_classification import plants, split
from competitions.plant_seedlings_classification.sample import write_sample
from competitions.state_farm_distracted_driver_detection import competition as farm
from competitions.state_farm_distracted_driver_detection import split as farm_split
from competitions.state_farm_distracted_driver_detection.frames import load_frames


def load_bytes(raw, pattern):
    """{name: bytes} of pictures, whose names must differ."""
    paths = list(raw.glob(pattern))
    found = {path.name: path.read_bytes() for path in paths}
    assert len(found) == len(paths)
    return found


def test_a_sixth_of_the_seedlings_is_the_test_and_twins_stay_together(tmp_path):
    kaggle, raw = tmp_path / "kaggle", tmp_path / "raw"
    kaggle.mkdir()
    raw.mkdir()
    write_sample(kaggle, 0)
    twin = {}  # Three of each species are the same shot, saved three times.
    for name in seedlings.SPECIES:
        shot, *again = sorted((kaggle / "train" / name).iterdir())[:3]
        twin |= {path.name: shot.name for path in (shot, *again)}
        for path in again:
            path.write_bytes(shot.read_bytes())

    answers = split.write_split(kaggle, raw)

    check_files(raw, seedlings.FILES)
    names = {path.name for path in raw.iterdir()}
    assert names == {"train", "test", "sample_submission.csv"}
    train, test = load_bytes(raw, "train/*/*"), load_bytes(raw, "test/*")
    assert train | test == load_bytes(kaggle, "train/*/*") and not train.keys() & test.keys()
    assert len(test) == pytest.approx(len(train | test) / 6, abs=3)
    for path in raw.glob("train/*/*"):
        assert (kaggle / path.relative_to(raw)).is_file()
    assert list(answers.columns) == ["file", "species"] and set(answers["file"]) == set(test)
    for file, species in answers.itertuples(index=False):
        assert (kaggle / "train" / species / file).is_file()
    sides = {(first, name in test) for name, first in twin.items()}
    assert len(sides) == len(seedlings.SPECIES)
    sample = load_table(raw / "sample_submission.csv")
    assert sample["file"].tolist() == answers["file"].tolist()
    assert sample["species"].nunique() == 1
    loaded = plants.load_plants(raw, tmp_path / "work", side_px=8)
    assert loaded.is_test.sum() == len(test)


def test_a_fifth_of_the_drivers_is_the_test(farm_sample, tmp_path):
    known = load_frames(farm_sample)

    answers = farm_split.write_split(farm_sample, tmp_path)

    check_files(tmp_path, farm.FILES)
    found = load_frames(tmp_path)
    driver_of = dict(zip(known.names, known.driver, strict=True))
    label_of = dict(zip(known.names, known.label, strict=True))
    asked = found.names[found.is_test]
    held = {driver_of[name] for name in asked}
    assert len(held) == 1 and held.isdisjoint(found.driver)
    assert {*found.driver} | held == {*known.driver}
    assert set(found.names) == set(known.names[~known.is_test])
    left = ~found.is_test
    assert [label_of[name] for name in found.names[left]] == found.label[left].tolist()
    for path, name in zip(found.paths, found.names, strict=True):
        before = farm_sample / "imgs/train" / farm.CLASSES[label_of[name]] / name
        assert (tmp_path / path).read_bytes() == before.read_bytes()
    assert answers["img"].tolist() == asked.tolist() == sorted(asked)
    classes = answers[list(farm.CLASSES)].to_numpy()
    assert classes.sum(axis=1).tolist() == [1] * len(asked)
    assert classes.argmax(axis=1).tolist() == [label_of[name] for name in asked]
    sample = load_table(tmp_path / "sample_submission.csv")
    assert np.all(sample[list(farm.CLASSES)] == 0.1)


def test_one_driver_is_no_train_and_test(tmp_path):
    listed = pd.DataFrame({"subject": ["p1"], "classname": ["c0"], "img": ["a.jpg"]})
    listed.to_csv(tmp_path / "driver_imgs_list.csv", index=False)
    asked = pd.DataFrame({"img": ["b.jpg"]}).assign(**dict.fromkeys(farm.CLASSES, 0.1))
    asked.to_csv(tmp_path / "sample_submission.csv", index=False)
    raw = tmp_path / "raw"
    raw.mkdir()
    with pytest.raises(InputError, match="a test needs frames of two drivers, received 1"):
        farm_split.write_split(tmp_path, raw)
    assert not list(raw.iterdir())


def test_a_frame_that_is_listed_but_not_there_is_named(farm_sample, tmp_path):
    kaggle, raw = tmp_path / "kaggle", tmp_path / "raw"
    kaggle.mkdir()
    raw.mkdir()
    for name in ("driver_imgs_list.csv", "sample_submission.csv"):
        (kaggle / name).write_bytes((farm_sample / name).read_bytes())
    with pytest.raises(InputError, match=r"kaggle/imgs/train/c\d/img_\d+\.jpg is missing"):
        farm_split.write_split(kaggle, raw)
