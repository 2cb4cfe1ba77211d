"""Look before writing: no file is replaced by accident, and no two images get one name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mindrestore.data.locate import DatasetError


def refuse_existing(planned: Iterable[Path], overwrite: bool = False) -> None:
    """Stop before anything is written when a file is there already.

    Args:
        planned: Files that are about to be written.
        overwrite: Whether they may be replaced; then nothing is refused.

    Raises:
        DatasetError: If one exists; the message names the first and counts them.
    """
    existing = [] if overwrite else [path for path in planned if path.exists()]
    if existing:
        raise DatasetError(
            f"{existing[0]} exists already ({len(existing)} such); choose another folder or pass --overwrite"
        )


def refuse_one_name(images: Iterable[Path]) -> None:
    """Stop when two images differ in their suffix alone, so that their results would have one name.

    Args:
        images: Images of a folder.

    Raises:
        DatasetError: If there are two; the message names them.
    """
    seen: dict[str, Path] = {}
    for path in images:
        other = seen.setdefault(path.stem, path)
        if other is not path:
            raise DatasetError(f"{other} and {path.name} would give results of one name; rename one of them")
