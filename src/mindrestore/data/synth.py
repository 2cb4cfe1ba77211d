"""Write hazy or rainy versions of clear images and of rendered scenes, with a log of what was drawn for each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Optional, Union

import numpy as np

from mindrestore.data.catalog import DatasetError
from mindrestore.data.degrade import HazeRanges, add_haze, draw_haze, fill_unknown, plausible_depth
from mindrestore.data.destinations import refuse_existing, refuse_one_name
from mindrestore.data.lists import Row, write_list
from mindrestore.data.rain import RainRanges, add_rain, draw_rain
from mindrestore.data.scenes import render_scene
from mindrestore.files import PathLike
from mindrestore.images.errors import ImageError
from mindrestore.images.pixels import to_float
from mindrestore.images.read import list_images, read_depth, read_image
from mindrestore.images.write import write_image

_DEPTH_SUFFIXES = (".png", ".npy", ".tif", ".tiff")


class Places(NamedTuple):
    """Name the folders of degraded and clear images, and the log, below the destination."""

    inputs: str
    targets: str
    log: str


HAZE_PLACES = Places("hazy", "clear", "haze.jsonl")
RAIN_PLACES = Places("input", "target", "rain.jsonl")
ALL_IN_ONE_LIST = "train_all_in_one.csv"


class SynthOptions(NamedTuple):
    """How degraded images are made.

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
        """Return the names of folders and log."""
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
    """
    clear_dir, out = Path(clear_dir), Path(out)
    images = list_images(clear_dir)
    if not images:
        raise DatasetError(f"{clear_dir}: no images; name the folder that holds the clear images themselves")
    refuse_one_name(images)
    copies = not _is_same_folder(out / options.places.targets, clear_dir)
    refuse_existing(_planned(images, out, options, copies), options.overwrite)
    if options.depth_dir is not None and not options.depth_dir.is_dir():
        raise DatasetError(f"{options.depth_dir}: no such folder of depth maps; correct --depth or leave it out")
    for number, path in enumerate(images):
        clear = read_image(path)
        if copies:
            write_image(out / options.places.targets / f"{path.stem}.png", clear)
        for version in range(1, options.per_image + 1):
            rng = np.random.default_rng((options.seed, number, version))
            depth, origin = _distances(clear, path, options, rng)
            degraded, record = _degrade(clear, depth, options.ranges, rng)
            written = out / options.places.inputs / f"{path.stem}_{version}.png"
            write_image(written, degraded)
            _log(out / options.places.log, {"file": written.name, "clear": path.name, **origin, **record})
            yield written


def degraded_scenes(
    out: PathLike, numbers: Sequence[int], size: tuple[int, int], options: SynthOptions
) -> Iterator[Path]:
    """Render streets and parks in the rain, or these and rooms in haze of exact depth.

    Scene 1 becomes `out/input/0001.png`, `out/target/0001.png` and a line in `out/rain.jsonl` or `out/haze.jsonl`.

    Args:
        out: Destination folder.
        numbers: Numbers of the scenes; scene n of a seed is the same whatever the others are.
        size: Width and height in pixels.
        options: Uses `ranges` (which decide between rain and haze), `seed` and `overwrite`.

    Yields:
        The path of each degraded image.

    Raises:
        DatasetError: If a destination exists already.
        MindRestoreError: If the size is too small.
        ImageError: If a file cannot be written.
    """
    inputs, targets, log = Path(out) / "input", Path(out) / "target", Path(out) / options.places.log
    names = [f"{number:04d}.png" for number in numbers]
    refuse_existing([folder / name for name in names for folder in (inputs, targets)], options.overwrite)
    for number, name in zip(numbers, names):
        rainy = isinstance(options.ranges, RainRanges)
        clear, depth = _render(options.seed, number, size, outdoors=rainy)
        degraded, record = _degrade(clear, depth, options.ranges, np.random.default_rng((options.seed, number, 1)))
        write_image(targets / name, clear)
        write_image(inputs / name, degraded)
        _log(log, {"file": name, "clear": name, **record})
        yield inputs / name


def all_in_one_scenes(
    out: PathLike, count: int, size: tuple[int, int], seed: int = 0, *, overwrite: bool = False
) -> Iterator[Path]:
    """Render scenes to train one network on noise, rain and haze, and list them in equal shares.

    Scenes 1, 4, 7, ... go to `out/clean`, to have noise added on the fly; 2, 5, 8, ... to `out/rain/{input,target}`;
    3, 6, 9, ... to `out/haze/{input,target}`. The list is `out/train_all_in_one.csv`, relative to `out`.

    Args:
        out: Destination folder.
        count: Number of scenes of each of the three tasks.
        size: Width and height in pixels.
        seed: Seed of the collection; scene n of a seed is the same whatever the count.
        overwrite: Replace files that exist.

    Yields:
        The path of each clean, rainy or hazy image; the list is written after the last one.

    Raises:
        DatasetError: If a destination exists already.
        MindRestoreError: If the size is too small.
        ImageError: If a file cannot be written.
    """
    out = Path(out)
    clean, rainy, hazy = (range(first, 3 * count + 1, 3) for first in (1, 2, 3))
    rows = [Row(name, name) for name in (f"clean/{number:04d}.png" for number in clean)]
    for task, numbers in (("rain", rainy), ("haze", hazy)):
        rows += [Row(f"{task}/target/{number:04d}.png", f"{task}/input/{number:04d}.png") for number in numbers]
    refuse_existing([out / ALL_IN_ONE_LIST, *(out / name for row in rows for name in dict.fromkeys(row))], overwrite)
    for number, row in zip(clean, rows):
        write_image(out / row.target, _render(seed, number, size)[0])
        yield out / row.target
    yield from degraded_scenes(out / "rain", rainy, size, SynthOptions(RainRanges(), seed=seed, overwrite=overwrite))
    yield from degraded_scenes(out / "haze", hazy, size, SynthOptions(HazeRanges(), seed=seed, overwrite=overwrite))
    write_list(out / ALL_IN_ONE_LIST, rows, overwrite=overwrite)


def _render(seed: int, number: int, size: tuple[int, int], outdoors: bool = False) -> tuple[np.ndarray, np.ndarray]:
    image, depth = render_scene(seed, number, size, outdoors=outdoors)
    return np.round(255 * image).astype(np.uint8), depth


def _degrade(
    clear: np.ndarray, depth: np.ndarray | None, ranges: HazeRanges | RainRanges, rng: np.random.Generator
) -> tuple[np.ndarray, dict]:
    if isinstance(ranges, RainRanges):
        rain = draw_rain(ranges, rng)
        return add_rain(to_float(clear), rain, rng), rain._asdict()
    haze = draw_haze(ranges, depth, rng)
    return add_haze(to_float(clear), depth, haze, rng), haze._asdict()


def _distances(
    clear: np.ndarray, path: Path, options: SynthOptions, rng: np.random.Generator
) -> tuple[np.ndarray | None, dict]:
    """Return the depth map of an image that gets haze, and what the log says about it."""
    if isinstance(options.ranges, RainRanges):
        return None, {}
    found = _find_depth(options.depth_dir or path.parent.parent / "depth", path.stem)
    depth = plausible_depth(clear.shape[:2], rng) if found is None else _load_depth(found, clear, path, options)
    return depth, {"depth": found and found.name}


def _planned(images: list[Path], out: Path, options: SynthOptions, copies: bool) -> list[Path]:
    versions = range(1, options.per_image + 1)
    planned = [out / options.places.inputs / f"{path.stem}_{k}.png" for path in images for k in versions]
    return planned + [out / options.places.targets / f"{path.stem}.png" for path in images if copies]


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
        raise ImageError(f"{path}: {error}; use another map or remove it") from error


def _log(path: Path, record: dict) -> None:
    with open(path, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(record) + "\n")
