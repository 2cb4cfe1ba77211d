"""Reports: the protocol's name and the input's score stand in every form."""

from __future__ import annotations

import csv
import json
import math
import re

import numpy as np
import pytest

from mindrestore.evaluation.pictures import side_by_side
from mindrestore.evaluation.protocol import get_protocol
from mindrestore.evaluation.report import (
    caption,
    format_sets,
    format_table,
    write_csv,
    write_json,
    write_sets,
)
from mindrestore.evaluation.results import Evaluation, Failure, Measurement, SetsEvaluation
from mindrestore.images.read import read_rgb


@pytest.fixture
def evaluation():
    def scores(psnr, ssim, ms_ssim):
        return {"psnr": psnr, "ssim": ssim, "ms_ssim": ms_ssim, "mae": 0.125, "ciede2000": 3.5}

    rows = (
        Measurement("a.png", "a", 32, 48, 0.5, scores(30.0, 0.9, math.nan), scores(20.0, 0.8, math.nan)),
        Measurement("longer_name.png", "b", 200, 210, 1.5, scores(20.0, 0.7, 0.6), scores(10.0, 0.6, 0.5)),
    )
    return Evaluation(get_protocol("rgb"), rows, (Failure("c.png", "c.png: damaged image"),))


def test_table(evaluation):
    lines = format_table(evaluation).splitlines()
    assert lines[0].startswith("protocol rgb: RGB; whole image; no rounding; SSIM: Gaussian 11x11")
    words = [line.split() for line in lines]
    assert words[3] == "a.png 32x48 20.00 30.00 0.8000 0.9000 n/a n/a 0.1250 0.1250 3.500 3.500 0.50".split()  # noqa: SIM905
    assert words[6][:9] == ["mean", "of", "2", "15.00", "25.00", "0.7000", "0.8000", "0.5000", "0.6000"]
    assert "MS-SSIM is undefined for small images: mean over 1 of 2" in lines
    assert "MAE, CIEDE2000: lower is better" in lines
    assert "\n".join(lines).isascii()  # a terminal without UTF-8 must show it
    assert lines[-1] == "  c.png: c.png: damaged image"
    assert lines[2].index("PSNR") < lines[2].index("SSIM")
    ends = [
        line.rindex(cell) + len(cell) for line, cell in ((lines[3], "0.50"), (lines[4], "1.50"), (lines[6], "1.00"))
    ]
    assert len(set(ends)) == 1  # columns are aligned


def test_long_tables_are_cut_but_means_are_not(evaluation):
    text = format_table(evaluation, max_rows=1)
    assert "longer_name.png" not in text
    assert "... 1 more images" in text
    assert re.search(r"mean of 2\s+15\.00\s+25\.00", text)


def test_equal_images(evaluation):
    first = evaluation.rows[0]
    perfect = Measurement(first.name, first.key, 32, 48, 0.5, {**first.restored, "psnr": math.inf}, first.input)
    assert " inf " in format_table(Evaluation(evaluation.protocol, (perfect,)))


