"""What is found out about a file before anything decodes it."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mindrestore.serve import uploads
from mindrestore.serve.limits import Limits, TooLargeError, UnrestoredError, UnsupportedTypeError
from mindrestore.serve.uploads import clean_name, inspect_upload
from served import encode, picture, upload_of


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("photo.png", "photo.png"),
        ("Straße bei Nebel (2).JPG", "Straße bei Nebel (2).JPG"),
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("C:\\Windows\\win.ini", "win.ini"),
        ("..", "image"),
        (".bashrc", "bashrc"),
        ("", "image"),
        (None, "image"),
        ("a\r\nSet-Cookie: x=1.png", "a__Set-Cookie_ x_1.png"),
        ('"><script>alert(1)</script>.png', "script_.png"),
        ("a\x00b.png", "a_b.png"),
        ("%2e%2e%2fx.png", "_2e_2e_2fx.png"),
        ("\u202egnp.exe", "_gnp.exe"),
        ("n" * 300 + ".png", "n" * 72 + ".png"),
    ],
)
def test_names_become_harmless(name, clean):
    assert clean_name(name) == clean


@given(st.text(max_size=200))
def test_no_name_is_a_path_or_a_header(name):
    clean = clean_name(name)
    assert 1 <= len(clean) <= 80
    assert not clean.startswith(".")
    assert not set(clean) & set('/\\\0\r\n"<>:;%&')
    assert clean_name(clean) == clean


@pytest.mark.parametrize(
    ("kind", "suffix", "result"),
    [
        ("PNG", ".png", ".png"),
        ("JPEG", ".jpg", ".jpg"),
        ("TIFF", ".tif", ".tif"),
        ("WEBP", ".webp", ".webp"),
        ("BMP", ".bmp", ".bmp"),
        ("GIF", ".gif", ".png"),
        ("PPM", ".ppm", ".png"),
    ],
)
def test_the_first_bytes_decide_the_kind(kind, suffix, result):
    upload = upload_of(encode(picture(5, 7), kind), "holiday.exe")
    assert (upload.suffix, upload.width, upload.height) == (suffix, 7, 5)
    assert upload.result_name == f"holiday_restored{result}"
    assert upload.stream.tell() == 0


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 100,
        b"MZ" + b"\x00" * 99,
        encode(picture(), "ICO"),
        encode(picture(), "TGA"),
    ],
)
def test_other_files_are_refused(data):
    with pytest.raises(UnsupportedTypeError, match="not an image that can be read; send PNG") as refused:
        upload_of(data)
    assert refused.value.status == 415


def test_kinds_that_are_known_but_not_read_are_called_by_their_name():
    with pytest.raises(UnsupportedTypeError, match=r"^a.png: a PDF document is not a picture; export its page as PNG$"):
        upload_of(b"%PDF-1.7")
    with pytest.raises(UnsupportedTypeError, match=r"^a.png: PostScript is a drawing, not a picture of pixels"):
        upload_of(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")  # Pillow would start Ghostscript
    with pytest.raises(UnsupportedTypeError, match=r"^a.png: a raw photograph, which is not read .* RawTherapee$"):
        upload_of(b"FUJIFILMCCD-RAW " + bytes(60))
    with pytest.raises(UnsupportedTypeError, match=r"^a.png: JPEG XL is not read; save it as PNG or JPEG$"):
        upload_of(b"\xff\x0a" + bytes(60))


def test_photographs_of_an_iphone_are_taken_where_they_can_be_read(monkeypatch):
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(picture(64, 80))).save(stream)
    upload = upload_of(stream.getvalue(), "IMG_1.HEIC")
    assert (upload.suffix, upload.width, upload.height, upload.result_name) == (".heic", 80, 64, "IMG_1_restored.png")
    monkeypatch.setattr(uploads, "open_heif", lambda: None)
    monkeypatch.setattr(uploads, "find_spec", lambda name: None)
    monkeypatch.setattr(Image, "OPEN", {kind: opener for kind, opener in Image.OPEN.items() if kind != "HEIF"})
    with pytest.raises(UnsupportedTypeError, match="export it as JPEG, or install pillow-heif") as refused:
        upload_of(stream.getvalue(), "IMG_1.HEIC")
    assert str(refused.value).startswith("IMG_1.HEIC: HEIC photographs (of an iPhone) cannot be read by this server")
    assert (refused.value.status, refused.value.kind) == (415, "heic")


def test_empty_and_long_files_are_refused():
    with pytest.raises(UnrestoredError, match=r"a.png: the file is empty \(0 bytes\)"):
        upload_of(b"")
    data = encode(picture())
    assert upload_of(data, limits=Limits(max_bytes=len(data))).width == 8
    with pytest.raises(TooLargeError, match="--max-bytes") as refused:
        upload_of(data, limits=Limits(max_bytes=len(data) - 1))
    assert refused.value.status == 413


def png_header(width, height):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")


def test_pixels_are_counted_without_decoding():
    """A file of 50 bytes may claim a billion pixels."""
    assert upload_of(png_header(100, 100), limits=Limits(max_pixels=10_000)).width == 100
    with pytest.raises(TooLargeError, match="101x100 is 10,100 pixels, more than the limit of 10,000"):
        upload_of(png_header(101, 100), limits=Limits(max_pixels=10_000))
    with pytest.raises(TooLargeError):
        upload_of(png_header(100_000, 100_000), limits=Limits(max_pixels=10**12))


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about TIFF tags
def test_damaged_headers_are_an_error_of_one_line():
    rng = np.random.default_rng(0)
    seen, lines = set(), set()
    for kind in ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "PPM"):
        data = encode(picture(), kind)
        for _ in range(60):
            broken = bytearray(data)
            for place in rng.integers(0, min(len(data), 64), 4):
                broken[place] = rng.integers(256)
            try:
                seen.add(type(inspect_upload(io.BytesIO(bytes(broken[: rng.integers(1, len(data))])), "x", Limits())))
            except (UnsupportedTypeError, UnrestoredError, TooLargeError) as error:
                seen.add(type(error))
                lines.add(str(error).count("\n"))
    assert lines == {0}
    assert {UnsupportedTypeError, UnrestoredError} <= seen
