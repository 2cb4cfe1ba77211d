"""Find the image pairs of a folder: recognise its layout, divide it into splits, report what does not fit."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from mindrestore.data.forms import FORMS
from mindrestore.data.layouts import CATALOG, SPLITS, DatasetSpec
from mindrestore.data.locate import (
    SPLIT_FOLDERS,
    DatasetError,
    Place,
    explain_layout,
    joining,
    leading_number,
    locate,
    recognise,
)
from mindrestore.data.pairing import Pair, Pairing, pair_folders, require_partners, why_empty
from mindrestore.data.texts import ListError, read_lines
from mindrestore.files import PathLike, natural_key

__all__ = [
    "CATALOG",
    "SPLITS",
    "DatasetError",
    "Found",
    "dataset_name",
    "find_pairs",
    "find_parts",
    "find_sets",
    "find_split",
]

_DEPTH_SUFFIXES = (".png", ".npy", ".tif")


@dataclass(frozen=True)
class Found:
    """What was found for one split of a data set.

    Attributes:
        dataset: Name in `CATALOG`.
        split: The split asked for.
        input_dir: Folder of degraded images, or file that holds them.
        target_dir: Folder of clear images, or file that holds them.
        pairing: Pairs of the split, and what has no partner.
    """

    dataset: str
    split: str
    input_dir: Path
    target_dir: Path
    pairing: Pairing

    @property
    def spec(self) -> DatasetSpec:
        """Return the description of the data set."""
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
        PairingError: If an image has no partner.
    """
    found = find_split(dataset, root, split)
    pairs = require_partners(found.pairing, found.spec.one_to_one)
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
        The folders and the pairing. Keys of a split that joins several data sets begin with their titles.

    Raises:
        DatasetError: If the name, the split or the folder does not fit.
        PairingError: If two clear images claim one key.
    """
    parts = find_parts(dataset, root, split)
    if len(parts) == 1:
        return parts[0]
    whole = Pairing(rule=parts[0].pairing.rule)
    for part in parts:
        whole.pairs.extend(replace(pair, key=f"{part.spec.title}/{pair.key}") for pair in part.pairing.pairs)
        whole.missing_targets.extend(part.pairing.missing_targets)
        whole.unused_targets.extend(part.pairing.unused_targets)
    name = dataset_name(dataset) if dataset != "auto" else joining(split, {part.dataset for part in parts})
    base = parts[0].input_dir.parent.parent
    return Found(name, split, base, base, whole)


def find_parts(dataset: str, root: PathLike, split: str) -> list[Found]:
    """Find one split like `find_split`, but keep the data sets apart that it joins.

    Args:
        dataset: As in `find_pairs`.
        root: Folder of the data set.
        split: "train", "val" or "test".

    Returns:
        One entry, or one for each data set that is there.

    Raises:
        DatasetError: If the name, the split or the folder does not fit.
        PairingError: If two clear images claim one key.
    """
    root = Path(root)
    if split not in SPLITS:
        raise DatasetError(f"split {split!r} is unknown; use one of {', '.join(SPLITS)}")
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; name the folder that holds the images' folders")
    wanted = _read_list(root, split)
    name = dataset_name(dataset) if dataset != "auto" else recognise(root, split, listed=wanted is not None)
    spec = CATALOG[name]
    if split not in spec.splits and wanted is None:
        raise DatasetError(f"{root}: {spec.title} has no split {split!r}, it has {', '.join(spec.splits)}")
    if split in spec.parts and wanted is None:
        parts = {part: locate(CATALOG[part], root, "test", inside=True) for part in spec.parts[split]}
        places = {part: place for part, place in parts.items() if place}
    else:
        place = locate(spec, root, split)
        places = {name: place} if place else {}
    if not places:
        raise DatasetError(explain_layout(spec, root, split))
    if not spec.paired:
        raise DatasetError(
            f"{root}: {spec.title} publishes no clear images; see docs/datasets.md for its results files"
        )
    return [_read(part, place, split, wanted, root) for part, place in places.items()]


def find_sets(root: PathLike) -> dict[str, list[Pair]]:
    """Find test sets that lie side by side, such as those below `Synthetic_Rain_Datasets/test`.

    Args:
        root: Folder whose sub-folders are test sets, each with its pairs inside or in its own `test`; or the folder
            above, when they are in `test` or `Synthetic_Rain_Datasets/test`.

    Returns:
        Folder name -> pairs; sets of `CATALOG` come first, in its order. Empty when there are no such sub-folders.

    Raises:
        DatasetError: If the folder is missing.
        PairingError: If a degraded image has no clear partner.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; name the folder that holds the test sets' folders")
    splits = {word for words in SPLIT_FOLDERS.values() for word in words}
    for base in (root, root / "test", root / "Synthetic_Rain_Datasets" / "test"):
        if not base.is_dir() or any(form.locate(base, "test") for form in FORMS.values()):
            continue  # scenes or sequences of one set are not sets
        found = {}
        for folder in (path for path in base.iterdir() if path.is_dir() and path.name.lower() not in splits):
            name = recognise(folder, "test")
            place = locate(CATALOG[name], folder, "test")
            if place and CATALOG[name].paired:
                pairs = require_partners(_read(name, place, "test", None, folder).pairing)
                found[list(CATALOG).index(name), natural_key(folder.name)] = folder.name, pairs
        if found:
            return dict(found[key] for key in sorted(found))
    return {}


