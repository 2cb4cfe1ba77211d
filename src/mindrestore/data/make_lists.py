"""Make lists of training pairs from folders: clear images for noise, rainy and hazy ones, and own pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mindrestore.data.cache import ImageCache
from mindrestore.data.lists import Row
from mindrestore.data.locate import DatasetError
from mindrestore.data.pairing import Pair, name_some, pair_folders, require_partners, why_empty
from mindrestore.data.source import read_pair
from mindrestore.files import PathLike, natural_key
from mindrestore.images.errors import ImageError
from mindrestore.images.read import list_images

Progress = Callable[[Iterable], Iterable]

_CACHE_BYTES = 64 << 20  # a clear image belongs to several degraded ones that stand side by side


class Folders(NamedTuple):
    """Name two folders below the data root, and how the names of their images belong together.

    Attributes:
        degraded: Folder of degraded images.
        target: Folder of clear images.
        rule: A name of `pairing.RULES`, several joined by `|`, or "auto".
    """

    degraded: str
    target: str
    rule: str = "auto"


class Listing(NamedTuple):
    """The rows of a list, and what is worth knowing about the folders."""

    rows: list[Row]
    notes: list[str]


# The training data of DSRIR, below its root. 200 rainy pairs are repeated to balance them with the other tasks.
NOISE_FOLDERS = ("BSD400", "WED/gt")
RAIN_FOLDERS = Folders("Rain100L/train/rainy", "Rain100L/train/gt", "role|same")  # rain-7.png, norain-7.png
RAIN_REPEAT = 25
HAZE_FOLDERS = Folders("Reside/train/hazy", "Reside/train/gt", "prefix|same")  # 0025_0.8_0.1.jpg, 0025.jpg


def list_noise(root: PathLike, folders: Sequence[str] = NOISE_FOLDERS) -> Listing:
    """List every image of some folders of clear images, in both columns: noise is added on the fly.

    Args:
        root: Data root.
        folders: Folders below it, in the order of the list.

    Returns:
        One row per image.

    Raises:
        DatasetError: If a folder is outside the root or holds no image.
        ImageError: If a folder does not exist.
    """
    names = []
    for folder in (Path(root) / name for name in folders):
        images = list_images(folder)
        if not images:
            raise DatasetError(f"{folder}: the folder holds no images; copy or unpack the data set again")
        names += [_below(root, path) for path in images]
    return Listing([Row(name, name) for name in names], [])


def list_pairs(root: PathLike, folders: Folders, repeat: int = 1) -> Listing:
    """List every degraded image with its clear partner.

    Args:
        root: Data root.
        folders: The two folders, such as `RAIN_FOLDERS`.
        repeat: How many times each pair is listed, one after the other.

    Returns:
        The rows, in natural order of the degraded images; clear images that nothing belongs to are noted.

    Raises:
        DatasetError: If a folder is outside the root or holds no image.
        PairingError: If a degraded image has no partner.
        ImageError: If a folder does not exist.
    """
    pairs, notes = _find(root, folders)
    return Listing([_row(root, pair) for pair in pairs for _ in range(repeat)], notes)


def list_haze(root: PathLike, folders: Folders = HAZE_FOLDERS, count: int | None = None, seed: int = 0) -> Listing:
    """List one hazy version, drawn at random, of every clear image.

    Args:
        root: Data root.
        folders: The two folders; sub-folders of the hazy one count, too.
        count: Number of clear images, drawn at random; None takes all. The version of an image does not depend on it.
        seed: Seed of both draws.

    Returns:
        The rows, in natural order of the clear images; those without a hazy version are noted.

    Raises:
        DatasetError: If a folder is outside the root or holds no image, or there are fewer images than asked for.
        PairingError: If a hazy image has no partner.
        ImageError: If a folder does not exist.
    """
    pairs, notes = _find(root, folders, recursive=True)
    versions: dict[Path, list[Pair]] = {}
    for pair in sorted(pairs, key=lambda pair: natural_key(str(pair.target))):
        versions.setdefault(pair.target, []).append(pair)
    rng = np.random.default_rng(seed)
    drawn = [own[int(rng.integers(len(own)))] for own in versions.values()]
    if count is not None and count > len(drawn):
        raise DatasetError(
            f"{Path(root) / folders.degraded}: there are hazy versions of {len(drawn)} clear images; "
            f"ask for at most as many, not for {count}"
        )
    places = sorted(rng.permutation(len(drawn))[:count])
    return Listing([_row(root, drawn[place]) for place in places], notes)


def list_all_in_one(root: PathLike, repeat: int = RAIN_REPEAT, count: int | None = None, seed: int = 0) -> Listing:
    """List the published folders for noise, rain and haze one after the other.

    Args:
        root: Data root.
        repeat: As in `list_pairs`, of the rainy pairs.
        count: As in `list_haze`.
        seed: As in `list_haze`.

    Returns:
        The rows of the three lists, in this order.

    Raises:
        DatasetError: If a folder holds no image, or there are fewer clear images than asked for.
        PairingError: If a degraded image has no partner.
        ImageError: If a folder does not exist.
    """
    parts = list_noise(root), list_pairs(root, RAIN_FOLDERS, repeat), list_haze(root, HAZE_FOLDERS, count, seed)
    return Listing([row for part in parts for row in part.rows], [note for part in parts for note in part.notes])


def check_rows(root: PathLike, rows: Iterable[Row], min_size: int = 8, progress: Progress = iter) -> list[str]:
    """Decode all images of a list and name what training would stumble over.

    Args:
        root: Data root.
        rows: Rows; repeated ones are looked at once.
        min_size: Smallest side an image may have, in pixels.
        progress: Wraps the iteration, for example `tqdm.tqdm`.

    Returns:
        One line per pair that is unreadable, of unequal size or too small.
    """
    root, read, problems = Path(root), ImageCache(_CACHE_BYTES), []
    for row in progress(list(dict.fromkeys(rows))):
        try:
            image, _ = read_pair(Pair(row.degraded, root / row.degraded, root / row.target), read)
        except ImageError as error:
            problems.append(str(error))
            continue
        height, width = image.shape[:2]
        if min(height, width) < min_size:
            problems.append(f"{root / row.degraded}: {width}x{height} is smaller than {min_size} pixels a side")
    return problems


def _find(root: PathLike, folders: Folders, recursive: bool = False) -> tuple[list[Pair], list[str]]:
    degraded, target = Path(root) / folders.degraded, Path(root) / folders.target
    pairing = pair_folders(degraded, target, folders.rule, recursive=recursive)
    pairs, unused = require_partners(pairing), pairing.unused_targets
    if not pairs:
        raise DatasetError(f"{degraded}: {why_empty(degraded, target)}")
    return pairs, [f"{target}: nothing belongs to {len(unused)} clear images: {name_some(unused)}"] if unused else []


def _row(root: PathLike, pair: Pair) -> Row:
    return Row(_below(root, pair.target), _below(root, pair.input))


def _below(root: PathLike, path: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError as error:
        raise DatasetError(f"{path} is not below {root}; name the common folder of all images as --root") from error
