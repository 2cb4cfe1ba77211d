"""Files of any name are measured and restored, and reports show them: bytes that are not UTF-8, control characters."""

from __future__ import annotations

import csv
import io
import json
import os
import sys

import numpy as np
import pytest

from mindrestore.cli.main import main
from mindrestore.data.catalog import find_pairs
from mindrestore.engine.log import RunLog
from mindrestore.errors import shown
from mindrestore.evaluation.evaluator import evaluate_pairs
from mindrestore.evaluation.protocol import get_protocol
from mindrestore.evaluation.report import format_table, write_csv, write_json
from mindrestore.images.read import read_image
from mindrestore.images.write import write_image
from mindrestore.inference.files import restore_files
from mindrestore.pages.evaluation import write_evaluation_page
from mindrestore.pages.restored import write_restored_page

NAMES = {
    "GBK": b"\xd0\xc2\xbd\xa8\xce\xc4.png",
    "long": b"x" * 251 + b".png",
    "long and wide": "霧".encode() * 83 + b".png",
    "control": b"a\x1b[31mred\nline\x07.png",
    "markup": b"a <b> & 'c' \"d\" #1 100%.png",
}


@pytest.fixture(params=NAMES)
def name(request):
    return os.fsdecode(NAMES[request.param])


def test_scores_of_any_name_are_kept(tmp_path, name):
    for number, own in enumerate((name, "plain.png")):
        for kind in ("hazy", "gt"):
            pixels = np.random.default_rng(number).integers(0, 256, (16, 24, 3), np.uint8)
            write_image(tmp_path / "data" / kind / own, pixels // (2 if kind == "hazy" else 1))
    pairs = find_pairs("auto", tmp_path / "data", "test")
    folder = tmp_path / "report"
    evaluation = evaluate_pairs(lambda image: image, pairs, get_protocol("rgb"), save_dir=folder / "pictures")
    write_csv(evaluation, folder / "scores.csv")
    write_json(evaluation, folder / "scores.json")
    page = write_evaluation_page(folder)
    images = json.loads((folder / "scores.json").read_text(encoding="utf-8"))["images"]
    assert {image["image"] for image in images} == {name, "plain.png"}
    with (folder / "scores.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2
    assert all(float(row["psnr"]) > 5 for row in rows)
    assert "plain" in page.read_text(encoding="utf-8")
    assert len(list((folder / "pictures" / "parts").iterdir())) == 2
    assert all(line.isprintable() for line in format_table(evaluation).splitlines())


def test_restored_files_of_any_name_are_shown(tmp_path, name):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    write_image(tmp_path / "in" / name, pixels)
    summary = restore_files(lambda photo: 255 - photo, tmp_path / "in", tmp_path / "out", progress=False)
    assert summary.failed == ()
    np.testing.assert_array_equal(read_image(tmp_path / "out" / name), 255 - pixels)
    page = write_restored_page(summary, tmp_path / "out" / "report")
    assert page.is_file()
    assert page.read_text(encoding="utf-8").count("<img") > 0


def test_a_training_log_takes_any_name(tmp_path, name, capsys):
    with RunLog(tmp_path) as log:
        log.message(shown(name))
        log.message(f"left out {name}", console=False)
    text = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert shown(name) in text
    assert "left out" in text


def test_a_terminal_gets_no_control_characters(tmp_path, capsys):
    write_image(tmp_path / "data" / "hazy" / "a.png", np.zeros((16, 16, 3), np.uint8))
    (tmp_path / "data" / "hazy" / os.fsdecode(NAMES["control"])).write_bytes(b"")
    (tmp_path / "data" / "gt").mkdir()
    assert main(["data", "check", str(tmp_path / "data")]) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\x1b[31mred\\nline\\x07.png" in out


def test_names_are_printed_where_only_ascii_is(tmp_path, monkeypatch):
    for number, encoding in enumerate(("ascii", "utf-8")):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
        folder = tmp_path / str(number)
        for kind in ("hazy", "gt"):
            for own in (os.fsdecode(NAMES["GBK"]), "雨.png"):
                write_image(folder / kind / own, np.zeros((16, 16, 3), np.uint8))
        (folder / "gt" / "雨.png").unlink()
        (folder / "gt" / os.fsdecode(NAMES["GBK"])).unlink()
        assert main(["data", "check", str(folder)]) == 1
        sys.stdout.flush()
        text = raw.getvalue()
        assert b"\\udcd0" in text
        assert b"\\udcce\\udcc4.png" in text
        assert ("雨".encode() if encoding == "utf-8" else b"\\u96e8") in text
