import numpy as np
import pytest

from common.inference.tta import (
    flip,
    geometric_mean_views,
    identity,
    mean_views,
    predict_views,
    scale,
    shift,
    turn,
)
from tests.helpers.memory import load_resident_mib, needs_proc, write_large

HEIGHT, WIDTH = 5, 7
SIZE = (HEIGHT, WIDTH)
FLIPS = [flip("horizontal"), flip("vertical")]
TURNS = [turn(quarters) for quarters in (1, 2, 3, -1)]
SHIFTS = [shift(1, 0), shift(0, -3), shift(-1, 2), shift(0, 0)]
SCALES = [scale(3), scale(5)]
ALL = [identity(), *FLIPS, *TURNS, *SHIFTS, *SCALES]
NAMES = [view.name for view in ALL]


def make_pictures(n=2, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, HEIGHT, WIDTH, 3), dtype=np.uint8)


def paint(box, size=SIZE):
    """A mask that is 1 within a box of whole pixels."""
    mask = np.zeros((1, *size, 1), dtype=np.float32)
    top, left, bottom, right = box
    mask[:, top:bottom, left:right] = 1
    return mask


def find_box(mask):
    """The box of what is above a half."""
    rows, columns = np.nonzero(mask[0, :, :, 0] > 0.5)
    return [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]


def test_views_by_hand():
    """Of the rows 0 1 2 and 3 4 5."""
    picture = np.arange(6, dtype=np.uint8).reshape(1, 2, 3, 1)
    for view, wanted in (
        (identity(), [[0, 1, 2], [3, 4, 5]]),
        (flip("horizontal"), [[2, 1, 0], [5, 4, 3]]),
        (flip("vertical"), [[3, 4, 5], [0, 1, 2]]),
        (turn(1), [[2, 5], [1, 4], [0, 3]]),
        (turn(2), [[5, 4, 3], [2, 1, 0]]),
        (shift(1, 0), [[0, 1, 2], [0, 1, 2]]),
        (shift(0, 1), [[0, 0, 1], [3, 3, 4]]),
        (shift(-1, -2), [[5, 5, 5], [5, 5, 5]]),
    ):
        np.testing.assert_array_equal(view.apply(picture)[0, :, :, 0], wanted, view.name)


def test_scale_by_hand():
    """Twice as wide, 0 and 4 become 0 1 3 4: the middles lie a quarter from those of the old."""
    picture = np.array([[[[0], [4]]]], dtype=np.uint8)

    np.testing.assert_array_equal(scale(2).apply(picture)[0, :, :, 0], [[0, 1, 3, 4]] * 2)
    assert scale(2).apply(picture).dtype == np.uint8


@pytest.mark.parametrize("view", ALL, ids=NAMES)
def test_masks_come_back(view):
    """What the view shows comes back as it was; the strip that a shift pushes out is NaN."""
    pictures = make_pictures().astype(np.float32)
    back = view.invert_masks(view.apply(pictures), SIZE)

    assert back.shape == pictures.shape and back.dtype == np.float32
    is_shown = ~np.isnan(back)
    np.testing.assert_allclose(back[is_shown], pictures[is_shown], atol=1e-4)
    lost = {"shift +1 +0": 1 / 5, "shift +0 -3": 3 / 7, "shift -1 +2": 1 - 4 / 5 * 5 / 7}
    assert np.mean(~is_shown) == pytest.approx(lost.get(view.name, 0.0), abs=1e-12)


@pytest.mark.parametrize("view", ALL, ids=NAMES)
def test_boxes_come_back_to_what_was_painted(view):
    """The box that is seen in the view of a mask is, back again, the mask's own."""
    box = [2, 3, 4, 5]
    seen = find_box(view.apply(paint(box)))

    np.testing.assert_allclose(view.invert_boxes(np.array([seen]), SIZE), [box], atol=1e-9)


@pytest.mark.parametrize("view", [*FLIPS, *TURNS, *SHIFTS, scale(1.7)])
def test_boxes_with_fractions_keep_their_order(view):
    boxes = np.array([[0.5, 1.25, 2.75, 3.0], [1.0, 1.0, 1.0, 1.0]])
    back = view.invert_boxes(boxes, SIZE)

    assert (back[:, 2:] >= back[:, :2]).all()
    np.testing.assert_allclose(back[1, :2], back[1, 2:])


def test_a_symmetric_model_says_the_same_of_every_view():
    """The mean colour does not hang on where it is; one that looks at a corner does."""
    pictures, views = make_pictures(5), [identity(), *FLIPS, *TURNS]
    symmetric = predict_views(lambda p: p.mean(axis=(1, 2)), pictures, views, batch_size=2)
    corner = predict_views(lambda p: p[:, 0, 0].astype(float), pictures, views)

    assert symmetric.shape == (5, 7, 3)
    np.testing.assert_allclose(mean_views(symmetric), pictures.mean(axis=(1, 2)))
    assert np.abs(mean_views(corner) - pictures[:, 0, 0]).max() > 1


