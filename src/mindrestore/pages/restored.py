"""Write the page of a restoration without ground truth: before and after, sizes and times."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from mindrestore.evaluation.pictures import copy_size, write_copy
from mindrestore.files import PathLike
from mindrestore.images.errors import ImageError
from mindrestore.images.kinds import VIDEO_SUFFIXES
from mindrestore.images.read import read_image
from mindrestore.inference.files import RestoredFile, RestoreSummary
from mindrestore.pages.render import Cell, Layer, Picture, address, mark_report, render, write_page
from mindrestore.pages.sheet import ROWS, draw_sheet
from mindrestore.pages.words import say


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
    mark_report(folder)  # first: what an interruption leaves does not hold photographs either
    rows, pictures, lost = [], [], [(say("not_restored"), message) for message in summary.failed]
    for place, (name, entry) in enumerate(zip(_names(summary.files), summary.files), 1):
        try:
            size = _copy(entry, folder / "pictures" / f"{place:04d}")
        except ImageError as error:  # the result is there; only its picture is lost
            size = None
            lost.append((name, say("no_picture", error=str(error))))
        link = f"#image-{place}" if size else _relative(entry.target, folder)
        rows.append([Cell(name, link=link), *_size_cells(size), *_file_cells(entry)])
        if size:
            layers = [Layer(say(side), f"pictures/{place:04d}/{side}.jpg") for side in ("before", "after")]
            pictures.append(Picture(f"image-{place}", name, [_links(entry, folder)], layers, copy_size(*size)[::-1]))
    sections = {
        "files": say("files"),
        "pictures": say("before_and_after") if pictures else "",
        "settings": say("settings") if settings else "",
    }
    page = render(
        "restored.html",
        title=say("restored_count", count=len(rows)),
        lost=lost,
        sections={name: title for name, title in sections.items() if title},
        headings=[say(name) for name in ("file", "width", "height", "bytes_before", "bytes_after", "seconds")],
        rows=rows,
        pictures=pictures,
        sheet=draw_sheet(folder, [replace(picture, notes=()) for picture in pictures]),
        sheet_rows=ROWS,
        settings=settings or {},
    )
    return write_page(folder, page)


def _copy(entry: RestoredFile, place: Path) -> tuple[int, int] | None:
    """Copy input and result, one after the other; return height and width, or None for a video."""
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
    seconds = Cell(say("kept"), "") if entry.seconds is None else Cell(f"{entry.seconds:.2f}", f"{entry.seconds:.4f}")
    return [_bytes_cell(entry.source), _bytes_cell(entry.target), seconds]


def _bytes_cell(path: Path) -> Cell:
    try:
        size = path.stat().st_size
    except OSError:  # it was there when it was restored
        return Cell("", 0)
    return Cell(f"{size:,}", size)


def _names(files: Sequence[RestoredFile]) -> list[str]:
    """Name the results by what their paths do not all share."""
    if not files:
        return []
    shared = os.path.commonpath([os.path.abspath(entry.target.parent) for entry in files])
    return [Path(os.path.relpath(entry.target, shared)).as_posix() for entry in files]


def _links(entry: RestoredFile, folder: Path) -> Markup:
    """Link to the files themselves, where they lie now."""
    sides = ((say("input"), entry.source), (say("restored"), entry.target))
    link = Markup('<a href="{}">{}</a>')
    return (
        escape(say("file_links"))
        + " "
        + Markup(", ").join(link.format(address(_relative(path, folder)), title) for title, path in sides)
    )


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()
