"""The words of pages, one table per language: `languages/en.yaml`, `languages/zh.yaml`."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import yaml
from markupsafe import Markup, escape

LANGUAGES = ("en", "zh")  # the first is what a page says before its script has looked at the reader's language
SECTIONS = ("shared", "serve", "report")


@cache
def words(language: str, section: str) -> MappingProxyType[str, str]:
    """Return the words that a kind of page needs: its own and those that all pages share.

    Args:
        language: One of `LANGUAGES`.
        section: `report` or `serve`.

    Returns:
        Key -> text; `{name}` stands for a value.
    """
    table = read_table(language)
    return MappingProxyType({**table["shared"], **table[section]})


def read_table(language: str) -> dict[str, dict[str, str]]:
    """Read the table of a language: section -> key -> text."""
    return yaml.safe_load(files("mindrestore.pages").joinpath("languages", f"{language}.yaml").read_text("utf-8"))


def embedded(section: str) -> Markup:
    """Return the tables of all languages as a script that a page holds."""
    tables = {language: dict(words(language, section)) for language in LANGUAGES}
    text = json.dumps(tables, ensure_ascii=False).replace("</", "<\\/")
    return Markup(f"window.WORDS = {text};")


def text(key: str, **values: Any) -> str:
    """Return a text of reports in the first language."""
    return words(LANGUAGES[0], "report")[key].format(**values)


def say(key: str, **values: Any) -> Markup:
    """Return a text for a page of reports, with what its script needs to say it in another language."""
    return Markup('<span data-say="{}"{}>{}</span>').format(key, _values(values), text(key, **values))


def say_in(attribute: str, key: str, **values: Any) -> Markup:
    """Return an attribute of an element, such as `aria-label`, that the script turns into another language."""
    found = Markup('{}="{}" data-say-{}="{}"').format(attribute, text(key, **values), attribute, key)
    return found + _values(values)


def _values(values: dict[str, Any]) -> Markup:
    if not values:
        return Markup("")
    return Markup(' data-values="{}"').format(escape(json.dumps(values, ensure_ascii=False)))
