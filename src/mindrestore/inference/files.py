"""Restore photographs from files to files; one that fails is named and the others go on."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Callable, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from mindrestore.data.images import PathLike, list_images, read_image, read_rgb, write_bytes, write_image
from mindrestore.errors import MindRestoreError
from mindrestore.inference.pixels import RestoreError

# The published demo of MPRNet takes these, in this spelling; PaddleGAN's program takes .jpeg as well
DEMO_SUFFIXES = (".jpg", ".JPG", ".png", ".PNG")

_KEPT_FORMATS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")  # others are written as PNG
_GREY_MODES = ("1", "L", "I", "I;16", "I;16B", "I;16L")

Job = tuple[Path, Path]  # a file to read, a file to write
PhotoFunction = Callable[[np.ndarray], np.ndarray]


class RestoreSummary(NamedTuple):
    """Say what became of the files: written, kept because they were there, and one message per failure."""

    written: tuple[Path, ...]
    kept: tuple[Path, ...]
    failed: tuple[str, ...]


def restore_files(
    restorer: PhotoFunction,
    inputs: PathLike | Sequence[PathLike],
    out_dir: PathLike,
    *,
    png: bool = False,
    overwrite: bool = False,
    progress: bool | None = None,
) -> RestoreSummary:
    """Restore a photograph, a folder with its sub-folders, or several of them.

    Results have the name and format of their input; formats other than PNG, JPEG, TIFF, WebP and BMP become
    NAME.SUFFIX.png. Grey files stay grey, alpha is kept.

    Args:
        restorer: A `Restorer`, or any function from an image array to one of the same shape and type.
        inputs: File, folder, or several of them.
        out_dir: Folder for the results; sub-folders of an input folder are kept below it.
        png: Write every result as NAME.png, 8-bit RGB, as the published demo of MPRNet does.
        overwrite: Replace results that are there; otherwise they stay.
        progress: Show a bar; None shows it on a terminal only.

    Returns:
        Paths written and kept, and the messages of the files that failed.

    Raises:
        RestoreError: There is nothing to restore, results would replace their inputs, or the folder cannot be
            written.

    Example:
        >>> restore_files(Restorer("aecrnet", weights="best.ckpt"), "photos", "clean").failed
        ()
    """
    out = Path(out_dir)
    sources = [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)
    jobs = [job for source in sources for job in plan_jobs(Path(source), out, _png_name if png else _own_name)]

    def restore_one(source: Path, target: Path) -> None:
        if png:
            write_image(target, restorer(read_rgb(source)))  # floating point in [0, 1], rounded to 8 bits here
        else:
            _write_photo(target, restorer(_read_photo(source)))

    return restore_each(jobs, restore_one, out, overwrite=overwrite, progress=progress)


def restore_each(
    jobs: Sequence[Job],
    restore_one: Callable[[Path, Path], None],
    out: Path,
    *,
    overwrite: bool = False,
    progress: bool | None = None,
) -> RestoreSummary:
    """Run one function over files; what fails is noted and the others go on.

    Args:
        jobs: File to read and file to write, for every result.
        restore_one: Reads the first and writes the second.
        out: Folder of all results.
        overwrite: Replace results that are there; otherwise they stay.
        progress: Show a bar; None shows it on a terminal only.

    Returns:
        Paths written and kept, and the messages of the files that failed.

    Raises:
        RestoreError: A result would replace its input, or the folder cannot be written.

    Example:
        >>> restore_each([(Path("a.png"), Path("out/a.png"))], shutil.copy, Path("out")).written
        (PosixPath('out/a.png'),)
    """
    _refuse_replacing(jobs)
    _require_writable(out)
    written, kept, failed, claimed = [], [], [], {}
    for source, target in tqdm(jobs, desc="restore", unit="image", disable=None if progress is None else not progress):
        if target in claimed:
            failed.append(f"{source}: its result would replace that of {claimed[target]}; restore them separately")
            continue
        claimed[target] = source
        if target.exists() and not overwrite:
            kept.append(target)
            continue
        try:
            restore_one(source, target)
            written.append(target)
        except MindRestoreError as error:
            failed.append(_naming(source, str(error)))
        except (MemoryError, RuntimeError) as error:  # MindSpore reports exhausted memory as RuntimeError
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            failed.append(
                f"{source}: the network could not run ({reason}); for large images use tiles, as in --tile 512"
            )
    return RestoreSummary(tuple(written), tuple(kept), tuple(failed))


def published_photos(folder: PathLike, suffixes: Sequence[str] = DEMO_SUFFIXES) -> list[Path]:
    """List what a published program restores of a folder: files of a few suffixes, no sub-folders, natural order.

    Args:
        folder: Folder of photographs.
        suffixes: The suffixes it takes, as they are spelt.

    Returns:
        Paths, at least one.

    Raises:
        RestoreError: The folder is missing or holds no such file.

    Example:
        >>> [path.name for path in published_photos("samples/input")]
        ['2.png', '10.jpg']
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RestoreError(f"{folder}: no such folder; check the path of the photographs")
    photos = [path for path in list_images(folder) if path.suffix in suffixes]
    if not photos:
        raise RestoreError(f"{folder}: no image here ({', '.join(suffixes)}; sub-folders are left out); check the path")
    return photos


