"""Read image files of any common kind as upright RGB arrays."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageChops

from mindrestore.files import PathLike, natural_key
from mindrestore.images.errors import ImageError
from mindrestore.images.matlab import read_block
from mindrestore.images.pixels import to_float, turn_upright

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm")

_ORIENTATION_TAG = 274
_BITS_TAG = 258
# What Pillow's decoders raise on damaged files; anything else is a defect of this module and must show as one.
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


def list_images(folder: PathLike, *, recursive: bool = False) -> list[Path]:
    """List the image files of a folder in natural order (2 before 10).

    Args:
        folder: Folder to look into. Hidden files are left out.
        recursive: Also look into its sub-folders.

    Returns:
        Paths of all files whose suffix is one of `SUFFIXES`, in upper or lower case.

    Raises:
        ImageError: If the folder does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ImageError(f"{folder}: no such folder; check the path")
    found = folder.rglob("*") if recursive else folder.iterdir()
    images = [path for path in found if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
    return sorted((path for path in images if path.is_file()), key=lambda path: natural_key(str(path)))


def read_image(path: PathLike) -> np.ndarray:
    """Read an image file as RGB, upright as its EXIF orientation says.

    Grey, palette and CMYK files become RGB, alpha is dropped, of several frames the first is taken.

    Args:
        path: PNG, JPEG, TIFF, BMP, WebP or PPM file with 8 or 16 bits per channel; or a block inside a MATLAB file,
            such as `ValidationGtBlocksSrgb.mat/0007_03`.

    Returns:
        Array of shape (H, W, 3), uint8 in [0, 255], or uint16 in [0, 65535] for a 16-bit file.

    Raises:
        ImageError: If the file is missing, empty, truncated or no image.
    """
    path = Path(path)
    if path.parent.suffix.lower() == ".mat":
        return read_block(path)
    data = _read_bytes(path)
    try:
        with Image.open(io.BytesIO(data)) as image:
            deep = _is_16_bit(image, data)
            image.load()  # reports truncation, which OpenCV would fill with grey
            # Asked after load(): both decoders turn TIFF files by themselves, and PNG may keep EXIF behind the pixels.
            orientation = image.getexif().get(_ORIENTATION_TAG, 1)
            return turn_upright(_decode_16_bit(data) if deep else _to_rgb8(image), orientation)
    except Image.UnidentifiedImageError as error:
        raise ImageError(
            f"{path}: not an image ({len(data)} bytes that begin with {data[:12]!r}); replace or remove the file"
        ) from error
    except _DECODE_ERRORS as error:
        raise ImageError(f"{path}: damaged image ({error}); copy or download it again") from error


def read_rgb(path: PathLike) -> np.ndarray:
    """Read an image file as floating-point RGB.

    Args:
        path: File that `read_image` accepts.

    Returns:
        Array of shape (H, W, 3), float32 in [0, 1].

    Raises:
        ImageError: If the file cannot be read.
    """
    return to_float(read_image(path))


def read_depth(path: PathLike) -> np.ndarray:
    """Read a single-channel map (depth, disparity) with its stored values.

    Args:
        path: 8- or 16-bit grey PNG or TIFF, or a NumPy `.npy` file.

    Returns:
        Array of shape (H, W), float32, in the units of the file.

    Raises:
        ImageError: If the file cannot be read or has more than one channel that differ.
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        try:
            values = np.load(io.BytesIO(_read_bytes(path)), allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ImageError(f"{path}: damaged NumPy file ({error}); write it again with numpy.save") from error
    else:
        rgb = read_image(path)
        if not (np.array_equal(rgb[..., 0], rgb[..., 1]) and np.array_equal(rgb[..., 0], rgb[..., 2])):
            raise ImageError(f"{path}: a coloured image is not a depth map; give a grey 8- or 16-bit file")
        values = rgb[..., 0]
    if values.ndim != 2:
        raise ImageError(f"{path}: shape {values.shape} is not a depth map; expected (H, W)")
    return values.astype(np.float32)


def _read_bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file; check the path") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error}); check its rights") from error
    if not data:
        raise ImageError(f"{path}: the file is empty (0 bytes); copy or download it again")
    return data


def _is_16_bit(image: Image.Image, data: bytes) -> bool:
    if image.format == "PNG":
        return data[24] == 16  # bit depth in the IHDR chunk
    if image.format == "TIFF":
        return max(image.tag_v2.get(_BITS_TAG, (1,))) == 16
    return image.mode.startswith("I;16")


def _decode_16_bit(data: bytes) -> np.ndarray:
    # Pillow keeps 16 bits for grey images only.
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("its 16-bit pixels cannot be decoded")
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    return np.ascontiguousarray(pixels[..., 2::-1])  # BGR or BGRA


def _to_rgb8(image: Image.Image) -> np.ndarray:
    if image.mode in ("I", "F"):
        raise ValueError(f"pixel mode {image.mode} has no fixed range, save it with 8 or 16 bits")
    if image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        # Pillow takes every CMYK JPEG for Adobe's inverted kind; without Adobe's marker, 255 is full ink.
        image = ImageChops.invert(image)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))
