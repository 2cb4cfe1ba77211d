"""One picture of what stands out on a page, to look at and to save."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from mindrestore.evaluation.pictures import write_sheet
from mindrestore.pages.render import Picture

SHEET = "sheet.jpg"
ROWS = 6  # of a sheet: the three worst images and the three best


def worst_and_best(scores: Sequence[float], falling: bool) -> tuple[list[int], list[int], list[int]]:
    """Divide images by their score.

    Args:
        scores: One per image; images whose score is undefined stand out on neither side.
        falling: Whether less is better.

    Returns:
        Places of the worst, the worst first; of the best, the best first; and of all others in their order. Up to three
        on each side, and none where there are fewer than two images.
    """
    known = [place for place, score in enumerate(scores) if not math.isnan(score)]
    ranked = sorted(known, key=lambda place: scores[place], reverse=falling)  # the worst first
    count = min(ROWS // 2, len(ranked) // 2)
    worst, best = ranked[:count], ranked[::-1][:count]
    return worst, best, [place for place in range(len(scores)) if place not in (*worst, *best)]


def draw_sheet(folder: Path, pictures: Sequence[Picture], name: str = SHEET) -> str:
    """Draw a line per image with all of its pictures, into a file beside the page.

    Args:
        folder: Folder of the page.
        pictures: At most `ROWS` of them are drawn; those without layers are left out.
        name: File name.

    Returns:
        The file name; empty when there is nothing to draw.
    """
    shown = [picture for picture in pictures if picture.layers][:ROWS]
    titles = ["  ".join(map(str, (picture.title, *picture.notes[:1]))) for picture in shown]
    rows = [(title, [(str(e.label), folder / e.path) for e in picture.layers]) for title, picture in zip(titles, shown)]
    if not rows:
        return ""
    write_sheet(folder / name, rows)
    return name
