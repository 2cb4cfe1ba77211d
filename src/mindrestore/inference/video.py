"""Restore videos frame by frame, picture only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import cv2
import numpy as np

from mindrestore.files import replacing
from mindrestore.inference.pixels import RestoreError

_CODES = {".mp4": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG", ".webm": "VP80"}
_USUAL_RATE = 25.0  # frames per second, for files that do not say
_READABLE_SHARE = 0.9  # some containers only estimate how many frames they hold


def restore_video(restore: Callable[[np.ndarray], np.ndarray], source: Path, target: Path) -> int:
    """Restore a video frame by frame. Sound, subtitles and metadata are left out: OpenCV does not carry them.

    Args:
        restore: Maps a frame (H, W, 3), uint8 RGB, to one of the same shape and type.
        source: .mp4, .mov, .mkv, .avi or .webm file.
        target: Destination of the same kind; it is complete or absent.

    Returns:
        Number of frames.

    Raises:
        RestoreError: The file is not a video or is damaged, or the result cannot be written.
    """
    capture = cv2.VideoCapture(str(source))
    if not capture.isOpened():
        raise RestoreError(f"{source}: cannot be opened as a video; copy it again, or convert it to MP4")
    expected, rate = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS) or _USUAL_RATE
    with replacing(target) as temporary:
        written = temporary.with_name(f"{temporary.name}{target.suffix.lower()}")  # the suffix chooses the container
        try:
            count = _write(written, rate, (restore(frame) for frame in _frames(capture)))
            if count == 0 or count < _READABLE_SHARE * expected:
                raise RestoreError(f"{source}: damaged, {count} of {expected:.0f} frames can be read; copy it again")
            _check(written, count, target)
            written.replace(temporary)
        finally:
            capture.release()
            written.unlink(missing_ok=True)
    return count


def _frames(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    while True:
        there, frame = capture.read()
        if not there:
            return
        yield np.ascontiguousarray(frame[..., ::-1])  # OpenCV reads BGR


def _write(path: Path, rate: float, frames: Iterator[np.ndarray]) -> int:
    writer, count = None, 0
    try:
        for frame in frames:
            if writer is None:
                code = cv2.VideoWriter_fourcc(*_CODES[path.suffix])
                writer = cv2.VideoWriter(str(path), code, rate, (frame.shape[1], frame.shape[0]))
                if not writer.isOpened():
                    raise RestoreError(f"{path}: OpenCV cannot write such a video; convert the input to MP4")
            writer.write(np.ascontiguousarray(frame[..., ::-1]))
            count += 1
    finally:
        if writer is not None:
            writer.release()
    return count


def _check(path: Path, count: int, target: Path) -> None:
    """Count the frames that reached the disk: the writer does not tell when it is full."""
    again = cv2.VideoCapture(str(path))
    kept = again.get(cv2.CAP_PROP_FRAME_COUNT) if again.isOpened() else 0
    again.release()
    if kept < _READABLE_SHARE * count:
        raise RestoreError(f"{target}: only {kept:.0f} of {count} frames could be written; the disk may be full")
