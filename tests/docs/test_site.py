"""The documentation site builds without a warning, holds every page, and finds words of both languages."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="pip install 'mindrestore[docs]'")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Return the folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, re.findall("WARNING.*|ERROR.*", done.stderr)) == (0, []), done.stderr[-2000:]
    return folder


def test_every_page_of_the_documentation_is_in_the_navigation(site):
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    start = (site / "index.html").read_text(encoding="utf-8")
    assert {page for page in pages if f'href="{page}/"' not in start} == set()


def test_the_page_of_python_names_every_public_name(site):
    import mindrestore

    page = (site / "api" / "index.html").read_text(encoding="utf-8")
    described = set(re.findall(r'id="mindrestore\.[\w.]*?(\w+)"', page))
    assert set(mindrestore.__all__) - described == set()


def test_the_notebook_is_a_page_with_its_results(site):
    page = (site / "first_steps" / "index.html").read_text(encoding="utf-8")
    text = html.unescape(re.sub("<[^>]+>", "", page))
    notebook = json.loads((ROOT / "docs" / "first_steps.ipynb").read_text(encoding="utf-8"))
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    printed = ["".join(output["text"]).rstrip() for output in outputs if output["output_type"] == "stream"]
    assert (len(code), len(printed)) == (6, 4)
    assert [part for part in (*code, *printed) if part not in text] == []
    pictures = re.findall(r'<img alt="result of the cell above" src="\.\./(.*?)"', page)
    assert [(site / name).read_bytes()[:3] for name in pictures] == [b"\xff\xd8\xff"] * 2
    assert 'href="../first_steps.ipynb"' in page
    assert (site / "first_steps.ipynb").is_file()


@pytest.mark.parametrize("start", ["index.html", "index.zh/index.html"])
def test_links_to_the_notebook_lead_to_its_page(site, start):
    article = re.search("<article.*</article>", (site / start).read_text(encoding="utf-8"), re.DOTALL)[0]
    assert "ipynb" not in article
    assert re.findall(r'href="(\S*first_steps/)"', article) == ["../first_steps/" if "/" in start else "first_steps/"]


def test_the_search_knows_both_languages(site):
    found = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    texts = " ".join(entry["text"] for entry in found["docs"])
    assert found["config"]["lang"] == ["en", "zh"]
    assert all(word in texts for word in ("working directory", "指标与评估协议"))


def test_the_site_fetches_nothing_from_elsewhere(site):
    page = (site / "index.html").read_text(encoding="utf-8")
    loaded = re.findall(r'(?:src|<link[^>]*?stylesheet[^>]*? href)="(https?://[^"]+)"', page)
    assert loaded == []
