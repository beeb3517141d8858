import io
import os
import shutil
import time
import types
import zipfile

import cv2
import numpy as np
import pytest
from PIL import Image

from common.checks import InputError
from common.data import images
from common.data.images import (
    check_is_picture,
    load_picture,
    load_pictures,
    resize_picture,
    write_picture,
)
from tests.helpers.pictures import RNG, encode, encode_by_pillow, make_smooth


def test_a_png_comes_back_as_it_was():
    picture = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)

    np.testing.assert_array_equal(load_picture(encode(picture), "a.png"), picture)


def test_pillow_decodes_the_same():
    """Two decoders of one JPEG may round differently, and interpolate colours otherwise."""
    data = encode(make_smooth(48, 64), ".jpg")

    ours = load_picture(data, "a.jpg").astype(int)
    theirs = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)

    assert ours.shape == (48, 64, 3) and np.abs(ours - theirs).max() <= 4


@pytest.mark.parametrize(
    ("mode", "form", "wanted"),
    [
        ("L", "PNG", [76, 76, 76]),
        ("L", "JPEG", [76, 76, 76]),
        ("P", "PNG", [255, 0, 0]),
        ("1", "PNG", None),
        ("RGBA", "PNG", [255, 0, 0]),
        ("LA", "PNG", [76, 76, 76]),
        ("CMYK", "JPEG", [255, 0, 0]),
    ],
)
def test_red_in_every_mode_by_hand(mode, form, wanted):
    """Red (255, 0, 0) has the luminance 0.299 * 255 = 76."""
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255

    picture = load_picture(encode_by_pillow(red, mode, form), "red")

    assert picture.shape == (8, 8, 3) and picture.dtype == np.uint8
    if wanted is None:  # dithered black and white
        assert {*np.unique(picture)} == {0, 255}
    else:
        assert np.abs(picture.astype(int) - wanted).max() <= 2


def test_colour_under_alpha_stays():
    """A pixel that is wholly transparent has its colour all the same."""
    picture = np.zeros((2, 2, 4), np.uint8)
    picture[..., 2] = 200  # red, in the order of OpenCV

    assert load_picture(cv2.imencode(".png", picture)[1].tobytes(), "a")[0, 0].tolist() == [
        200,
        0,
        0,
    ]


