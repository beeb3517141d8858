"""Pictures of seedlings as arrays: their order, their labels, and which are nearly the same."""

import cv2
import numpy as np
import pytest

from common.checks import InputError
from common.data.images import resize_picture, write_picture
from competitions.plant_seedlings_classification.competition import SPECIES
from competitions.plant_seedlings_classification.plants import (
    THUMBNAIL_PX,
    find_near_duplicates,
    load_plants,
)
from competitions.plant_seedlings_classification.sample import write_sample
from tests.helpers.homes import rewrite


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    write_sample(folder, 0, n_rows=24)
    return folder


def test_train_comes_before_test_and_has_its_folders_species(raw, tmp_path):
    plants = load_plants(raw, tmp_path, side_px=16)

    assert plants.pictures.shape == (36, 16, 16, 3)
    assert plants.is_test.tolist() == [False] * 24 + [True] * 12
    assert plants.names[:3].tolist() == ["000000000.png", "00000000c.png", "000000001.png"]
    assert np.bincount(plants.label[:24]).tolist() == [2] * len(SPECIES)
    assert plants.label[:4].tolist() == [0, 0, 1, 1] and set(plants.label[24:]) == {-1}
    whole = cv2.imread(str(raw / "train" / "Charlock" / "000000001.png"))[..., ::-1]
    small = cv2.resize(whole, (16, 16), interpolation=cv2.INTER_AREA)
    assert plants.pictures[2].tolist() == small.tolist()


def test_test_pictures_come_in_the_order_of_the_sample_submission(raw, tmp_path):
    path = raw / "sample_submission.csv"
    before = path.read_bytes()
    lines = before.decode().splitlines()
    try:
        rewrite(path, lambda _: "\n".join([lines[0], *lines[:0:-1], ""]).encode())
        turned = load_plants(raw, tmp_path, side_px=16)
    finally:
        rewrite(path, lambda _: before)
    plants = load_plants(raw, tmp_path, side_px=16)

    assert turned.names[24:].tolist() == plants.names[24:].tolist()[::-1]
    assert np.array_equal(turned.pictures[24:], plants.pictures[24:][::-1])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{last},Maize\n", "column file must be new in every row, line 14 has {last}"),
        (",Maize\n", "column file must name a picture in every row, line 14 has nan"),
    ],
)
def test_a_test_picture_that_is_listed_twice_or_without_a_name_is_told(tmp_path, line, told):
    write_sample(tmp_path, 0, n_rows=24)
    path = tmp_path / "sample_submission.csv"
    last = path.read_text().splitlines()[-1].partition(",")[0]
    rewrite(path, lambda data: data + line.format(last=last).encode())
    with pytest.raises(InputError, match=f"^{path}: {told.format(last=last)}$"):
        load_plants(tmp_path, tmp_path / "work", side_px=16)


