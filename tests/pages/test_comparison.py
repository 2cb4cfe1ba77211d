"""`mindrestore compare`: several reports in one page."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from parsed import NAMES, Page

from mindrestore.cli.main import main
from mindrestore.evaluation.evaluator import evaluate_sets
from mindrestore.evaluation.report import write_sets
from mindrestore.evaluation.sets import NamedSet
from mindrestore.images.read import read_image

FACTORS = {"weak": 1.2, "strong": 1.7}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, write_report) -> dict[str, Path]:
    """Return two run folders with reports of the same images."""
    root = tmp_path_factory.mktemp("runs")
    for name, factor in FACTORS.items():
        write_report(root / name / "report", factor)
    return {name: root / name for name in FACTORS}


@pytest.fixture(scope="module")
def folder(runs, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("comparison")
    assert main(["compare", *map(str, runs.values()), "--out", str(out)]) == 0
    return out


def scores(run: Path) -> list[dict[str, str]]:
    with (run / "report" / "scores.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_means_and_images_have_a_column_per_run(folder, runs):
    page = Page.read(folder / "index.html")
    assert "Comparison of weak, strong" in page.text
    means = {row["report"]: row for row in page.table("Mean scores")}
    assert list(means) == ["input", "weak", "strong"]
    rows = page.table("Scores per image")
    assert [row["image"] for row in rows] == list(NAMES)
    for name, run in runs.items():
        known = scores(run)
        assert [row[f"PSNR {name}"] for row in rows] == [row["psnr"] for row in known]
        assert [row[f"SSIM {name}"] for row in rows] == [row["ssim"] for row in known]
        assert [row["PSNR input"] for row in rows] == [row["psnr_input"] for row in known]
        assert float(means[name]["PSNR"]) == pytest.approx(np.mean([float(row["psnr"]) for row in known]), abs=1e-5)
    assert "cannot be compared" not in page.text
    assert "inputs differ" not in page.text


def test_the_best_of_each_row_is_marked(folder, runs):
    text = (folder / "index.html").read_text()
    each = zip(scores(runs["weak"]), scores(runs["strong"]))
    best = [max(weak["psnr"], strong["psnr"], key=float) for weak, strong in each]
    for value in best:
        assert f'<td class=best data-value="{value}">' in text


def test_pictures_have_their_own_proportions(folder):
    text = (folder / "index.html").read_text()
    shown = re.findall(r'<img src="(pictures/[^"]+)".*? width="(\d+)" height="(\d+)"', text)
    assert len(shown) == 2 * len(NAMES)
    for path, width, height in shown:
        assert read_image(folder / path).shape[:2] == (int(height), int(width))
        assert width != height


def test_pictures_are_copied_and_can_be_chosen(folder, runs):
    page = Page.read(folder / "index.html")
    assert all(path.is_file() and folder in path.parents for path in page.files(folder))
    text = (folder / "index.html").read_text()
    labels = ["input", "weak", "strong", "ground truth", "error of weak", "error of strong"]
    first = text.index('<select data-slider="set-1-image-1-slider" data-side="0">')
    options = text[first : text.index("</select>", first)]
    assert [part.split("</option>")[0] for part in options.split(">")[2::2]] == [f"{name}</option" for name in labels]
    for number, path in ((1, runs["weak"]), (2, runs["strong"])):
        source = path / "report" / "pictures" / "parts" / "1" / "restored.jpg"
        np.testing.assert_array_equal(read_image(folder / f"pictures/0001/{number}.jpg"), read_image(source))


def test_other_protocols_and_images_are_pointed_out(runs, tmp_path, write_report, pairs):
    write_report(tmp_path / "other", 1.5, chosen=pairs[:3], protocol="aecr")
    words = ["compare", str(runs["weak"]), str(tmp_path / "other"), "--out", str(tmp_path / "page")]
    assert main(words) == 0
    page = Page.read(tmp_path / "page" / "index.html")
    assert "The protocols differ (weak: rgb, other: aecr): the scores cannot be compared." in page.text
    assert "1 of 4 images are not in every report" in page.text
    assert page.table("Scores per image")[3]["PSNR other"] == ""


def test_other_inputs_under_one_name_are_pointed_out(runs, tmp_path):
    shutil.copytree(runs["weak"], tmp_path / "weak")
    path = tmp_path / "weak" / "report" / "scores.json"
    document = json.loads(path.read_text())
    document["images"][2]["input"]["psnr"] += 0.1
    path.write_text(json.dumps(document))
    assert main(["compare", str(runs["weak"]), str(tmp_path / "weak"), "--out", str(tmp_path / "page")]) == 0
    page = Page.read(tmp_path / "page" / "index.html")
    assert "The inputs differ for 1 images (their input scores do), such as 2.png." in page.text
    assert "Comparison of weak, weak (2)" in page.text  # two runs of one name


def test_sets_are_matched_by_name(tmp_path, pairs):
    for run, names, factor in (("one", ("rain", "fog"), 1.3), ("two", ("fog", "snow"), 1.5)):
        sets = [NamedSet(name, pairs[:2], "rgb") for name in names]
        folder = tmp_path / run
        result = evaluate_sets(lambda image, by=factor: image * by, sets, save_dir=folder, progress=False)
        write_sets(result, folder, {"model": run})
    assert main(["compare", str(tmp_path / "one"), str(tmp_path / "two"), "--out", str(tmp_path / "page")]) == 0
    page = Page.read(tmp_path / "page" / "index.html")
    assert [row["report"] for row in page.table("Mean scores fog")] == ["input", "one", "two"]
    assert "Mean scores rain" not in page.tables
    assert all(path.is_file() for path in page.files(tmp_path / "page"))


def test_what_cannot_be_compared_is_one_line(runs, tmp_path, capsys):
    weak = str(runs["weak"])
    for words, message in (
        ([weak], "one report cannot be compared; name two run folders or more"),
        ([weak, str(tmp_path)], f"{tmp_path}: holds no report; write one with `mindrestore eval {tmp_path}`"),
        ([weak, weak, "--out", f"{weak}/report"], f"{weak}/report: the comparison would replace this report"),
    ):
        assert main(["compare", *words]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"error: {message}")
        assert error.count("\n") == 1
