"""Write hazy versions of a folder of clear images, with a log of what was drawn for each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from mindrestore.data.catalog import DatasetError
from mindrestore.data.degrade import HazeRanges, add_haze, draw_haze, fill_unknown, plausible_depth
from mindrestore.data.images import ImageError, PathLike, list_images, read_depth, read_image, to_float, write_image

LOG_NAME = "haze.jsonl"
_DEPTH_SUFFIXES = (".png", ".npy", ".tif", ".tiff")


class SynthOptions(NamedTuple):
    """Say how hazy images are made.

    Attributes:
        ranges: What the haze is drawn from.
        per_image: Hazy versions of each clear image.
        depth_dir: Folder of depth maps; None looks for `depth` beside the folder of clear images.
        disparity_scale: When given, the maps hold disparity, and the distance is this number divided by it.
        seed: Seed; an image's haze depends on it, the image's position and the version alone.
        overwrite: Replace files that exist.
    """

    ranges: HazeRanges = HazeRanges()
    per_image: int = 1
    depth_dir: Optional[Path] = None  # noqa: UP045
    disparity_scale: Optional[float] = None  # noqa: UP045
    seed: int = 0
    overwrite: bool = False


def synthesize(clear_dir: PathLike, out: PathLike, options: SynthOptions) -> Iterator[Path]:
    """Write `out/hazy/<stem>_<k>.png` and `out/clear/<stem>.png` for every clear image.

    The distances come from a depth map of the same stem (16-bit PNG in millimetres, or `.npy` in metres); without one,
    `plausible_depth` stands in. `out/haze.jsonl` gets one line per hazy image.

    Args:
        clear_dir: Folder of clear images.
        out: Destination folder.
        options: See `SynthOptions`.

    Yields:
        The path of each hazy image.

    Raises:
        DatasetError: If there are no images, or a destination exists already.
        ImageError: If a file cannot be read or written, or a depth map has another size than its image.

    Example:
        >>> paths = list(synthesize("scenes/clear", "train", SynthOptions(per_image=2)))
    """
    clear_dir, out = Path(clear_dir), Path(out)
    images = list_images(clear_dir)
    if not images:
        raise DatasetError(f"{clear_dir}: no images; give the folder that holds the clear images themselves")
    _refuse_double(images)
    if not options.overwrite:
        _refuse_existing(images, clear_dir, out, options.per_image)
    depth_dir = options.depth_dir or clear_dir.parent / "depth"
    if options.depth_dir is not None and not depth_dir.is_dir():
        raise DatasetError(f"{depth_dir}: no such folder of depth maps; correct --depth or leave it out")
    for number, path in enumerate(images):
        clear = read_image(path)
        found = _find_depth(depth_dir, path.stem)
        if not _is_same_folder(out / "clear", clear_dir):
            write_image(out / "clear" / f"{path.stem}.png", clear)
        for version in range(1, options.per_image + 1):
            rng = np.random.default_rng((options.seed, number, version))
            depth = plausible_depth(clear.shape[:2], rng) if found is None else _load_depth(found, clear, path, options)
            haze = draw_haze(options.ranges, depth, rng)
            hazy = out / "hazy" / f"{path.stem}_{version}.png"
            write_image(hazy, add_haze(to_float(clear), depth, haze, rng))
            _log(out, {"file": hazy.name, "clear": path.name, "depth": found and found.name, **haze._asdict()})
            yield hazy


def _refuse_existing(images: list[Path], clear_dir: Path, out: Path, per_image: int) -> None:
    planned = [out / "hazy" / f"{path.stem}_{k}.png" for path in images for k in range(1, per_image + 1)]
    if not _is_same_folder(out / "clear", clear_dir):
        planned += [out / "clear" / f"{path.stem}.png" for path in images]
    existing = [path for path in planned if path.exists()]
    if existing:
        raise DatasetError(
            f"{existing[0]} exists already ({len(existing)} such); choose another folder or pass --overwrite"
        )


def _refuse_double(images: list[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in images:
        other = seen.setdefault(path.stem, path)
        if other is not path:
            raise DatasetError(f"{other} and {path.name} would give hazy images of one name; rename one of them")


def _is_same_folder(one: Path, two: Path) -> bool:
    return one.resolve() == two.resolve()


def _find_depth(folder: Path, stem: str) -> Path | None:
    return next((path for path in (folder / f"{stem}{suffix}" for suffix in _DEPTH_SUFFIXES) if path.is_file()), None)


def _load_depth(path: Path, clear: np.ndarray, image: Path, options: SynthOptions) -> np.ndarray:
    values = read_depth(path)
    if values.shape != clear.shape[:2]:
        raise ImageError(
            f"{path} is {values.shape[1]}x{values.shape[0]} but {image} is {clear.shape[1]}x{clear.shape[0]}; "
            "a depth map must have the size of its image"
        )
    try:
        if options.disparity_scale is not None:
            with np.errstate(divide="ignore"):
                return fill_unknown(np.float32(options.disparity_scale) / values)
        return fill_unknown(values if path.suffix == ".npy" else values / np.float32(1000))
    except ValueError as error:
        raise ImageError(f"{path}: {error}; give another map or remove it") from error


def _log(out: Path, record: dict) -> None:
    with open(out / LOG_NAME, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(record) + "\n")