def test_a_folder_that_is_no_species_and_a_picture_that_is_missing_are_named(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    write_sample(raw, 0, n_rows=12)
    (raw / "test" / "00000000f.png").rename(tmp_path / "away.png")
    with pytest.raises(InputError, match=r"test/00000000f\.png"):
        load_plants(raw, tmp_path / "work", side_px=16)
    (raw / "train" / "Maize").rename(raw / "train" / "Mais")
    with pytest.raises(InputError, match=r"must hold folders named Black-grass, .*received Mais$"):
        load_plants(raw, tmp_path / "work", side_px=16)


def test_a_species_without_pictures_and_a_name_in_two_folders_are_named(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    write_sample(raw, 0, n_rows=12)
    for path in (raw / "train" / "Maize").iterdir():
        (raw / "train" / "Charlock" / path.name).write_bytes(path.read_bytes())
        twice = path.name
    told = rf"train must hold each name once, received train/Charlock/{twice} and train/Maize/"
    with pytest.raises(InputError, match=told):
        load_plants(raw, tmp_path / "work", side_px=16)
    (raw / "train" / "Maize").rename(tmp_path / "away")
    told = "train must hold pictures of all species, received none of Maize$"
    with pytest.raises(InputError, match=told):
        load_plants(raw, tmp_path / "work", side_px=16)


def test_a_name_in_train_and_test_is_told(tmp_path):
    """Two cuts of the same pictures have come together."""
    write_sample(tmp_path, 0, n_rows=12)
    twice = sorted((tmp_path / "test").iterdir())[0]
    (tmp_path / "train" / "Maize" / twice.name).write_bytes(twice.read_bytes())
    with pytest.raises(InputError, match=f"each name once, received {twice.name} in train and te"):
        load_plants(tmp_path, tmp_path / "work", side_px=16)


@pytest.mark.parametrize(("n_rows", "n_test"), [(None, 12), (24, 12), (475, 79)])
def test_the_samples_test_grows_as_kaggles(tmp_path, n_rows, n_test):
    write_sample(tmp_path, 0, n_rows=n_rows)
    lines = (tmp_path / "sample_submission.csv").read_text().splitlines()
    assert len(lines) - 1 == len(list(tmp_path.glob("test/*"))) == n_test


def make_rough(n):
    """Large pictures of chance, smooth within an eighth of their sides."""
    rough = np.random.default_rng(0).uniform(40, 160, (n, 12, 12, 3)).astype(np.float32)
    return np.stack([cv2.resize(p, (96, 96), interpolation=cv2.INTER_CUBIC) for p in rough])


def shrink(pictures):
    whole = np.stack(pictures).clip(0, 255).astype(np.uint8)
    return np.stack([resize_picture(p, THUMBNAIL_PX, THUMBNAIL_PX) for p in whole])


def test_turned_and_mirrored_copies_are_found():
    """Picture 0 in all eight positions, picture 1 upright and by three quarters, darker."""
    large = make_rough(4)
    pictures = [np.rot90(side, k) for side in (large[0], large[0][:, ::-1]) for k in range(4)]
    pictures += [large[1], 0.8 * np.rot90(large[1], 3), large[2], large[3]]

    group = find_near_duplicates(shrink(pictures))

    _, first = np.unique(group, return_index=True)
    assert sorted(first) == [0, 8, 10, 11]
    assert len(set(group[:8])) == 1 and group[8] == group[9]


def test_groups_are_the_same_at_any_side(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    write_sample(raw, 0, n_rows=24)
    for number, picture in enumerate(make_rough(3).clip(0, 255).astype(np.uint8)):
        write_picture(raw / "train" / "Maize" / f"a{number}.png", picture)
        write_picture(raw / "train" / "Maize" / f"b{number}.png", np.rot90(picture))
    groups = [load_plants(raw, tmp_path / "work", side_px=side).group for side in (4, 64)]
    assert groups[0].tolist() == groups[1].tolist()
    assert len(np.unique(groups[0])) == 24 + 3 + 12


def test_copies_are_found_through_light_noise_and_shifts_of_a_pixel():
    """Five pictures of chance; the first comes again brighter, the second noisy; the third twice,
    each a little farther along, so that the last is linked to the first through the one between.
    """
    rng, large = np.random.default_rng(0), make_rough(5)
    pictures = [
        *large,
        large[0] * 1.3,
        large[1] + rng.normal(0, 5, large[1].shape),
        np.roll(large[2], 2, axis=1),
        np.roll(large[2], 4, axis=1),
    ]

    group = find_near_duplicates(shrink(pictures))

    assert group[5] == group[0] and group[6] == group[1] and group[2] == group[7] == group[8]
    assert len(np.unique(group)) == 5


def test_pictures_of_one_colour_are_alike():
    pictures = np.zeros((3, 8, 8, 3), np.uint8)
    pictures[1] = 200
    pictures[2] = np.random.default_rng(0).integers(0, 256, (8, 8, 3))
    group = find_near_duplicates(pictures)
    assert group[0] == group[1] != group[2]
