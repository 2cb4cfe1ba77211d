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


def test_the_limit_of_pixels_is_an_option(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, "250")  # and put back behind this test
    seen = []
    monkeypatch.setattr(restore, "_restore", lambda args: seen.append(max_megapixels()) or RestoreSummary((), (), ()))
    assert main(["restore", "a.png", "--task", "dehaze", "--max-megapixels", "401"]) == 0
    assert seen == [401]
