"""Decide which files are restored and where the results go."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Callable, NamedTuple

from mindrestore.files import PathLike, natural_key
from mindrestore.images.kinds import VIDEO_SUFFIXES, foreign, left_out, readable_suffixes
from mindrestore.images.read import list_images
from mindrestore.inference.pixels import RestoreError

REPORT_MARKER = ".mindrestore-report"  # a folder that holds this file holds copies, no photographs


_LONGEST_NAME = 255  # bytes

Job = tuple[Path, Path]  # a file to read, a file to write


class Plan(NamedTuple):
    """What to read and to write; what cannot be read, such as links in a circle; and what is worth knowing."""

    jobs: list[Job]
    problems: list[str]
    notes: tuple[str, ...] = ()


def plan_jobs(source: Path, out: Path, result_name: Callable[[Path], str]) -> Plan:
    """List what to read and what to write for a photograph, a video, or a folder of them.

    Args:
        source: File, or folder with sub-folders, those behind links too; reports among them are left out.
        out: Folder for the results; what lies in it already is not a photograph.
        result_name: Gives the name of a result, which stays in the sub-folder of its photograph.

    Returns:
        File to read and file to write, for every photograph, and what cannot be read.

    Raises:
        RestoreError: There is no photograph, or the results would replace them.
    """
    if source.is_file():
        return Plan([(source, out / result_name(source))], [])
    if not source.is_dir():
        if source.is_symlink() and not source.exists():
            raise RestoreError(f"{source}: {_BROKEN_LINK}")
        there = "neither a file nor a folder" if source.exists() else "no such file or folder"
        raise RestoreError(f"{source}: {there}; check the path")
    if os.path.realpath(out) == os.path.realpath(source):
        raise RestoreError(f"{source}: the results would replace the photographs; choose another folder for them")
    # results of an earlier run are not photographs to restore again
    found, problems, unread, former = _find(source, os.path.realpath(out))
    notes = (*(f"{place}: {_FORMER}" for place in former), *([f"{source}: {left_out(unread)}"] if unread else []))
    if not found and not problems:
        raise RestoreError("; ".join(notes) or f"{source}: no image in this folder or below it; check the path")
    jobs = [(path, out / path.relative_to(source).parent / result_name(path)) for path in found]
    return Plan(jobs, problems, notes)


def matching_photos(folder: PathLike, patterns: Sequence[str]) -> list[Path]:
    """List the images of a folder whose names match, without its sub-folders, in natural order.

    Args:
        folder: Folder of photographs.
        patterns: Patterns of names such as "*.png"; capitals count.

    Returns:
        Paths, at least one.

    Raises:
        RestoreError: The folder is missing or holds no such file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RestoreError(f"{folder}: no such folder; check the path of the photographs")
    photos = [path for path in list_images(folder) if any(fnmatchcase(path.name, pattern) for pattern in patterns)]
    if not photos:
        raise RestoreError(f"{folder}: no image here ({', '.join(patterns)}; sub-folders are left out); check the path")
    return photos


def refuse_replacing(jobs: Iterable[Job]) -> None:
    """Refuse results that would replace their own photographs.

    Raises:
        RestoreError: One of them would.
    """
    for source, target in jobs:
        if os.path.realpath(source) == os.path.realpath(target):
            raise RestoreError(f"{source}: the result would replace the photograph; choose another folder for results")


def why_not_there(target: Path, out: Path) -> str | None:
    """Return why a result cannot be written to a place below the folder of results, or None.

    Args:
        target: The place.
        out: Folder of results; that it is a link itself is the user's choice.
    """
    inside = [folder for folder in target.parents if out in folder.parents]
    link = next((folder for folder in reversed(inside) if folder.is_symlink()), None)
    if link:
        return (
            f"{link} is a link to another folder, where no results are written; remove the link or choose another "
            "folder for results"
        )
    if len(os.fsencode(target.name)) > _LONGEST_NAME:
        return f"its result would be called {target.name}, longer than {_LONGEST_NAME} bytes; shorten the name"
    if target.is_dir():
        return f"{target} is a folder, where its result belongs; remove it or choose another folder for results"
    return None


def require_writable(folder: Path) -> None:
    """Make a folder for results, and refuse one that cannot be written.

    Raises:
        RestoreError: It cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        there = next(place for place in (folder, *folder.parents) if os.path.lexists(place) or place == Path())
        fix = "choose another folder or change its permissions"
        if not os.path.isdir(there):
            fix = f"{there} is {_BROKEN_LINK if there.is_symlink() else 'not a folder; choose another name'}"
        raise RestoreError(f"{folder}: results cannot be written there ({error.strerror}); {fix}") from error


_BROKEN_LINK = "a link that leads nowhere, or in a circle; remove it or create it again"
_FORMER = "results of another run, left out; name this folder to restore them again"
_NO_FILE = "neither a file nor a folder; it was left out"


def _find(folder: Path, results: str) -> tuple[list[Path], list[str], Counter[str], list[Path]]:
    """Return what can be read, what went wrong on the way, suffixes of what is not read, and results of other runs."""
    found, problems, former, seen = [], [], [], {results, os.path.realpath(folder)}
    unread: Counter[str] = Counter()
    known = (*readable_suffixes(), ".gif", *VIDEO_SUFFIXES)

    def look(place: Path) -> None:
        try:
            names = sorted(os.listdir(place), key=natural_key)
        except OSError as error:
            problems.append(f"{place}: the folder cannot be read ({error.strerror}); change its permissions")
            return
        if REPORT_MARKER in names and place != folder:
            return
        for path in (place / name for name in names if not name.startswith(".")):
            if path.is_dir():
                real = os.path.realpath(path)
                if real not in seen:
                    seen.add(real)
                    if os.path.isfile(path / "report" / REPORT_MARKER):
                        former.append(path)
                    else:
                        look(path)
                elif real != results and path.is_symlink():
                    problems.append(f"{path}: a link to a folder that is restored already; it was left out")
            elif not path.is_file():
                if path.is_symlink() or path.suffix.lower() in known:
                    problems.append(f"{path}: {_BROKEN_LINK if path.is_symlink() else _NO_FILE}")
            elif path.suffix.lower() in known:
                found.append(path)
            elif foreign(path.suffix):
                unread[path.suffix.lower()] += 1

    look(folder)
    return sorted(found, key=lambda path: natural_key(str(path))), problems, unread, former
