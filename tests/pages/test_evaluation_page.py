"""The page of an evaluation: its numbers are those of scores.csv, its files are there, its text is escaped."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from parsed import NAMES, Page
from PIL import Image

from mindrestore.data.pairing import Pair
from mindrestore.evaluation.evaluator import evaluate_sets
from mindrestore.evaluation.pictures import copy_size, error_colours, error_map, write_copy
from mindrestore.evaluation.report import write_sets
from mindrestore.evaluation.sets import NamedSet
from mindrestore.images.read import read_image
from mindrestore.pages.evaluation import write_evaluation_page
from mindrestore.pages.render import address, breakable, environment, plain
from mindrestore.pages.scores import ReportError, read_report
from mindrestore.pages.sheet import worst_and_best


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_report, run) -> Path:
    place = tmp_path_factory.mktemp("report")
    write_report(place, 1.6, run)
    return place


@pytest.fixture(scope="module")
def page(folder) -> Page:
    return Page.read(folder / "index.html")


def test_the_table_has_the_numbers_of_scores_csv(folder, page):
    with (folder / "scores.csv").open(newline="") as stream:
        expected = list(csv.DictReader(stream))
    *rows, means = page.table("Scores per image")
    assert [row["image"] for row in rows] == [row["image"] for row in expected] == list(NAMES)
    for row, known in zip(rows, expected):
        assert row["PSNR input"] == known["psnr_input"]
        assert row["PSNR restored"] == known["psnr"]
        assert row["SSIM input"] == known["ssim_input"]
        assert row["SSIM restored"] == known["ssim"]
        assert row["seconds"] == known["seconds"]
        assert float(row["PSNR gain"]) == pytest.approx(float(known["psnr"]) - float(known["psnr_input"]), abs=1e-5)
    mean = np.mean([float(row["psnr"]) for row in expected])
    assert float(means["PSNR restored"]) == pytest.approx(mean, abs=1e-5)
    printed = {row[0][0]: row for row in page.tables["Mean scores"]}
    assert printed["PSNR"][2][0] == f"{mean:.2f}"
    shown = page.tables["Scores per image"][1]
    assert shown[3][0] == f"{float(expected[0]['psnr']):.2f}"


def test_everything_the_page_needs_is_in_its_folder(folder, page):
    files = page.files(folder)
    assert len([path for path in files if path.name == "error.jpg"]) == 2 * len(NAMES) + 2
    assert [path.name for path in files if path.parent == folder] == ["sheet.jpg", "sheet.jpg"]  # shown, and to save
    assert all(path.is_file() and folder in path.parents for path in files)
    text = (folder / "index.html").read_text()
    assert re.findall(r"(?:https?:)?//[a-z0-9]", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)) == []
    assert text.count("<before-after ") == len(NAMES)


def test_names_are_escaped(folder, page):
    text = (folder / "index.html").read_text()
    assert "<i>&amp; #1" not in text.replace("&lt;i&gt;", "")
    assert NAMES[3] in page.text
    assert "toy <b>: " in page.text
    assert page.text.count("<i>&amp;") == 2  # the table and the heading of the slider
    assert address('pictures/a "b" <i>&amp; #1 50%é/x.jpg') == (
        "pictures/a%20%22b%22%20%3Ci%3E%26amp%3B%20%231%2050%25%C3%A9/x.jpg"
    )
    assert address("a:b.png") == "./a%3Ab.png"
    blank = environment().from_string('{% extends "page.html" %}').render(title="</title>")
    assert "<title>&lt;/title&gt;" in blank


def test_protocol_settings_curves_and_recipe_are_shown(folder, page):
    protocol = json.loads((folder / "scores.json").read_text())["protocol"]
    assert protocol["description"] in page.text
    assert "model: {name: toy}  # a < b" in page.text
    assert {"loss", "l1", "edge_2", "learning rate", "loss scale"} <= page.curves.keys()
    assert "validation PSNR" in page.text
    assert "mean absolute difference of the channels: 0  51 or more of 255" in page.text  # the scale of the error maps


def test_the_worst_and_the_best_images_come_first(folder, page):
    with (folder / "scores.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    names = [row["image"] for row in sorted(rows, key=lambda row: float(row["psnr"]))]
    text = (folder / "index.html").read_text()
    found = re.findall(r'<h3 class="group"><span[^>]*>(.*?)</span></h3>|<section [^>]*id="image-(\d)"', text)
    shown = [heading or NAMES[int(place) - 1] for heading, place in found]
    assert shown == ["Worst PSNR", *names[:2], "Best PSNR", *names[:1:-1]]
    with Image.open(folder / "sheet.jpg") as sheet:
        assert sheet.size == (
            8 + 4 * (360 + 8),
            8 + 4 * (2 * 16 + 216 + 8),
        )  # four lines of four 40x24 layers


@pytest.mark.parametrize(
    ("scores", "falling", "expected"),
    [
        ([3, 1, 2, 9, 4, 8, 7], False, ([1, 2, 0], [3, 5, 6], [4])),
        ([3, 1, 2, 9, 4, 8, 7], True, ([3, 5, 6], [1, 2, 0], [4])),
        ([5, math.nan, 6], False, ([0], [2], [1])),
        ([5], False, ([], [], [0])),
        ([math.inf, 1], False, ([1], [0], [])),
    ],
)
def test_images_stand_out_on_both_sides(scores, falling, expected):
    assert worst_and_best(scores, falling) == expected


def test_settings_are_written_for_people():
    assert [str(plain(value)) for value in (True, False, 3, "auto")] == ["yes", "no", "3", "auto"]
    assert plain("/home/me/my runs/night/best.ckpt") == plain(Path("/data/best.ckpt")) == "…/best.ckpt"
    assert plain("a.npz, then /data/weights/b.npz") == "a.npz, then …/b.npz"
    assert plain("data: {root: /data/NH-HAZE}\nvgg: '/w/vgg/16.npz'") == "data: {root: …/NH-HAZE}\nvgg: '…/16.npz'"
    for text in ("runs/night/best.ckpt", "https://example.org/a/b", "2/3 and/or 1/2"):
        assert plain(text) == text


def test_long_names_break_behind_their_punctuation_and_short_ones_never():
    assert breakable("Dense") == "Dense"
    assert breakable("dense_<b>_hazy-photograph.png") == "dense_&lt;b&gt;_<wbr>hazy-<wbr>photograph.<wbr>png"


def test_error_maps_colour_the_mean_absolute_difference():
    target = np.full((2, 4, 3), 0.5, np.float32)
    restored = target.copy()
    restored[0, 1] = (0.6, 0.5, 0.7)  # mean 0.1: half of the scale
    restored[0, 2] = 0.9  # beyond its end
    restored[0, 3] = np.nan
    colours, found = error_colours(), error_map(restored, target)
    places = [0, 128, 255, 255]
    assert found[0].tolist() == [colours[place].tolist() for place in places]
    light = colours.astype(int).sum(axis=1)
    assert light[0] < light[128] < light[255]


def test_large_pictures_are_averaged_down(tmp_path):
    image = np.zeros((40, 3200, 3), np.uint16)
    image[:, ::2] = 65535
    write_copy(tmp_path / "copy.jpg", image)
    copy = read_image(tmp_path / "copy.jpg")
    assert copy.shape == (20, 1600, 3) == (*copy_size(40, 3200), 3)
    assert abs(copy.astype(int) - 128).max() <= 2
    assert copy_size(1600, 3) == (1600, 3)


def test_pictures_are_those_of_the_evaluation(folder, pairs):
    place = folder / "pictures" / "parts" / "1"
    for layer, expected in (("input", read_image(pairs[0].input)), ("target", read_image(pairs[0].target))):
        assert abs(read_image(place / f"{layer}.jpg").astype(int) - expected).mean() < 3  # JPEG
    restored = np.clip(read_image(pairs[0].input) * 1.6, 0, 255)
    assert abs(read_image(place / "restored.jpg") - restored).mean() < 3


def test_what_was_not_measured_is_named(tmp_path, pairs, write_report):
    gone = Pair("gone", tmp_path / "<gone>.png", tmp_path / "gone.png")
    write_report(tmp_path / "report", 1.5, chosen=[*pairs[:1], gone])
    text = Page.read(tmp_path / "report" / "index.html").text
    assert "Left out<gone>.png: " in text


def test_several_sets_get_an_index_and_a_page_each(tmp_path, pairs, run):
    sets = [NamedSet("day & night", pairs[:2], "rgb"), NamedSet("fog", pairs[2:], "aecr"), NamedSet("none", [], "rgb")]
    result = evaluate_sets(lambda image: np.clip(image * 1.4, 0, 1), sets, save_dir=tmp_path, progress=False)
    write_sets(result, tmp_path, {"model": "toy"})
    index = Page.read(write_evaluation_page(tmp_path, run))
    rows = index.table("Means per set")
    assert [row["set"] for row in rows] == ["day & night", "fog", "average of the sets"]
    for row, mean in zip(rows, [*(entry.mean for entry in result.sets.values()), result.mean]):
        assert float(row["PSNR restored"]) == pytest.approx(mean["psnr"], abs=1e-5)
    pages = [path for path in index.files(tmp_path) if path.name == "index.html"]
    assert [path.parent.name for path in pages] == ["day & night", "fog"]
    for path in pages:
        page = Page.read(path)
        assert all(file.is_file() for file in page.files(path.parent))
        assert len(page.table("Scores per image")) == 2 + 1
    assert "Left outnone: missing" in index.text
    assert "loss" in index.curves


def test_reports_are_read_back(folder, tmp_path, write_report):
    report = read_report(folder)
    assert [image.name for image in report.sets[0].images] == list(NAMES)
    first = report.sets[0].images[0]
    assert (first.width, first.height) == (40, 24)
    holder = tmp_path / "runs" / "night"
    write_report(holder / "report", 1.5)
    assert read_report(holder).label == read_report(holder / "report").label == "night"


def test_folders_that_are_no_reports_are_refused(tmp_path):
    with pytest.raises(ReportError, match="no such folder"):
        read_report(tmp_path / "none")
    with pytest.raises(ReportError, match=r"holds no report; write one with `mindrestore eval"):
        read_report(tmp_path)
    (tmp_path / "scores.json").write_text("{")
    with pytest.raises(ReportError, match=r"scores\.json: damaged report"):
        read_report(tmp_path)
    (tmp_path / "scores.json").write_text("{}")
    with pytest.raises(ReportError, match=r"'images' is missing, so this is not a report"):
        read_report(tmp_path)


def test_a_report_without_pictures_has_a_page_without_sliders(tmp_path, folder):
    document = json.loads((folder / "scores.json").read_text())
    for image in document["images"]:
        del image["picture"]  # as earlier versions wrote it
    (tmp_path / "scores.json").write_text(json.dumps(document))
    page = write_evaluation_page(tmp_path)
    assert "<before-after " not in page.read_text()
    assert len(Page.read(page).table("Scores per image")) == len(NAMES) + 1


def test_images_of_any_shape_can_be_copied(tmp_path):
    for shape in ((1, 1, 3), (1, 4000, 3), (3, 2, 3)):
        write_copy(tmp_path / "x.jpg", np.full(shape, 0.5, np.float32))
        assert read_image(tmp_path / "x.jpg").shape[:2] == copy_size(*shape[:2])
