"""Decoding of every kind of image file, and writing that leaves nothing half done."""

from __future__ import annotations

import errno
import os

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from mindrestore.files import WriteError, write_bytes
from mindrestore.images.errors import ImageError
from mindrestore.images.pixels import to_float
from mindrestore.images.read import list_images, read_depth, read_image, read_rgb
from mindrestore.images.write import write_image


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 256, (7, 11, 3), dtype=np.uint8)


def test_rgb_png_is_exact(tmp_path, colours):
    write_image(tmp_path / "a.png", colours)
    assert np.array_equal(read_image(tmp_path / "a.png"), colours)
    assert read_rgb(tmp_path / "a.png").dtype == np.float32
    assert np.array_equal(read_rgb(tmp_path / "a.png"), colours.astype(np.float32) / 255)


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("LA", 2), ("1", 1)])
def test_grey_is_repeated(tmp_path, colours, mode, channels):
    grey = Image.fromarray(colours).convert("L").convert(mode)
    grey.save(tmp_path / "grey.png")
    read = read_image(tmp_path / "grey.png")
    assert read.shape == (7, 11, 3)
    expected = np.asarray(grey.convert("L"))
    assert all(np.array_equal(read[..., c], expected) for c in range(3))


def test_alpha_is_dropped(tmp_path, colours):
    alpha = np.full((7, 11, 1), 10, np.uint8)
    Image.fromarray(np.concatenate([colours, alpha], 2)).save(tmp_path / "alpha.png")
    assert np.array_equal(read_image(tmp_path / "alpha.png"), colours)


def test_palette(tmp_path):
    image = Image.new("P", (4, 3), 1)
    image.putpalette([0, 0, 0, 200, 100, 50] + [0] * 762)
    image.save(tmp_path / "palette.png", transparency=1)
    assert np.array_equal(read_image(tmp_path / "palette.png"), np.full((3, 4, 3), [200, 100, 50], np.uint8))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_kept(tmp_path, suffix):
    deep = np.random.default_rng(1).integers(0, 65536, (6, 5, 3), dtype=np.uint16)
    write_image(tmp_path / f"rgb{suffix}", deep)
    write_image(tmp_path / f"grey{suffix}", deep[..., 0])
    assert np.array_equal(read_image(tmp_path / f"rgb{suffix}"), deep)
    assert np.array_equal(read_image(tmp_path / f"grey{suffix}"), np.repeat(deep[..., :1], 3, 2))
    assert np.array_equal(read_depth(tmp_path / f"grey{suffix}"), deep[..., 0].astype(np.float32))


def test_sixteen_bit_rgba_png(tmp_path):
    deep = np.random.default_rng(2).integers(0, 65536, (4, 5, 4), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), deep)
    assert np.array_equal(read_image(tmp_path / "a.png"), deep[..., 2::-1])


