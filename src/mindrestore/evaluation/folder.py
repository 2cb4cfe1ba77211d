"""A report's folder belongs to one evaluation: a new report replaces the former one wholly, once it is complete."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mindrestore.evaluation.pictures import PARTS
from mindrestore.files import PathLike, WriteError, read_json

PICTURES = "pictures"
_SCORES = ("scores.csv", "scores.json", "summary.txt", "summary.csv", "summary.json", "index.html")
_PUBLISHED = re.compile(r"-?[0-9]+\.[0-9]{2}_-?[0-9]\.[0-9]{4}\.csv")  # of `write_published`


@contextmanager
def replacing_report(folder: PathLike) -> Iterator[Path]:
    """Return a folder to write a report to; when the block ends without an error, its files take the former's place.

    What an evaluation has written there before is removed, and nothing else; a failure leaves it as it was.

    Args:
        folder: Folder of the report. Missing folders are made.

    Yields:
        Empty folder inside it.

    Raises:
        WriteError: The folder or the disk does not allow it.
    """
    folder = Path(folder)
    made = not folder.exists()
    new = folder / f".new.{os.getpid()}.tmp"
    with _writing(folder):
        new.mkdir(parents=True)
    try:
        yield new
        with _writing(folder):
            remove_report(folder)
            _move(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        if made and not any(folder.iterdir()):
            folder.rmdir()


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        raise WriteError(f"{where}: cannot be written ({error.strerror}); use another folder with --out") from error


def remove_report(folder: PathLike) -> None:
    """Remove what an earlier evaluation left in a folder: scores, page, pictures, and those of its sets.

    Args:
        folder: Any folder; what no evaluation has written stays.
    """
    folder = Path(folder)
    for name in _listed(folder / "summary.json", "sets", "set"):
        place = folder / name
        if (place / "scores.json").is_file():
            _remove_set(place)
            if not any(place.iterdir()):
                place.rmdir()
    _remove_set(folder)


def _remove_set(folder: Path) -> None:
    pictures = folder / PICTURES
    for name in _listed(folder / "scores.json", "images", "picture"):
        (pictures / f"{name}.png").unlink(missing_ok=True)
        shutil.rmtree(pictures / PARTS / name, ignore_errors=True)
    for place in (pictures / PARTS, pictures):
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()
    _remove_files(folder)


def _listed(path: Path, rows: str, column: str) -> list[str]:
    """Return the names of files or folders that a report lists; none from a file that is absent or damaged."""
    try:
        names = [row.get(column) for row in read_json(path)[rows]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return [name for name in names if isinstance(name, str) and Path(name).name == name]


def _remove_files(folder: Path) -> None:
    """Remove scores and page, where both say that they are an evaluation's."""
    found = [path for path in folder.iterdir() if path.name in _SCORES or _PUBLISHED.fullmatch(path.name)]
    if any(path.name in ("scores.json", "summary.json") for path in found):
        for path in found:
            path.unlink()


def _move(source: Path, target: Path) -> None:
    """Move what is in a folder into another one, which may hold other things."""
    for path in source.iterdir():
        if path.is_dir() and (target / path.name).is_dir():
            _move(path, target / path.name)
        else:
            os.replace(path, target / path.name)
