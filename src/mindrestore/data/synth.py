"""Write hazy or rainy versions of clear images, with a log of what was drawn for each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Optional, Union

import numpy as np

from mindrestore.data.catalog import DatasetError
from mindrestore.data.degrade import HazeRanges, add_haze, draw_haze, fill_unknown, plausible_depth
from mindrestore.data.images import ImageError, PathLike, list_images, read_depth, read_image, to_float, write_image
from mindrestore.data.rain import RainRanges, add_rain, draw_rain
from mindrestore.data.scenes import render_scene

_DEPTH_SUFFIXES = (".png", ".npy", ".tif", ".tiff")


class Places(NamedTuple):
    """Name the folders of degraded and clear images, and the log, below the destination."""

    inputs: str
    targets: str
    log: str


HAZE_PLACES = Places("hazy", "clear", "haze.jsonl")
RAIN_PLACES = Places("input", "target", "rain.jsonl")


class SynthOptions(NamedTuple):
    """Say how degraded images are made.

    Attributes:
        ranges: What the haze or the rain is drawn from; its type decides between the two.
        per_image: Degraded versions of each clear image.
        depth_dir: Folder of depth maps; None looks for `depth` beside the folder of clear images. For haze.
        disparity_scale: When given, the maps hold disparity, and the distance is this number divided by it. For haze.
        seed: Seed; what an image gets depends on it, the image's position and the version alone.
        overwrite: Replace files that exist.
    """

    ranges: Union[HazeRanges, RainRanges] = HazeRanges()  # noqa: UP007 - evaluated on Python 3.9
    per_image: int = 1
    depth_dir: Optional[Path] = None  # noqa: UP045
    disparity_scale: Optional[float] = None  # noqa: UP045
    seed: int = 0
    overwrite: bool = False

    @property
    def places(self) -> Places:
        """Give the names of folders and log."""
        return RAIN_PLACES if isinstance(self.ranges, RainRanges) else HAZE_PLACES


def synthesize(clear_dir: PathLike, out: PathLike, options: SynthOptions) -> Iterator[Path]:
    """Write degraded versions and a copy of every clear image, and one line of a log per degraded image.

    Haze goes to `out/hazy/<stem>_<k>.png`, `out/clear/<stem>.png` and `out/haze.jsonl`. Its distances come from a depth
    map of the same stem (16-bit PNG in millimetres, or `.npy` in metres); without one, `plausible_depth` stands in.
    Rain goes to `out/input/<stem>_<k>.png`, `out/target/<stem>.png` and `out/rain.jsonl`.

    Args:
        clear_dir: Folder of clear images.
        out: Destination folder.
        options: See `SynthOptions`.

    Yields:
        The path of each degraded image.

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
    copies = not _is_same_folder(out / options.places.targets, clear_dir)
    _refuse_existing([path.stem for path in images], out, options, copies)
    if options.depth_dir is not None and not options.depth_dir.is_dir():
        raise DatasetError(f"{options.depth_dir}: no such folder of depth maps; correct --depth or leave it out")
    for number, path in enumerate(images):
        clear = read_image(path)
        if copies:
            write_image(out / options.places.targets / f"{path.stem}.png", clear)
        for version in range(1, options.per_image + 1):
            rng = np.random.default_rng((options.seed, number, version))
            degrade = _rain if isinstance(options.ranges, RainRanges) else _haze
            degraded, record = degrade(clear, path, options, rng)
            written = out / options.places.inputs / f"{path.stem}_{version}.png"
            write_image(written, degraded)
            _log(out / options.places.log, {"file": written.name, "clear": path.name, **record})
            yield written


def rainy_scenes(out: PathLike, count: int, size: tuple[int, int], options: SynthOptions) -> Iterator[Path]:
    """Render streets and parks with rain: `out/input/0001.png`, `out/target/0001.png` and a line in `out/rain.jsonl`.

    Args:
        out: Destination folder.
        count: Number of scenes.
        size: Width and height in pixels.
        options: Uses `ranges` (of rain), `seed` and `overwrite`; scene n of a seed is the same whatever the count.

    Yields:
        The path of each rainy image.

    Raises:
        DatasetError: If a destination exists already.
        MindRestoreError: If the size is too small.
        ImageError: If a file cannot be written.

    Example:
        >>> paths = list(rainy_scenes("train", 100, (160, 120), SynthOptions(RainRanges(), seed=1)))
    """
    out, places = Path(out), options.places
    _refuse_existing([f"{index:04d}" for index in range(1, count + 1)], out, options, copies=True, numbered=False)
    for index in range(1, count + 1):
        name = f"{index:04d}.png"
        clear = np.round(255 * render_scene(options.seed, index, size, outdoors=True)[0]).astype(np.uint8)
        rainy, record = _rain(clear, Path(name), options, np.random.default_rng((options.seed, index, 1)))
        write_image(out / places.targets / name, clear)
        write_image(out / places.inputs / name, rainy)
        _log(out / places.log, {"file": name, "clear": name, **record})
        yield out / places.inputs / name


def _haze(clear: np.ndarray, path: Path, options: SynthOptions, rng: np.random.Generator) -> tuple[np.ndarray, dict]:
    found = _find_depth(options.depth_dir or path.parent.parent / "depth", path.stem)
    depth = plausible_depth(clear.shape[:2], rng) if found is None else _load_depth(found, clear, path, options)
    haze = draw_haze(options.ranges, depth, rng)
    return add_haze(to_float(clear), depth, haze, rng), {"depth": found and found.name, **haze._asdict()}


def _rain(clear: np.ndarray, path: Path, options: SynthOptions, rng: np.random.Generator) -> tuple[np.ndarray, dict]:
    rain = draw_rain(options.ranges, rng)
    return add_rain(to_float(clear), rain, rng), rain._asdict()


def _refuse_existing(stems: list[str], out: Path, options: SynthOptions, copies: bool, numbered: bool = True) -> None:
    if options.overwrite:
        return
    endings = [f"_{k}" for k in range(1, options.per_image + 1)] if numbered else [""]
    planned = [out / options.places.inputs / f"{stem}{ending}.png" for stem in stems for ending in endings]
    if copies:
        planned += [out / options.places.targets / f"{stem}.png" for stem in stems]
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
            raise DatasetError(f"{other} and {path.name} would give degraded images of one name; rename one of them")


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


def _log(path: Path, record: dict) -> None:
    with open(path, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(record) + "\n")
