"""The pictures of the documentation: small files that show both widths, and those that are there are shown."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def screenshots():
    spec = importlib.util.spec_from_file_location("screenshots", ROOT / "scripts" / "screenshots.py")
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


def pages(folder, make):
    for width in (1400, 390):
        Image.fromarray(make(width)).save(folder / f"serve_{width}_dark.png")


def test_both_widths_stand_beside_each_other_in_a_small_file(screenshots, tmp_path):
    rng = np.random.default_rng(0)
    blocks = {width: rng.integers(0, 256, (30, width // 10, 3), np.uint8) for width in (1400, 390)}
    pages(tmp_path, lambda width: np.kron(blocks[width], np.ones((60, 10, 1), np.uint8)))
    path = screenshots.for_documentation(tmp_path, tmp_path, "serve", "dark")
    assert path.name == "serve_dark.jpg"
    assert path.stat().st_size < 150_000
    with Image.open(path) as sheet:
        assert sheet.size == (1250, 792)
        scale, pixels = 1250 / 1814, np.asarray(sheet).astype(int)
    for left, column, width in ((0, 20, 1400), (1424, 5, 390)):  # the middle of a block of either width
        x, y = round((left + 10 * column + 5) * scale), round(90 * scale)
        assert np.abs(pixels[y, x] - blocks[width][1, column]).max() < 40


def test_what_cannot_be_small_is_an_error(screenshots, tmp_path):
    noise = np.random.default_rng(0)
    pages(tmp_path, lambda width: noise.integers(0, 256, (1200, width, 3), np.uint8))
    with pytest.raises(SystemExit, match="error: serve in dark does not fit into 150000 bytes"):
        screenshots.for_documentation(tmp_path, tmp_path, "serve", "dark")


def test_pictures_of_pages_are_small_and_shown(screenshots):
    shown = {
        name for page in (ROOT / "docs").glob("*.md") for name in re.findall(r"images/(\w+\.jpg)", page.read_text())
    }
    for page in screenshots.PAGES:
        for scheme in ("light", "dark"):
            path = ROOT / "docs" / "images" / f"{page}_{scheme}.jpg"
            assert path.stat().st_size < 150_000
            assert path.name in shown
