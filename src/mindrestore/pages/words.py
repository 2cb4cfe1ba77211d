"""The words of pages, one table per language: `languages/en.yaml`, `languages/zh.yaml`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from markupsafe import Markup

from mindrestore.files import parse_yaml

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
    return parse_yaml(files("mindrestore.pages").joinpath("languages", f"{language}.yaml").read_text("utf-8"))


def embedded(section: str) -> Markup:
    """Return the tables of all languages as a script that a page holds."""
    tables = {language: dict(words(language, section)) for language in LANGUAGES}
    text = json.dumps(tables, ensure_ascii=False).replace("</", "<\\/")
    return Markup(f"window.WORDS = {text};")


@dataclass(frozen=True)
class Text:
    """A text of a report: it is put into the page in English, with what the script needs to say it in other languages.

    Args:
        key: Of the tables.
        values: Name and value for its places; a value may be a `Text` or several of them.
    """

    key: str
    values: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        values = {
            name: "; ".join(map(str, value)) if isinstance(value, tuple) else value for name, value in self.values
        }
        return words(LANGUAGES[0], "report")[self.key].format(**values)

    def __html__(self) -> str:
        return Markup("<span{}>{}</span>").format(self.data(), str(self))

    def data(self, attribute: str = "") -> Markup:
        """Return the attributes by which the script knows the element, or one attribute of it, such as `title`."""
        name = f"data-say-{attribute}" if attribute else "data-say"
        found = Markup(' {}="{}"').format(name, self.key)
        if not self.values:
            return found
        return found + Markup(' data-values="{}"').format(json.dumps(_written(self)["values"], ensure_ascii=False))


def _written(value: Any) -> Any:
    if isinstance(value, Text):
        return {"say": value.key, "values": {name: _written(one) for name, one in value.values}}
    return [_written(one) for one in value] if isinstance(value, tuple) else value


def say(key: str, **values: Any) -> Text:
    """Return a text; a key that is missing is an error when it is put into a page."""
    return Text(key, tuple(values.items()))


def said(text: str | Text) -> Markup:
    """Return the attributes of an element that holds nothing but this text."""
    return text.data() if isinstance(text, Text) else Markup("")


def attribute(name: str, text: str | Text) -> Markup:
    """Return an attribute of an element, such as `aria-label`, in English and for the script."""
    return Markup(' {}="{}"').format(name, str(text)) + (text.data(name) if isinstance(text, Text) else Markup(""))
