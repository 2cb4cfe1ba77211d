"""The tables of the documentation name tests that exist, and the limit of pixels is an option."""

from __future__ import annotations

import re
from pathlib import Path

from mindrestore.cli import restore
from mindrestore.cli.main import main
from mindrestore.images.limits import VARIABLE, max_megapixels
from mindrestore.inference.files import RestoreSummary

ROOT = Path(__file__).resolve().parents[2]


def test_every_promise_has_its_test():
    named = [
        found
        for page in (ROOT / "docs").glob("*.md")
        for found in re.findall(r"`(?:tests/)?([\w/]+\.py)::(\w+)`", page.read_text(encoding="utf-8"))
    ]
    assert len(named) > 30
    files = {path.name: path for path in (ROOT / "tests").rglob("test_*.py")}  # every name stands once
    texts = {file: files[Path(file).name].read_text(encoding="utf-8") for file, _ in named}
    assert [f"{file}::{name}" for file, name in named if f"def {name}(" not in texts[file]] == []
    assert [file for file, _ in named if not files[Path(file).name].as_posix().endswith(f"/{file}")] == []


def test_every_row_of_a_table_of_promises_names_a_test():
    rows = []
    for page in (ROOT / "docs").glob("*.md"):
        heading: list[str] = []
        for line in page.read_text(encoding="utf-8").splitlines():
            cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("|") else []
            heading = (heading or cells) if cells else []
            if cells and heading[-1] == "test" and cells is not heading and not set(line) <= set("|- "):
                rows.append((page.name, cells[0], cells[-1]))
    assert len(rows) > 45
    assert {page for page, *_ in rows} >= {"restoring.md", "weights.md", "datasets.md", "training.md", "serving.md"}
    assert [row for row in rows if not re.search(r"`[\w/]+\.py::test_\w+`", row[2])] == []


def test_the_limit_of_pixels_is_an_option(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, "250")  # and put back behind this test
    seen = []
    monkeypatch.setattr(restore, "_restore", lambda args: seen.append(max_megapixels()) or RestoreSummary((), (), ()))
    assert main(["restore", "a.png", "--task", "dehaze", "--max-megapixels", "401"]) == 0
    assert seen == [401]
