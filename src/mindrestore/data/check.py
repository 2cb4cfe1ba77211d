"""Look through a data folder and list everything that training would stumble over."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mindrestore.data.catalog import CATALOG, SPLITS, DatasetError, Found, dataset_name, find_parts
from mindrestore.data.dnd import BOXES, PHOTOGRAPHS, cut_boxes, find_dnd, read_boxes, read_photograph
from mindrestore.data.locate import SeveralDatasetsError, joining, recognise
from mindrestore.data.pairing import PairingError
from mindrestore.data.texts import ListError
from mindrestore.errors import shown
from mindrestore.files import PathLike
from mindrestore.images.errors import ImageError
from mindrestore.images.read import read_image, unread_note

Progress = Callable[[Iterable], Iterable]


@dataclass
class Report:
    """What a check found.

    Attributes:
        sections: One line per part of the data set: what it is, where, how many pairs.
        problems: One line per problem, with the file's name.
        notes: What is worth knowing but not wrong.
    """

    sections: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Return whether nothing is wrong."""
        return not self.problems

    def format(self) -> str:
        """Return the report as text."""
        lines = list(self.sections)
        lines += [f"  wrong: {problem}" for problem in self.problems]
        lines += [f"  note: {note}" for note in self.notes]
        lines.append("nothing wrong" if self.clean else f"{len(self.problems)} problem(s)")
        return "\n".join(map(shown, lines))


def check_folder(root: PathLike, dataset: str = "auto", min_size: int = 8, progress: Progress = iter) -> Report:
    """Check a data folder: partners, readable files, sizes, counts. Every image is decoded.

    Args:
        root: Folder of the data set.
        dataset: Name in the catalogue; named, a count other than the published one is a problem, recognised by
            "auto" it is a note.
        min_size: Smallest side an image may have, in pixels.
        progress: Wraps the iteration over pairs, for example `tqdm.tqdm`.

    Returns:
        The report.

    Raises:
        DatasetError: If the folder is missing, empty or of no known layout.
    """
    report = Report()
    base = find_dnd(root) if dataset == "auto" or dataset_name(dataset) == "dnd" else None
    if base:
        _check_dnd(base, dataset != "auto", progress, report)
        return report
    sections = _all_sections(root, dataset, report)
    for splits, found in sections:
        pairing = found.pairing
        report.sections.append(
            f"{found.spec.title} ({'/'.join(splits)}): {len(pairing.pairs)} pairs, "
            f"{len({pair.target for pair in pairing.pairs})} clear images, rule {pairing.rule}, {found.input_dir}"
        )
        report.problems += [f"{path}: has no clear partner" for path in pairing.missing_targets]
        report.problems += [f"{path}: no degraded image belongs to it" for path in pairing.unused_targets]
        _note_foreign(found, report)
        _check_counts(found, named=dataset != "auto", report=report)
        _check_images(found, min_size, progress, report)
    _check_totals([found for _, found in sections], named=dataset != "auto", report=report)
    return report


def _all_sections(root: PathLike, dataset: str, report: Report) -> list[tuple[list[str], Found]]:
    """Find the splits of a data set, and of every one where several lie side by side, as in the model zoo's tree."""
    names = dict.fromkeys(name for split in SPLITS for name in _side_by_side(root, split)) if dataset == "auto" else {}
    try:
        sections = _find_sections(root, dataset, report)
    except DatasetError:
        if not names:
            raise
        sections = []  # nothing but those
    return [*sections, *(entry for name in names for entry in _find_sections(root, name, report))]


def _side_by_side(root: PathLike, split: str) -> list[str]:
    try:
        recognise(Path(root), split)
    except SeveralDatasetsError as error:
        return error.names
    return []


def _find_sections(root: PathLike, dataset: str, report: Report) -> list[tuple[list[str], Found]]:
    """Find the splits; several that hold the same images become one section, under the name of a published set."""
    sections: dict[tuple[Path, ...], tuple[list[str], Found]] = {}
    refusal: DatasetError | None = None
    for split in SPLITS:
        try:
            parts = find_parts(dataset, root, split)
        except ListError as error:
            report.problems.append(str(error))
            continue
        except DatasetError as error:
            refusal = refusal or error
            continue
        except (PairingError, ImageError) as error:
            if str(error) not in report.problems:
                report.problems.append(str(error))
            continue
        _check_parts(parts, root, split, dataset != "auto", report)
        for found in parts:
            inputs = tuple(pair.input for pair in found.pairing.pairs) + tuple(found.pairing.missing_targets)
            splits, earlier = sections.get(inputs, ([], found))
            if earlier.dataset == found.dataset:
                sections[inputs] = ([*splits, split], found)
            elif earlier.dataset == "folders":
                sections[inputs] = ([split], found)
    sections.pop((), None)
    if not sections and not report.problems:
        raise refusal or DatasetError(f"{root}: no image belongs to any split; see docs/datasets.md")
    return list(sections.values())


