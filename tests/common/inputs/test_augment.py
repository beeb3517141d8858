from functools import partial

import cv2
import numpy as np
import pytest

from common.inputs.augment import (
    compose,
    find_rectangles,
    flip,
    jitter_colour,
    random_erase,
    warp,
)
from common.inputs.stream import make_picture_batches

PICTURES = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3), np.uint8)
STEPS = {
    "flip": partial(flip, vertically=True, diagonally=True),
    "warp": partial(warp, turn_deg=30, zoom=0.3, stretch=0.2, shift=0.1),
    "jitter_colour": partial(jitter_colour, brightness=0.2, contrast=0.3, saturation=0.4),
    "random_erase": random_erase,
}
STEPS["compose"] = compose(*STEPS.values())


def make_rng(seed=1):
    return np.random.default_rng(seed)


def make_smooth(n, height, width):
    """Pictures that are smooth enough to be resampled."""
    noise = make_rng().integers(0, 256, (n, 4, 4, 3), np.uint8)
    return np.stack(
        [cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC) for one in noise]
    )


@pytest.mark.parametrize("name", STEPS)
def test_eager_is_pipeline(name):
    """Equal generators give equal pictures, in a pipeline and by hand."""
    step, drawn = STEPS[name], []

    def alter(pictures, rng):
        drawn.append(rng.bit_generator.seed_seq.entropy)
        return step(pictures, rng)

    ((piped, rows),) = make_picture_batches(
        PICTURES, np.eye(64), batch_size=64, seed=0, augment=alter
    )

    by_hand = step(PICTURES[rows.numpy().argmax(axis=1)], np.random.default_rng(drawn[-1]))
    assert by_hand.dtype == np.uint8
    np.testing.assert_array_equal(piped, by_hand)


@pytest.mark.parametrize("name", STEPS)
def test_other_seeds_and_other_pictures_of_a_batch_are_altered_otherwise(name):
    step = STEPS[name]
    same = PICTURES[:1].repeat(64, axis=0)

    altered, other = step(same, make_rng()), step(same, make_rng(2))

    assert (altered != other).any() and (altered != altered[:1]).any()


@pytest.mark.parametrize("name", STEPS)
def test_what_is_given_stays_as_it_is(name):
    given = PICTURES.copy()
    given.flags.writeable = False

    assert (STEPS[name](given, make_rng()) != PICTURES).any()


@pytest.mark.parametrize("name", STEPS)
def test_pictures_need_not_be_square(name):
    wide = make_rng().integers(0, 256, (16, 4, 9, 3), np.uint8)
    step = STEPS[name] if name not in ("flip", "compose") else partial(flip, vertically=True)

    altered = step(wide, make_rng())

    assert altered.shape == wide.shape and (altered != wide).any()


def test_flips_are_mirror_images_each_about_half_of_the_time():
    """Of 64 pictures 32 are flipped, give or take 4."""
    for options, mirror in (
        ({}, lambda picture: picture[:, ::-1]),
        ({"horizontally": False, "vertically": True}, lambda picture: picture[::-1]),
        ({"horizontally": False, "diagonally": True}, lambda picture: picture.swapaxes(0, 1)),
    ):
        altered = flip(PICTURES, make_rng(), **options)
        is_flipped = [(a == mirror(p)).all() for a, p in zip(altered, PICTURES, strict=True)]
        is_kept = (altered == PICTURES).all(axis=(1, 2, 3))
        np.testing.assert_array_equal(is_kept, ~np.array(is_flipped))
        assert 12 < sum(is_flipped) < 52


def test_all_flips_together_are_the_symmetries_of_a_square():
    picture = PICTURES[0]
    square = {np.rot90(p, k).tobytes() for p in (picture, picture[::-1]) for k in range(4)}

    many = picture[None].repeat(200, 0)
    altered = flip(many, make_rng(), vertically=True, diagonally=True)

    assert {one.tobytes() for one in altered} == square


def test_a_warp_of_nothing_is_the_picture():
    np.testing.assert_array_equal(warp(PICTURES, make_rng()), PICTURES)


def draw(n=64, k=5):
    """What `warp` and `jitter_colour` draw, in [-1, 1)."""
    return make_rng().uniform(-1, 1, (n, k))


