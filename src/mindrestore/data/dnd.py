"""Read the Darmstadt Noise Dataset, and write results in the form that its server scores.

DND publishes no clear images: 50 noisy photographs, and 20 boxes in each whose restored content is sent in.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mindrestore.data.layouts import CATALOG
from mindrestore.data.locate import locate
from mindrestore.files import PathLike
from mindrestore.images.matlab import MatlabError, read_variables, write_variables

PHOTOGRAPHS, BOXES = 50, 20

_SLACK = 0.5  # noise may reach beyond [0, 1]; an image in [0, 255] or with NaN is another file


class Box(NamedTuple):
    """Name the part of an image from `top` to before `bottom` and from `left` to before `right`, counted from 0."""

    top: int
    left: int
    bottom: int
    right: int


def find_dnd(root: PathLike) -> Path | None:
    """Return the folder that holds `info.mat` and `images_srgb`: the root or `DND` below it, else None."""
    place = locate(CATALOG["dnd"], Path(root), "test")
    return place and place.targets.parent


def read_boxes(root: PathLike) -> list[list[Box]]:
    """Read the boxes of all photographs.

    Args:
        root: Folder that holds `info.mat`.

    Returns:
        One list of boxes per photograph, in its order.

    Raises:
        MatlabError: If the file cannot be read or does not hold boxes.
    """
    path = Path(root) / "info.mat"
    info = read_variables(path).get("info")
    if not isinstance(info, dict) or "boundingboxes" not in info:
        raise MatlabError(f"{path}: holds no info.boundingboxes; download DND's info.mat again")
    found = []
    for number, cell in enumerate(np.ravel(info["boundingboxes"]), 1):
        corners = np.asarray(cell)
        if corners.ndim != 2 or corners.shape[1] != 4:
            raise MatlabError(f"{path}: the boxes of photograph {number} have shape {corners.shape}, expected (20, 4)")
        # From 1 and including the last row and column, as MATLAB counts.
        found.append([Box(int(t) - 1, int(l) - 1, int(b), int(r)) for t, l, b, r in corners])  # noqa: E741
    return found


def read_photograph(root: PathLike, number: int) -> np.ndarray:
    """Read one noisy photograph.

    Args:
        root: Folder that holds `images_srgb`.
        number: From 1.

    Returns:
        Array (H, W, 3) float32, about [0, 1].

    Raises:
        MatlabError: If the file cannot be read or does not hold such an array.
    """
    path = Path(root) / "images_srgb" / f"{number:04d}.mat"
    values = read_variables(path).get("InoisySRGB")
    if values is None:
        raise MatlabError(f"{path}: holds no InoisySRGB; download the photograph again")
    if values.ndim != 3 or values.shape[2] != 3 or not np.issubdtype(values.dtype, np.floating):
        raise MatlabError(f"{path}: InoisySRGB is {values.shape} {values.dtype}, expected (height, width, 3) single")
    if not (values.min() > -_SLACK and values.max() < 1 + _SLACK):
        raise MatlabError(
            f"{path}: InoisySRGB reaches from {values.min():g} to {values.max():g}, expected 0 to 1; download it again"
        )
    return np.ascontiguousarray(values, np.float32)


def cut_boxes(image: np.ndarray, boxes: Sequence[Box], path: PathLike) -> list[np.ndarray]:
    """Cut the boxes out of an image.

    Args:
        image: Array (H, W, 3).
        boxes: What to cut out.
        path: File of the image, for the message.

    Returns:
        Arrays (h, w, 3).

    Raises:
        MatlabError: If a box reaches beyond the image.
    """
    height, width = image.shape[:2]
    for box in boxes:
        if not (0 <= box.top < box.bottom <= height and 0 <= box.left < box.right <= width):
            raise MatlabError(f"{path}: is {width}x{height}, but {box} reaches beyond it; info.mat belongs elsewhere")
    return [image[box.top : box.bottom, box.left : box.right] for box in boxes]


def write_result(path: PathLike, crops: Sequence[np.ndarray]) -> None:
    """Write the restored boxes of one photograph as the server wants them.

    Args:
        path: Destination, `0001.mat` for the first photograph.
        crops: Restored boxes (h, w, 3) in [0, 1], in the order of `info.mat`.

    Raises:
        ImageError: If the file cannot be written.
    """
    cells = np.empty((1, len(crops)), object)
    for place, crop in enumerate(crops):
        cells[0, place] = np.asarray(crop, np.float32)
    write_variables(path, {"Idenoised": cells, "israw": False, "eval_version": "1.0"})
