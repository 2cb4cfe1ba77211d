"""Recognise the published data sets in a folder, and find where the images of a split are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from mindrestore.data.forms import FORMS
from mindrestore.data.layouts import CATALOG, DatasetSpec
from mindrestore.errors import MindRestoreError
from mindrestore.images.read import list_images

SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


class DatasetError(MindRestoreError):
    """Report a data folder that is missing, empty or laid out in a way that is not known."""

    several_lines = False


class Place(NamedTuple):
    """Where the images of a split are: "folders" or a name of `FORMS`, and two folders or files."""

    form: str
    inputs: Path
    targets: Path


def locate(spec: DatasetSpec, root: Path, split: str, *, inside: bool = False) -> Place | None:
    """Find where the images of a split are.

    Args:
        spec: The data set.
        root: Folder to look into.
        split: "train", "val" or "test".
        inside: Look only into folders below the root that have the data set's name.

    Returns:
        The first place that exists, or None.
    """
    places = [place.format(split=word) for place in spec.places for word in SPLIT_FOLDERS[split]]
    bases = [root / place for place in dict.fromkeys(places) if place or not inside]
    for form in spec.forms:
        for base in (base for base in bases if base.is_dir()):
            found = _two_folders(spec, base) if form == "folders" else FORMS[form].locate(base, split)
            if found is not None:
                return Place(form, *found)
    return None


class SeveralDatasetsError(DatasetError):
    """Report a folder that holds several data sets, of which one has to be named."""

    def __init__(self, root: Path, split: str, names: list[str]) -> None:
        super().__init__(
            f"{root}: holds several data sets for {split!r} ({', '.join(names)}); name the one to use, with --dataset "
            f"{names[0]} on the command line or data.dataset={names[0]} in a recipe"
        )
        self.names = names


def recognise(root: Path, split: str, listed: bool = False) -> str:
    """Name the data set of a folder by its folders and file names.

    Args:
        root: The folder.
        split: "train", "val" or "test".
        listed: Whether a list divides the images, so that the published division does not count.

    Returns:
        A key of `CATALOG`; "folders" when it is none of the published ones.

    Raises:
        DatasetError: If there are several.
    """
    by_folder: dict[Path, str] = {}
    for name, spec in CATALOG.items():
        if name == "folders" or split in spec.parts or not (listed or split in spec.splits):
            continue
        place = locate(spec, root, split)
        if place is None:
            continue
        hinted = (
            bool(spec.hint)
            and re.search(spec.hint, "/".join(place.inputs.absolute().parts[-4:]), re.IGNORECASE) is not None
        )
        ranges = () if listed else spec.numbers.get(split)
        likely = hinted or not spec.needs_hint
        if place.form != "folders" or (likely and _names_fit(spec, place.inputs, ranges)):
            # Data sets with equal file names differ by the name of a folder only; without it, the first one is taken.
            by_folder[place.inputs] = name if hinted else by_folder.get(place.inputs, name)
    names = set(by_folder.values())
    if len(names) > 1:
        joined = joining(split, names)
        if joined is None:
            raise SeveralDatasetsError(root, split, list(by_folder.values()))
        return joined
    return next(iter(names), "folders")


def joining(split: str, names: set[str]) -> str | None:
    """Name the data set whose split joins the given ones, or None."""
    return next((name for name, spec in CATALOG.items() if names <= set(spec.parts.get(split, ()))), None)


def explain_layout(spec: DatasetSpec, root: Path, split: str) -> str:
    """Return which folders were expected and what is there instead."""
    if not any(root.iterdir()):
        return f"{root}: the folder is empty; copy or unpack the data set there"
    here = ", ".join(sorted(path.name for path in root.iterdir())[:8])
    if split in spec.parts or "folders" not in spec.forms:
        form = FORMS.get(spec.forms[0])
        expected = [((form and form.expected) or spec.places[0]).format(split=split)]
        if split in spec.parts:
            expected = [CATALOG[part].places[0] for part in spec.parts[split]]
        return (
            f"{root}: no {spec.title} for the split {split!r}; expected {', '.join(expected)}, but there is: {here}; "
            "see docs/datasets.md"
        )
    return (
        f"{root}: no {spec.title} for the split {split!r}; expected a folder {' or '.join(spec.inputs[:2])} beside one "
        f"named {' or '.join(spec.targets[:2])}, here or in {split}/, but there is: {here}; see docs/datasets.md"
    )


def _two_folders(spec: DatasetSpec, base: Path) -> tuple[Path, Path] | None:
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


def _names_fit(spec: DatasetSpec, folder: Path, ranges: tuple[tuple[int, int], ...] | None) -> bool:
    images = list_images(folder, recursive=spec.recursive)
    images = [path for path in images if not re.search(r"_(gt|clear)$", path.stem, re.IGNORECASE)]
    fitting = [path for path in images if re.fullmatch(spec.names, path.stem)]
    in_range = not ranges or any(low <= leading_number(path) <= high for path in fitting for low, high in ranges)
    return in_range and 2 * len(fitting) > len(images)


def leading_number(path: Path) -> int:
    """Return the number at the beginning of a file name, or -1."""
    digits = re.match(r"\d+", path.stem)
    return int(digits.group()) if digits else -1
