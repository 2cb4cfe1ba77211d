"""A good picture is never refused for what stands beside it, and what cannot be read is said in one true line."""

from __future__ import annotations

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, features

from mindrestore.errors import MindRestoreError
from mindrestore.images import kinds, png
from mindrestore.images.errors import ImageError
from mindrestore.images.limits import VARIABLE
from mindrestore.images.photos import Photo, read_photo, write_photo
from mindrestore.images.read import list_images, read_image

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
COLOUR_CHUNKS = (
    (b"cICP", bytes([9, 16, 0, 1])),
    (b"sRGB", b"\1"),
    (b"gAMA", struct.pack(">I", 100000)),
    (b"cHRM", struct.pack(">8I", *range(30000, 38000, 1000))),
)


def png_with(path, chunks, pixels=PIXELS):
    Image.fromarray(pixels).save(path)
    path.write_bytes(png.with_chunks(path.read_bytes(), chunks))
    return path


@pytest.mark.parametrize("bits", [8, 16])
def test_chunks_that_say_what_colours_mean_are_kept(tmp_path, bits):
    photo = read_photo(png_with(tmp_path / "a.png", COLOUR_CHUNKS))
    np.testing.assert_array_equal(photo.pixels, PIXELS)
    deep = Photo(photo.pixels.astype(np.uint16) * 257, None, photo.metadata)
    assert write_photo(tmp_path / "b.png", deep if bits == 16 else photo) == ()
    kept = {chunk for chunk in png.split((tmp_path / "b.png").read_bytes()).others if chunk[0] in png.COLOUR_KINDS}
    assert kept == set(COLOUR_CHUNKS)
    again = read_photo(tmp_path / "b.png")
    np.testing.assert_array_equal(again.pixels // (257 if bits == 16 else 1), PIXELS)


def test_gamma_does_not_change_16_bits_while_they_are_read(tmp_path):
    deep = np.random.default_rng(1).integers(0, 65536, (6, 5, 3), np.uint16)
    write_photo(tmp_path / "a.png", Photo(deep, None, {"chunks": COLOUR_CHUNKS}))
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png").pixels, deep)


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_a_long_text_is_kept(tmp_path, kind):
    packed = zlib.compress(b"fog " * (3 << 20))  # 12 MB, of which Pillow takes 1
    content = b"Comment\0\0" + packed if kind == b"zTXt" else b"Comment\0\1\0\0\0" + packed
    photo = read_photo(png_with(tmp_path / "a.png", [(kind, content)]))
    assert write_photo(tmp_path / "b.png", photo) == ()
    assert (kind, content) in png.split((tmp_path / "b.png").read_bytes()).others


@pytest.mark.parametrize("broken", [b"", b"II", b"nothing of the kind", b"II*\0\x08\0\0\0\xff\xff" + b"\xff" * 40])
def test_unreadable_exif_is_left_out(tmp_path, broken):
    photo = read_photo(png_with(tmp_path / "a.png", [(b"eXIf", broken)]))
    np.testing.assert_array_equal(photo.pixels, PIXELS)
    assert write_photo(tmp_path / "b.png", photo) == ()
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), PIXELS)


def test_a_profile_that_cannot_be_read_is_said(tmp_path):
    photo = read_photo(png_with(tmp_path / "a.png", [(b"iCCP", b"x\0\0no zlib")]))
    assert photo.notes == ("its colour profile cannot be read and is left out",)
    np.testing.assert_array_equal(photo.pixels, PIXELS)


def test_the_orientation_of_imagemagick_is_obeyed(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    data = exif.tobytes()
    text = f"\nexif\n{len(data):8d}\n{data.hex()}\n".encode()
    photo = read_photo(png_with(tmp_path / "a.png", [(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))]))
    np.testing.assert_array_equal(photo.pixels, np.rot90(PIXELS, -1))
    write_photo(tmp_path / "b.png", photo)
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), np.rot90(PIXELS, -1))


def exif_of(entries, details=None):
    exif = Image.Exif()
    exif.update(entries)
    exif.get_ifd(34665).update(details or {})
    return exif.tobytes()


def test_exif_that_jpeg_cannot_hold_is_cut(tmp_path):
    exif = exif_of({271: "Leica"}, {37500: b"m" * 90_000, 36867: "2024:05:01 10:00:00"})
    (note,) = write_photo(tmp_path / "a.jpg", Photo(PIXELS, None, {"exif": exif}))
    assert note == "its EXIF data have 88 kB, and there is room for 63: MakerNote left out"
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.getexif()[271] == "Leica"
        assert image.getexif().get_ifd(34665)[36867] == "2024:05:01 10:00:00"
        assert 37500 not in image.getexif().get_ifd(34665)
    (note,) = write_photo(tmp_path / "b.jpg", Photo(PIXELS, None, {"exif": b"no EXIF " * 10_000}))
    assert note == "its EXIF data have 78 kB, and there is room for 63: they are left out"
    assert write_photo(tmp_path / "c.png", Photo(PIXELS, None, {"exif": exif})) == ()  # PNG has room
    with Image.open(tmp_path / "c.png") as image:
        assert len(image.getexif().get_ifd(34665)[37500]) == 90_000


