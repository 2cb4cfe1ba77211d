"""Restore the denoising benchmarks SIDD and DND into the MATLAB files that their programs and servers take."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mindrestore.data.dnd import Box, cut_boxes, find_dnd, read_boxes, read_photograph, write_result
from mindrestore.data.sidd import restore_blocks
from mindrestore.files import PathLike
from mindrestore.images.matlab import block_name
from mindrestore.images.write import write_image
from mindrestore.inference.files import PhotoFunction, RestoreSummary, restore_each

_SIDD_BLOCKS = "ValidationNoisyBlocksSrgb.mat"


def is_benchmark(path: PathLike) -> bool:
    """Return whether a path is SIDD's block file, a folder with it, or the folder of DND."""
    return _sidd_file(Path(path)) is not None or find_dnd(path) is not None


def restore_benchmark(
    restorer: PhotoFunction,
    source: PathLike,
    out_dir: PathLike,
    *,
    png: bool = False,
    overwrite: bool = False,
    progress: bool | None = None,
) -> RestoreSummary:
    """Restore SIDD's validation blocks into one MATLAB file, or the boxes of DND into one per photograph.

    SIDD gives `mat/Idenoised.mat` with `Idenoised`, float32 in [0, 1], (images, blocks, height, width, 3). DND gives
    `mat/0001.mat` and so on with `Idenoised` (20 cells of float32), `israw` = false and `eval_version` = "1.0".

    Args:
        restorer: A `Restorer`, or any function from an image array to one of the same shape and type.
        source: A path that `is_benchmark`.
        out_dir: Folder for the results.
        png: Write a PNG of every block or box too: `png/IIII_KK.png`, image and block from 1.
        overwrite: Replace results that are there; otherwise they stay.
        progress: Show a bar; None shows it on a terminal only.

    Returns:
        MATLAB files written and kept, and the messages of those that failed.

    Raises:
        MindRestoreError: The source lacks something, or the results cannot be written.
    """
    source, out = Path(source), Path(out_dir)
    pictures = out / "png" if png else None
    blocks, photographs = _sidd_file(source), find_dnd(source)
    if blocks:
        jobs = [(blocks, out / "mat" / "Idenoised.mat")]
        restore_one = partial(_restore_sidd, restorer, pictures, None if progress is None else not progress)
    else:
        boxes = read_boxes(photographs)
        names = [f"{number:04d}.mat" for number in range(1, len(boxes) + 1)]
        jobs = [(photographs / "images_srgb" / name, out / "mat" / name) for name in names]
        restore_one = partial(_restore_dnd, restorer, pictures, boxes)
    return restore_each(jobs, restore_one, out, overwrite=overwrite, progress=progress)


def _sidd_file(path: Path) -> Path | None:
    if path.suffix.lower() == ".mat":
        return path
    return path / _SIDD_BLOCKS if (path / _SIDD_BLOCKS).is_file() else None


def _restore_sidd(
    restorer: PhotoFunction, pictures: Path | None, hidden: bool | None, source: Path, target: Path
) -> None:
    with tqdm(desc=source.name, unit="block", disable=hidden) as bar:

        def restore(block: np.ndarray) -> np.ndarray:
            nonlocal latest
            latest = restorer(block)
            return latest

        latest = None
        for path in restore_blocks(restore, source, target):
            bar.update()
            if pictures:
                write_image(pictures / f"{path.name}.png", latest)


def _restore_dnd(
    restorer: PhotoFunction, pictures: Path | None, boxes: list[list[Box]], source: Path, target: Path
) -> None:
    number = int(source.stem)
    photograph = read_photograph(source.parents[1], number)
    crops = [restorer(np.ascontiguousarray(crop)) for crop in cut_boxes(photograph, boxes[number - 1], source)]
    if pictures:
        for place, crop in enumerate(crops, 1):
            write_image(pictures / f"{block_name(number, place)}.png", crop)
    write_result(target, [np.clip(crop, 0, 1) for crop in crops])
