"""Read and write image files: any common kind in, RGB arrays out, and never half a file on disk."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageChops

from mindrestore.errors import MindRestoreError
from mindrestore.files import PathLike, natural_key, write_bytes

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm")

_ORIENTATION_TAG = 274
_BITS_TAG = 258
_JPEG_QUALITY = 95
# What Pillow's decoders raise on damaged files; anything else is a defect of this module and must show as one.
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


class ImageError(MindRestoreError):
    """Report an image file that cannot be read or written, with its name, the reason and the fix."""


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
        from mindrestore.data.matlab import read_block  # that module needs this one

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
            raise ImageError(f"{path}: a coloured image is no depth map; give a grey 8- or 16-bit file")
        values = rgb[..., 0]
    if values.ndim != 2:
        raise ImageError(f"{path}: shape {values.shape} is no depth map; expected (H, W)")
    return values.astype(np.float32)


def to_float(image: np.ndarray) -> np.ndarray:
    """Bring integer pixels to [0, 1].

    Args:
        image: uint8, uint16 or floating-point array of any shape.

    Returns:
        float32 array of the same shape; floating-point input keeps its values.

    Raises:
        ImageError: If the array has another type.
    """
    if image.dtype == np.uint8:
        return image.astype(np.float32) / np.float32(255)
    if image.dtype == np.uint16:
        return image.astype(np.float32) / np.float32(65535)
    if np.issubdtype(image.dtype, np.floating):
        return image.astype(np.float32)
    raise ImageError(f"pixels of type {image.dtype} are not supported; give uint8, uint16 or floating point")


def write_image(path: PathLike, array: np.ndarray) -> None:
    """Write an image in one step: the file is complete or absent, and an old one survives a failure.

    Args:
        path: Destination; its suffix chooses the format. Missing folders are made.
        array: (H, W, 3) RGB or (H, W) grey; uint8, uint16, or floating point in [0, 1], which is clipped and
            rounded to 8 bits. JPEG, BMP and WebP keep 8 bits of 16.

    Raises:
        ImageError: If the values, the format, the folder or the disk do not allow it.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ImageError(f"{path}: cannot write {path.suffix or 'a file without suffix'}; use one of {SUFFIXES}")
    pixels = _to_pixels(path, array)
    if pixels.dtype == np.uint16 and path.suffix.lower() not in (".png", ".tif", ".tiff"):
        pixels = np.round(pixels / 257.0).astype(np.uint8)
    if pixels.ndim == 3:
        pixels = np.ascontiguousarray(pixels[..., ::-1])  # OpenCV writes BGR
    done, data = cv2.imencode(path.suffix.lower(), pixels, _encoder_options(path))
    if not done:
        raise ImageError(f"{path}: the encoder refused an array of shape {array.shape}; check its size")
    write_bytes(path, data.tobytes())


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


def turn_upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo the EXIF orientation: the numbers 1 to 8 are the flips and turns of the square.

    Args:
        pixels: (H, W, C).
        orientation: Value of the EXIF tag.

    Returns:
        The upright image; 5 to 8 exchange height and width.
    """
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _to_pixels(path: Path, array: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        raise ImageError(f"{path}: shape {array.shape} is no image; expected (H, W, 3) or (H, W)")
    if array.dtype in (np.uint8, np.uint16):
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise ImageError(f"{path}: pixels of type {array.dtype}; give uint8, uint16 or floating point in [0, 1]")
    if not np.isfinite(array).all():
        raise ImageError(f"{path}: the image holds NaN or infinite values; nothing was written")
    return np.round(np.clip(array, 0.0, 1.0) * 255.0).astype(np.uint8)


def _encoder_options(path: Path) -> list[int]:
    if path.suffix.lower() in (".jpg", ".jpeg"):
        return [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    return []
