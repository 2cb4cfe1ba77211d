"""Fill the templates of pages: whatever is put in is escaped, and no page needs a network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from mindrestore.evaluation.pictures import COPY_QUALITY, COPY_SIDE, ERROR_TOP, error_colours
from mindrestore.files import write_bytes, write_text
from mindrestore.inference.planning import REPORT_MARKER
from mindrestore.pages.words import Text, attribute, embedded, said, say
from mindrestore.version import __version__

# The folders of an absolute path, without its last name.
_FOLDERS = re.compile(r"(?<![\w./:…])(?:/[^/\s'\",;:]+)+(?=/[^/\s'\",;:]+)")


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Args:
        text: What is shown.
        value: Number or text that it sorts by; the text itself when None.
        link: Relative path or `#id` that the text leads to.
        best: Whether it is the best of its row.
    """

    text: str | Text
    value: float | str | None = None
    link: str | None = None
    best: bool = False


@dataclass(frozen=True)
class Layer:
    """One picture of a slider.

    Args:
        label: What it shows.
        path: Relative path of the file, with `/`.
    """

    label: str | Text
    path: str


@dataclass(frozen=True)
class Picture:
    """The section of one image with its slider.

    Args:
        id: Id of the section, to link to; the slider has the same with `-slider` behind it.
        title: Plain text.
        notes: Lines below the title.
        layers: Pictures of one shape that a reader chooses from; fewer than two make no slider.
        size: Width and height of the pictures in pixels.
        shown: Places of those that stand left and right at first.
    """

    id: str
    title: str
    notes: Sequence[str | Text]
    layers: Sequence[Layer]
    size: tuple[int, int]
    shown: tuple[int, int] = (0, 1)


def render(template: str, **values: object) -> str:
    """Fill a template of this room; text is escaped, `Markup` is put in as it is."""
    return environment().get_template(template).render(**values)


def write_page(folder: Path, text: str) -> Path:
    """Write index.html and mark its folder as a report, whose pictures `restore` leaves out.

    Args:
        folder: Folder of the page; made where it is missing.
        text: The document.

    Returns:
        Path of the page.

    Raises:
        WriteError: The folder or the disk does not allow it.
    """
    page = folder / "index.html"
    write_text(page, text)
    mark_report(folder)
    return page


def mark_report(folder: Path) -> None:
    """Mark a folder, made where it is missing, as a report: its pictures are copies."""
    write_bytes(folder / REPORT_MARKER, b"A report of mindrestore: its pictures are copies.\n")


def asset(name: str) -> str:
    """Read a style or script: slider.js, slider.css, page.js or page.css; slider.js says at its top how it is used."""
    return files("mindrestore.pages").joinpath("assets", name).read_text(encoding="utf-8")


@cache
def environment() -> Environment:
    """Return what fills the templates; a name that a template needs and does not get is an error."""
    made = Environment(loader=PackageLoader("mindrestore.pages"), autoescape=True, undefined=StrictUndefined)
    made.filters |= {"address": address, "breakable": breakable, "plain": plain, "said": said, "setting": setting}
    made.globals |= {
        "asset": lambda name: Markup(asset(name)),
        "version": __version__,
        "say": say,
        "attribute": attribute,
        "words": lambda: embedded("report"),
        "copies": {
            "quality": COPY_QUALITY,
            "side": COPY_SIDE,
            "error_top": f"{ERROR_TOP * 255:.0f}",
            "colours": ", ".join("#{:02x}{:02x}{:02x}".format(*colour) for colour in error_colours()[::17]),
        },
    }
    return made


def address(path: str) -> str:
    """Turn a relative path with `/` into an address: `#`, `?`, `%`, spaces and quotes of file names are encoded."""
    safe = quote(path, safe="/", errors="surrogateescape")
    return f"./{safe}" if ":" in path.split("/")[0] else safe


def breakable(text: str | Text) -> Markup:
    """Let a long file name break behind its punctuation, and a word never inside."""
    if isinstance(text, Text):
        return escape(text)
    return Markup(re.sub(r"([_./-])(?=\w)", r"\1<wbr>", str(escape(text)))) if len(text) > 20 else escape(text)


def setting(name: str | Text) -> str | Text:
    """Return the words for a setting that every report has; the others are called what the command line calls them."""
    return say(f"setting_{name}") if name in ("model", "weights", "data") else name


def plain(value: object) -> str | Text:
    """Write a setting as people read it: yes and no, and paths without the folders of whoever made the page."""
    if isinstance(value, Text):
        return value
    if isinstance(value, bool):
        return say("yes" if value else "no")
    if isinstance(value, Path) or (isinstance(value, str) and value.startswith("/") and "\n" not in value):
        value = Path(value)
        return f"…/{value.name}" if value.is_absolute() else str(value)
    return _FOLDERS.sub("…", str(value))
