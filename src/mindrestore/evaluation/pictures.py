"""Draw what was measured: panels side by side, and small copies and error maps for pages."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from mindrestore.evaluation.report import caption
from mindrestore.evaluation.results import Measurement
from mindrestore.files import PathLike, write_bytes
from mindrestore.images.write import write_image

COPY_SIDE = 1600  # longest side of a copy on a page, in pixels
COPY_QUALITY = 92  # of JPEG, with full colour resolution
ERROR_TOP = 0.2  # mean absolute difference at which the colours of an error map end, of 1
PARTS = "parts"  # folder of the copies, beside the drawn pictures
LAYERS = ("input", "restored", "target", "error")  # copies of one image, as NAME.jpg

_SHEET = 360  # longest side of a picture on a sheet, in pixels
_PANEL = 640  # longest side of a picture panel in pixels: larger images are averaged down, captions stay readable
_LINE = 16  # height of a text line in a picture, in pixels


class Gallery:
    """Write the pictures of an evaluation, one image after the other; only that one is held.

    Every image gets the folder `parts/NAME` with JPEG copies of input, restored image and target and its error map,
    for pages; the first ones get a drawing `NAME.png`, input | restored | target, too.

    Args:
        folder: Folder to write to.
        drawings: Number of drawings; None draws all.
    """

    def __init__(self, folder: PathLike, drawings: int | None = None) -> None:
        self.folder = Path(folder)
        self.drawings = drawings
        self._taken: set[str] = set()

    def add(self, row: Measurement, images: Sequence[np.ndarray], protocol: str, suffix: str) -> Measurement:
        """Write the pictures of one image.

        Args:
            row: Its scores.
            images: Input, restored image and target, each (H, W, 3), float RGB in [0,1].
            protocol: Name of the protocol, for the title of the drawing.
            suffix: Suffix of the image's file, which the names of pictures leave out.

        Returns:
            The row, with the name of its pictures.

        Raises:
            ImageError: The folder or the disk does not allow it.
        """
        draws = self.drawings is None or len(self._taken) < self.drawings
        name = self._free_name(row.name.removesuffix(suffix).replace("/", "_"))
        if draws:
            captions = (caption("input", row.input), caption("restored", row.restored), "target")
            title = f"{row.name} (protocol {protocol})"
            side_by_side(self.folder / f"{name}.png", list(zip(captions, images)), title)
        _, restored, target = images
        for layer, image in zip(LAYERS, (*images, error_map(restored, target))):
            write_copy(self.folder / PARTS / name / f"{layer}.jpg", image)
        return replace(row, picture=name)

    def _free_name(self, stem: str) -> str:
        """Keep pictures of a.png and a.jpg, or of one name in two folders, apart."""
        name, number = stem, 1
        while name.lower() in self._taken:
            number += 1
            name = f"{stem}_{number}"
        self._taken.add(name.lower())
        return name


def error_map(restored: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Colour every pixel by the mean absolute difference of its channels: dark is none, light is `ERROR_TOP` or more.

    Args:
        restored: Image (H, W, 3), float RGB in [0,1]; what is not finite counts as wrong as can be.
        target: Clean image of the same shape.

    Returns:
        Image (H, W, 3), uint8 RGB, larger images averaged down to `COPY_SIDE` before they are coloured.
    """
    error = np.abs(np.clip(restored, 0, 1) - target).mean(axis=2)  # (H, W)
    error = _averaged(np.nan_to_num(error, nan=1.0).astype(np.float32), COPY_SIDE)
    return error_colours()[np.rint(np.clip(error / ERROR_TOP, 0, 1) * 255).astype(np.uint8)]


def error_colours() -> np.ndarray:
    """Return the 256 colours of error maps, (256, 3), uint8 RGB, from no error to `ERROR_TOP`."""
    return cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_INFERNO)[:, 0, ::-1]


def copy_size(height: int, width: int) -> tuple[int, int]:
    """Return height and width of an image's copy."""
    return _fitting((height, width), COPY_SIDE)


def write_copy(path: PathLike, image: np.ndarray) -> None:
    """Write a copy for a page: JPEG, the longest side at most `COPY_SIDE`.

    Args:
        path: File to write.
        image: Image (H, W, 3) RGB: uint8, uint16, or floating point in [0,1].

    Raises:
        ImageError: The folder or the disk does not allow it.
    """
    buffer = io.BytesIO()
    pixels = _to_bytes(_averaged(image, COPY_SIDE))
    Image.fromarray(pixels).save(buffer, "JPEG", quality=COPY_QUALITY, subsampling=0)
    write_bytes(path, buffer.getvalue())


