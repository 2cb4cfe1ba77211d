"""Find the weight file that a folder stands for."""

from __future__ import annotations

from pathlib import Path

from mindrestore.files import PathLike, natural_key
from mindrestore.weights.errors import WeightFileError
from mindrestore.weights.files import READABLE

# What a run folder offers as its result, the preferred first.
RESULTS = ("best.ckpt", "ema.ckpt", "last.ckpt")


def weight_file(place: PathLike) -> Path:
    """Return the weight file that a path stands for.

    Args:
        place: A weight file; a run folder, which stands for its best weights; or a folder of weight files and run
            folders, which stands for the one that was written last.

    Returns:
        The path of a file; of something else than a folder, the path as it is.

    Raises:
        WeightFileError: The folder holds no weights.
    """
    place = Path(place)
    if not place.is_dir():
        return place
    found = _result(place)
    if found:
        return found
    files = [path for path in place.iterdir() if path.suffix.lower() in READABLE and path.is_file()]
    files += [result for result in (_result(path) for path in place.iterdir() if path.is_dir()) if result]
    if not files:
        raise WeightFileError(f"{place}: no weight file in this folder ({', '.join(READABLE)}); name the file itself")
    return max(files, key=lambda path: (path.stat().st_mtime_ns, natural_key(str(path))))


def _result(folder: Path) -> Path | None:
    """Return the best weights of a run folder; None for another folder, and for a run without weights yet."""
    if not (folder / "recipe.yaml").is_file():
        return None
    return next((folder / name for name in RESULTS if (folder / name).is_file()), None)
