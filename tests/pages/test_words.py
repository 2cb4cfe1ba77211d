"""The words of pages: both tables have the same keys and values, and no page asks for a key that is missing."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest
from markupsafe import escape

import mindrestore
from mindrestore.pages import words
from mindrestore.pages.words import LANGUAGES, SECTIONS, attribute, embedded, read_table, said, say

PACKAGE = Path(mindrestore.__file__).parent
PAGES = [*(PACKAGE / "pages").rglob("*.*"), *(PACKAGE / "serve").rglob("*.*")]
SOURCES = {path: path.read_text("utf-8") for path in PAGES if path.suffix in (".py", ".js", ".html")}
PLACE = re.compile(r"\{(\w+)\}")


def flat(language):
    return {key: text for section in read_table(language).values() for key, text in section.items()}


def test_both_languages_have_the_same_keys_and_values():
    tables = [read_table(language) for language in LANGUAGES]
    assert [tuple(table) for table in tables] == [SECTIONS] * 2
    for section in SECTIONS:
        first, second = (table[section] for table in tables)
        assert list(first) == list(second)
        for key in first:
            assert sorted(set(PLACE.findall(first[key]))) == sorted(set(PLACE.findall(second[key]))), key


def test_every_text_is_text_and_chinese_is_chinese():
    latin = re.compile(r"[\s\d\W]*|[A-Za-z0-9.{}_%/&\-+;,:() ]*")
    assert [key for language in LANGUAGES for key, text in flat(language).items() if not isinstance(text, str)] == []
    same = {key for key, text in flat("zh").items() if latin.fullmatch(text)} - {"error_other", "percent"}
    assert {key for key in same if PLACE.sub("", flat("en")[key]).strip(" ,;:%()")} == set()


def asked_for(room):
    """List the keys that templates and scripts of a room ask for, and the beginnings of those put together."""
    keys, beginnings = set(), set()
    for path, text in SOURCES.items():
        if room not in path.relative_to(PACKAGE).parts[:1]:
            continue
        if path.suffix in (".html", ".py"):
            keys |= set(re.findall(r'\bsay\("(\w+)"', text))
            beginnings |= set(re.findall(r'\bsay\(f"(\w+_)\{', text))
            keys |= set(re.findall(r'data-say(?:-[\w-]+)?="(\w+)"', text))
        else:
            keys |= set(re.findall(r'\bsay\("(\w+)"', text))
            beginnings |= set(re.findall(r"`(\w+_)\$\{", text))
    return keys, beginnings


def test_no_key_is_missing_and_none_is_left_over():
    known, beginnings = set(flat("en")), set()
    for room, section in (("pages", "report"), ("serve", "serve")):
        keys, starts = asked_for(room)
        there = set(words.words("en", section))
        assert keys - there == set()
        assert [start for start in starts if not any(key.startswith(start) for key in there)] == []
        beginnings |= starts
    everything = "\n".join(SOURCES.values())
    used = {key for key in known if re.search(rf"\b{key}\b", everything) or key.startswith(tuple(beginnings))}
    put_together = {f"{name}_one" for name in ("cancel", "retry", "download", "remove")}
    assert known - used - put_together == set()


def test_every_kind_of_refusal_has_words():
    from mindrestore.serve import limits

    kinds = {kind.kind for kind in vars(limits).values() if isinstance(kind, type) and hasattr(kind, "kind")}
    quiet = {"bad_request", "forbidden"}  # the page never meets them
    assert {f"error_{kind}" for kind in kinds - quiet} - set(flat("en")) == set()


def test_the_slider_says_the_same_without_the_tables():
    script = SOURCES[PACKAGE / "pages" / "assets" / "slider.js"]
    block = re.search(r"const ENGLISH = \{(.*?)\n  \};", script, re.S).group(1)
    inside = dict(re.findall(r'(\w+): "([^"]*)"', block))
    assert inside == {key: text for key, text in flat("en").items() if key.startswith("slider_")}


def test_texts_carry_what_the_script_needs(monkeypatch):
    report = {"some": "{count} <images>", "word": "noise"}
    monkeypatch.setattr(words, "read_table", lambda language: {"shared": {}, "report": report, "serve": {}})
    words.words.cache_clear()
    try:
        assert escape(say("some", count=3)) == (
            '<span data-say="some" data-values="{&#34;count&#34;: 3}">3 &lt;images&gt;</span>'
        )
        assert attribute("title", say("some", count='"')) == (
            ' title="&#34; &lt;images&gt;" data-say-title="some" data-values="{&#34;count&#34;: &#34;\\&#34;&#34;}"'
        )
        assert attribute("alt", "a <b>") == ' alt="a &lt;b&gt;"'
        assert said("a") == ""
        nested = say("some", count=(say("word"), say("some", count=1)))
        assert str(nested) == "noise; 1 <images> <images>"
        told = json.loads(re.search('data-values="(.*)"', html.unescape(said(nested))).group(1))
        assert told == {"count": [{"say": "word", "values": {}}, {"say": "some", "values": {"count": 1}}]}
        with pytest.raises(KeyError):
            str(say("absent"))
        text = str(embedded("report"))
        assert json.loads(text[len("window.WORDS = ") : -1]) == {"en": report, "zh": report}
    finally:
        words.words.cache_clear()