def side_by_side(path: PathLike, panels: Sequence[tuple[str, np.ndarray]], title: str = "") -> None:
    """Draw images next to each other with a caption above each.

    Args:
        path: PNG file to write.
        panels: Caption and image (H, W, 3), float RGB in [0,1], of one size.
        title: Line above all of them.

    Raises:
        ImageError: The folder or the disk does not allow it.
    """
    font = ImageFont.load_default()
    pictures = [_shrink(image) for _, image in panels]
    widths = [max(picture.shape[1], _text_width(font, label)) for picture, (label, _) in zip(pictures, panels)]
    gap, top = 8, (2 if title else 1) * _LINE
    width = max(sum(widths) + gap * (len(panels) - 1), _text_width(font, title))
    canvas = Image.new("RGB", (width, top + max(picture.shape[0] for picture in pictures)), "white")
    draw = ImageDraw.Draw(canvas)
    if title:
        draw.text((2, 1), _drawable(title), fill="black", font=font)
    left = 0
    for (label, _), picture, room in zip(panels, pictures, widths):
        draw.text((left + 2, top - _LINE + 1), _drawable(label), fill="black", font=font)
        canvas.paste(Image.fromarray(picture), (left, top))
        left += room + gap
    write_image(path, np.asarray(canvas))


def write_sheet(path: PathLike, rows: Sequence[tuple[str, Sequence[tuple[str, PathLike]]]]) -> None:
    """Draw a sheet of small pictures, a line per image, as JPEG.

    Args:
        path: File to write.
        rows: Text above the line, and label and file of every picture in it.

    Raises:
        WriteError: The folder or the disk does not allow it.
    """
    font, gap = ImageFont.load_default(), 8
    lines = []
    for title, entries in rows:
        with contextlib.ExitStack() as files:
            opened = [files.enter_context(Image.open(source)) for _, source in entries]
            pictures = [ImageOps.contain(picture.convert("RGB"), (_SHEET, _SHEET)) for picture in opened]
        lines.append((title, [label for label, _ in entries], pictures))
    width = gap + max((_SHEET + gap) * len(pictures) for _, _, pictures in lines)
    heights = [2 * _LINE + max(picture.height for picture in pictures) + gap for _, _, pictures in lines]
    canvas, top = Image.new("RGB", (width, gap + sum(heights)), "white"), gap
    draw = ImageDraw.Draw(canvas)
    for (title, labels, pictures), height in zip(lines, heights):
        draw.text((gap, top), _drawable(title), fill="black", font=font)
        for place, (label, picture) in enumerate(zip(labels, pictures)):
            left = gap + place * (_SHEET + gap)
            draw.text((left, top + _LINE), _drawable(label), fill="black", font=font)
            canvas.paste(picture, (left, top + 2 * _LINE))
        top += height
    buffer = io.BytesIO()
    canvas.save(buffer, "JPEG", quality=COPY_QUALITY, subsampling=0)
    write_bytes(path, buffer.getvalue())


def _drawable(text: str) -> str:
    """Replace what Pillow's own font lacks."""
    return text.replace("→", "->").encode("latin-1", "replace").decode("latin-1")


def _shrink(image: np.ndarray) -> np.ndarray:
    return _averaged(_to_bytes(image), _PANEL)


def _to_bytes(image: np.ndarray) -> np.ndarray:
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        return np.rint(image / 257.0).astype(np.uint8)
    return np.rint(np.clip(np.nan_to_num(image), 0, 1) * 255).astype(np.uint8)


def _averaged(image: np.ndarray, side: int) -> np.ndarray:
    """Average an image down until no side is longer than this."""
    height, width = _fitting(image.shape[:2], side)
    if (height, width) == image.shape[:2]:
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _fitting(size: tuple[int, int], side: int) -> tuple[int, int]:
    factor = side / max(size)
    return size if factor >= 1 else (max(1, round(size[0] * factor)), max(1, round(size[1] * factor)))


def _text_width(font: Any, text: str) -> int:
    return int(font.getlength(text)) + 4
