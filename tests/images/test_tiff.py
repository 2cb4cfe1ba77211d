"""TIFF: every number of bits in every colour space and layout gives the right values, or one true line."""

from __future__ import annotations

import itertools
import struct
from contextlib import suppress

import cv2
import numpy as np
import pytest
from PIL import Image
from tiff_files import pack, tiff_bytes, with_directory

from mindrestore.images.errors import ImageError
from mindrestore.images.photos import read_photo
from mindrestore.images.read import read_image

GREY_BITS = (1, 2, 4, 8, 10, 12, 14, 16)
LAYOUTS = {
    "strips": {"rows": 5},
    "tiles": {"tile": 16},
    "big-endian": {"order": ">"},
    "deflate": {"deflate": True, "rows": 7},
    "deflated tiles": {"deflate": True, "tile": 16},
}


def drawn(bits, samples=1, height=19, width=37):
    values = np.random.default_rng(bits).integers(0, 1 << bits, (height, width, samples))
    values[0, 0], values[0, 1] = 0, (1 << bits) - 1
    return values


def scaled(values, bits):
    white = 255 if bits <= 8 else 65535
    return np.floor(values / ((1 << bits) - 1) * white + 0.5).astype(np.uint8 if bits <= 8 else np.uint16)


def written(tmp_path, data, name="a.tif"):
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("bits", GREY_BITS)
def test_grey(tmp_path, bits, layout):
    values = drawn(bits)
    for photometric in (0, 1):
        path = written(tmp_path, tiff_bytes(values, bits, photometric, **LAYOUTS[layout]))
        expected = scaled(values if photometric else (1 << bits) - 1 - values, bits)
        photo = read_photo(path)
        np.testing.assert_array_equal(photo.pixels, expected[..., 0])
        assert photo.alpha is None
        np.testing.assert_array_equal(read_image(path), np.repeat(expected, 3, axis=2))  # training


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("bits", "planar"), itertools.product((2, 4, 8, 12, 16), (False, True)))
def test_rgb(tmp_path, bits, planar, layout):
    values = drawn(bits, 3)
    path = written(tmp_path, tiff_bytes(values, bits, 2, planar=planar, **LAYOUTS[layout]))
    np.testing.assert_array_equal(read_photo(path).pixels, scaled(values, bits))
    np.testing.assert_array_equal(read_image(path), scaled(values, bits))


@pytest.mark.parametrize("order", ["<", ">"])
def test_bigtiff(tmp_path, order):
    values = drawn(12)
    body = pack(values[..., 0], 12, order).tobytes()
    described = {256: 37, 257: 19, 258: 12, 259: 1, 262: 1, 273: 16, 277: 1, 278: 19, 279: len(body)}
    place = 16 + len(body)
    entries = b"".join(struct.pack(f"{order}HHQQ", tag, 16, 1, value) for tag, value in sorted(described.items()))
    head = (b"II+\0" if order == "<" else b"MM\0+") + struct.pack(f"{order}HHQ", 8, 0, place)
    directory = struct.pack(f"{order}Q", len(described)) + entries + struct.pack(f"{order}Q", 0)
    path = written(tmp_path, head + body + directory)
    np.testing.assert_array_equal(read_photo(path).pixels, scaled(values, 12)[..., 0])


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("layout", ["deflate", "deflated tiles", "big-endian"])
def test_differences_are_undone(tmp_path, bits, planar, layout):
    values = drawn(bits, 3)
    path = written(tmp_path, tiff_bytes(values, bits, 2, planar=planar, predictor=2, **LAYOUTS[layout]))
    np.testing.assert_array_equal(read_image(path), values)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_transparency(tmp_path, bits):
    values = drawn(bits, 4)
    photo = read_photo(written(tmp_path, tiff_bytes(values, bits, 2, tags={338: 2})))
    np.testing.assert_array_equal(photo.pixels, scaled(values[..., :3], bits))
    np.testing.assert_array_equal(photo.alpha, scaled(values[..., 3], bits))
    photo = read_photo(written(tmp_path, tiff_bytes(values, bits, 2, tags={338: 0})))  # of no stated meaning
    assert photo.alpha is None


