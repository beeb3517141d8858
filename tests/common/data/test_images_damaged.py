"""Pictures that cannot be decoded, or not as a whole."""

import numpy as np
import pytest

from common.checks import InputError
from common.data import images
from common.data.images import load_picture, load_pictures
from tests.helpers.pictures import encode, make_smooth

BAD = {
    "text.jpg": (b"hello, this is text", r"must be a JPEG or PNG picture, .* b'hello, this is t'"),
    "empty.jpg": (b"", "must be a JPEG or PNG picture, received an empty file"),
    "cut.jpg": (encode(make_smooth(60, 80), ".jpg")[:-200], "received one that is cut off"),
    "end.jpg": (encode(make_smooth(60, 80), ".jpg")[:-2], "received one that is cut off"),
    "head.jpg": (encode(make_smooth(60, 80), ".jpg")[:20], "received one that is cut off"),
    "end.png": (encode(make_smooth(60, 80))[:-12], "received one that is cut off"),
    "cut.png": (encode(make_smooth(60, 80))[:-200], "received one that is cut off"),
    "head.png": (encode(make_smooth(60, 80))[:12], "received one that is cut off"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_pictures_are_named_in_one_line(name, tmp_path, capfd):
    data, told = BAD[name]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(data)
    (tmp_path / "in" / "good.png").write_bytes(encode(make_smooth(6, 8)))

    with pytest.raises(InputError, match=told) as caught:
        load_pictures(
            tmp_path / "in", ["good.png", name], tmp_path / "cache", height_px=4, width_px=4
        )

    assert str(caught.value).startswith(str(tmp_path / "in" / name))
    assert "\n" not in str(caught.value) and capfd.readouterr() == ("", "")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_png_with_a_hole_is_named():
    data = encode(make_smooth(60, 80))
    with pytest.raises(
        InputError, match=r"^a\.png must be a whole picture, received one that is cut"
    ):
        load_picture(data[:300] + bytes(300) + data[600:], "a.png")


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr(images, "MOST_PIXELS", 47)
    for ending in (".png", ".jpg"):
        data = encode(make_smooth(6, 8), ending)
        with pytest.raises(InputError, match=r"big must have 47 pixels at most, received 8 x 6$"):
            load_picture(data[: len(data) // 2], "big")


def test_a_side_that_no_decoder_takes_is_told(capfd):
    """1,100,000 pixels in a row are few, but more than libpng takes."""
    head = encode(make_smooth(2, 2))
    wide = head[:16] + (1_100_000).to_bytes(4, "big") + (1).to_bytes(4, "big") + head[24:]
    told = "^long must be 1,000,000 pixels wide or high at most, received 1,100,000 x 1$"
    with pytest.raises(InputError, match=told):
        load_picture(wide, "long")
    assert load_picture(encode(np.zeros((1, 1_000_000, 3), np.uint8)), "a").shape[1] == 1_000_000
    assert capfd.readouterr().err == ""