def _check_parts(parts: list[Found], root: PathLike, split: str, named: bool, report: Report) -> None:
    present = {found.dataset for found in parts}
    whole = joining(split, present) if len(parts) > 1 else None
    absent = [CATALOG[name].title for name in CATALOG[whole].parts[split] if name not in present] if whole else []
    if absent:
        message = f"{root}: {CATALOG[whole].title} has no {', '.join(absent)} in it"
        (report.problems if named else report.notes).append(message)


def _note_foreign(found: Found, report: Report) -> None:
    """Note pictures of kinds that are not read, which training leaves out."""
    for folder in dict.fromkeys((found.input_dir, found.target_dir)):
        note = unread_note(folder)
        report.notes += [note] if note and note not in report.notes else []


def _check_counts(found: Found, named: bool, report: Report) -> None:
    expected = found.spec.counts.get(found.split, ())
    pairs = found.pairing.pairs
    actual = (len(pairs) + len(found.pairing.missing_targets), len({pair.target for pair in pairs}))
    if not expected or actual in expected:
        return
    published = " or ".join(f"{inputs} degraded and {targets} clear images" for inputs, targets in expected)
    message = f"{found.input_dir}: {actual[0]} degraded and {actual[1]} clear images, published are {published}"
    (report.problems if named else report.notes).append(message)


def _check_totals(parts: list[Found], named: bool, report: Report) -> None:
    """Compare the splits together with a number that is published for the whole data set."""
    for spec in {found.dataset: found.spec for found in parts if found.spec.total is not None}.values():
        count = sum(len(found.pairing.pairs) for found in parts if found.spec is spec)
        if count != spec.total:
            message = f"{spec.title}: {count} pairs in all splits, published are {spec.total}"
            (report.problems if named else report.notes).append(message)


def _check_images(found: Found, min_size: int, progress: Progress, report: Report) -> None:
    shapes: dict[Path, tuple[int, int] | None] = {}
    pairing = found.pairing
    for pair in progress(pairing.pairs):
        image, target = (_shape(path, shapes, min_size, report) for path in (pair.input, pair.target))
        larger = image and target and target[0] >= image[0] and target[1] >= image[1]
        if image and target and image != target and not (pair.crop_target and larger):
            report.problems.append(
                f"{pair.input}: {image[1]}x{image[0]}, but its partner {pair.target} is {target[1]}x{target[0]}"
            )
    for path in (*pairing.missing_targets, *pairing.unused_targets):
        _shape(path, shapes, min_size, report)


def _shape(path: Path, known: dict, min_size: int, report: Report) -> tuple[int, int] | None:
    """Return height and width, or None for a file that cannot be read; report each file once."""
    if path not in known:
        try:
            known[path] = read_image(path).shape[:2]
        except ImageError as error:
            known[path] = None
            report.problems.append(str(error))
        else:
            height, width = known[path]
            if min(height, width) < min_size:
                report.problems.append(f"{path}: {width}x{height} is smaller than {min_size} pixels a side")
    return known[path]


def _check_dnd(base: Path, named: bool, progress: Progress, report: Report) -> None:
    """Check DND, which has boxes instead of clear images."""
    try:
        boxes = read_boxes(base)
    except ImageError as error:
        report.problems.append(str(error))
        return
    for number, own in enumerate(progress(boxes), 1):
        try:
            cut_boxes(read_photograph(base, number), own, base / "images_srgb" / f"{number:04d}.mat")
        except ImageError as error:
            report.problems.append(str(error))
    count = sum(len(own) for own in boxes)
    report.sections.append(f"DND (test): {len(boxes)} photographs, {count} boxes, no clear images, {base}")
    if len(boxes) != PHOTOGRAPHS or any(len(own) != BOXES for own in boxes):
        message = f"{base}: published are {PHOTOGRAPHS} photographs with {BOXES} boxes each"
        (report.problems if named else report.notes).append(message)
