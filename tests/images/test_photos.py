"""Photographs come back with their bits, their transparency, their profile and their metadata, upright."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from mindrestore.images.errors import ImageError
from mindrestore.images.photos import Photo, read_photo, write_photo
from mindrestore.images.read import read_image

RGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" dc:title="Nebel"/></x:xmpmeta>'


def noise(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape, dtype)


def exif_bytes(orientation):
    exif = Image.Exif()
    exif[271], exif[274] = "Leica", orientation
    details = exif.get_ifd(34665)
    details[40962], details[40963], details[36867] = 20, 12, "2024:05:01 10:00:00"
    exif.get_ifd(34853)[1] = "N"
    return exif.tobytes()


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_metadata_of_8_bits(tmp_path, suffix):
    path, out = tmp_path / f"a.{suffix}", tmp_path / f"out.{suffix}"
    options = {"xmp": XMP} if suffix in ("jpg", "webp") else {}
    Image.fromarray(noise(12, 20, 3)).save(path, exif=exif_bytes(6), icc_profile=RGB_PROFILE, dpi=(300, 300), **options)
    photo = read_photo(path)
    assert photo.pixels.shape == (20, 12, 3)  # turned
    write_photo(out, photo)
    with Image.open(out) as image:
        assert image.info["icc_profile"] == RGB_PROFILE
        exif = image.getexif()
        assert exif.get(274, 1) == 1
        assert exif[271] == "Leica"
        assert exif.get_ifd(34665)[36867] == "2024:05:01 10:00:00"
        assert (exif.get_ifd(34665)[40962], exif.get_ifd(34665)[40963]) == (12, 20)
        assert exif.get_ifd(34853)[1] == "N"
        if options:
            assert image.info["xmp"] == XMP.replace(b'"6"', b'"1"')
        if suffix != "webp":
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    if suffix != "jpg":
        np.testing.assert_array_equal(read_image(out), photo.pixels)
    assert read_photo(out).pixels.shape == (20, 12, 3)  # not turned again


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_metadata_of_16_bits(tmp_path, suffix, channels):
    pixels = noise(7, 9, channels, dtype=np.uint16)
    alpha = pixels[..., 3] if channels == 4 else None
    colours = pixels[..., 0] if channels == 1 else pixels[..., :3]
    profile = RGB_PROFILE if channels > 1 else RGB_PROFILE.replace(b"RGB ", b"GRAY", 1)
    metadata = {"icc_profile": profile, "exif": exif_bytes(1), "xmp": XMP, "dpi": (300.0, 300.0)}
    path = tmp_path / f"deep.{suffix}"
    write_photo(path, Photo(colours, alpha, metadata))
    again = read_photo(path)
    np.testing.assert_array_equal(again.pixels, colours)
    assert again.pixels.dtype == np.uint16
    if channels == 4:
        np.testing.assert_array_equal(again.alpha, alpha)
        assert len(np.unique(alpha % 257)) > 1  # more than 8 bits of it
    else:
        assert again.alpha is None
    with Image.open(path) as image:
        image.load()
        assert image.info["icc_profile"] == profile
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert image.getexif()[271] == "Leica"
        assert image.getexif().get_ifd(34665)[36867] == "2024:05:01 10:00:00"
    assert b"Nebel" in again.metadata["xmp"]
    assert b'Orientation="6"' not in again.metadata["xmp"]


@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "bmp"])
def test_transparency(tmp_path, suffix):
    pixels = noise(7, 9, 4)
    path = tmp_path / f"a.{suffix}"
    write_photo(path, Photo(pixels[..., :3], pixels[..., 3]))
    again = read_photo(path)
    np.testing.assert_array_equal(again.pixels, pixels[..., :3])
    np.testing.assert_array_equal(again.alpha, pixels[..., 3])


def test_transparent_pixels_turn_with_the_image(tmp_path):
    rgba = noise(5, 8, 4)
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(rgba).save(tmp_path / "a.png", exif=exif)
    photo = read_photo(tmp_path / "a.png")
    np.testing.assert_array_equal(photo.alpha, np.rot90(rgba[..., 3], -1))
    np.testing.assert_array_equal(photo.pixels, np.rot90(rgba[..., :3], -1))


def test_grey_with_transparency_stays_grey(tmp_path):
    Image.fromarray(noise(5, 8, 2), "LA").save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    assert photo.pixels.shape == photo.alpha.shape == (5, 8)
    write_photo(tmp_path / "b.png", photo)
    with Image.open(tmp_path / "b.png") as image:
        assert image.mode == "LA"
        np.testing.assert_array_equal(np.asarray(image), noise(5, 8, 2))


def test_text_and_comment_are_kept(tmp_path):
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", "Käthe")
    Image.fromarray(noise(4, 4, 3)).save(tmp_path / "a.png", pnginfo=texts)
    write_photo(tmp_path / "b.png", read_photo(tmp_path / "a.png"))
    assert Image.open(tmp_path / "b.png").text == {"Author": "Käthe"}
    Image.fromarray(noise(4, 4, 3)).save(tmp_path / "a.jpg", comment=b"in the fog")
    write_photo(tmp_path / "b.jpg", read_photo(tmp_path / "a.jpg"))
    assert Image.open(tmp_path / "b.jpg").info["comment"] == b"in the fog"


def test_a_profile_of_other_colours_is_left_out(tmp_path):
    cmyk = RGB_PROFILE.replace(b"RGB ", b"CMYK", 1)
    Image.fromarray(noise(4, 4, 4), "CMYK").save(tmp_path / "a.jpg", icc_profile=cmyk)
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.pixels.shape == (4, 4, 3)
    assert "icc_profile" not in photo.metadata


def test_tags_about_storage_are_not_taken_along(tmp_path):
    Image.fromarray(noise(40, 40, 3)).save(tmp_path / "a.tif", compression="tiff_lzw", tiffinfo={317: 2, 315: "Ansel"})
    photo = read_photo(tmp_path / "a.tif")
    write_photo(tmp_path / "b.tif", replace(photo, pixels=photo.pixels // 2))
    np.testing.assert_array_equal(read_image(tmp_path / "b.tif"), photo.pixels // 2)
    assert Image.open(tmp_path / "b.tif").getexif()[315] == "Ansel"


def test_jpeg_keeps_colours_of_single_pixels(tmp_path):
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, ::2, 0] = 255  # red and black columns: subsampled colour would mix them
    write_photo(tmp_path / "a.jpg", Photo(pixels))
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - pixels).max() < 12


def test_floating_point_and_several_pictures_are_named(tmp_path):
    for name, pixels in (("rgb.tif", np.ones((4, 4, 3), np.float32)), ("grey.tiff", np.ones((4, 4), np.float32))):
        cv2.imwrite(str(tmp_path / name), pixels)
        with pytest.raises(ImageError, match=rf"{name}: pixels of type float32 \(HDR\).* save it with 8 or 16 bits"):
            read_photo(tmp_path / name)
    frames = [Image.fromarray(noise(8, 8, 3) // step) for step in (1, 2, 3)]
    for name in ("a.gif", "a.webp", "a.png", "a.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        with pytest.raises(ImageError, match=rf"{name}: holds 3 pictures; save each as its own file"):
            read_photo(tmp_path / name)


def test_broken_entries_do_not_keep_a_picture_back(tmp_path):
    exif = bytearray(exif_bytes(1))
    exif[-12:] = b"\xff" * 12
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "a.jpg", exif=bytes(exif))
    assert read_photo(tmp_path / "a.jpg").pixels.shape == (8, 8, 3)
