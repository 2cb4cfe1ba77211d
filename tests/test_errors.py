"""What error messages share: the question for a misspelt name, and one line of somebody else's message."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mindrestore
from mindrestore.errors import MindRestoreError, closest, did_you_mean, first_line

SOURCE = Path(mindrestore.__file__).parent


@pytest.mark.parametrize(
    ("word", "known", "question"),
    [
        ("itz", ["its", "ots"], "did you mean 'its'? known: its, ots"),
        ("quarrel", ["its", "ots"], "known: its, ots"),
        ("its7", [f"its{number}" for number in range(30)], "did you mean 'its7'?"),
        ("quarrel", [], "known: none"),
    ],
)
def test_the_nearest_name_is_asked_for_and_few_are_listed(word, known, question):
    assert did_you_mean(word, iter(known)) == question


def test_nothing_is_near_to_a_word_of_other_letters():
    assert closest("patchsize", ["patch_size", "batch_size"]) == "patch_size"
    assert closest("xyz", ["patch_size", "batch_size"]) is None


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("\n one\ntwo"), "one"),
        (KeyError(), "KeyError"),
        (ValueError("a\x1b[2Jb\x00é"), r"a\x1b[2Jb\x00é"),
        (ValueError("x" * 300), "x" * 200),
    ],
)
def test_one_line_of_a_foreign_message(error, line):
    assert first_line(error) == line


def test_names_are_compared_in_one_place():
    offenders = [path for path in SOURCE.rglob("*.py") if re.search(r"get_close_matches", path.read_text("utf-8"))]
    assert [path.name for path in offenders] == ["errors.py"]


def test_of_a_long_line_both_ends_are_told():
    error = MindRestoreError("list.txt: no image has the key " + "a" * 10_000_000 + "; correct the list\nsecond")
    first, second = str(error).split("\n")
    assert (len(first), second) == (2005, "second")
    assert first.startswith("list.txt: no image has the key aaa")
    assert " ... " in first
    assert first.endswith("aaa; correct the list")
