"""Restore photographs from files to files; one that fails is named and the others go on."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, NamedTuple

import cv2
import numpy as np

from mindrestore.errors import MindRestoreError, first_line, ran_out, shown
from mindrestore.exporting.session import LESS_MEMORY
from mindrestore.files import PathLike
from mindrestore.images.kinds import VIDEO_SUFFIXES
from mindrestore.images.photos import PHOTO_SUFFIXES, Photo, read_photo, write_photo
from mindrestore.images.read import read_rgb
from mindrestore.images.write import write_image
from mindrestore.inference.bar import Bar, showing
from mindrestore.inference.pixels import RestoreError
from mindrestore.inference.planning import (
    Job,
    Plan,
    plan_jobs,
    refuse_replacing,
    require_writable,
    why_not_there,
)
from mindrestore.inference.video import restore_video

PhotoFunction = Callable[[np.ndarray], np.ndarray]

_READ_AHEAD = 1 << 28  # bytes of photographs that wait for others of their size


class RestoredFile(NamedTuple):
    """Name an input, its result, and the wall time from reading the one to having written the other.

    A photograph of a batch has an equal share of the time of the network. A result that was kept has no time.
    """

    source: Path
    target: Path
    seconds: float | None


class RestoreSummary(NamedTuple):
    """What became of the files: written, kept because they were there, one message per failure, and notes.

    Notes say what is not as might be expected though nothing failed: files of a folder that are not read, metadata that
    a format cannot hold. `files` has the inputs of what was written or kept, in the order of the inputs.
    """

    written: tuple[Path, ...]
    kept: tuple[Path, ...]
    failed: tuple[str, ...]
    files: tuple[RestoredFile, ...] = ()
    notes: tuple[str, ...] = ()


def restore_files(
    restorer: PhotoFunction,
    inputs: PathLike | Sequence[PathLike],
    out_dir: PathLike,
    *,
    png: bool = False,
    name_suffix: str = "",
    overwrite: bool = False,
    progress: bool | None = None,
) -> RestoreSummary:
    """Restore a photograph, a video, a folder with its sub-folders, or several of them.

    Results have the name and format of their input; formats other than PNG, JPEG, TIFF, WebP and BMP become
    NAME.SUFFIX.png. Grey files stay grey, 16 bits stay 16, alpha, colour profile and metadata are kept; photographs are
    turned upright. Photographs of one size that follow each other go through the network in batches of
    `restorer.batch`, where it has such a number. Videos (`video.py`) are restored frame by frame.

    Args:
        restorer: A `Restorer`, or any function from an image array to one of the same shape and type.
        inputs: File, folder, or several of them.
        out_dir: Folder for the results; sub-folders of an input folder are kept below it.
        png: Write every result as NAME.png, 8-bit RGB, as the published demo of MPRNet does.
        name_suffix: Text behind the name of every result: `_restoration` makes a_restoration.jpg of a.jpg.
        overwrite: Replace results that are there; otherwise they stay.
        progress: Show a bar; None shows it on a terminal only.

    Returns:
        Paths written and kept, and the messages of the files that failed.

    Raises:
        RestoreError: There is nothing to restore, results would replace their inputs, the folder cannot be written, or
            the suffix cannot be part of a name.
    """
    out = Path(out_dir)
    if "/" in name_suffix or "\0" in name_suffix:
        raise RestoreError(f"{name_suffix!r} cannot be part of a file name; leave out what separates folders")
    sources = [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)
    plans = [plan_jobs(Path(source), out, _png_name if png else _own_name) for source in sources]
    found, problems, notes = ([item for part in plans for item in part[place]] for place in range(3))
    jobs = [(source, target.with_name(f"{target.stem}{name_suffix}{target.suffix}")) for source, target in found]
    plan = Plan(jobs, problems, tuple(notes))
    if png:

        def restore_one(source: Path, target: Path) -> None:
            if source.suffix.lower() in VIDEO_SUFFIXES:
                restore_video(restorer, source, target)
            else:  # floating point in [0, 1], rounded to 8 bits when it is written
                write_image(target, restorer(read_rgb(source)))

        return restore_each(plan, restore_one, out, overwrite=overwrite, progress=progress, restorer=restorer)
    account = _Account(failed=list(plan.problems), notes=list(plan.notes))
    jobs = account.due(plan.jobs, out, overwrite)
    with showing(len(jobs), progress, restorer) as bar:
        for group in _groups(jobs, account, bar, getattr(restorer, "batch", 1)):
            _restore_group(restorer, group, account)
            bar.update(len(group))
            del group  # a large photograph must be gone before the next is read
    return account.summary()


def restore_each(
    plan: Plan | Sequence[Job],
    restore_one: Callable[[Path, Path], None],
    out: Path,
    *,
    overwrite: bool = False,
    progress: bool | None = None,
    restorer: PhotoFunction | None = None,
) -> RestoreSummary:
    """Run one function over files; what fails is noted and the others go on.

    Args:
        plan: File to read and file to write, for every result; and what could not be read.
        restore_one: Reads the first and writes the second.
        out: Folder of all results.
        overwrite: Replace results that are there; otherwise they stay.
        progress: Show a bar; None shows it on a terminal only.
        restorer: What the function restores with; its progress moves the bar inside an image.

    Returns:
        Paths written and kept, and the messages of the files that failed.

    Raises:
        RestoreError: A result would replace its input, or the folder cannot be written.
    """
    plan = plan if isinstance(plan, Plan) else Plan(list(plan), [])
    account = _Account(failed=list(plan.problems), notes=list(plan.notes))
    jobs = account.due(plan.jobs, out, overwrite)
    with showing(len(jobs), progress, restorer) as bar:
        for source, target in jobs:
            start = time.perf_counter()
            done, _ = account.attempt(source, lambda pair=(source, target): restore_one(*pair))
            if done:
                account.note(source, target, time.perf_counter() - start)
            bar.update()
    return account.summary()


class _Read(NamedTuple):
    """A file that waits for the network, and the seconds it took to read; a video has no photograph."""

    source: Path
    target: Path
    photo: Photo | None
    seconds: float


@dataclass
class _Account:
    """Keep what became of the files."""

    written: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    order: list[Job] = field(default_factory=list)
    seconds: dict[Path, float | None] = field(default_factory=dict)  # of a result that is there

    def note(self, source: Path, target: Path, seconds: float) -> None:
        """Note a result that was written."""
        self.written.append(target)
        self.seconds[target] = seconds

    def due(self, jobs: Sequence[Job], out: Path, overwrite: bool) -> list[Job]:
        """Choose the jobs that remain: results that are there stay, and none replaces that of another."""
        refuse_replacing(jobs)
        require_writable(out)
        claimed: dict[Path, Path] = {}
        inputs = {os.path.realpath(source) for source, _ in jobs} if overwrite else set()
        due = []
        for source, target in dict.fromkeys(jobs):  # a file may have been named twice
            if target in claimed:
                rival = claimed[target]
                self.failed.append(f"{source}: its result would replace that of {rival}; restore them separately")
                continue
            claimed[target] = source
            refusal = why_not_there(target, out)
            if os.path.realpath(target) in inputs:
                refusal = f"its result would replace {target}, which is to be restored; choose another folder"
            if refusal:
                self.failed.append(f"{source}: {refusal}")
                continue
            self.order.append((source, target))
            if target.exists() and not overwrite:
                self.kept.append(target)
                self.seconds[target] = None
            else:
                due.append((source, target))
        return due

    def attempt(self, source: Path, work: Callable[[], Any]) -> tuple[bool, Any]:
        """Run a function; note its failure in one line."""
        try:
            return True, work()
        except MindRestoreError as error:
            message = str(error)
            self.failed.append(message if shown(source.name) in message else f"{source}: {message}")
        except (OSError, cv2.error, MemoryError, RuntimeError) as error:
            if ran_out(error):
                self.failed.append(f"{source}: the network could not run ({first_line(error)}); {LESS_MEMORY}")
            elif isinstance(error, RuntimeError):
                self.failed.append(f"{source}: the network could not run ({first_line(error)})")
            else:
                self.failed.append(f"{source}: {first_line(error)}; check the file and the disk")
        return False, None

    def summary(self) -> RestoreSummary:
        there = (RestoredFile(*job, self.seconds[job[1]]) for job in self.order if job[1] in self.seconds)
        failed, notes = (tuple(map(shown, lines)) for lines in (self.failed, self.notes))
        return RestoreSummary(tuple(self.written), tuple(self.kept), failed, tuple(there), notes)


def _groups(jobs: Sequence[Job], account: _Account, bar: Bar, most: int) -> Iterator[list[_Read]]:
    """Read files one after the other and put neighbours of one size together."""
    group: list[_Read] = []
    for source, target in jobs:
        if group and (len(group) == most or _bytes_of(group[-1].photo) * (len(group) + 1) > _READ_AHEAD):
            yield group
            group = []
        start = time.perf_counter()
        if source.suffix.lower() in VIDEO_SUFFIXES:
            done, photo = True, None
        else:
            done, photo = account.attempt(source, lambda path=source: read_photo(path))
        if not done:
            bar.update()
            continue
        took = time.perf_counter() - start
        if group and not _alike(group[0].photo, photo):
            yield group
            group = []
        group.append(_Read(source, target, photo, took))
        del photo
    if group:
        yield group


def _bytes_of(photo: Photo | None) -> int:
    return 0 if photo is None else photo.pixels.nbytes + (0 if photo.alpha is None else photo.alpha.nbytes)


def _alike(one: Photo | None, other: Photo | None) -> bool:
    return one is not None and other is not None and one.pixels.shape == other.pixels.shape


def _restore_group(restorer: PhotoFunction, group: Sequence[_Read], account: _Account) -> None:
    """Restore files together; when that fails, each by itself, so that the message names the right one."""
    together: Sequence[np.ndarray | None] = [None] * len(group)
    began = time.perf_counter()
    if len(group) > 1:
        try:
            together = restorer.restore_batch([read.photo.pixels for read in group])
        except (MindRestoreError, MemoryError, RuntimeError):  # a batch may need more memory than there is
            together = [None] * len(group)
    share = (time.perf_counter() - began) / len(group)
    for read, restored in zip(group, together):
        start = time.perf_counter()
        done, _ = account.attempt(read.source, lambda pair=(read, restored): _restore_one(restorer, account, *pair))
        if done:
            account.note(read.source, read.target, read.seconds + share + time.perf_counter() - start)


def _restore_one(restorer: PhotoFunction, account: _Account, read: _Read, restored: np.ndarray | None) -> None:
    if read.photo is None:
        notes = restore_video(restorer, read.source, read.target)
    else:
        pixels = restorer(read.photo.pixels) if restored is None else restored
        notes = (*read.photo.notes, *write_photo(read.target, replace(read.photo, pixels=pixels)))
    account.notes += [f"{read.source}: {line}" for line in notes]


def _own_name(path: Path) -> str:
    return path.name if path.suffix.lower() in (*PHOTO_SUFFIXES, *VIDEO_SUFFIXES) else f"{path.name}.png"


def _png_name(path: Path) -> str:
    return path.name if path.suffix.lower() in VIDEO_SUFFIXES else f"{path.stem}.png"
