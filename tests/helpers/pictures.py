"""Made-up pictures, and files of them."""

import io

import cv2
import numpy as np
from PIL import Image

RNG = np.random.default_rng(0)


def make_smooth(height, width):
    """A picture that compresses well: noise of a few pixels, drawn large."""
    noise = RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def encode(picture, ending=".png"):
    return cv2.imencode(ending, picture[..., ::-1] if picture.ndim == 3 else picture)[1].tobytes()


def encode_by_pillow(picture, mode, form, **options):
    buffer = io.BytesIO()
    Image.fromarray(picture, mode=None).convert(mode).save(buffer, form, **options)
    return buffer.getvalue()
