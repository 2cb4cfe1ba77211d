"""Progress bars of commands."""

from __future__ import annotations

from typing import Any


def bar(*words: Any, **options: Any) -> Any:
    """Return tqdm's progress bar; tqdm is imported with the first one, not with every command line that has none."""
    from tqdm import tqdm

    return tqdm(*words, **options)


def announce(what: str) -> None:
    """Print what begins, before libraries that take seconds are loaded."""
    print(f"{what} ...", flush=True)
