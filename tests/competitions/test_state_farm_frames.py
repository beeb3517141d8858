import shutil

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist

from common.checks import InputError
from competitions.state_farm_distracted_driver_detection import sample
from competitions.state_farm_distracted_driver_detection.competition import CLASSES, Config
from competitions.state_farm_distracted_driver_detection.frames import (
    THUMBNAIL_PX,
    load_frames,
    load_pixels,
    load_thumbnails,
)
from competitions.state_farm_distracted_driver_detection.sample import (
    N_DRIVERS,
    N_FRAMES,
    N_TEST_DRIVERS,
    SIZE_PX,
    TEST_SHARE,
    write_sample,
)
from tests.helpers.homes import rewrite


@pytest.fixture
def raw(farm_sample, tmp_path):
    """A copy to damage."""
    return shutil.copytree(farm_sample, tmp_path / "raw")


def test_frames_are_those_of_the_lists(farm_sample):
    frames = load_frames(farm_sample)

    n_train, n_test = 10 * N_FRAMES * N_DRIVERS, 10 * N_FRAMES * N_TEST_DRIVERS
    assert frames.is_test.sum() == n_test and len(frames.names) == n_train + n_test
    assert (frames.driver[frames.is_test] == "").all() and len(set(frames.driver)) == N_DRIVERS + 1
    asked = pd.read_csv(farm_sample / "sample_submission.csv")
    assert frames.names[frames.is_test].tolist() == asked["img"].tolist()
    listed = pd.read_csv(farm_sample / "driver_imgs_list.csv")
    for k in (0, 77, 201):
        assert frames.paths[k] == f"imgs/train/{listed['classname'][k]}/{listed['img'][k]}"
        assert CLASSES[frames.label[k]] == listed["classname"][k]
        assert frames.driver[k] == listed["subject"][k]
    assert all((farm_sample / path).is_file() for path in frames.paths)


def test_one_hot_has_a_one_at_the_label_and_nothing_in_the_test(farm_sample):
    frames = load_frames(farm_sample)

    assert frames.one_hot.dtype == np.float32
    np.testing.assert_array_equal(frames.one_hot.sum(axis=1), ~frames.is_test)
    np.testing.assert_array_equal(
        frames.one_hot.argmax(axis=1)[~frames.is_test], frames.label[~frames.is_test]
    )


def test_a_sequence_is_one_driver_doing_one_thing(farm_sample):
    frames = load_frames(farm_sample)
    counts = np.unique(frames.sequence[~frames.is_test], return_counts=True)[1]

    assert len(counts) == 10 * N_DRIVERS and (counts == N_FRAMES).all()


@pytest.mark.parametrize(("n_rows", "n_drivers"), [(200, 5), (560, 7)])
def test_a_larger_sample_has_longer_sequences_up_to_kaggles(
    tmp_path, monkeypatch, n_rows, n_drivers
):
    monkeypatch.setattr(sample, "write_picture", lambda path, picture: None)
    monkeypatch.setattr(sample, "KAGGLE_FRAMES", 8)
    write_sample(tmp_path, 0, n_rows=n_rows)
    listed = pd.read_csv(tmp_path / "driver_imgs_list.csv")
    asked = pd.read_csv(tmp_path / "sample_submission.csv")

    assert listed["subject"].nunique() == n_drivers
    assert listed.groupby(["subject", "classname"]).size().nunique() == 1
    assert len(listed) == pytest.approx(n_rows, rel=0.01)
    assert len(asked) == pytest.approx(TEST_SHARE * n_rows, rel=0.05)


def test_pictures_come_in_the_order_of_the_frames(farm_sample, tmp_path):
    """Frames of one sequence are nearer to each other than to anything else."""
    frames = load_frames(farm_sample)
    pixels = load_pixels(frames, farm_sample, tmp_path, size_px=SIZE_PX)
    small = load_thumbnails(frames, farm_sample, tmp_path)

    assert pixels.shape == (len(frames.names), *SIZE_PX, 3) and pixels.dtype == np.uint8
    assert small.shape == (len(frames.names), 64) and small.dtype == np.float32
    own = np.linalg.norm(small[0] - small[1:N_FRAMES], axis=1).max()
    others = np.linalg.norm(small[0] - small[N_FRAMES:], axis=1).min()
    assert own < others