@pytest.mark.parametrize(
    ("options", "make_matrix"),
    [
        ({"turn_deg": 40}, lambda a: cv2.getRotationMatrix2D((19.5, 14.5), 40 * a[0], 1)),
        ({"zoom": 0.5}, lambda a: cv2.getRotationMatrix2D((19.5, 14.5), 0, 1.5 ** a[1])),
        (
            {"shift": 0.2},
            lambda a: np.array([[1, 0, 40 * 0.2 * a[3]], [0, 1, 30 * 0.2 * a[4]]]),
        ),
        (
            {"stretch": 0.5},
            lambda a: np.array(
                [
                    [1.5 ** (a[2] / 2), 0, 19.5 * (1 - 1.5 ** (a[2] / 2))],
                    [0, 1.5 ** (-a[2] / 2), 14.5 * (1 - 1.5 ** (-a[2] / 2))],
                ]
            ),
        ),
    ],
    ids=["turn", "zoom", "shift", "stretch"],
)
def test_warps_are_those_of_opencv(options, make_matrix):
    """OpenCV is told where pixels go, by a matrix of its own making."""
    pictures = make_smooth(8, 30, 40)

    altered = warp(pictures, make_rng(), **options)

    for picture, one, amounts in zip(pictures, altered, draw(8), strict=True):
        wanted = cv2.warpAffine(
            picture, make_matrix(amounts), (40, 30), borderMode=cv2.BORDER_REFLECT
        )
        # OpenCV rounds places to 1/32 of a pixel.
        apart = np.abs(one.astype(float) - wanted)
        assert apart.mean() < 0.5 and apart.max() < 8


def move(x, y):
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])


@pytest.mark.parametrize("stretch", [0.0, 0.4])
def test_all_at_once_are_one_after_the_other(stretch):
    """A thing is stretched, then turned and zoomed, all about the middle, then shifted."""
    pictures = make_smooth(8, 30, 40)
    altered = warp(pictures, make_rng(), turn_deg=40, zoom=0.5, stretch=stretch, shift=0.1)

    for picture, one, amounts in zip(pictures, altered, draw(8), strict=True):
        turn = [*cv2.getRotationMatrix2D((0, 0), 40 * amounts[0], 1.5 ** amounts[1]), (0, 0, 1)]
        ratio = (1 + stretch) ** (amounts[2] / 2)
        matrix = (
            move(40 * 0.1 * amounts[3], 30 * 0.1 * amounts[4])
            @ move(19.5, 14.5)
            @ turn
            @ np.diag([ratio, 1 / ratio, 1])
            @ move(-19.5, -14.5)
        )
        wanted = cv2.warpAffine(picture, matrix[:2], (40, 30), borderMode=cv2.BORDER_REFLECT)
        assert np.abs(one.astype(float) - wanted).mean() < 1


def test_colours_by_hand():
    """Two pixels, grey 100 and red 200, with known draws: by the formulas, in their order."""
    pixels = np.array([[[[100, 100, 100], [200, 0, 0]]]], np.uint8)
    added, hard, colourful = draw(1, 3)[0] * (0.1 * 255, 0.2, 0.3) + (0, 1, 1)
    mean = (100 + 0.299 * 200) / 2
    wanted = []
    for pixel in pixels[0, 0]:
        grey = pixel @ (0.299, 0.587, 0.114)
        less = grey + colourful * (pixel - grey)
        wanted.append(mean + hard * (less - mean) + added)

    altered = jitter_colour(pixels, make_rng(), brightness=0.1, contrast=0.2, saturation=0.3)

    np.testing.assert_allclose(altered[0, 0], np.clip(wanted, 0, 255), atol=1)


def test_colours_end_at_black_and_white():
    """Nothing wraps round: white stays white where light is added, and black where it is taken."""
    ends = np.repeat(np.array([0, 255], np.uint8), 3).reshape(1, 1, 2, 3).repeat(64, axis=0)

    altered = jitter_colour(ends, make_rng(), brightness=0.3)

    light, dark = altered[:, 0, 1], altered[:, 0, 0]
    is_brighter = draw(64, 3)[:, 0] > 0
    assert (light[is_brighter] == 255).all() and (dark[~is_brighter] == 0).all()
    assert (light[~is_brighter] < 255).any() and (dark[is_brighter] > 0).any()


def test_no_jitter_changes_nothing_and_grey_stays_grey():
    np.testing.assert_array_equal(jitter_colour(PICTURES, make_rng()), PICTURES)
    grey = PICTURES[..., :1].repeat(3, axis=-1)
    np.testing.assert_allclose(
        jitter_colour(grey, make_rng(), saturation=0.9).astype(int), grey, atol=1
    )


def find_hidden(altered):
    """Tell where pictures of nothing but 7 were altered, (n, H, W)."""
    return (altered != 7).any(axis=-1)


