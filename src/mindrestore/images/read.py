"""Read image files of any common kind as upright RGB arrays."""

from __future__ import annotations

import io
import stat
from collections import Counter
from pathlib import Path

import numpy as np

from mindrestore.files import PathLike, natural_key
from mindrestore.images.decode import decode
from mindrestore.images.errors import ImageError
from mindrestore.images.kinds import foreign, left_out, readable_suffixes
from mindrestore.images.matlab import read_block
from mindrestore.images.pixels import to_float


def list_images(folder: PathLike, *, recursive: bool = False) -> list[Path]:
    """List the image files of a folder in natural order (2 before 10).

    Args:
        folder: Folder to look into. Hidden files are left out.
        recursive: Also look into its sub-folders.

    Returns:
        Paths of all files whose suffix can be read (`kinds.readable_suffixes`), in upper or lower case.

    Raises:
        ImageError: If the folder does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ImageError(f"{folder}: no such folder; check the path")
    suffixes = readable_suffixes()
    found = folder.rglob("*") if recursive else folder.iterdir()
    images = [path for path in found if path.suffix.lower() in suffixes and not path.name.startswith(".")]
    return sorted((path for path in images if path.is_file()), key=lambda path: natural_key(str(path)))


def unread_note(folder: PathLike) -> str | None:
    """Return how many files of a folder and of those in it are pictures that `list_images` leaves out; None for none.

    Args:
        folder: Folder of a data set; None is returned for anything else.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return None
    suffixes = ((path, path.suffix.lower()) for path in folder.rglob("*") if not path.name.startswith("."))
    unread = Counter(kind for path, kind in suffixes if (kind == ".gif" or foreign(kind)) and path.is_file())
    return f"{folder}: {left_out(unread)}" if unread else None


def read_image(path: PathLike) -> np.ndarray:
    """Read an image file as RGB, upright as its EXIF orientation says.

    Grey, palette, CMYK, YCbCr and L*a*b* files become RGB, alpha is dropped, of several frames the first is taken.

    Args:
        path: PNG, JPEG, TIFF, BMP, WebP or PPM file, AVIF, JPEG 2000 and HEIC where the libraries for them are there,
            with up to 16 bits per channel; or a block inside a MATLAB file, as `ValidationGtBlocksSrgb.mat/0007_03`.

    Returns:
        Array of shape (H, W, 3), uint8 in [0, 255], or uint16 in [0, 65535] for a file with more than 8 bits.

    Raises:
        ImageError: If the file is missing, empty, truncated, no image, or of a kind that is not read.
    """
    path = Path(path)
    if path.parent.suffix.lower() == ".mat":
        return read_block(path)
    colours = decode(path, read_bytes(path)).colours
    return colours if colours.ndim == 3 else np.repeat(colours[..., None], 3, axis=2)


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
            values = np.load(io.BytesIO(read_bytes(path)), allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ImageError(f"{path}: damaged NumPy file ({error}); write it again with numpy.save") from error
    else:
        rgb = read_image(path)
        if not (np.array_equal(rgb[..., 0], rgb[..., 1]) and np.array_equal(rgb[..., 0], rgb[..., 2])):
            raise ImageError(f"{path}: a coloured image is not a depth map; use a grey 8- or 16-bit file")
        values = rgb[..., 0]
    if values.ndim != 2:
        raise ImageError(f"{path}: shape {values.shape} is not a depth map; expected (H, W)")
    return values.astype(np.float32)


def read_bytes(path: Path) -> bytes:
    """Read a whole file.

    Raises:
        ImageError: If it is missing, empty, not a file, or cannot be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe or a device would never end
            raise ImageError(f"{path}: not a file; name the path of an image file")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file; check the path") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error}); check its permissions") from error
    if not data:
        raise ImageError(f"{path}: the file is empty (0 bytes); copy or download it again")
    return data
