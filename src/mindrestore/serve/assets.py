"""The files of the page, read once: nothing that a client sends leads to a path."""

from __future__ import annotations

from importlib import resources

from mindrestore.pages.render import asset

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_OWN = ("index.html", "serve.js", "serve.css", "icon.svg")
_SHARED = ("page.css", "slider.css", "slider.js")  # those of the reports


def load_assets() -> dict[str, tuple[str, str]]:
    """Read the files of the page.

    Returns:
        Name -> content and media type.
    """
    folder = resources.files("mindrestore.serve").joinpath("page")
    files = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in _OWN}
    files.update({name: asset(name) for name in _SHARED})
    return {name: (content, _TYPES[name.rpartition(".")[2]]) for name, content in files.items()}
