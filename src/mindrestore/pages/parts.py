"""Parts that reports and comparisons share: pictures with their slider, choices for all, the scale of error maps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mindrestore.evaluation.pictures import COPY_QUALITY, COPY_SIDE, ERROR_TOP, error_colours
from mindrestore.pages.html import Choice, escape, slider

KEYS = "Drag, or use the arrow keys on the divider; + and - zoom, Shift + arrow keys move a zoomed picture, 0 resets."
COPIES = f"The pictures are JPEG copies: quality {COPY_QUALITY}, longest side at most {COPY_SIDE} pixels."
MEASURED = "Scores were measured on the images themselves."


def picture(name: str, title: str, notes: Sequence[str], choice: Choice, size: tuple[int, int]) -> str:
    """Write the section of one image: title, lines of text that are HTML already, and the slider.

    Args:
        name: Id of the section, to link to; the slider has the same with `-slider` behind it.
        title: Plain text.
        notes: Lines of HTML.
        choice: Pictures to compare; the slider is left out when there are fewer than two.
        size: Width and height of the pictures in pixels.

    Returns:
        HTML.
    """
    lines = "".join(f'<p class="soft">{note}</p>' for note in notes if note)
    body = slider(f"{name}-slider", choice, size) if len(choice.layers) > 1 else '<p class="soft">no pictures</p>'
    return (
        f'<section class="card picture" id="{escape(name)}" aria-label="{escape(title)}"><h3>{escape(title)}</h3>'
        f"{lines}{body}</section>\n"
    )


def choices_for_all(choice: Choice) -> str:
    """Write two selects that choose what every slider of the page shows; nothing for fewer than three layers."""
    if len(choice.layers) < 3:
        return ""
    selects = "".join(
        f'<label>{title} <select data-every-side="{side}">{choice.options(side)}</select></label>'
        for side, title in enumerate(("Left of every divider", "Right"))
    )
    return f'<div class="choices">{selects}</div>'


def error_scale() -> str:
    """Print the colours of error maps with their numbers."""
    steps = ", ".join("#{:02x}{:02x}{:02x}".format(*colour) for colour in error_colours()[::17])
    return (
        '<p class="scale">Error map, mean absolute difference of the channels: 0 '
        f'<span role="img" aria-label="colours from dark to light" style="background:linear-gradient(90deg,{steps})">'
        f"</span> {ERROR_TOP * 255:.0f} or more of 255</p>"
    )


def not_measured(entries: Iterable[tuple[str, str]]) -> str:
    """List what was left out, with the reasons; nothing where nothing was."""
    lines = "".join(f"<li>{escape(name)}: {escape(reason)}</li>" for name, reason in entries)
    return f'<div class="warning"><strong>Left out</strong><ul>{lines}</ul></div>' if lines else ""


def navigation(sections: Mapping[str, str]) -> str:
    """Write links to the sections of a page: id -> title."""
    links = "".join(f'<a href="#{name}">{escape(title)}</a>' for name, title in sections.items())
    return f'<nav aria-label="Sections">{links}</nav>'


def headed(name: str, title: str, body: str) -> str:
    """Write a section with its heading; nothing where the body is empty."""
    return f'<h2 id="{name}">{escape(title)}</h2>\n{body}\n' if body else ""
