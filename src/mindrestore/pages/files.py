"""Write pages to disk, in folders that later runs do not take for photographs."""

from __future__ import annotations

from pathlib import Path

from mindrestore.files import write_bytes
from mindrestore.inference.planning import REPORT_MARKER


def write_page(folder: Path, text: str) -> Path:
    """Write index.html and mark its folder as a report, whose pictures `restore` leaves out.

    Args:
        folder: Folder of the page; made where it is missing.
        text: The document.

    Returns:
        Path of the page.

    Raises:
        WriteError: The folder or the disk does not allow it.
    """
    page = folder / "index.html"
    write_bytes(page, text.encode())
    write_bytes(folder / REPORT_MARKER, b"A report of mindrestore: its pictures are copies.\n")
    return page
