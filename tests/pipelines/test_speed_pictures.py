import numpy as np
import pytest
import tensorflow as tf

from common.data.images import load_picture, load_pictures
from pipelines import speed_pictures, speed_tuning
from pipelines.speed import OURS
from pipelines.speed_pictures import Seen, make_races


@pytest.mark.parametrize("one", make_races(share=0.01), ids=lambda one: one.name)
def test_all_ways_do_the_same_work(one):
    """Small races of the real ones, with a net of two blocks."""
    runs = one.make()
    ours = runs[OURS]()

    for run in runs.values():
        assert one.differ(ours, run()) == ""
    if isinstance(ours, Seen):
        assert ours.n == one.rows


def test_differences_are_found():
    differ = speed_pictures._differ_in_pictures
    colour, halves = np.array([150.0, 128.0, 100.0]), np.array([2048, 2048])
    ours = Seen(4096, colour, 14.0, halves)
    assert differ(ours, ours._replace(colour=colour - 1)) == ""
    for change, told in (
        ({"n": 32}, "32 pictures, ours are 4096"),
        (
            {"counts": halves + np.array([1, -1])},
            r"[2049 2047] pictures of the classes, ours are [2048 2048]",
        ),
        ({"colour": colour - 3}, "darker by 3.0"),
        ({"colour": colour[::-1]}, "colours are 50.0 of 255 apart"),
        ({"spread": 2.0}, "vary in brightness by 2.0 of 255, as if unaltered"),
    ):
        assert told in differ(ours, ours._replace(**change))
    assert "as if unaltered" in differ(ours._replace(spread=2.0), ours)
    assert "5 steps, ours are 6" in speed_tuning.differ_in_steps(6, 5)
    learnt = np.ones((4, 3))
    assert "apart" in speed_tuning.differ_in_features(learnt, learnt * 1.01)
    assert speed_tuning.differ_in_learning(learnt, learnt * 1.001) == ""
    assert "apart" in speed_tuning.differ_in_learning(learnt, learnt * 1.1)


def test_unaltered_and_swapped_pictures_are_seen_even_among_few():
    """The files themselves hardly differ in brightness, and are of a hue."""
    album = speed_pictures._make_album(64, 96, 96, n_files=64)
    ours = speed_pictures._read_all_ways(album)[OURS]()
    batches = speed_pictures.feed(
        load_pictures(album.root, album.names, album.folder / "b", height_px=96, width_px=96),
        album.labels,
    )
    swapped = speed_pictures._look((pictures[..., ::-1], labels) for pictures, labels in batches)
    files = np.stack([load_picture((album.root / name).read_bytes(), name) for name in album.names])
    plain = speed_pictures._look([(tf.constant(files, tf.float32), tf.constant(album.labels))])

    differ = speed_pictures._differ_in_pictures
    assert "as if unaltered" in differ(ours, plain)
    assert "colours are" in differ(ours, swapped)


def test_kept_activations_and_the_whole_net_learn_the_same_and_something():
    runs = speed_tuning.make_keeping(64, "tiny")
    learnt = runs[OURS]()
    assert learnt.shape == (32, 10) and np.abs(learnt).max() > speed_tuning.RATE
    assert np.array_equal(runs[OURS](), learnt), "every run starts anew"
    assert speed_tuning.differ_in_learning(learnt, runs[speed_tuning.OURS_WHOLE]()) == ""


def test_files_are_as_large_as_photographs_and_repeat():
    """Those of a phone or a car's camera take 30 to 60 KB at 640 x 480."""
    album = speed_pictures._make_album(130, 480, 640, n_files=60)

    sizes = [(album.root / name).stat().st_size for name in album.names]
    assert len(album.names) == 130 and len({*album.names}) == 60
    assert all(30_000 < size < 60_000 for size in sizes)
    picture = load_picture((album.root / album.names[0]).read_bytes(), "a")
    assert picture.shape == (480, 640, 3) and 100 < picture.mean() < 156
    is_b = [name.startswith("b/") for name in album.names]
    np.testing.assert_array_equal(album.labels, np.eye(2)[np.array(is_b, int)])
    root = album.root
    del album
    assert not root.exists()


def test_less_than_all_pictures_is_smaller_and_a_whole_number_of_batches():
    small, whole = (make_races(share=share) for share in (0.01, 1.0))

    assert all(one.rows % speed_pictures.BATCH == 0 for one in (*small, *whole))
    assert all(a.rows < b.rows for a, b in zip(small, whole, strict=True))
    assert len({one.name for one in whole}) == len(whole)
    assert whole[-1].rows > 100_000 and all(one.unit == "pictures" for one in whole)
