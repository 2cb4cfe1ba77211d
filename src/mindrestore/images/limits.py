"""The largest picture that is read: real photographs have 200 megapixels, a small file may claim any number."""

from __future__ import annotations

import os
from pathlib import Path

from mindrestore.images.errors import ImageError

MAX_MEGAPIXELS = 250.0
VARIABLE = "MINDRESTORE_MAX_MEGAPIXELS"


def max_megapixels() -> float:
    """Return the limit: that of the environment, else `MAX_MEGAPIXELS`.

    Raises:
        ImageError: If the environment variable is not a positive number.
    """
    text = os.environ.get(VARIABLE)
    if text is None:
        return MAX_MEGAPIXELS
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ImageError(f"{VARIABLE}={text}: use a positive number of megapixels, such as 400, or unset it")
    return value


def check_size(path: Path, width: int, height: int) -> None:
    """Refuse a picture with more pixels than the limit, before its pixels are decoded.

    Raises:
        ImageError: If it has; the message names both numbers and the option.
    """
    megapixels, limit = width * height / 1e6, max_megapixels()
    if megapixels > limit:
        enough = int(megapixels) + 1
        raise ImageError(
            f"{path}: {width}x{height} are {megapixels:.4g} megapixels, more than the limit of {limit:.4g}; read it "
            f"with {VARIABLE}={enough} (restore: --max-megapixels {enough}), or make it smaller"
        )