def test_transparency_that_is_multiplied_in_is_divided_out(tmp_path):
    values = np.array([[[30, 60, 90, 128], [0, 0, 0, 0], [200, 10, 255, 255]]])
    photo = read_photo(written(tmp_path, tiff_bytes(values, 8, 2, tags={338: 1})))
    assert photo.pixels.tolist() == [[[59, 119, 179], [0, 0, 0], [200, 10, 255]]]
    assert photo.alpha.tolist() == [[128, 0, 255]]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palette(tmp_path, bits):
    values, colours = drawn(bits), np.random.default_rng(3).integers(0, 65536, (3, 1 << bits))
    path = written(tmp_path, tiff_bytes(values, bits, 3, tags={320: colours.reshape(-1)}))
    np.testing.assert_array_equal(read_image(path), (colours >> 8).T[values[..., 0]])


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_ink(tmp_path, bits):
    most = (1 << bits) - 1
    values = drawn(bits, 4)
    path = written(tmp_path, tiff_bytes(values, bits, 5, rows=4))
    expected = (1 - values[..., :3] / most) * (1 - values[..., 3:] / most)
    white = 255 if bits == 8 else 65535
    assert np.abs(read_image(path) - expected * white).max() <= 2
    assert read_photo(path).alpha is None


@pytest.mark.parametrize("bits", [8, 16])
def test_lab(tmp_path, bits):
    # L*a*b* under D50 and the sRGB colours that belong to it
    known = {(100, 0, 0): (255, 255, 255), (0, 0, 0): (0, 0, 0), (53.39, 0, 0): (127, 127, 127)}
    known |= {
        (54.29, 80.80, 69.89): (255, 0, 0),
        (87.82, -79.27, 80.99): (0, 255, 0),
        (29.57, 68.29, -112.03): (0, 0, 255),
    }
    lab = np.array([list(known)])
    scale = np.array([255 / 100, 1, 1]) if bits == 8 else np.array([65535 / 100, 256, 256])
    values = np.rint(lab * scale).astype(int) % (1 << bits)
    path = written(tmp_path, tiff_bytes(values, bits, 8))
    white = 255 if bits == 8 else 65535
    difference = read_image(path) * (255 / white) - np.array([list(known.values())])
    assert np.abs(difference).max() < (10.5 if bits == 8 else 1.5)  # near black, a step of a* is 10 of 255
    assert read_photo(path).alpha is None
    icc = values.copy()  # a and b from the middle on
    icc[..., 1:] = (icc[..., 1:] + (1 << bits - 1)) % (1 << bits)
    icc_path = written(tmp_path, tiff_bytes(icc, bits, 9))
    assert np.abs(read_image(icc_path) * (255.0 / white) - read_image(path) * (255.0 / white)).max() < 1.5


