"""Write the page of a restoration without ground truth: before and after, sizes and times."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mindrestore.evaluation.pictures import copy_size, write_copy
from mindrestore.files import PathLike
from mindrestore.images.errors import ImageError
from mindrestore.images.read import read_image
from mindrestore.inference.files import RestoredFile, RestoreSummary
from mindrestore.inference.planning import VIDEO_SUFFIXES
from mindrestore.pages.files import write_page
from mindrestore.pages.html import Cell, Choice, Layer, address, escape, facts, render_page, table
from mindrestore.pages.parts import COPIES, KEYS, headed, navigation, not_measured, picture


def write_restored_page(summary: RestoreSummary, folder: PathLike, settings: Mapping[str, Any] | None = None) -> Path:
    """Write index.html with copies of every photograph and of its result; one photograph is held at a time.

    Args:
        summary: What `restore_files` returned. Results that were kept are shown too.
        folder: Folder of the page.
        settings: What restored them: model, weights and so on.

    Returns:
        Path of the page.

    Raises:
        WriteError: The folder or the disk does not allow it.
    """
    folder = Path(folder)
    rows, sections, lost = [], [], [("not restored", message) for message in summary.failed]
    for place, (name, entry) in enumerate(zip(_names(summary.files), summary.files), 1):
        try:
            size = _copy(entry, folder / "pictures" / f"{place:04d}")
        except ImageError as error:  # the result is there; only its picture is lost
            size = None
            lost.append((name, f"no picture: {error}"))
        link = f"#image-{place}" if size else _relative(entry.target, folder)
        rows.append([Cell(name, link=link), *_size_cells(size), *_file_cells(entry)])
        if size:
            layers = [Layer(side, f"pictures/{place:04d}/{side}.jpg") for side in ("before", "after")]
            choice = Choice(layers)
            sections.append(picture(f"image-{place}", name, [_links(entry, folder)], choice, copy_size(*size)[::-1]))
    head = ["file", "width", "height", "bytes before", "bytes after", "seconds"]
    note = '<p class="soft">Seconds: wall time from reading the input to having written the result.</p>'
    told = f'<p class="soft">{KEYS} {COPIES}</p>'
    bodies = {
        "files": ("Files", note + table("Restored files", head, rows, sortable=True)),
        "pictures": ("Before and after", told + "".join(sections) if sections else ""),
        "settings": ("Settings", facts(settings or {})),
    }
    title = f"{len(rows)} restored file{'s' * (len(rows) != 1)}"
    links = navigation({name: heading for name, (heading, body) in bodies.items() if body})
    start = f"<h1>{escape(title)}</h1>{not_measured(lost)}{links}"
    return write_page(folder, render_page(title, start + "".join(headed(name, *rest) for name, rest in bodies.items())))


def _copy(entry: RestoredFile, place: Path) -> tuple[int, int] | None:
    """Copy input and result, one after the other; give height and width, or None for a video."""
    if entry.source.suffix.lower() in VIDEO_SUFFIXES:
        return None
    write_copy(place / "before.jpg", read_image(entry.source))
    after = read_image(entry.target)
    write_copy(place / "after.jpg", after)
    return after.shape[:2]


def _size_cells(size: tuple[int, int] | None) -> list[Cell]:
    height, width = map(str, size) if size else ("", "")
    return [Cell(width), Cell(height)]


def _file_cells(entry: RestoredFile) -> list[Cell]:
    sizes = (path.stat().st_size for path in (entry.source, entry.target))
    seconds = Cell("kept", "") if entry.seconds is None else Cell(f"{entry.seconds:.2f}", f"{entry.seconds:.4f}")
    return [*(Cell(f"{size:,}", size) for size in sizes), seconds]


def _names(files: Sequence[RestoredFile]) -> list[str]:
    """Name the results by what their paths do not all share."""
    if not files:
        return []
    shared = os.path.commonpath([os.path.abspath(entry.target.parent) for entry in files])
    return [Path(os.path.relpath(entry.target, shared)).as_posix() for entry in files]


def _links(entry: RestoredFile, folder: Path) -> str:
    """Link to the files themselves, where they lie now."""
    sides = (("input", entry.source), ("result", entry.target))
    links = (f'<a href="{escape(address(_relative(path, folder)))}">{title}</a>' for title, path in sides)
    return f"files: {', '.join(links)}"


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()