def test_thumbnails_keep_distances(farm_sample, tmp_path):
    """Between frames, those of the small pictures themselves, but for noise in the last places."""
    frames = load_frames(farm_sample)
    pixels = load_pixels(frames, farm_sample, tmp_path, size_px=THUMBNAIL_PX)
    whole = pdist(pixels.reshape(len(pixels), -1).astype(float))
    short = pdist(load_thumbnails(frames, farm_sample, tmp_path))

    assert np.corrcoef(whole, short)[0, 1] > 0.999
    assert (short <= whole * (1 + 1e-4)).all()


def add_line(path, line):
    rewrite(path, lambda data: data + line.encode())


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("p099,c10,img_x.jpg\n", "column classname must hold one of c0, .*c9, line .* has c10"),
        (",c1,img_x.jpg\n", r"subject must name a driver, received none in line 252$"),
        (" ,c1,img_x.jpg\n", r"subject must name a driver, received none in line 252$"),
        ("p099,,img_x.jpg\n", "column classname must hold one of c0, .*c9, line .* has nan"),
    ],
)
def test_a_class_that_is_none_is_refused(raw, line, told):
    add_line(raw / "driver_imgs_list.csv", line)
    with pytest.raises(InputError, match=told):
        load_frames(raw)


def test_a_frame_that_is_listed_twice_is_refused(raw):
    listed, sample = raw / "driver_imgs_list.csv", raw / "sample_submission.csv"
    first, n = pd.read_csv(listed)["img"][0], len(pd.read_csv(listed))
    asked, n_asked = pd.read_csv(sample)["img"][0], len(pd.read_csv(sample))
    before = {path: path.read_bytes() for path in (listed, sample)}
    row = ",".join(["0.1"] * 10)
    for path, line, told in (
        (
            listed,
            f"p001,c3,{first}\n",
            f"{listed}: .* be new in every row, line {n + 2} has {first}",
        ),
        (sample, f"{asked},{row}\n", f"{sample}: .* be new .* line {n_asked + 2} has {asked}"),
        (sample, f",{row}\n", f"{sample}: column img must name a picture in .* has nan"),
        (
            sample,
            f"{first},{row}\n",
            f"{sample}: .* train or in the test, received {first} in both",
        ),
    ):
        add_line(path, line)
        with pytest.raises(InputError, match=told):
            load_frames(raw)
        rewrite(path, lambda _, path=path: before[path])


def test_a_frame_that_is_not_there_is_named(raw, tmp_path):
    frames = load_frames(raw)
    (raw / frames.paths[4]).unlink()
    with pytest.raises(InputError, match=frames.names[4]):
        load_thumbnails(frames, raw, tmp_path / "work")


def test_small_samples_have_a_driver_for_each_fold(tmp_path):
    write_sample(tmp_path, 0, n_rows=50)
    frames = load_frames(tmp_path)
    assert len(np.unique(frames.driver[~frames.is_test])) == Config().n_folds


def test_drivers_and_pictures_without_signal_tell_nothing_of_the_class(tmp_path):
    """With signal, the brightest spot of a class is at the same place for all drivers."""
    spreads = {}
    for signal in (True, False):
        raw = tmp_path / str(signal)
        raw.mkdir()
        write_sample(raw, 0, signal=signal)
        frames = load_frames(raw)
        grey = load_pixels(frames, raw, tmp_path / "work", size_px=SIZE_PX).mean(axis=3)
        spot = np.stack(
            np.unravel_index(grey.reshape(len(grey), -1).argmax(axis=1), SIZE_PX), axis=1
        )
        spreads[signal] = np.mean([spot[frames.label == k].std(axis=0).mean() for k in range(10)])
    assert spreads[True] < 3 < spreads[False]