def dataset_name(name: str) -> str:
    """Return the catalogue name for a name or alias, in any spelling.

    Args:
        name: For example "NHHaze", "nh-haze" or "nh_haze".

    Returns:
        A key of `CATALOG`.

    Raises:
        DatasetError: If there is none.
    """
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    for key, spec in CATALOG.items():
        if plain in {re.sub(r"[^a-z0-9]", "", known) for known in (key, *spec.aliases)}:
            return key
    raise DatasetError(f"data set {name!r} is unknown; use auto or one of {', '.join(CATALOG)}")


def _read(name: str, place: Place, split: str, wanted: set[str] | None, root: Path) -> Found:
    spec = CATALOG[name]
    if place.form == "folders":
        folders = place.inputs, place.targets
        pairing = pair_folders(*folders, spec.rule, recursive=spec.recursive, crop_target=spec.crop_target)
    else:
        pairing = FORMS[place.form].pair(place.inputs, place.targets)
    if not pairing.pairs and not pairing.missing_targets:
        raise DatasetError(f"{place.inputs}: {why_empty(place.inputs, place.targets)}")
    pairing = _keep_listed(pairing, wanted, root / f"{split}.txt") if wanted else _keep_numbers(pairing, spec, split)
    maps = place.targets.parent / "depth"
    if maps.is_dir():
        pairing = replace(pairing, pairs=[_with_depth(pair, maps) for pair in pairing.pairs])
    return Found(name, split, place.inputs, place.targets, pairing)


def _read_list(root: Path, split: str) -> set[str] | None:
    present = [name for name in SPLITS if (root / f"{name}.txt").exists()]
    if not present:
        return None
    if split not in present:
        raise DatasetError(
            f"{root}: there is a list {present[0]}.txt but none for the split {split!r}; write {split}.txt or remove it"
        )
    lines = [line.strip() for line in read_lines(root / f"{split}.txt")]
    keys = {_unquoted(line) for line in lines if line and not line.startswith("#")}
    if not keys:
        raise ListError(f"{root / split}.txt: the list is empty; write one key per line")
    return keys


def _unquoted(line: str) -> str:
    return line[1:-1] if len(line) > 2 and line[0] == line[-1] == '"' else line


def _names_of(key: str | None, path: Path) -> set[str]:
    """Return the words by which a list may name an image; in a folder per scene file names alone say too little."""
    if key and "/" in key:
        return {key, f"{key}{path.suffix}"}
    return {key or path.stem, path.stem, path.name}


def _keep_listed(pairing: Pairing, wanted: set[str], source: Path) -> Pairing:
    pairs = [pair for pair in pairing.pairs if wanted & _names_of(pair.key, pair.input)]
    missing = [path for path in pairing.missing_targets if wanted & _names_of(None, path)]
    used = {name for pair in pairs for name in _names_of(pair.key, pair.input)}
    unknown = sorted(wanted - used - {name for path in missing for name in _names_of(None, path)})
    if unknown:
        raise ListError(f"{source}: no image has the key {unknown[0]!r} ({len(unknown)} such lines); correct the list")
    return replace(pairing, pairs=pairs, missing_targets=missing, unused_targets=[])


def _keep_numbers(pairing: Pairing, spec: DatasetSpec, split: str) -> Pairing:
    present = {leading_number(pair.input) for pair in pairing.pairs} | {
        leading_number(path) for path in pairing.missing_targets
    }
    ranges = spec.numbers.get(split, ())
    if not ranges:
        return pairing
    low, high = next((span for span in ranges if any(span[0] <= number <= span[1] for number in present)), ranges[0])
    return replace(
        pairing,
        pairs=[pair for pair in pairing.pairs if low <= leading_number(pair.input) <= high],
        missing_targets=[path for path in pairing.missing_targets if low <= leading_number(path) <= high],
        unused_targets=[path for path in pairing.unused_targets if low <= leading_number(path) <= high],
    )


def _with_depth(pair: Pair, folder: Path) -> Pair:
    stems = (pair.key,) if "/" in pair.key else (pair.target.stem, pair.key)
    maps = (folder / f"{stem}{suffix}" for stem in stems for suffix in _DEPTH_SUFFIXES)
    return replace(pair, depth=next((path for path in maps if path.is_file()), None))
