import numpy as np
import pytest

from common.data.images import load_picture
from pipelines import speed_pictures
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
    ours = Seen(4096, 120.0)
    assert "32 pictures, ours are 4096" in speed_pictures._differ_in_pictures(ours, Seen(32, 120.0))
    assert "darker by 3.0" in speed_pictures._differ_in_pictures(ours, Seen(4096, 117.0))
    assert speed_pictures._differ_in_pictures(ours, Seen(4096, 119.0)) == ""
    assert "5 steps, ours are 6" in speed_pictures._differ_in_steps(6, 5)
    features = np.ones((4, 3))
    assert "apart" in speed_pictures._differ_in_features(features, features * 1.01)


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
