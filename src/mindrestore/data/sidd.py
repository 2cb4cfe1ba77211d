"""Cut SIDD-Medium into training patches, and write results on the validation blocks in the published form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np

from mindrestore.data.catalog import DatasetError
from mindrestore.data.pairing import Pair
from mindrestore.data.source import read_pair
from mindrestore.files import PathLike
from mindrestore.images.errors import ImageError
from mindrestore.images.matlab import block_paths, write_variables
from mindrestore.images.pixels import to_float
from mindrestore.images.read import read_image
from mindrestore.images.write import write_image

Restore = Callable[[np.ndarray], np.ndarray]


class PatchOptions(NamedTuple):
    """How patches are cut.

    Attributes:
        size: Side in pixels.
        per_image: Patches of each pair.
        seed: Seed; the patches of a pair depend on it and the pair's position alone.
        overwrite: Replace files that exist.
    """

    size: int = 256
    per_image: int = 300
    seed: int = 0
    overwrite: bool = False


def cut_patches(pairs: Sequence[Pair], out: PathLike, options: PatchOptions) -> Iterator[Path]:
    """Write random patches of every pair to `out/input/<key>-<k>.png` and the same in `out/target`, k from 1.

    Args:
        pairs: Pairs with different keys, as those of SIDD-Medium.
        out: Destination folder.
        options: See `PatchOptions`; the published training set has 300 patches of 256 pixels per pair.

    Yields:
        The degraded image of each pair whose patches are complete.

    Raises:
        DatasetError: If a destination exists already.
        ImageError: If an image cannot be read, is smaller than a patch, or a patch cannot be written.
    """
    out = Path(out)
    if not options.overwrite:
        planned = (
            out / kind / name for pair in pairs for name in _names(pair, options) for kind in ("input", "target")
        )
        existing = [path for path in planned if path.exists()]
        if existing:
            raise DatasetError(
                f"{existing[0]} exists already ({len(existing)} such); choose another folder or pass --overwrite"
            )
    with ThreadPoolExecutor() as pool:  # encoding PNG takes longer than decoding, and releases the interpreter's lock
        for number, pair in enumerate(pairs):
            jobs = [pool.submit(write_image, path, patch) for path, patch in _patches(pair, number, out, options)]
            for job in jobs:
                job.result()
            yield pair.input


def _names(pair: Pair, options: PatchOptions) -> list[str]:
    return [f"{pair.key}-{k:03d}.png" for k in range(1, options.per_image + 1)]


def _patches(pair: Pair, number: int, out: Path, options: PatchOptions) -> Iterator[tuple[Path, np.ndarray]]:
    image, target = read_pair(pair)
    (height, width), size = image.shape[:2], options.size
    if min(height, width) < size:
        raise ImageError(f"{pair.input}: {width}x{height} is smaller than a patch of {size}x{size}; pass --patch")
    rng = np.random.default_rng((options.seed, number))
    tops, lefts = (rng.integers(side - size + 1, size=options.per_image) for side in (height, width))
    for name, top, left in zip(_names(pair, options), tops, lefts):
        for kind, source in (("input", image), ("target", target)):
            yield out / kind / name, source[top : top + size, left : left + size]


def restore_blocks(restore: Restore, blocks: PathLike, out: PathLike) -> Iterator[Path]:
    """Restore all blocks of a file and write them as one array `Idenoised`, float32 in [0, 1].

    The whole result is held in memory: 1 GB for the published size.

    Args:
        restore: Maps an image (H, W, 3), float32 RGB in [0, 1], to the restored one of the same shape.
        blocks: `ValidationNoisyBlocksSrgb.mat`.
        out: MATLAB file to write.

    Yields:
        Path of each block when it has been restored; the file is written after the last one.

    Raises:
        MatlabError: If the blocks cannot be read.
        ImageError: If the result cannot be written.
    """
    paths = block_paths(blocks)
    images, last = (int(text) for text in paths[-1].name.split("_"))
    result = np.empty((images, last, *read_image(paths[0]).shape), np.float32)
    flat = result.reshape(-1, *result.shape[2:])
    for place, path in enumerate(paths):
        flat[place] = np.clip(restore(to_float(read_image(path))), 0, 1)
        yield path
    write_variables(out, {"Idenoised": result})