def test_erased_rectangles_have_one_colour_and_the_wanted_areas():
    pictures = np.full((500, 40, 40, 3), 7, np.uint8)

    altered = random_erase(pictures, make_rng(), chance=0.5, smallest=0.1, largest=0.3)

    areas, colours = [], []
    for picture, hidden in zip(altered, find_hidden(altered), strict=True):
        if hidden.any():
            rows, columns = (np.flatnonzero(hidden.any(axis=axis)) for axis in (1, 0))
            inside = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            assert (inside == inside[0, 0]).all() and hidden.sum() == inside[..., 0].size
            areas.append(hidden.mean())
            colours.append(inside[0, 0])
    # Half of 500, give or take 11; areas are rounded to pixels, and long ones cut off.
    assert 195 < len(areas) < 305
    assert min(areas) > 0.08 and max(areas) < 0.32 and 0.18 < np.mean(areas) < 0.21
    assert np.abs(np.mean(colours, axis=0) - 127.5).max() < 20


def test_erasing_is_for_none_or_for_all_when_asked():
    assert (random_erase(PICTURES, make_rng(), chance=0.0) == PICTURES).all()
    altered = random_erase(PICTURES, make_rng(), chance=1.0, smallest=1.0, largest=1.0)
    # A whole area of another ratio is cut off at the border in one direction.
    assert ((altered != PICTURES).mean(axis=(1, 2, 3)) > 0.25).all()
    with pytest.raises(ValueError, match=r"smallest must be > 0, received 0\.0"):
        random_erase(PICTURES, make_rng(), smallest=0.0)


def test_rectangles_by_hand():
    """4 x 5 pixels: half as high is 2 rows, 0.4 as wide 2 columns; more than all is all."""
    found = find_rectangles(
        (4, 5),
        np.array([0.5, 0.5, 2.0]),
        np.array([0.4, 0.4, 0.2]),
        np.array([[0.0, 0.0], [1.0, 1.0], [0.5, 0.5]]),
    )

    assert found == [
        (slice(0, 2), slice(0, 2)),
        (slice(2, 4), slice(3, 5)),
        (slice(0, 4), slice(2, 3)),
    ]


def test_steps_have_generators_of_their_own():
    """What a step draws hangs neither on what those before it draw, nor do two undo each other."""
    seen = []

    def look(n_drawn, pictures, rng):
        seen.append(rng.random(n_drawn)[0])
        return pictures

    for n_before in (1, 7):
        compose(partial(look, n_before), partial(look, 1))(PICTURES, make_rng())
    assert seen[:2] == seen[2:] and seen[0] != seen[1]
    assert (compose(flip, flip)(PICTURES, make_rng()) != PICTURES).any()
    np.testing.assert_array_equal(compose()(PICTURES, make_rng()), PICTURES)


@pytest.mark.parametrize(
    ("step", "options", "told"),
    [
        (random_erase, {"largest": 0.01}, r"largest must be in \[0\.02, 1\], received 0\.01"),
        (random_erase, {"largest": 2}, r"largest must be in \[0\.02, 1\], received 2"),
        (random_erase, {"smallest": 0.4}, r"largest must be in \[0\.4, 1\], received 0\.33"),
        (random_erase, {"chance": 1.5}, r"chance must be in \[0, 1\], received 1\.5"),
        (random_erase, {"chance": np.nan}, r"chance must be in \[0, 1\], received nan"),
        (warp, {"zoom": -0.1}, r"zoom must be >= 0, received -0\.1"),
        (warp, {"stretch": -2}, "stretch must be >= 0, received -2"),
        (
            flip,
            {"pictures": PICTURES[:, :4], "diagonally": True},
            "H and W must be equal for diagonally, received 4 and 8",
        ),
    ],
)
def test_what_is_out_of_range_is_told_eagerly_and_before_a_pipeline(step, options, told):
    options = dict(options)
    pictures = options.pop("pictures", PICTURES)
    step = partial(step, **options)
    with pytest.raises(ValueError, match=f"^{told}$"):
        step(pictures, make_rng())
    with pytest.raises(ValueError, match=f"^{told}$"):
        make_picture_batches(pictures, np.ones((64, 1)), batch_size=4, seed=0, augment=step)


def test_as_many_rectangles_lie_as_stand():
    """The logarithm of height / width is drawn evenly between those of 0.3 and 1 / 0.3."""
    pictures = np.full((800, 60, 60, 3), 7, np.uint8)
    altered = random_erase(pictures, make_rng(), chance=1.0, smallest=0.1, largest=0.1)
    is_hidden = find_hidden(altered)
    heights, widths = (is_hidden.any(axis=axis).sum(axis=1) for axis in (2, 1))

    logs = np.log(heights / widths) / np.log(1 / 0.3)
    assert abs(logs.mean()) < 0.08 and np.abs(logs).max() < 1.1
    assert logs.std() == pytest.approx(1 / np.sqrt(3), rel=0.1)