def test_batches_do_not_change_a_prediction():
    pictures, views = make_pictures(7), [identity(), turn(1)]

    def predict(p):
        return p.reshape(len(p), -1)[:, :4].astype(float)

    np.testing.assert_array_equal(
        predict_views(predict, pictures, views, batch_size=3),
        predict_views(predict, pictures, views, batch_size=100),
    )


def test_means_by_hand():
    """Of (0.9, 0.1) and (0.1, 0.9), both 0.5; of (0.8, 0.2) and (0.5, 0.5) the geometric mean is
    sqrt(0.4) to sqrt(0.1), which is 2 to 1.
    """
    views = np.array([[[0.9, 0.1], [0.1, 0.9]], [[0.8, 0.2], [0.5, 0.5]]])

    np.testing.assert_allclose(mean_views(views), [[0.5, 0.5], [0.65, 0.35]])
    np.testing.assert_allclose(geometric_mean_views(views), [[0.5, 0.5], [2 / 3, 1 / 3]])


def test_geometric_mean_has_the_least_divergence_from_the_views():
    rng = np.random.default_rng(0)
    views = rng.dirichlet(np.ones(4), (1, 3))

    def diverge(p):
        return np.sum(p * np.log(p / views[0]), axis=1).mean()

    found = geometric_mean_views(views)[0]
    others = found * np.exp(0.1 * rng.normal(size=(50, 4)))
    others /= others.sum(axis=1, keepdims=True)
    assert all(diverge(other) > diverge(found) for other in others)


def test_one_view_that_says_never_does_not_make_a_nan():
    views = np.array([[[1.0, 0.0], [0.0, 1.0]]])

    np.testing.assert_allclose(geometric_mean_views(views), [[0.5, 0.5]])


def test_pixels_count_only_where_a_view_shows_them():
    views = [shift(2, 0), shift(-2, 0)]
    pictures = make_pictures().astype(np.float32)
    back = np.stack([view.invert_masks(view.apply(pictures), SIZE) for view in views], axis=1)

    mean = mean_views(back)
    np.testing.assert_array_equal(mean[:, [0, 1, 3, 4]], pictures[:, [0, 1, 3, 4]])
    nowhere = mean_views(np.full((1, 2, 3, 3), np.nan))
    assert np.isnan(nowhere).all()


def test_a_model_that_answers_nan_is_not_hidden():
    views = np.array([[[0.2, 0.8], [np.nan, np.nan]], [[0.2, 0.8], [0.4, 0.6]]])

    np.testing.assert_allclose(mean_views(views), [[np.nan, np.nan], [0.3, 0.7]])
    np.testing.assert_allclose(mean_views(views[..., 0]), [np.nan, 0.3])


@needs_proc
def test_views_of_a_memmap_take_no_memory_but_the_result(tmp_path):
    """200 MB of pictures, 64 MB of answers: kept pages, or parts that are joined, would be more."""
    pictures = write_large(tmp_path / "kept.npy")
    peak = 0.0

    def predict(batch):
        nonlocal peak
        peak = max(peak, load_resident_mib())
        return batch[:, :64, :63, 0].astype(np.float32)

    before = load_resident_mib()
    found = predict_views(predict, pictures, [identity(), flip("vertical")], batch_size=50)

    assert (found == 1).all() and found.shape == (2000, 2, 64, 63)
    assert max(peak, load_resident_mib()) - before < found.nbytes / 2**20 + 40


def test_what_cannot_be_looked_at_is_refused():
    pictures = make_pictures()
    for call, told in (
        (lambda: flip("left"), 'axis must be "horizontal" or "vertical", received "left"'),
        (lambda: scale(0), "factor must be > 0, received 0"),
        (lambda: shift(0, pictures.shape[2]).apply(pictures), r"pixels, received \+0, \+"),
        (
            lambda: shift(-9, 0).invert_masks(np.ones((1, 9, 5, 1)), (9, 5)),
            r"a shift must be less than a picture's 9 x 5 pixels, received -9, \+0",
        ),
        (lambda: predict_views(len, pictures, []), "number of views must be > 0, received 0"),
        (lambda: predict_views(len, pictures[:0], ALL), "number of pictures must be > 0"),
        (lambda: geometric_mean_views(np.ones((2, 3))), "probabilities must have shape"),
        (lambda: geometric_mean_views(np.ones((1, 1, 2)), least=0.0), r"least must be in \(0, 1\)"),
    ):
        with pytest.raises(ValueError, match=told):
            call()