def test_other_metadata_that_jpeg_cannot_hold_is_left_out(tmp_path):
    metadata = {"xmp": b"<x>" * 40_000, "comment": b"fog" * 40_000}
    notes = write_photo(tmp_path / "a.jpg", Photo(PIXELS, None, metadata))
    assert notes == (
        "its XMP packet has 117 kB, more than JPEG holds, and is left out",
        "its comment has 117 kB, more than JPEG holds, and is left out",
    )
    assert read_image(tmp_path / "a.jpg").shape == PIXELS.shape


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "webp"])
def test_metadata_that_nobody_can_write_do_not_cost_the_picture(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    notes = write_photo(path, Photo(PIXELS, None, {"dpi": ("a", "b")}))
    assert path.is_file()
    assert read_image(path).shape == PIXELS.shape
    assert len(notes) == (0 if suffix == "webp" else 1)  # WebP has no resolution
    assert all("its metadata cannot be written" in note for note in notes)


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    rows = zlib.compress(b"\0" * 100)
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    lean = png.with_chunks(b"\x89PNG\r\n\x1a\n" + b"\0" * 25, [(b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")])
    path = tmp_path / "a.png"
    path.write_bytes(lean[:8] + lean[33:])
    line = (
        f"{path}: 20000x20000 are 400 megapixels, more than the limit of 250; read it with {VARIABLE}=401 "
        "(restore: --max-megapixels 401), or make it smaller"
    )
    for read in (read_image, read_photo):
        with pytest.raises(ImageError) as caught:
            read(path)
        assert str(caught.value) == line
    monkeypatch.setenv(VARIABLE, "401")
    with pytest.raises(ImageError, match="damaged image"):  # which it is
        read_image(path)
    monkeypatch.setenv(VARIABLE, "many")
    with pytest.raises(ImageError, match=f"{VARIABLE}=many: use a positive number of megapixels"):
        read_image(path)


def test_200_megapixels_are_read(tmp_path):
    side, rows = 16_384, 12_256  # 200.8 megapixels in a file of 100 kB
    header = struct.pack(">IIBBBBB", side, rows, 1, 0, 0, 0, 0)
    data = zlib.compress((b"\0" + b"\xff" * (side // 8)) * rows)
    start = b"\x89PNG\r\n\x1a\n" + b"\0" * 25
    whole = png.with_chunks(start, [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")])
    (tmp_path / "a.png").write_bytes(whole[:8] + whole[33:])
    pixels = read_photo(tmp_path / "a.png").pixels
    assert pixels.shape == (rows, side)
    assert pixels.min() == 255


@pytest.mark.parametrize("suffix", ["pgm", "pnm"])
def test_portable_grey_maps_are_read_alone_and_in_folders(tmp_path, suffix):
    (tmp_path / f"a.{suffix}").write_bytes(b"P5\n3 2\n65535\n" + struct.pack(">6H", 0, 1, 2, 300, 40_000, 65_535))
    assert read_photo(tmp_path / f"a.{suffix}").pixels.tolist() == [[0, 1, 2], [300, 40_000, 65_535]]
    assert list_images(tmp_path) == [tmp_path / f"a.{suffix}"]


def test_a_photoshop_document_is_left_to_photoshop(tmp_path):
    # Pillow reads its flattened copy, which need not be there
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 2, 2, 8, 3) + b"\0" * 12 + struct.pack(">H", 0) + bytes(12)
    (tmp_path / "a.psd").write_bytes(header)
    with pytest.raises(ImageError, match=r"a\.psd: a Photoshop document is not read; save it as TIFF or PNG"):
        read_photo(tmp_path / "a.psd")


@pytest.mark.skipif(not features.check("jpg_2000"), reason="this Pillow has no JPEG 2000")
def test_jpeg_2000_and_jfif(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.jp2", irreversible=False)
    np.testing.assert_array_equal(read_photo(tmp_path / "a.jp2").pixels, PIXELS)
    Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(tmp_path / "b.jpg")
    (tmp_path / "b.jpg").rename(tmp_path / "b.JFIF")
    assert np.abs(read_photo(tmp_path / "b.JFIF").pixels.astype(int) - 90).max() <= 1
    assert [path.name for path in list_images(tmp_path)] == ["a.jp2", "b.JFIF"]
    write_photo(tmp_path / "c.jfif", Photo(PIXELS))
    assert Image.open(tmp_path / "c.jfif").format == "JPEG"


def test_avif_stands_upright(tmp_path):
    if ".avif" not in kinds.readable_suffixes():
        pytest.skip("this Pillow has no AVIF: pip install 'pillow>=11.3'")
    exif = Image.Exif()
    exif[274] = 6
    smooth = np.repeat(np.arange(0, 240, 4, dtype=np.uint8)[:, None, None], 40, 1).repeat(3, 2)
    Image.fromarray(smooth).save(tmp_path / "a.avif", quality=95, exif=exif)
    photo = read_photo(tmp_path / "a.avif")
    assert np.abs(photo.pixels.astype(int) - np.rot90(smooth, -1)).max() <= 4


def test_heic_stands_upright(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[274] = 6
    smooth = np.repeat(np.arange(0, 240, 4, dtype=np.uint8)[:, None, None], 40, 1).repeat(3, 2)
    pillow_heif.from_pillow(Image.fromarray(smooth)).save(tmp_path / "a.HEIC", quality=95, exif=exif.tobytes())
    photo = read_photo(tmp_path / "a.HEIC")
    assert photo.pixels.shape in ((40, 60, 3), (60, 40, 3))
    upright = np.rot90(smooth, -1) if photo.pixels.shape == (40, 60, 3) else smooth
    assert np.abs(photo.pixels.astype(int) - upright).max() <= 4
    write_photo(tmp_path / "b.png", photo)
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), photo.pixels)


@pytest.mark.parametrize(
    ("name", "data", "line"),
    [
        ("a.jxl", b"\xff\x0a" + b"\0" * 40, "JPEG XL is not read; save it as PNG or JPEG"),
        ("a.cr3", b"\0\0\0\x18ftypcrx " + b"\0" * 40, "a raw photograph, which is not read"),
        ("a.raf", b"FUJIFILMCCD-RAW 0201" + b"\0" * 40, "a raw photograph, which is not read"),
        ("a.nef", b"II*\0\x08\0\0\0" + b"\0" * 40, "a raw photograph, which is not read"),
        ("a.jpg", b"8BPS\0\1" + b"\0" * 40, "a Photoshop document is not read; save it as TIFF or PNG"),
        ("a.png", b"%PDF-1.7" + b"\0" * 40, "a PDF document is not a picture; export its page as PNG"),
        ("a.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript is a drawing, not a picture of"),
        ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG is a drawing, not a picture of pixels"),
        (
            "a.ico",
            b"\0\0\1\0" + b"\0" * 40,
            r"not an image format that can be read \(44 bytes .*; save it as PNG",
        ),
        (
            "a.png",
            b"\x89PNG\r\n\x1a\n" + b"\0" * 40,
            r"damaged image \(its header cannot be read\); copy or",
        ),
    ],
)
def test_other_kinds_are_named(tmp_path, name, data, line):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ImageError, match=f"{name}: {line}"):
        read_photo(tmp_path / name)


def test_heic_without_its_library_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(kinds, "find_spec", lambda name: None)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 99)
    with pytest.raises(
        ImageError, match=r"HEIC is read with pillow-heif, .*mindrestore\[heif\].*, or export it as JPEG"
    ):
        read_photo(tmp_path / "a.heic")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp", "gif", "avif", "jp2", "ppm", "heic"])
def test_damage_of_any_kind_is_one_line(tmp_path, capfd, suffix):
    if f".{suffix}" not in (*kinds.readable_suffixes(), ".gif"):
        pytest.skip(f"{suffix} is not read here")
    if suffix == "heic":
        kinds_of_heif = pytest.importorskip("pillow_heif")
        kinds_of_heif.from_pillow(Image.fromarray(PIXELS)).save(tmp_path / "a.heic")
    else:
        Image.fromarray(PIXELS).save(tmp_path / f"a.{suffix}")
    whole, rng = (tmp_path / f"a.{suffix}").read_bytes(), np.random.default_rng(0)
    for turn in range(40):
        damaged = bytearray(whole)
        for _ in range(turn % 3 + 1):
            damaged[int(rng.integers(len(whole) if turn % 2 else min(len(whole), 300)))] = int(rng.integers(256))
        (tmp_path / f"a.{suffix}").write_bytes(damaged[: int(rng.integers(len(whole))) if turn % 4 == 3 else None])
        try:
            read_photo(tmp_path / f"a.{suffix}")
        except ImageError as error:
            assert str(error).isprintable()  # noqa: PT017 - many of the files are good
    assert capfd.readouterr() == ("", "")


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero"):
        with pytest.raises(ImageError, match="not a file; name the path of an image file"):
            read_image(path)


@pytest.mark.parametrize("name", [b"\xd0\xc2\xbd\xa8.png", b"x" * 251 + b".png", b"a\x1b[31mred\nline.png"])
def test_any_name_is_read_and_written(tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    write_photo(path, Photo(PIXELS))
    np.testing.assert_array_equal(read_photo(path).pixels, PIXELS)
    assert os.listdir(os.fsencode(tmp_path)) == [name]
    path.write_bytes(b"")
    with pytest.raises(MindRestoreError) as caught:
        read_photo(path)
    message = str(caught.value)
    assert message.isprintable()
    assert message.encode()
    assert "the file is empty" in message


def test_texts_of_png_files_survive(tmp_path):
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", "Käthe")
    texts.add_itxt("Title", "霧", zip=True)
    Image.fromarray(PIXELS).save(tmp_path / "a.png", pnginfo=texts)
    write_photo(tmp_path / "b.png", read_photo(tmp_path / "a.png"))
    assert Image.open(tmp_path / "b.png").text == {"Author": "Käthe", "Title": "霧"}
