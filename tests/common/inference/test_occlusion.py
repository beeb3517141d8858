import numpy as np
import pytest

from common.inference.occlusion import occlusion_map

HEIGHT, WIDTH = 9, 12


def make_picture(seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (HEIGHT, WIDTH, 3))


def build_linear(seed=1):
    """Two scores, each a weighted sum of all pixels."""
    weights = np.random.default_rng(seed).normal(size=(HEIGHT, WIDTH, 3, 2))
    return weights, lambda pictures: np.tensordot(pictures, weights, axes=3)


def test_of_a_linear_score_is_the_loop():
    """What a covered pixel loses is its weights times its difference from the fill."""
    weights, predict = build_linear()
    picture, fill = make_picture(), np.array([10.0, 20.0, 30.0])
    received = occlusion_map(
        predict, picture, label=1, patch_px=3, stride_px=2, fill=fill, batch_size=4
    )

    lost = ((picture - fill) * weights[..., 1]).sum(axis=2)
    total, n = np.zeros((2, HEIGHT, WIDTH))
    for top in (0, 2, 4, 6):
        for left in (0, 2, 4, 6, 8, 9):
            for y in range(top, top + 3):
                for x in range(left, left + 3):
                    total[y, x] += lost[top : top + 3, left : left + 3].sum()
                    n[y, x] += 1
    np.testing.assert_allclose(received, total / n, rtol=1e-9)


def test_squares_of_one_pixel_are_the_pixels_own_parts():
    weights, predict = build_linear()
    picture = make_picture()

    received = occlusion_map(predict, picture, label=0, patch_px=1, stride_px=1, fill=0)
    np.testing.assert_allclose(received, (picture * weights[..., 0]).sum(axis=2))


def test_lights_up_where_the_classifier_looks_and_nowhere_else():
    """Only the pixel at (2, 3) counts; squares of 3 reach it from (0..4, 1..5). Of the nine squares
    on (3, 5), two cover it.
    """
    picture = np.zeros((HEIGHT, WIDTH, 1), dtype=np.uint8)
    picture[2, 3] = 255

    def predict(pictures):
        assert pictures.dtype == np.uint8
        bright = pictures[:, 2, 3, 0] / 255
        return np.stack([bright, 1 - bright], axis=1)

    found = occlusion_map(predict, picture, label=0, patch_px=3, stride_px=1, fill=0)
    wanted = np.zeros((HEIGHT, WIDTH), dtype=bool)
    wanted[0:5, 1:6] = True
    np.testing.assert_array_equal(found > 0, wanted)
    assert found[2, 3] == found.max() == 1 and found[3, 5] == pytest.approx(2 / 9)
    other = occlusion_map(predict, picture, label=1, patch_px=3, stride_px=1, fill=0)
    np.testing.assert_allclose(other, -found)


def test_a_square_larger_than_the_picture_covers_all_of_it():
    picture = make_picture()
    whole = occlusion_map(
        lambda p: p.mean(axis=(1, 2)), picture, label=2, patch_px=50, stride_px=50, fill=0
    )

    np.testing.assert_allclose(whole, picture[..., 2].mean())


def test_the_mean_colour_covers_unless_another_is_asked_for():
    """A score of the mean colour loses nothing by it where all is covered."""
    found = occlusion_map(
        lambda p: p.mean(axis=(1, 2)), make_picture(), label=0, patch_px=50, stride_px=1
    )

    np.testing.assert_allclose(found, 0, atol=1e-9)


def test_the_mean_colour_of_whole_numbers_is_rounded():
    """Seven of eight pixels are 1: the mean is 0.875."""
    picture = np.ones((2, 4, 1), np.uint8)
    picture[0, 0] = 0
    seen = []

    def predict(pictures):
        seen.append(pictures)
        return pictures.mean(axis=(1, 2))

    occlusion_map(predict, picture, label=0, patch_px=4, stride_px=4)
    assert (seen[1] == 1).all()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"patch_px": 0}, "patch_px must be > 0, received 0"),
        ({"stride_px": 4}, "stride_px must be <= patch_px = 3, received 4"),
        ({"label": 3}, r"label must be in \[0, 3\), received 3"),
        ({"picture": np.zeros((4, 4))}, r"picture must have shape \(any, any, any\)"),
    ],
)
def test_what_cannot_be_covered_is_refused(changed, told):
    settings = {"picture": make_picture(), "label": 0, "patch_px": 3, "stride_px": 1} | changed
    with pytest.raises(ValueError, match=told):
        occlusion_map(lambda p: p.mean(axis=(1, 2)), **settings)