@pytest.mark.parametrize("adobe", [True, False])
def test_cmyk_jpeg_with_and_without_adobe_inversion(tmp_path, adobe):
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[..., 0], ink[..., 1] = 255, 40  # full cyan, some magenta: RGB (0, 215, 255)
    stored = ink if adobe else 255 - ink  # Pillow inverts while writing
    Image.fromarray(stored, mode="CMYK").save(tmp_path / "ink.jpg", quality=100)
    data = (tmp_path / "ink.jpg").read_bytes()
    at = data.index(b"\xff\xee")
    if not adobe:
        data = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
        (tmp_path / "ink.jpg").write_bytes(data)
    assert np.abs(read_image(tmp_path / "ink.jpg").astype(int) - [0, 215, 255]).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_exif_orientation(tmp_path, colours, orientation, suffix):
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(colours).save(tmp_path / f"turned{suffix}", exif=exif)
    plain = Image.fromarray(colours)
    plain.getexif()[274] = orientation
    assert np.array_equal(read_image(tmp_path / f"turned{suffix}"), np.asarray(ImageOps.exif_transpose(plain)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_deep_tiff(tmp_path, colours, orientation):
    grey = Image.fromarray(colours[..., 0])
    Image.fromarray(colours[..., 0].astype(np.uint16) * 257).save(tmp_path / "t.tif", tiffinfo={274: orientation})
    grey.getexif()[274] = orientation
    assert np.array_equal(read_image(tmp_path / "t.tif")[..., 0] // 257, np.asarray(ImageOps.exif_transpose(grey)))


def test_exif_rotated_jpeg_swaps_sides(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").shape == (40, 20, 3)


def test_broken_files_are_named(tmp_path, colours):
    big = np.random.default_rng(3).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    for name in ("cut.png", "cut.jpg", "cut16.png"):
        write_image(tmp_path / name, big.astype(np.uint16) * 257 if "16" in name else big)
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("this is not an image")
    for name, reason in {
        "cut.png": "damaged",
        "cut.jpg": "damaged",
        "cut16.png": "damaged",
        "empty.png": "empty",
        "text.png": "not an image",
        "absent.png": "no such file",
    }.items():
        with pytest.raises(ImageError, match=reason) as caught:
            read_image(tmp_path / name)
        assert name in str(caught.value)


def test_float_is_rounded_and_clipped(tmp_path):
    write_image(tmp_path / "f.png", np.array([[[-0.5, 0.5, 2.0]]]))
    assert read_image(tmp_path / "f.png").tolist() == [[[0, 128, 255]]]
    assert to_float(np.uint16([65535]))[0] == 1.0
    with pytest.raises(ImageError, match="NaN"):
        write_image(tmp_path / "nan.png", np.full((2, 2, 3), np.nan))
    with pytest.raises(ImageError, match="int64"):
        to_float(np.zeros(3, np.int64))
    with pytest.raises(ImageError, match=r"\.xyz"):
        write_image(tmp_path / "f.xyz", np.zeros((2, 2, 3)))


def test_sixteen_bits_to_jpeg(tmp_path):
    write_image(tmp_path / "f.jpg", np.full((8, 8, 3), 32896, np.uint16))
    assert np.abs(read_image(tmp_path / "f.jpg").astype(int) - 128).max() <= 1


def test_failed_write_keeps_the_old_file_and_leaves_no_temporary(tmp_path, colours, monkeypatch):
    write_image(tmp_path / "a.png", colours)
    before = (tmp_path / "a.png").read_bytes()

    def full(source, destination):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(WriteError, match="disk is full"):
        write_image(tmp_path / "a.png", 255 - colours)
    assert (tmp_path / "a.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_write_errors_are_explained(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot be written"):
        write_bytes(tmp_path / "file" / "a.bin", b"1")

    def refuse(source, destination):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(WriteError, match="no permission"):
        write_bytes(tmp_path / "a.bin", b"1")


def test_list_images_in_natural_order(tmp_path):
    for name in ("10.png", "2.PNG", "._3.png", "notes.txt", "b.jpg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "1.png").write_bytes(b"x")
    assert [path.name for path in list_images(tmp_path)] == ["2.PNG", "10.png", "b.jpg"]
    assert len(list_images(tmp_path, recursive=True)) == 4
    with pytest.raises(ImageError, match="no such folder"):
        list_images(tmp_path / "absent")


def test_depth_files(tmp_path):
    np.save(tmp_path / "d.npy", np.arange(6.0).reshape(2, 3))
    assert read_depth(tmp_path / "d.npy")[1, 2] == 5.0
    np.save(tmp_path / "bad.npy", np.zeros(3))
    with pytest.raises(ImageError, match="not a depth map"):
        read_depth(tmp_path / "bad.npy")
    write_image(tmp_path / "colour.png", np.uint8([[[1, 2, 3]]]))
    with pytest.raises(ImageError, match="coloured"):
        read_depth(tmp_path / "colour.png")
