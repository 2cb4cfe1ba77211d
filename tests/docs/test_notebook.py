"""The notebook runs from top to bottom, and prints what it shows."""

from __future__ import annotations

import ast
import json
import re

import pytest
from PIL import Image
from playground import ROOT

NOTEBOOK = json.loads((ROOT / "docs" / "first_steps.ipynb").read_text(encoding="utf-8"))
NUMBER = re.compile(r"\d+\.\d+")


def shown(cell, kind):
    """Return what is stored of a cell: its text, or its pictures."""
    if kind == "text":
        return "".join("".join(output["text"]) for output in cell["outputs"] if output["output_type"] == "stream")
    return [output["data"][kind] for output in cell["outputs"] if kind in output.get("data", {})]


def run(source, names):
    """Run a cell and return the value of its last line, as a notebook does."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None


def test_every_cell_runs_and_gives_what_is_shown(monkeypatch, capsys):
    monkeypatch.chdir(ROOT / "docs")
    names: dict = {"__name__": "__main__"}
    scores = pictures = 0
    for cell in (cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"):
        value = run("".join(cell["source"]), names)
        printed, stored = capsys.readouterr().out, shown(cell, "text")
        assert NUMBER.sub("#", printed) == NUMBER.sub("#", stored)
        given = [float(number) for number in NUMBER.findall(printed)]
        assert given == pytest.approx([float(number) for number in NUMBER.findall(stored)], abs=0.03)
        scores += len(given)
        assert isinstance(value, Image.Image) == bool(shown(cell, "image/jpeg"))
        pictures += isinstance(value, Image.Image)
    assert (scores, pictures) == (4, 2)


def test_every_link_of_the_notebook_leads_to_a_page():
    text = "".join("".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "markdown")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) == 3
    assert [link for link in links if not (ROOT / "docs" / link).is_file()] == []
