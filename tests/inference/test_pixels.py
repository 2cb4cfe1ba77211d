"""What a caller gives as pixels: an image, or one line that says why it is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mindrestore.inference.pixels import RestoreError, as_given, as_photo

RNG = np.random.default_rng(0)
PHOTO = RNG.random((20, 30, 3), np.float32)


@pytest.mark.parametrize(
    ("photo", "reason"),
    [
        (PHOTO * 255, "bring them to [0,1], or use uint8"),
        (PHOTO * 2 - 1, "bring them to [0,1], or use uint8"),
        (np.full((4, 4, 3), 128.0, np.float16), "floating-point pixels from 128 to 128: bring them to [0,1], or use"),
        (PHOTO[..., 0] * 65535, "bring them to [0,1], or use uint8"),
    ],
)
def test_floating_point_that_was_not_brought_to_its_range_is_refused(photo, reason):
    with pytest.raises(RestoreError) as caught:
        as_given(lambda image: image)(photo)
    assert reason in str(caught.value)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_noise_may_lead_beyond_the_range(level):
    noisy = np.float32(level) + RNG.normal(0, 50 / 255, (200, 200, 3)).astype(np.float32)
    assert as_photo(noisy) is noisy


def test_a_few_bright_lights_are_no_other_range():
    lights = PHOTO.copy()
    lights[0, :6] = 40.0  # 1 in 100
    assert as_photo(lights) is lights


@pytest.mark.parametrize("mode", ["P", "1", "LA", "CMYK", "YCbCr", "HSV", "I", "F"])
def test_pillow_images_of_other_modes_are_named(mode):
    image = Image.new("L", (8, 6)).convert(mode) if mode in ("I", "F", "LA", "1") else Image.new(mode, (8, 6))
    with pytest.raises(RestoreError) as caught:
        as_photo(image)
    assert str(caught.value) == (
        f"a Pillow image of mode {mode} is not one of L, RGB, RGBA, I;16; use image.convert('RGB')"
    )


@pytest.mark.parametrize(("mode", "shape"), [("L", (6, 8)), ("RGB", (6, 8, 3)), ("RGBA", (6, 8, 4)), ("I;16", (6, 8))])
def test_pillow_images_are_taken(mode, shape):
    assert as_photo(Image.new(mode, (8, 6))).shape == shape


@pytest.mark.parametrize("path", ["a.png", Path("a.png")])
def test_a_path_is_not_pixels(path):
    with pytest.raises(RestoreError) as caught:
        as_photo(path)
    assert str(caught.value) == "a.png: a path, not pixels; read it first, or use `mindrestore.restore`"