@pytest.mark.parametrize(("across", "down"), [(1, 1), (2, 1), (2, 2), (4, 2)])
def test_ycbcr(tmp_path, across, down):
    height, width = 8, 16
    rng = np.random.default_rng(0)
    luma = rng.integers(60, 200, (height, width))
    chroma = rng.integers(100, 156, (2, height // down, width // across))
    blocks = luma.reshape(height // down, down, width // across, across).transpose(0, 2, 1, 3)
    blocks = blocks.reshape(height // down, width // across, -1)
    body = np.concatenate((blocks, chroma[0][..., None], chroma[1][..., None]), axis=2).astype(np.uint8).tobytes()
    described = {256: width, 257: height, 258: (8, 8, 8), 259: 1, 262: 6, 277: 3, 273: 8, 278: height, 279: len(body)}
    path = written(tmp_path, with_directory(body, {**described, 530: (across, down)}))
    cb, cr = np.repeat(np.repeat(chroma, down, 1), across, 2) - 128.0
    expected = np.stack((luma + 1.402 * cr, luma - 0.344136 * cb - 0.714136 * cr, luma + 1.772 * cb), axis=2)
    assert np.abs(read_image(path) - np.clip(expected, 0, 255)).max() <= 1


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg"])
def test_what_other_programs_write(tmp_path, compression):
    smooth = np.repeat(np.arange(0, 240, 4, dtype=np.uint8)[:, None, None], 48, axis=1) + np.uint8([0, 5, 10])
    Image.fromarray(smooth).save(tmp_path / "a.tif", compression=compression)
    assert np.abs(read_image(tmp_path / "a.tif").astype(int) - smooth).max() <= (4 if compression == "jpeg" else 0)


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_fax(tmp_path, compression):
    black = np.zeros((20, 33), bool)
    black[3:9, 4:30] = True
    Image.fromarray(black).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], black * np.uint8(255))


def test_reversed_bits(tmp_path):
    values = drawn(1)
    plain = tiff_bytes(values, 1, 1)
    length = -(-37 // 8) * 19
    body = np.packbits(np.unpackbits(np.frombuffer(plain[8 : 8 + length], np.uint8), bitorder="little")).tobytes()
    described = {256: 37, 257: 19, 258: 1, 259: 1, 262: 1, 266: 2, 277: 1, 273: 8, 278: 19, 279: length}
    path = written(tmp_path, with_directory(body, described))
    np.testing.assert_array_equal(read_image(path)[..., 0], values[..., 0] * 255)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (tiff_bytes(drawn(32), 32, 1), "32 bits per sample are not read; save it with 8 or 16 bits per channel"),
        (
            tiff_bytes(drawn(32), 32, 1, tags={339: 3}),
            r"float32 \(HDR\) have no fixed white; save it with 8 or 16 bits",
        ),
        (tiff_bytes(drawn(16), 16, 1, tags={339: 2}), "signed or complex samples are not read; save it with 8 or 16"),
        (
            tiff_bytes(drawn(12, 3), 12, 6, tags={530: (1, 1)}),
            "YCbCr with 12 bits per sample is not read; save it as RGB",
        ),
        (tiff_bytes(drawn(12, 3), 12, 8), r"L\*a\*b\* with 12 bits per sample is not read; save it as RGB"),
        (tiff_bytes(drawn(8), 8, 7), r"colour space 7 \(PhotometricInterpretation\) is not read; save it as RGB"),
        (
            tiff_bytes(drawn(8), 8, 1, tags={259: 34712}),
            "compression 34712 with 8 bits per sample is not read; save it",
        ),
        (
            tiff_bytes(drawn(8, 3), 8, 2, tags={259: 50001}),
            "compression 50001 with 8 bits per sample is not read",
        ),
        (tiff_bytes(drawn(8, 5), 8, 5, tags={259: 7}), "compression 7 with 5 samples is not read; save it with LZW"),
        (tiff_bytes(drawn(12), 12, 1, tags={259: 7}), "compression 7 with 12 bits per sample is not read; save it"),
        (tiff_bytes(drawn(8, 4), 8, 5, tags={332: 2}), "inks other than cyan, magenta, yellow and black are not read"),
        (tiff_bytes(drawn(8), 8, 1, tags={273: 8, 279: 10, 257: 9999}), r"damaged image \(.*\); copy or download it"),
        (tiff_bytes(drawn(8), 8, 1, tags={254: 1}), r"its first picture is a reduced copy \(NewSubfileType 1\)"),
        (tiff_bytes(drawn(8), 8, 1, tags={255: 2}), r"its first picture is a reduced copy \(NewSubfileType 1\)"),
        (tiff_bytes(drawn(8), 8, 1, tags={50706: 1}), "a raw photograph, which is not read .*; develop it to a 16-bit"),
        (tiff_bytes(drawn(16), 16, 32803), "a raw photograph, which is not read .*; develop it to a 16-bit TIFF"),
        (tiff_bytes(drawn(16, 3), 16, 34892), "a raw photograph, which is not read .*; develop it to a 16-bit TIFF"),
    ],
)
def test_what_is_not_read_is_said(tmp_path, capfd, data, line):
    path = written(tmp_path, data)
    for read in (read_image, read_photo):
        with pytest.raises(ImageError, match=f"a.tif: .*{line}") as caught:
            read(path)
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")  # no line of OpenCV, libtiff or Pillow


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg", "group4"])
def test_no_library_speaks_of_a_damaged_file(tmp_path, capfd, compression):
    image = Image.fromarray(drawn(8, 3).astype(np.uint8)).convert("1" if compression == "group4" else "RGB")
    image.save(tmp_path / "whole.tif", compression=compression)
    whole = (tmp_path / "whole.tif").read_bytes()
    rng = np.random.default_rng(0)
    for place in range(60):
        damaged = bytearray(whole)
        damaged[int(rng.integers(len(whole)))] ^= int(rng.integers(1, 256))
        path = written(tmp_path, bytes(damaged[: len(whole) - place * 7]))
        with suppress(ImageError):
            read_image(path)
    assert capfd.readouterr() == ("", "")


def test_a_preview_behind_the_picture_is_not_a_second_picture(tmp_path):
    main, small = (Image.fromarray(drawn(8, 3)[:side].astype(np.uint8)) for side in (19, 4))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    main.save(tmp_path / "a.tif", save_all=True, append_images=[small])
    assert read_photo(tmp_path / "a.tif").pixels.shape == (19, 37, 3)


def test_opencv_agrees_on_16_bits(tmp_path):
    deep = drawn(16, 3).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "a.tif"), deep)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), deep[..., ::-1])