def test_of_sixteen_bits_the_upper_eight_stay():
    values = np.array([[0, 255, 256, 32768, 65535]], np.uint16)

    picture = load_picture(encode(values), "deep.png")

    assert picture[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_a_picture_is_turned_as_the_camera_was_held():
    """Orientation 6: the top of the scene lies at the right, so the upper left pixel comes from the
    lower left.
    """
    picture = np.zeros((16, 32, 3), np.uint8)
    picture[8:, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode_by_pillow(picture, "RGB", "JPEG", exif=exif, quality=95)

    turned = load_picture(data, "a.jpg")

    assert turned.shape == (32, 16, 3)
    assert turned[:12, :4].min() > 200 and turned[:12, 12:].max() < 50
    assert load_picture(data, "a.jpg", at_least=(8, 8)).shape == (16, 8, 3)
    assert load_picture(data, "a.jpg", at_least=(8, 16)).shape == (32, 16, 3)


def test_one_pixel_is_a_picture():
    for ending in (".png", ".jpg"):
        one = load_picture(encode(np.full((1, 1, 3), 77, np.uint8), ending), "one")
        assert one.shape == (1, 1, 3) and np.abs(one.astype(int) - 77).max() <= 1
        assert (resize_picture(one, 4, 3) == one).all()


def test_a_very_wide_picture_is_made_small():
    """30,000 pixels in a row, black and white by halves."""
    wide = np.zeros((50, 30_000, 3), np.uint8)
    wide[:, 15_000:] = 255
    for ending in (".png", ".jpg"):
        picture = load_picture(encode(wide, ending), "wide", at_least=(10, 20))
        small = resize_picture(picture, 10, 20)
        assert small[:, :10].max() <= 2 and small[:, 10:].min() >= 253


def test_an_eighth_of_a_jpeg_is_its_mean_over_areas():
    """The first coefficient of a block of 8 x 8 is its mean: the smallest decoding is exact."""
    data = encode(make_smooth(480, 640), ".jpg")

    eighth = load_picture(data, "a.jpg", at_least=(60, 80))
    quarter = load_picture(data, "a.jpg", at_least=(61, 80))
    whole = load_picture(data, "a.jpg")

    assert (eighth.shape, quarter.shape) == ((60, 80, 3), (120, 160, 3))
    for small in (eighth, quarter):
        mean = resize_picture(whole, *small.shape[:2]).astype(int)
        assert np.abs(mean - small).max() <= 4


def test_smaller_is_the_mean_over_areas_by_hand():
    picture = np.arange(24, dtype=np.uint8).reshape(4, 6, 1).repeat(3, axis=2) * 10

    small = resize_picture(picture, 2, 2)[..., 0]

    wanted = picture[..., 0].reshape(2, 2, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(small, wanted, atol=0.51)


def test_a_side_that_shrinks_is_averaged_while_the_other_grows():
    """Two rows of stripes become four rows of their mean, not of one stripe."""
    stripes = np.tile(np.array([0, 200], np.uint8), 50)[None, :, None].repeat(3, 2).repeat(2, 0)

    assert (resize_picture(stripes, 4, 10) == 100).all()


NAMES = ["Fenchel, süß/1 a.png", "Fenchel, süß/2.png", "Gras/1.png"]


@pytest.fixture
def folder(tmp_path):
    """Three pictures in folders with spaces and umlauts, beside a zip with a fourth."""
    for k, name in enumerate(NAMES):
        write_picture(tmp_path / "raw" / name, np.full((4, 4, 3), 10 * k, np.uint8))
    with zipfile.ZipFile(tmp_path / "raw" / "more.zip", "w") as archive:
        archive.writestr("Öl/4.png", encode(np.full((9, 9, 3), 99, np.uint8)))
    return tmp_path / "raw"


def load_small(folder, names=NAMES, **options):
    options = {"height_px": 2, "width_px": 3, **options}
    return load_pictures(folder, names, folder.parent / "cache", **options)


def test_pictures_come_in_the_order_of_their_names(folder):
    pictures = load_small(folder, [NAMES[2], "more.zip/Öl/4.png", NAMES[0], NAMES[2]])

    assert pictures.shape == (4, 2, 3, 3) and pictures.dtype == np.uint8
    assert pictures[:, 0, 0, 0].tolist() == [20, 99, 0, 20]
    assert (pictures == pictures[:, :1, :1]).all() and not pictures.flags.writeable
    assert load_small(folder, []).shape == (0, 2, 3, 3)


def test_more_pictures_than_a_block_and_any_threads(folder, monkeypatch):
    names = [NAMES[k % 3] for k in range(2 * images._BLOCK + 3)]
    one = load_small(folder, names, threads=1)
    (first,) = (folder.parent / "cache").iterdir()
    first.unlink()

    np.testing.assert_array_equal(load_small(folder, names, threads=4), one)
    assert one[:, 0, 0, 0].tolist() == [10 * (k % 3) for k in range(len(names))]


def test_a_second_call_decodes_nothing(folder, monkeypatch):
    first = load_small(folder)
    monkeypatch.setattr(images, "load_picture", None)

    np.testing.assert_array_equal(load_small(folder), first)
    on_disk = load_small(folder, most_ram_mib=0)
    assert isinstance(on_disk, np.memmap) and not isinstance(first, np.memmap)
    np.testing.assert_array_equal(on_disk, first)
    assert not on_disk.flags.writeable


@pytest.mark.parametrize(("available", "is_on_disk"), [(4 * 200, True), (4 * 250, False)])
def test_a_quarter_of_the_memory_that_is_left_may_be_taken(
    available, is_on_disk, folder, monkeypatch
):
    """The cache has 128 bytes of head and 3 * 2 * 3 * 3 = 54 + 36 of a fourth and fifth: 218."""
    monkeypatch.setattr(
        images.psutil, "virtual_memory", lambda: types.SimpleNamespace(available=available)
    )
    pictures = load_small(folder, [*NAMES, *NAMES[:2]])

    assert isinstance(pictures, np.memmap) == is_on_disk
    assert isinstance(load_small(folder, [*NAMES, *NAMES[:2]], most_ram_mib=1), np.memmap) is False


def test_what_killed_processes_left_is_swept_but_not_what_is_being_written(folder):
    cache = folder.parent / "cache"
    cache.mkdir()
    left, writing, other = (cache / name for name in (".a.npy.x.partial", ".b.npy.y.partial", "c"))
    for path, age_s in ((left, 2 * 86400), (writing, 60), (other, 2 * 86400)):
        path.write_bytes(b"part")
        os.utime(path, (time.time() - age_s,) * 2)
    load_small(folder)

    assert not left.exists() and writing.exists() and other.exists()


def test_whatever_changes_is_decoded_anew(folder):
    load_small(folder)
    write_picture(folder / NAMES[1], np.full((4, 4, 3), 77, np.uint8))

    assert load_small(folder)[:, 0, 0, 0].tolist() == [0, 77, 20]
    load_small(folder, NAMES[::-1])
    load_small(folder, height_px=3)
    assert len(list((folder.parent / "cache").iterdir())) == 4


def test_missing_pictures_are_named(folder):
    for name in ("Gras/2.png", "more.zip/Öl/5.png", "less.zip/1.png"):
        with pytest.raises(InputError, match=r"(2|5)\.png is missing$|less\.zip is missing$"):
            load_small(folder, [*NAMES, name])
    assert not (folder.parent / "cache").exists()


def test_a_size_must_be_positive(folder):
    with pytest.raises(ValueError, match="height_px must be > 0, received 0"):
        load_small(folder, height_px=0)
    with pytest.raises(ValueError, match="width_px must be > 0, received -1"):
        load_small(folder, width_px=-1)


def test_a_size_that_fits_nowhere_is_told_before_anything_is_decoded(folder, monkeypatch):
    with pytest.raises(
        InputError, match=r"^pictures that are resized must have 100,000,000 pixels"
    ):
        load_small(folder, height_px=10_001, width_px=10_000)
    free = shutil.disk_usage(folder)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    monkeypatch.setattr(images, "load_picture", None)
    with pytest.raises(
        InputError,
        match=r"cache must have room for 3 pictures of 900 x 500 \(0\.0 GiB\), received 0\.0 GiB$",
    ):
        load_small(folder, height_px=500, width_px=900)


def test_large_pictures_come_a_few_at_once(folder, monkeypatch):
    wanted = load_small(folder)
    monkeypatch.setattr(images, "_BLOCK_PIXELS", 1)
    shutil.rmtree(folder.parent / "cache")
    np.testing.assert_array_equal(load_small(folder), wanted)


def test_a_beginning_tells_a_picture():
    check_is_picture(encode(make_smooth(4, 4), ".jpg")[:16], "a")
    with pytest.raises(InputError, match=r"^a must be a JPEG or PNG picture.*begins with b'GIF8"):
        check_is_picture(b"GIF89a", "a")


def test_what_is_written_is_read(tmp_path):
    picture = make_smooth(64, 96)
    write_picture(tmp_path / "ä b" / "1.png", picture)
    write_picture(tmp_path / "ä b" / "1.jpg", picture)

    png, jpg = (load_picture((tmp_path / "ä b" / f"1.{e}").read_bytes(), e) for e in ("png", "jpg"))
    np.testing.assert_array_equal(png, picture)
    assert np.abs(jpg.astype(int) - picture).mean() < 4


def test_a_picture_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    picture = make_smooth(6, 8)
    for name, received in (("a.gif", ".gif"), ("a", "none")):
        with pytest.raises(
            ValueError, match=rf"a\S* must be one of .png, .jpg, received {received}$"
        ):
            write_picture(tmp_path / name, picture)
    write_picture(tmp_path / "a.png", picture)

    def fail(self, data):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        write_picture(tmp_path / "a.png", picture[:3])
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    np.testing.assert_array_equal(load_picture((tmp_path / "a.png").read_bytes(), "a"), picture)
