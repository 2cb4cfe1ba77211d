"""Find the image pairs of a folder: recognise its layout, divide it into splits, report what does not fit."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from mindrestore.data.images import PathLike, list_images
from mindrestore.data.layouts import CATALOG, SPLITS, DatasetSpec
from mindrestore.data.pairing import Pair, Pairing, pair_folders, require_partners
from mindrestore.errors import MindRestoreError

__all__ = ["CATALOG", "SPLITS", "DatasetError", "Found", "dataset_name", "find_pairs", "find_split"]

_SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
_DEPTH_SUFFIXES = (".png", ".npy", ".tif")


class DatasetError(MindRestoreError):
    """Report a data folder that is missing, empty or laid out in a way that is not known."""


@dataclass(frozen=True)
class Found:
    """Hold what was found for one split of a data set.

    Attributes:
        dataset: Name in `CATALOG`.
        split: The split asked for.
        input_dir: Folder of degraded images.
        target_dir: Folder of clear images.
        pairing: Pairs of the split, and what has no partner.
    """

    dataset: str
    split: str
    input_dir: Path
    target_dir: Path
    pairing: Pairing

    @property
    def spec(self) -> DatasetSpec:
        """Give the description of the data set."""
        return CATALOG[self.dataset]


def find_pairs(dataset: str, root: PathLike, split: str) -> list[Pair]:
    """Find the image pairs of one split.

    A text file `train.txt`, `val.txt` or `test.txt` in the root selects pairs by key or file name, one per line, and
    replaces the published division. Folders without any division serve as every split.

    Args:
        dataset: A name of `CATALOG`, one of its aliases, or "auto" to recognise the layout.
        root: Folder of the data set.
        split: "train", "val" or "test".

    Returns:
        Pairs in natural order of the degraded images.

    Raises:
        DatasetError: If the name, the split or the folder does not fit.
        PairingError: If a degraded image has no clear partner.

    Example:
        >>> pairs = find_pairs("auto", "SOTS/indoor", "test")
        >>> pairs[0].input.name, pairs[0].target.name
        ('1400_1.png', '1400.png')
    """
    found = find_split(dataset, root, split)
    pairs = require_partners(found.pairing)
    if not pairs:
        raise DatasetError(
            f"{found.input_dir}: no image of {found.spec.title} belongs to the split {split!r}; "
            "`mindrestore data check FOLDER` shows what each split holds"
        )
    return pairs


def find_split(dataset: str, root: PathLike, split: str) -> Found:
    """Find one split and report what has no partner instead of raising.

    Args:
        dataset: As in `find_pairs`.
        root: Folder of the data set.
        split: "train", "val" or "test".

    Returns:
        The folders and the pairing.

    Raises:
        DatasetError: If the name, the split or the folder does not fit.
        PairingError: If two clear images claim one key.

    Example:
        >>> find_split("auto", "NH-HAZE", "train").pairing.missing_targets
        []
    """
    root = Path(root)
    if split not in SPLITS:
        raise DatasetError(f"split {split!r} is unknown; use one of {', '.join(SPLITS)}")
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; give the folder that holds the images' folders")
    wanted = _read_list(root, split)
    name = dataset_name(dataset) if dataset != "auto" else _recognise(root, split, wanted is not None)
    spec = CATALOG[name]
    if split not in spec.splits and wanted is None:
        raise DatasetError(f"{root}: {spec.title} has no split {split!r}, it has {', '.join(spec.splits)}")
    folders = _locate(spec, root, split)
    if folders is None:
        raise DatasetError(_explain_layout(spec, root, split))
    pairing = pair_folders(*folders, spec.rule, recursive=spec.recursive, crop_target=spec.crop_target)
    if not pairing.pairs and not pairing.missing_targets:
        raise DatasetError(f"{folders[0]}: the folder holds no images; copy or unpack the data set again")
    pairing = _keep_listed(pairing, wanted, root / f"{split}.txt") if wanted else _keep_numbers(pairing, spec, split)
    pairing = replace(pairing, pairs=[_with_depth(pair, folders[1].parent) for pair in pairing.pairs])
    return Found(name, split, *folders, pairing)


def dataset_name(name: str) -> str:
    """Give the catalogue name for a name or alias, in any spelling.

    Args:
        name: For example "NHHaze", "nh-haze" or "nh_haze".

    Returns:
        A key of `CATALOG`.

    Raises:
        DatasetError: If there is none.

    Example:
        >>> dataset_name("Dense")
        'dense_haze'
    """
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    for key, spec in CATALOG.items():
        if plain in {re.sub(r"[^a-z0-9]", "", known) for known in (key, *spec.aliases)}:
            return key
    raise DatasetError(f"data set {name!r} is unknown; use auto or one of {', '.join(CATALOG)}")


def _recognise(root: Path, split: str, listed: bool) -> str:
    by_folder: dict[Path, str] = {}
    for name, spec in CATALOG.items():
        folders = _locate(spec, root, split) if spec.names and (listed or split in spec.splits) else None
        if folders is None:
            continue
        place = "/".join(folders[0].parts[-4:])
        hinted = bool(spec.hint) and re.search(spec.hint, place, re.IGNORECASE) is not None
        if (hinted or not spec.needs_hint) and _names_fit(spec, folders[0], () if listed else spec.numbers.get(split)):
            # Data sets with equal file names differ by the name of a folder only; without it, the first one is taken.
            by_folder[folders[0]] = name if hinted else by_folder.get(folders[0], name)
    if len(by_folder) > 1:
        names = ", ".join(by_folder.values())
        raise DatasetError(f"{root}: holds several data sets for {split!r} ({names}); name the one to use")
    return next(iter(by_folder.values()), "folders")


def _names_fit(spec: DatasetSpec, folder: Path, ranges: tuple[tuple[int, int], ...] | None) -> bool:
    images = list_images(folder, recursive=spec.recursive)
    images = [path for path in images if not re.search(r"_(gt|clear)$", path.stem, re.IGNORECASE)]
    fitting = [path for path in images if re.fullmatch(spec.names, path.stem)]
    in_range = not ranges or any(low <= _number(path) <= high for path in fitting for low, high in ranges)
    return in_range and 2 * len(fitting) > len(images)


def _locate(spec: DatasetSpec, root: Path, split: str) -> tuple[Path, Path] | None:
    places = [place.format(split=word) for place in spec.places for word in _SPLIT_FOLDERS[split]]
    for base in (root / place for place in dict.fromkeys(places)):
        if not base.is_dir():
            continue
        folders = {path.name.lower(): path for path in base.iterdir() if path.is_dir()}
        inputs = next((folders[name] for name in spec.inputs if name in folders), None)
        targets = next((folders[name] for name in spec.targets if name in folders), None)
        if inputs is not None and targets is not None:
            return inputs, targets
        if "role" in spec.rule or spec.rule == "auto":
            names = {path.stem.lower().rsplit("_", 1)[-1] for path in base.iterdir() if path.is_file()}
            if {"hazy", "gt"} <= names:
                return base, base
    return None


def _explain_layout(spec: DatasetSpec, root: Path, split: str) -> str:
    if not any(root.iterdir()):
        return f"{root}: the folder is empty; copy or unpack the data set there"
    here = ", ".join(sorted(path.name for path in root.iterdir())[:8])
    return (
        f"{root}: no {spec.title} for the split {split!r}; expected a folder {' or '.join(spec.inputs[:2])} beside one "
        f"named {' or '.join(spec.targets[:2])}, here or in {split}/, but there is: {here}; see docs/datasets.md"
    )


def _read_list(root: Path, split: str) -> set[str] | None:
    present = [name for name in SPLITS if (root / f"{name}.txt").is_file()]
    if not present:
        return None
    if split not in present:
        raise DatasetError(
            f"{root}: there is a list {present[0]}.txt but none for the split {split!r}; write {split}.txt or remove it"
        )
    lines = (root / f"{split}.txt").read_text(encoding="utf-8").splitlines()
    keys = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
    if not keys:
        raise DatasetError(f"{root / split}.txt: the list is empty; write one key per line")
    return keys


def _keep_listed(pairing: Pairing, wanted: set[str], source: Path) -> Pairing:
    pairs = [pair for pair in pairing.pairs if wanted & {pair.key, pair.input.stem, pair.input.name}]
    missing = [path for path in pairing.missing_targets if wanted & {path.stem, path.name}]
    used = {name for pair in pairs for name in (pair.key, pair.input.stem, pair.input.name)}
    unknown = sorted(wanted - used - {name for path in missing for name in (path.stem, path.name)})
    if unknown:
        raise DatasetError(
            f"{source}: no image has the key {unknown[0]!r} ({len(unknown)} such lines); correct the list"
        )
    return replace(pairing, pairs=pairs, missing_targets=missing, unused_targets=[])


def _keep_numbers(pairing: Pairing, spec: DatasetSpec, split: str) -> Pairing:
    present = {_number(pair.input) for pair in pairing.pairs} | {_number(path) for path in pairing.missing_targets}
    ranges = spec.numbers.get(split, ())
    if not ranges:
        return pairing
    low, high = next((span for span in ranges if any(span[0] <= number <= span[1] for number in present)), ranges[0])
    return replace(
        pairing,
        pairs=[pair for pair in pairing.pairs if low <= _number(pair.input) <= high],
        missing_targets=[path for path in pairing.missing_targets if low <= _number(path) <= high],
        unused_targets=[path for path in pairing.unused_targets if low <= _number(path) <= high],
    )


def _number(path: Path) -> int:
    digits = re.match(r"\d+", path.stem)
    return int(digits.group()) if digits else -1


def _with_depth(pair: Pair, base: Path) -> Pair:
    maps = (base / "depth" / f"{stem}{suffix}" for stem in (pair.target.stem, pair.key) for suffix in _DEPTH_SUFFIXES)
    return replace(pair, depth=next((path for path in maps if path.is_file()), None))