def plan_jobs(source: Path, out: Path, result_name: Callable[[Path], str]) -> list[Job]:
    """List what to read and what to write for a photograph or a folder of them.

    Args:
        source: Photograph, or folder with sub-folders.
        out: Folder for the results; what lies in it already is no photograph.
        result_name: Gives the name of a result, which stays in the sub-folder of its photograph.

    Returns:
        File to read and file to write, for every photograph.

    Raises:
        RestoreError: There is no photograph, or the results would replace them.

    Example:
        >>> plan_jobs(Path("photos"), Path("clean"), lambda path: path.name)
        [(PosixPath('photos/a.png'), PosixPath('clean/a.png'))]
    """
    if source.is_file():
        return [(source, out / result_name(source))]
    if not source.is_dir():
        raise RestoreError(f"{source}: no such file or folder; check the path")
    # results of an earlier run are no photographs to restore again
    inside = out.resolve()
    found = [path for path in list_images(source, recursive=True) if inside not in path.resolve().parents]
    if not found and inside != source.resolve():
        raise RestoreError(f"{source}: no image in this folder or below it; check the path")
    if not found:
        raise RestoreError(f"{source}: the results would replace the photographs; choose another folder for them")
    return [(path, out / path.relative_to(source).parent / result_name(path)) for path in found]


def _own_name(path: Path) -> str:
    return path.name if path.suffix.lower() in _KEPT_FORMATS else f"{path.name}.png"


def _png_name(path: Path) -> str:
    return f"{path.stem}.png"


def _refuse_replacing(jobs: Iterable[Job]) -> None:
    for source, target in jobs:
        if source.resolve() == target.resolve():
            raise RestoreError(f"{source}: the result would replace the photograph; choose another folder for results")


def _require_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise RestoreError(
            f"{folder}: results cannot be written there ({error.strerror}); choose another folder or change its rights"
        ) from error


def _read_photo(path: Path) -> np.ndarray:
    """Read RGB, grey as (H, W), and transparency as a fourth channel."""
    pixels = read_image(path)  # names every damaged file
    with Image.open(path) as image:
        if image.mode in _GREY_MODES and "transparency" not in image.info:
            return pixels[..., 0]
        if "A" not in image.getbands() and "transparency" not in image.info:
            return pixels
        alpha = np.asarray(ImageOps.exif_transpose(image).convert("RGBA").getchannel("A"))
    if pixels.dtype == np.uint16:  # Pillow gives 8 bits of it
        alpha = alpha.astype(np.uint16) * 257
    return np.dstack((pixels, alpha))


def _write_photo(path: Path, pixels: np.ndarray) -> None:
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        write_image(path, pixels)
        return
    done, data = cv2.imencode(path.suffix.lower(), cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA))
    if not done:
        raise RestoreError(f"{path}: the encoder refused an image with transparency; convert the input to PNG")
    write_bytes(path, data.tobytes())


def _naming(source: Path, message: str) -> str:
    return message if source.name in message else f"{source}: {message}"
