"""The files of the page, read once: nothing that a client sends leads to a path."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from mindrestore.files import parse_yaml
from mindrestore.pages.render import asset
from mindrestore.pages.words import LANGUAGES, words
from mindrestore.version import __version__

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_OWN = ("index.html", "serve.js", "cards.js", "serve.css", "icon.svg")
_SHARED = ("page.css", "slider.css", "slider.js", "words.js")  # those of the reports


def load_assets() -> dict[str, tuple[str, str]]:
    """Read the files of the page.

    Returns:
        Name -> content and media type.
    """
    files = {name: _read("page", name) for name in _OWN}
    files.update({name: asset(name) for name in _SHARED})
    tables = {language: dict(words(language, "serve")) for language in LANGUAGES}
    files["tables.js"] = f"window.WORDS = {json.dumps(tables, ensure_ascii=False)};\n"
    return {name: (content, _TYPES[name.rpartition(".")[2]]) for name, content in files.items()}


def load_description() -> dict[str, Any]:
    """Read the description of the HTTP interface (OpenAPI 3.1)."""
    described = parse_yaml(_read("openapi.yaml"))
    described["info"]["version"] = __version__
    return described


def _read(*parts: str) -> str:
    return resources.files("mindrestore.serve").joinpath(*parts).read_text(encoding="utf-8")
