"""The files of the page, read once: nothing that a client sends leads to a path."""

from __future__ import annotations

from importlib import resources

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_PAGE = ("index.html", "app.js", "app.css", "icon.svg")


def load_assets() -> dict[str, tuple[bytes, str]]:
    """Read the files of the page.

    Returns:
        Name -> content and media type.

    Example:
        >>> load_assets()["app.js"][1]
        'text/javascript; charset=utf-8'
    """
    folder = resources.files("mindrestore.serve") / "page"
    files = {name: (folder / name).read_bytes() for name in _PAGE}
    return {name: (content, _TYPES[name[name.rindex(".") :]]) for name, content in files.items()}
