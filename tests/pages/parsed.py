"""Read a page back: whether its tags nest, its tables, its addresses and its curves."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

NAMES = ("1.png", "10.png", "2.png", 'a "b" <i>&amp; #1 50%é.png')  # of images; the last needs escaping
VOID = {"meta", "link", "img", "br", "input", "hr", "wbr"}


class Page(HTMLParser):
    """Parse a document.

    Attributes:
        tables: aria-label -> rows of cells; a cell is its text and what it sorts by.
        addresses: Every src and href, and the values of options.
        curves: data-name -> points.
        text: All text outside of scripts and styles.
        labels: aria-label of every element that has one.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tables, self.addresses, self.curves, self.labels, self.text = {}, [], {}, [], ""
        self._open, self._rows, self._cell = [], None, None
        self.feed(text)
        self.close()
        assert self._open == [], "tags were left open"

    @classmethod
    def read(cls, path: Path) -> Page:
        return cls(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag not in VOID:
            self._open.append(tag)
        if "aria-label" in attributes:
            self.labels.append(attributes["aria-label"])
        self.addresses += [attributes[name] for name in ("src", "href") if name in attributes]
        if tag == "option":
            self.addresses.append(attributes["value"])
        if tag == "polyline":
            self.curves[attributes["data-name"]] = json.loads(attributes["data-points"])
        if tag == "table":
            self._rows = self.tables[self.labels[-1]] = []
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._cell = ["", attributes.get("data-value")]

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop() == tag
        if tag in ("td", "th"):
            text, value = self._cell
            self._rows[-1].append((text, text if value is None else value))
            self._cell = None

    def handle_data(self, data):
        if self._open and self._open[-1] in ("script", "style"):
            return
        self.text += data
        if self._cell is not None:
            self._cell[0] += data

    def files(self, folder: Path) -> list[Path]:
        """Return the files that the page leads to; fail on addresses that need a network."""
        local = [address for address in self.addresses if not address.startswith(("#", "data:"))]
        assert [address for address in local if "//" in address] == []
        return [folder / unquote(address.split("#")[0]) for address in local]

    def table(self, label: str) -> list[dict[str, str]]:
        """Return the values that the rows of a table sort by, under their headings; equal headings get a number."""
        head, *rows = self.tables[label]
        names: list[str] = []
        for title, _ in head:
            names.append(title if title not in names else f"{title} {names.count(title) + 1}")
        return [dict(zip(names, [value for _, value in row])) for row in rows]
