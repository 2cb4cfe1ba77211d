"""Restore videos frame by frame: with PyAV upright, in their proportions and times and with sound; else with OpenCV."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Callable

import numpy as np

from mindrestore.files import replacing
from mindrestore.inference.pixels import RestoreError

FrameFunction = Callable[[np.ndarray], np.ndarray]


def restore_video(restore: FrameFunction, source: Path, target: Path) -> tuple[str, ...]:
    """Restore a video frame by frame.

    Args:
        restore: Maps a frame (H, W, 3), uint8 RGB, upright, to one of the same shape and type.
        source: File of `images.kinds.VIDEO_SUFFIXES`.
        target: Destination of the same kind; it is complete or absent.

    Returns:
        What is not as in the source, one line each.

    Raises:
        RestoreError: The file is not a video or damaged, or the result cannot be written.
    """
    if find_spec("av"):
        from mindrestore.inference.video_av import convert
    else:
        from mindrestore.inference.video_opencv import convert
    with replacing(target) as temporary:
        written = temporary.with_name(f"{temporary.name}{target.suffix.lower()}")  # the suffix chooses the container
        try:
            notes = convert(restore, source, written)
            written.replace(temporary)
        except RestoreError as error:
            raise RestoreError(str(error).replace(str(written), str(target))) from error
        finally:
            written.unlink(missing_ok=True)
    return notes
