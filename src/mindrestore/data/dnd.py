"""Read the Darmstadt Noise Dataset, and write results in the form that its server scores.

DND publishes no clear images: 50 noisy photographs, and 20 boxes in each whose restored content is sent in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np

from mindrestore.data.catalog import CATALOG, DatasetError
from mindrestore.data.images import PathLike
from mindrestore.data.locate import locate
from mindrestore.data.matlab import MatlabError, read_variables, write_variables

PHOTOGRAPHS, BOXES = 50, 20

Restore = Callable[[np.ndarray], np.ndarray]


class Box(NamedTuple):
    """Name the part of an image from `top` to before `bottom` and from `left` to before `right`, counted from 0."""

    top: int
    left: int
    bottom: int
    right: int


def find_dnd(root: PathLike) -> Path | None:
    """Give the folder that holds `info.mat` and `images_srgb`: the root, or `DND` below it; None when there is none.

    Example:
        >>> find_dnd("data")
        PosixPath('data/DND')
    """
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

    Example:
        >>> read_boxes("DND")[0][0]
        Box(top=812, left=1140, bottom=1324, right=1652)
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
        Array (H, W, 3) float32 in [0, 1].

    Raises:
        MatlabError: If the file cannot be read or does not hold such an array.

    Example:
        >>> noisy = read_photograph("DND", 1)
    """
    path = Path(root) / "images_srgb" / f"{number:04d}.mat"
    values = read_variables(path).get("InoisySRGB")
    if values is None:
        raise MatlabError(f"{path}: holds no InoisySRGB; download the photograph again")
    if values.ndim != 3 or values.shape[2] != 3 or not np.issubdtype(values.dtype, np.floating):
        raise MatlabError(f"{path}: InoisySRGB is {values.shape} {values.dtype}, expected (height, width, 3) single")
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise MatlabError(f"{path}: InoisySRGB has values outside of 0 to 1; download the photograph again")
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

    Example:
        >>> noisy = cut_boxes(read_photograph("DND", 1), read_boxes("DND")[0], "0001.mat")
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

    Example:
        >>> write_result("results/0001.mat", crops)
    """
    cells = np.empty((1, len(crops)), object)
    for place, crop in enumerate(crops):
        cells[0, place] = np.asarray(crop, np.float32)
    write_variables(path, {"Idenoised": cells, "israw": False, "eval_version": "1.0"})


def restore_dnd(restore: Restore, root: PathLike, out: PathLike) -> Iterator[Path]:
    """Restore the boxes of all photographs and write one result file for each.

    Args:
        restore: Maps an image (H, W, 3), float32 RGB in [0, 1], to the restored one of the same shape.
        root: Folder that `find_dnd` accepts.
        out: Folder for `0001.mat` and so on.

    Yields:
        Path of each result. Values are limited to [0, 1], as the official program does.

    Raises:
        DatasetError: If the data set is not there.
        MatlabError: If a file of it cannot be used.
        ImageError: If a result cannot be written.

    Example:
        >>> restorer = Restorer("mprnet_denoising", weights="denoising.ckpt")
        >>> for path in restore_dnd(restorer.restore_float, "DND", "results"):
        ...     print(path)
    """
    base = find_dnd(root)
    if base is None:
        raise DatasetError(f"{root}: no info.mat beside a folder images_srgb; give the folder of DND")
    for number, boxes in enumerate(read_boxes(base), 1):
        image = read_photograph(base, number)
        crops = cut_boxes(image, boxes, base / "images_srgb" / f"{number:04d}.mat")
        path = Path(out) / f"{number:04d}.mat"
        write_result(path, [np.clip(restore(np.ascontiguousarray(crop)), 0, 1) for crop in crops])
        yield path
