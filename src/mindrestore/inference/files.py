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

from mindrestore.data.images import PathLike, list_images, read_image, write_bytes, write_image
from mindrestore.errors import MindRestoreError
from mindrestore.inference.restorer import RestoreError

_KEPT_FORMATS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")  # others are written as PNG
_GREY_MODES = ("1", "L", "I", "I;16", "I;16B", "I;16L")


class RestoreSummary(NamedTuple):
    """Say what became of the files: written, kept because they were there, and one message per failure."""

    written: tuple[Path, ...]
    kept: tuple[Path, ...]
    failed: tuple[str, ...]


def restore_files(
    restorer: Callable[[np.ndarray], np.ndarray],
    inputs: PathLike | Sequence[PathLike],
    out_dir: PathLike,
    *,
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
    jobs = [job for source in sources for job in _plan(Path(source), out)]
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
            _write_photo(target, restorer(_read_photo(source)))
            written.append(target)
        except MindRestoreError as error:
            failed.append(_naming(source, str(error)))
        except (MemoryError, RuntimeError) as error:  # MindSpore reports exhausted memory as RuntimeError
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            failed.append(
                f"{source}: the network could not run ({reason}); for large images use tiles, as in --tile 512"
            )
    return RestoreSummary(tuple(written), tuple(kept), tuple(failed))


def _plan(source: Path, out: Path) -> list[tuple[Path, Path]]:
    if source.is_file():
        return [(source, out / _result_name(source))]
    if not source.is_dir():
        raise RestoreError(f"{source}: no such file or folder; check the path")
    # results of an earlier run are no photographs to restore again
    inside = out.resolve()
    found = [path for path in list_images(source, recursive=True) if inside not in path.resolve().parents]
    if not found and inside != source.resolve():
        raise RestoreError(f"{source}: no image in this folder or below it; check the path")
    if not found:
        raise RestoreError(f"{source}: the results would replace the photographs; choose another folder for them")
    return [(path, out / path.relative_to(source).parent / _result_name(path)) for path in found]


def _result_name(path: Path) -> str:
    return path.name if path.suffix.lower() in _KEPT_FORMATS else f"{path.name}.png"


def _refuse_replacing(jobs: Iterable[tuple[Path, Path]]) -> None:
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
