"""Read and write lists of training pairs: one row per sample, the clear image and the degraded one."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from mindrestore.data.locate import DatasetError
from mindrestore.data.pairing import Pair
from mindrestore.data.texts import ListError, read_lines
from mindrestore.errors import shown
from mindrestore.files import PathLike, write_bytes

_TARGET = "target|gt|ground[ _-]?truth|clean|clear|sharp|reference|hq"
_DEGRADED = "degraded|input|noisy|rainy|hazy|blurry|corrupted|lq"
_THING = "(?:[ _-](?:path|file|name|image)s?)*"


class Row(NamedTuple):
    """Name the two images of one sample, relative to the data root, with forward slashes.

    Attributes:
        target: Clear image.
        degraded: Degraded image; the clear image again when noise is added on the fly.
    """

    target: str
    degraded: str


def read_list(
    path: PathLike, root: PathLike, noise: tuple[int, int] = (0, 55), levels: Sequence[int] = ()
) -> list[Pair]:
    """Read the pairs of a list, and make sure that every image exists.

    Args:
        path: List file, see `read_rows`.
        root: Folder that the paths of the list are relative to.
        noise: Least and greatest standard deviation, in whole grey levels of 255, of the noise that is added on the
            fly to an image that a row names twice.
        levels: Standard deviations to choose from instead of that range.

    Returns:
        One pair per row, in the order of the list. A pair's key is the degraded image's path without suffix.

    Raises:
        DatasetError: If the list cannot be used; the message names the file and the row.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; name the folder that the paths of {path} are relative to")
    if len(noise) != 2 or not 0 <= noise[0] <= noise[1]:
        raise DatasetError(f"noise {tuple(noise)}: use the least and the greatest deviation, such as (0, 55)")
    rows = read_rows(path)
    _require_files(path, root, rows)
    sigmas = tuple(levels) or tuple(range(noise[0], noise[1] + 1))
    return [
        Pair(
            key=PurePosixPath(row.degraded).with_suffix("").as_posix(),
            input=root / row.degraded,
            target=root / row.target,
            noise=sigmas if row.target == row.degraded else None,
        )
        for row in rows.values()
    ]


def read_rows(path: PathLike) -> dict[int, Row]:
    """Read the rows of a list without looking for the images.

    The columns are clear image and degraded image, separated by `|` or by a comma; names that hold a comma stand in
    double quotes. Blanks around the names and blank lines at the end do not count. A first row that names the
    columns (such as `target,degraded` or `clean_path,noisy_path`) is a header and may swap them; every other row is a
    sample.

    Args:
        path: Text file in UTF-8, or in UTF-16 with a byte order mark.

    Returns:
        Line number, from 1 -> row.

    Raises:
        DatasetError: If the file is missing, no text or empty, or a row is blank, has other than two columns, or a path
            that is absolute or leads upwards; the message names the row.
    """
    lines = read_lines(Path(path))
    while lines and not lines[-1].strip():
        lines.pop()
    rows, swapped = {}, False
    for number, line in enumerate(lines, 1):
        columns = _split(line)
        if len(columns) != 2 or not all(columns):
            found = repr(line.strip()) if line.strip() else "a blank line"
            raise ListError(
                f"{path}, row {number}: {found} is not a pair; write the clear and the degraded image "
                "with a comma between them"
            )
        header = _header(columns) if number == 1 else None
        if header:
            swapped = header == "swapped"
            continue
        target, degraded = (_relative(name, f"{path}, row {number}") for name in columns)
        rows[number] = Row(degraded, target) if swapped else Row(target, degraded)
    if not rows:
        raise ListError(f"{path}: the list holds no pair; `mindrestore data list` writes lists")
    return rows


def write_list(path: PathLike, rows: Iterable[Row], *, overwrite: bool = False) -> None:
    """Write a list in one step, in the published form: comma, no header.

    Args:
        path: Destination.
        rows: The samples, in order; equal rows are kept.
        overwrite: Replace a file that exists.

    Raises:
        DatasetError: If the file exists already, there are no rows, or a name could not be read again.
        ImageError: If the file cannot be written.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise DatasetError(f"{path} exists already; choose another file or pass --overwrite")
    lines = [_join(path, row) for row in rows]
    if not lines:
        raise DatasetError(f"{path}: there are no pairs to write; name folders that hold images")
    write_bytes(path, "".join(lines).encode())


def _split(line: str) -> list[str]:
    separator = "|" if "|" in line else ","
    try:
        columns = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:  # such as a byte 0: no columns, so the caller names the row
        return []
    return [name.strip() for name in columns]


def _join(path: Path, row: Row) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    line = text.getvalue()
    try:
        line.encode()
    except UnicodeEncodeError as error:
        raise DatasetError(
            f"{path}: a list is a text in UTF-8, in which {shown(row)} has no place; rename it"
        ) from error
    if line.count("\n") != 1 or _split(line.rstrip("\n")) != [_relative(name, str(path)) for name in row]:
        raise DatasetError(f"{path}: a list cannot hold the names {tuple(row)}; rename the images")
    return line


def _header(columns: list[str]) -> str | None:
    """Return whether two columns name themselves, "straight" or "swapped"."""
    for first, second, order in ((_TARGET, _DEGRADED, "straight"), (_DEGRADED, _TARGET, "swapped")):
        patterns = (f"(?:{words}){_THING}" for words in (first, second))
        if all(re.fullmatch(pattern, name, re.IGNORECASE) for pattern, name in zip(patterns, columns)):
            return order
    return None


def _relative(name: str, place: str) -> str:
    path = PureWindowsPath(name)  # understands both slashes and drive letters
    if path.anchor or ".." in path.parts:
        raise ListError(f"{place}: {name} leads out of the data folder; use a path relative to it, without ..")
    return path.as_posix()


def _require_files(path: PathLike, root: Path, rows: dict[int, Row]) -> None:
    known: dict[str, bool] = {}  # rows repeat images, and asking a network drive takes long
    missing = []
    for number, row in rows.items():
        for name in row:
            if name not in known:
                known[name] = (root / name).is_file()
            if not known[name]:
                missing.append((number, name))
    if missing:
        number, name = missing[0]
        count = len({number for number, _ in missing})
        others = f" ({count} rows miss an image)" if count > 1 else ""
        header = ", or write a header as `target,degraded`" if number == 1 else ""
        raise ListError(
            f"{path}, row {number}: no image {root / name}{others}; correct the row or the data folder{header}"
        )
