"""Videos with OpenCV, where PyAV is not installed: pictures only, evenly spaced."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import cv2
import numpy as np

from mindrestore.inference.pixels import RestoreError

_CODES = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG", ".webm": "VP80"}
_USUAL_RATE = 25.0  # frames per second, for files that do not say
_READABLE_SHARE = 0.9  # some containers only estimate how many frames they hold
_LOST = (
    "PyAV is not installed, so sound, subtitles and the proportions of pixels are left out and frames evenly spaced; "
    "pip install 'mindrestore[video]' keeps them"
)


def convert(restore: Callable[[np.ndarray], np.ndarray], source: Path, target: Path) -> tuple[str, ...]:
    """Restore a video into a new file, as `video.restore_video` does."""
    capture = cv2.VideoCapture(str(source))
    try:
        if not capture.isOpened():
            raise RestoreError(f"{source}: cannot be opened as a video; copy it again, or convert it to MP4")
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        expected, rate = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS) or _USUAL_RATE
        count, size = _write(target, rate, (restore(frame) for frame in _frames(capture)))
    finally:
        capture.release()
    if count == 0 or count < _READABLE_SHARE * expected:
        raise RestoreError(f"{source}: damaged, {count} of {expected:.0f} frames can be read; copy it again")
    kept, kept_size = _look(target)
    if kept < _READABLE_SHARE * count:
        raise RestoreError(f"{target}: only {kept:.0f} of {count} frames could be written; the disk may be full")
    if kept_size == size:
        return (_LOST,)
    cut = f"its odd size {size[0]}x{size[1]} became {kept_size[0]}x{kept_size[1]}, which PyAV would keep, too"
    return _LOST, cut


def _frames(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    while True:
        there, frame = capture.read()
        if not there:
            return
        yield np.ascontiguousarray(frame[..., ::-1])  # OpenCV reads BGR


def _write(path: Path, rate: float, frames: Iterator[np.ndarray]) -> tuple[int, tuple[int, int]]:
    """Write frames; return how many there were, and their width and height."""
    writer, count, size = None, 0, (0, 0)
    try:
        for frame in frames:
            if writer is None:
                code, size = cv2.VideoWriter_fourcc(*_CODES[path.suffix]), (frame.shape[1], frame.shape[0])
                writer = cv2.VideoWriter(str(path), code, rate, size)
                if not writer.isOpened():
                    raise RestoreError(f"{path}: OpenCV cannot write such a video; convert the input to MP4")
            writer.write(np.ascontiguousarray(frame[..., ::-1]))
            count += 1
    finally:
        if writer is not None:
            writer.release()
    return count, size


def _look(path: Path) -> tuple[float, tuple[int, int]]:
    """Count the frames that reached the disk, and their size: the writer does not tell when it is full, or crops."""
    again = cv2.VideoCapture(str(path))
    there, frame = again.read()
    kept = again.get(cv2.CAP_PROP_FRAME_COUNT) if there else 0
    again.release()
    return kept, (frame.shape[1], frame.shape[0]) if there else (0, 0)
