"""More than 8 bits of a kind that is read with 8 are said, not dropped in silence."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mindrestore.images.kinds import stored_bits
from mindrestore.images.photos import read_photo
from mindrestore.images.write import write_image

DEEP = np.random.default_rng(0).integers(0, 65536, (48, 64, 3)).astype(np.uint16)


@pytest.mark.parametrize("name", ["a.ppm", "a.jp2"])
def test_colours_of_16_bits(tmp_path, name):
    cv2.imwrite(str(tmp_path / name), DEEP)
    photo = read_photo(tmp_path / name)
    assert photo.pixels.dtype == np.uint8
    assert photo.notes == ("its 16 bits become 8; save it as PNG or TIFF with 16 bits to keep them",)
    cv2.imwrite(str(tmp_path / name), (DEEP >> 8).astype(np.uint8))
    assert read_photo(tmp_path / name).notes == ()


def test_16_bits_that_are_kept_need_no_word(tmp_path):
    for name in ("a.png", "a.tif"):
        write_image(tmp_path / name, DEEP)
        assert read_photo(tmp_path / name).notes == ()
    cv2.imwrite(str(tmp_path / "grey.pgm"), DEEP[..., 0])
    photo = read_photo(tmp_path / "grey.pgm")
    assert (photo.pixels.dtype, photo.notes) == (np.uint16, ())


@pytest.mark.parametrize(
    ("data", "info", "bits"),
    [
        (b"\0\0\0\x1cftypavif" + b"av1C\x81\x00\x0c\x00", {}, 8),
        (b"\0\0\0\x1cftypavif" + b"av1C\x81\x00\x4c\x00", {}, 10),
        (b"\0\0\0\x1cftypavif" + b"av1C\x81\x40\x6c\x00", {}, 12),
        (b"\0\0\0\x1cftypavif" + b"av1C\x81", {}, 8),
        (b"\0\0\0\x1cftypheic", {"bit_depth": 10}, 10),
        (b"\xff\xd8\xffav1C\x81\x00\x4c", {}, 8),
        (b"P6\n# made by hand\n2 2\n255\n", {}, 8),
        (b"P6 2 2 1023 ", {}, 10),
        (b"P6 2 2", {}, 8),
        (b"\xff\x4f\xff\x51", {}, 8),
    ],
)
def test_bits_of_a_file(data, info, bits):
    assert stored_bits(data, info) == bits


def test_the_first_of_several_pictures_of_a_heic_is_taken(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    several = heif.from_bytes(mode="RGB", size=(64, 48), data=bytes(64 * 48 * 3))
    several.add_frombytes(mode="RGB", size=(64, 48), data=bytes([200]) * (64 * 48 * 3))
    several.save(tmp_path / "a.heic")
    photo = read_photo(tmp_path / "a.heic")
    assert photo.pixels.max() < 10
    assert photo.notes == ("the first of its 2 pictures is taken",)