def test_csv(evaluation, tmp_path):
    write_csv(evaluation, tmp_path / "new/scores.csv")
    with open(tmp_path / "new/scores.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2
    assert rows[0]["protocol"] == "rgb"
    assert rows[0]["ms_ssim"] == "n/a"
    assert float(rows[1]["psnr"]) == 20.0
    assert float(rows[1]["psnr_input"]) == 10.0
    assert (rows[1]["image"], rows[1]["key"], rows[1]["height"], rows[1]["width"]) == (
        "longer_name.png",
        "b",
        "200",
        "210",
    )


def test_json(evaluation, tmp_path):
    rows = (
        *evaluation.rows,
        Measurement("d.png", "d", 8, 8, 0.1, {**evaluation.rows[0].restored, "psnr": math.inf}, {}),
    )
    write_json(Evaluation(evaluation.protocol, rows[:2], evaluation.failures), tmp_path / "s.json", {"model": "toy"})
    document = json.loads((tmp_path / "s.json").read_text(), parse_constant=pytest.fail)  # strict JSON: no NaN
    assert document["protocol"]["name"] == "rgb"
    assert document["protocol"]["description"] == get_protocol("rgb").description
    assert document["settings"] == {"model": "toy"}
    assert document["means"]["restored"]["psnr"] == 25.0
    assert document["means"]["input"]["ssim"] == pytest.approx(0.7)
    assert document["means"]["images"]["ms_ssim"] == 1
    assert document["images"][0]["restored"]["ms_ssim"] is None
    assert document["not_measured"] == [{"image": "c.png", "reason": "c.png: damaged image"}]
    assert document["versions"]["mindspore"][0] == "2"


@pytest.fixture
def sets(evaluation):
    def row(name, psnr, ssim):
        before = {"psnr": psnr - 9, "ssim": ssim - 0.1}
        return Measurement(name, name[0], 32, 48, 0.25, {"psnr": psnr, "ssim": ssim}, before)

    rain = Evaluation(get_protocol("mpr-derain"), (row("x.png", 31.0, 0.95),))
    return SetsEvaluation({"Rain100L": rain, "Kodak 24": evaluation}, ("Test100",), (Failure("Test2800", "no luck"),))


def test_table_of_sets(sets):
    lines = format_sets(sets).splitlines()
    assert lines[0].startswith("protocol mpr-derain: luma Y of BT.601 (16..235); whole image")
    assert lines[1].startswith("protocol rgb: RGB")
    assert lines[2] == ""
    assert lines[3].split() == "set protocol images PSNR input restored SSIM input restored seconds".split()  # noqa: SIM905
    assert lines[4].split() == "Rain100L mpr-derain 1 22.00 31.00 0.8500 0.9500 0.25".split()  # noqa: SIM905
    assert lines[5].split() == "Kodak 24 rgb 2 15.00 25.00 0.7000 0.8000 1.00".split()  # noqa: SIM905
    assert lines[7].split() == "average of 2 of 4 sets 18.50 28.00 0.7750 0.8750".split()  # noqa: SIM905
    assert lines[8:] == [
        "missing: Test100",
        "not measured (2):",
        "  Test2800: no luck",
        "  Kodak 24/c.png: c.png: damaged image",
    ]
    complete = format_sets(SetsEvaluation({"Rain100L": sets.sets["Rain100L"]}))
    assert complete.splitlines()[-1].startswith("average of 1 set ")


def test_files_of_sets(sets, tmp_path):
    write_sets(sets, tmp_path, {"model": "toy"})
    assert (tmp_path / "summary.txt").read_text() == format_sets(sets) + "\n"
    with open(tmp_path / "summary.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["set"] for row in rows] == ["Rain100L", "Kodak 24", "average of 2 of 4 sets"]
    assert [float(row["psnr"]) for row in rows] == [31.0, 25.0, 28.0]
    assert [float(row["ssim_input"]) for row in rows] == pytest.approx([0.85, 0.7, 0.775])
    assert [row["protocol"] for row in rows] == ["mpr-derain", "rgb", ""]
    document = json.loads((tmp_path / "summary.json").read_text(), parse_constant=pytest.fail)
    assert document["settings"] == {"model": "toy"}
    assert document["sets"][0]["protocol"]["name"] == "mpr-derain"
    assert document["sets"][1]["means"]["restored"]["psnr"] == 25.0
    assert document["average"] == {
        "restored": {"psnr": 28.0, "ssim": 0.875},
        "input": {"psnr": 18.5, "ssim": 0.775},
        "sets": 2,
    }
    assert document["missing"] == ["Test100"]
    assert [entry["name"] for entry in document["not_measured"]] == ["Test2800", "Kodak 24/c.png"]
    rain = json.loads((tmp_path / "Rain100L" / "scores.json").read_text())
    assert rain["settings"] == {"model": "toy", "set": "Rain100L"}
    assert rain["means"]["restored"]["psnr"] == 31.0
    assert (tmp_path / "Kodak 24" / "scores.csv").read_text().count("\n") == 3


def test_side_by_side(tmp_path):
    images = [np.full((30, 200, 3), value) for value in (0.2, 0.4, 0.6)]
    side_by_side(tmp_path / "s.png", list(zip(("input", "restored", "target"), images)), title="name")
    picture = read_rgb(tmp_path / "s.png")
    assert picture.shape == (30 + 32, 3 * 200 + 2 * 8, 3)
    for place, value in enumerate((0.2, 0.4, 0.6)):
        np.testing.assert_allclose(picture[32:, place * 208 : place * 208 + 200], value, atol=1 / 255)
    assert picture[:16].min() < 0.5 < picture[:16].max()  # black title on white
    assert picture[16:32].min() < 0.5


def test_large_pictures_are_averaged_down_and_tiny_ones_get_room(tmp_path):
    side_by_side(tmp_path / "l.png", [("input", np.ones((1280, 320, 3)))])
    assert read_rgb(tmp_path / "l.png").shape[:2] == (640 + 16, 160)
    side_by_side(tmp_path / "t.png", [("restored: PSNR 24.68", np.ones((1, 1, 3)))])
    height, width = read_rgb(tmp_path / "t.png").shape[:2]
    assert height == 17
    assert width > 60


def test_caption():
    assert caption("input", {"psnr": math.inf, "ssim": math.nan}) == "input: PSNR inf, SSIM n/a"
