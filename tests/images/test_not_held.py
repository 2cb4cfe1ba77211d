"""A file may have the name of a format that holds less: what is lost is said, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mindrestore.images.photos import Photo, read_photo, write_photo

RGB = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
CLEAR = np.full((9, 12), 99, np.uint8)
OPAQUE = np.full((9, 12), 255, np.uint8)
TEXT = {"chunks": ((b"tEXt", b"Title\0x"),)}


@pytest.mark.parametrize(
    ("suffix", "photo", "notes"),
    [
        (".jpg", Photo(RGB, CLEAR), (".jpg does not hold its transparency: left out; call the input .png to keep it",)),
        (".jpg", Photo(RGB, OPAQUE), ()),
        (".webp", Photo(RGB, CLEAR), ()),
        (
            ".webp",
            Photo(RGB.astype(np.uint16) * 257),
            (".webp does not hold its 16 bits: 8 are kept; call the input .png to keep them",),
        ),
        (".jpg", Photo(RGB, metadata=TEXT), (".jpg does not hold its PNG texts and notes on colours: left out",)),
        (".png", Photo(RGB, metadata=TEXT), ()),
        (".tif", Photo(RGB, metadata={"comment": b"hi"}), (".tif does not hold its comment: left out",)),
        (
            ".bmp",
            Photo(RGB, metadata={"icc_profile": b"p" * 200, "exif": b"Exif\0\0", "dpi": (72, 72)}),
            (".bmp does not hold its colour profile, EXIF data: left out",),
        ),
        (".bmp", Photo(RGB, metadata={"dpi": (72, 72)}), ()),
    ],
)
def test_what_a_format_does_not_hold_is_said(tmp_path, suffix, photo, notes):
    path = tmp_path / f"a{suffix}"
    assert write_photo(path, photo) == notes
    assert read_photo(path).pixels.shape == RGB.shape


def test_the_comment_of_a_gif_becomes_a_text_of_its_png(tmp_path):
    assert write_photo(tmp_path / "a.gif.png", Photo(RGB, metadata={"comment": b"made by hand"})) == ()
    assert read_photo(tmp_path / "a.gif.png").metadata["chunks"] == ((b"tEXt", b"Comment\0made by hand"),)


@pytest.mark.parametrize(
    ("mode", "profile", "note"),
    [
        ("CMYK", b"\0" * 16 + b"CMYK" + b"\0" * 108, "its colour profile (CMYK) is not for RGB: left out"),
        ("L", b"\0" * 16 + b"RGB " + b"\0" * 108, "its colour profile (RGB) is not for grey: left out"),
        ("RGB", b"nothing", "its colour profile (damaged) is not for RGB: left out"),
    ],
)
def test_a_profile_for_other_colours_is_said(tmp_path, mode, profile, note):
    Image.fromarray(RGB).convert(mode).save(tmp_path / "a.jpg", icc_profile=profile)
    photo = read_photo(tmp_path / "a.jpg")
    assert (photo.notes, "icc_profile" in photo.metadata) == ((note,), False)
