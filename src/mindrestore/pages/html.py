"""Put pages together: the frame, escaped text, addresses of files, sliders, facts and tables; no network is needed."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from urllib.parse import quote

from mindrestore import __version__


def asset(name: str) -> str:
    """Read a file of the package's assets: slider.js, slider.css, page.js, page.css or page.html.

    Args:
        name: File name.

    Returns:
        Its text. `slider.js` says at its top how the slider is used.
    """
    return files("mindrestore.pages").joinpath("assets", name).read_text(encoding="utf-8")


def render_page(title: str, body: str, scripts: Sequence[str] = ("slider.js", "page.js")) -> str:
    """Put a body into a page that carries its styles and scripts inside.

    Args:
        title: Plain text for the window.
        body: HTML; whoever makes it escapes what comes from outside (`escape`).
        scripts: Assets that run at the end of the body.

    Returns:
        A whole HTML document.
    """
    return Template(asset("page.html")).substitute(
        version=__version__,
        title=escape(title),
        styles=asset("page.css") + asset("slider.css"),
        scripts="".join(asset(name) for name in scripts),
        body=body,
    )


def escape(text: object) -> str:
    """Make any text safe between tags and inside quoted attributes."""
    return html.escape(str(text), quote=True)


def address(path: str) -> str:
    """Turn a relative path with `/` into an address: `#`, `?`, `%`, spaces and quotes of file names are encoded."""
    safe = quote(path, safe="/")
    return f"./{safe}" if ":" in path.split("/")[0] else safe


@dataclass(frozen=True)
class Layer:
    """Name one picture of a slider.

    Args:
        label: What it shows, as plain text.
        path: Relative path of the file, with `/`.
    """

    label: str
    path: str


@dataclass(frozen=True)
class Choice:
    """The pictures that a reader chooses from.

    Args:
        layers: Pictures of one shape.
        shown: Places of those that stand left and right at first.
    """

    layers: Sequence[Layer]
    shown: tuple[int, int] = (0, 1)

    def options(self, side: int) -> str:
        """Write the options of the select for the left (0) or right (1) side."""
        return "".join(
            f'<option value="{address(layer.path)}"{" selected" if place == self.shown[side] else ""}>'
            f"{escape(layer.label)}</option>"
            for place, layer in enumerate(self.layers)
        )


def slider(name: str, choice: Choice, size: tuple[int, int]) -> str:
    """Write a before/after slider; with more than two layers the reader chooses the two to compare.

    Args:
        name: Id of the element, unique in the page.
        choice: At least two pictures.
        size: Width and height of the pictures in pixels.

    Returns:
        HTML.
    """
    shown = [choice.layers[place] for place in choice.shown]
    images = "".join(
        f'<img src="{address(layer.path)}" alt="{escape(layer.label)}" width="{size[0]}" height="{size[1]}" '
        'loading="lazy">'
        for layer in shown
    )
    element = f'<before-after id="{escape(name)}">{images}</before-after>'
    if len(choice.layers) < 3:
        return element
    selects = "".join(
        f'<label>{title} <select data-slider="{escape(name)}" data-side="{side}">'
        f"{choice.options(side)}</select></label>"
        for side, title in enumerate(("Left", "Right"))
    )
    return f'<div class="choices">{selects}</div>{element}'


def facts(values: Mapping[str, object]) -> str:
    """Write names and values, a line each; values that are empty are left out."""
    lines = (
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in values.items() if value not in ("", None)
    )
    return f'<dl class="facts">{"".join(lines)}</dl>'


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Args:
        text: Plain text that is shown.
        value: Number or text that it sorts by; the text itself when None.
        link: Relative path or `#id` that the text leads to.
        best: Whether it is the best of its row.
    """

    text: str
    value: float | str | None = None
    link: str | None = None
    best: bool = False

    def render(self) -> str:
        """Write the cell."""
        inner = escape(self.text)
        if self.link is not None:
            target = self.link if self.link.startswith("#") else address(self.link)
            inner = f'<a href="{escape(target)}">{inner}</a>'
        value = "" if self.value is None else f' data-value="{escape(self.value)}"'
        return f"<td{' class=best' if self.best else ''}{value}>{inner}</td>"


def table(
    label: str,
    head: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    sortable: bool = False,
    last: Sequence[Cell] = (),
) -> str:
    """Write a table in a frame that scrolls sideways on narrow screens.

    Args:
        label: What the table is, for those who do not see it.
        head: Headings.
        rows: Cells; the first column sorts as text.
        sortable: Make the headings buttons that sort.
        last: A line below that stays there, such as the means.

    Returns:
        HTML.
    """
    headings = "".join(
        f'<th scope="col"{"" if place else " data-kind=text"}>{escape(title)}</th>' for place, title in enumerate(head)
    )
    lines = "".join(f"<tr>{''.join(cell.render() for cell in row)}</tr>\n" for row in rows)
    foot = f"<tfoot><tr>{''.join(cell.render() for cell in last)}</tr></tfoot>" if last else ""
    return (
        f'<div class="scroll{" tall" if sortable else ""}" tabindex="0" role="region" aria-label="{escape(label)}">'
        f"<table{' data-sortable' if sortable else ''}><thead><tr>{headings}</tr></thead>\n"
        f"<tbody>{lines}</tbody>{foot}</table></div>"
    )
