"""The documentation site builds without a warning, holds every page, and finds words of both languages."""

from __future__ import annotations

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


def test_the_search_knows_both_languages(site):
    found = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    texts = " ".join(entry["text"] for entry in found["docs"])
    assert found["config"]["lang"] == ["en", "zh"]
    assert all(word in texts for word in ("working directory", "指标与评估协议"))


def test_the_site_fetches_nothing_from_elsewhere(site):
    page = (site / "index.html").read_text(encoding="utf-8")
    loaded = re.findall(r'(?:src|<link[^>]*?stylesheet[^>]*? href)="(https?://[^"]+)"', page)
    assert loaded == []
