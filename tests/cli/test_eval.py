"""`mindrestore eval` on folders that hold several test sets: one line per set and their average."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mindrestore import api
from mindrestore.cli.main import main
from mindrestore.evaluation.protocol import get_protocol
from mindrestore.evaluation.sets import NamedSet, TestSet
from mindrestore.images.read import read_rgb
from mindrestore.images.write import write_image
from mindrestore.inference.options import PUBLISHED
from mindrestore.inference.restorer import Restorer
from mindrestore.weights.convert import save_weights
from small import SMALL, small

SETS = {"Test100": 1, "Rain100H": 2, "Rain100L": 1, "Test2800": 1, "Test1200": 1}


@pytest.fixture(scope="module")
def rain(tmp_path_factory) -> Path:
    """Return `Synthetic_Rain_Datasets` with pairs of 32x40 images, two of them in Rain100H."""
    root = tmp_path_factory.mktemp("data") / "Synthetic_Rain_Datasets"
    rng = np.random.default_rng(0)
    for place, (name, count) in enumerate(SETS.items()):
        for i in range(1, count + 1):
            clear = np.repeat(np.repeat(0.2 + 0.6 * rng.random((8, 10, 3)), 4, 0), 4, 1)
            drops = (rng.random((32, 40, 1)) < 0.02 * (place + i)) * 0.3
            write_image(root / "test" / name / "target" / f"{i}.png", clear)
            write_image(root / "test" / name / "input" / f"{i}.png", clear + drops)
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Return a run folder with a tiny deraining network as it is initialised."""
    folder = tmp_path_factory.mktemp("runs") / "derain"
    folder.mkdir()
    recipe = {
        "model": {"name": "mprnet_deraining", "hyper": SMALL["mprnet_deraining"]},
        "train": {"max_steps": 1},
        "validation": {"protocol": "rgb", "test_protocol": "mpr-derain"},
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe))  # JSON is YAML
    save_weights(small("mprnet_deraining"), folder / "best.ckpt")
    return folder


@pytest.fixture(scope="module")
def restorer(run):
    return Restorer(api.Trained.of_run(run), options=PUBLISHED, device="CPU")


@pytest.fixture(scope="module")
def five(rain, run, tmp_path_factory) -> Path:
    """Evaluate all five sets from the command line and give the report's folder."""
    out = tmp_path_factory.mktemp("report")
    assert main(["eval", str(run), "--data", str(rain / "test"), "--device", "CPU", "--out", str(out)]) == 0
    return out


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_five_sets_and_their_unweighted_average(five, rain, restorer):
    lines = (five / "summary.txt").read_text().splitlines()
    assert lines[0].startswith("protocol mpr-derain: luma Y of BT.601")
    table = [line.split() for line in lines if "mpr-derain " in line and not line.startswith("protocol")]
    assert [(words[0], int(words[2])) for words in table] == list(SETS.items())

    measure = get_protocol("mpr-derain").measure
    expected = {name: {"psnr": [], "psnr_input": []} for name in SETS}
    for name, count in SETS.items():
        for i in range(1, count + 1):
            wet, dry = (read_rgb(rain / "test" / name / side / f"{i}.png") for side in ("input", "target"))
            expected[name]["psnr"].append(measure(restorer.restore_float(wet), dry)["psnr"])
            expected[name]["psnr_input"].append(measure(wet, dry)["psnr"])
    summary = rows_of(five / "summary.csv")
    assert [row["set"] for row in summary] == [*SETS, "average of 5 sets"]
    for column in ("psnr", "psnr_input"):
        means = [np.mean(expected[name][column]) for name in SETS]
        assert [float(row[column]) for row in summary] == pytest.approx([*means, np.mean(means)], abs=1e-4)
        every = [value for name in SETS for value in expected[name][column]]
        assert float(summary[-1][column]) != pytest.approx(np.mean(every), abs=1e-3)  # the sets count alike
        printed = [words[{"psnr_input": 3, "psnr": 4}[column]] for words in table]
        assert printed == [f"{mean:.2f}" for mean in means]


def test_every_set_has_its_own_report(five):
    document = json.loads((five / "summary.json").read_text())
    assert document["average"]["sets"] == 5
    assert document["missing"] == document["not_measured"] == []
    for name, count in SETS.items():
        rows = rows_of(five / name / "scores.csv")
        assert [row["image"] for row in rows] == [f"{i}.png" for i in range(1, count + 1)]
        means = json.loads((five / name / "scores.json").read_text())["means"]
        assert np.mean([float(row["ssim"]) for row in rows]) == pytest.approx(means["restored"]["ssim"], abs=1e-5)
        assert len(list((five / name / "pictures").glob("*.png"))) == count


def test_missing_sets_are_named_and_the_others_averaged(rain, run, five, tmp_path, capsys):
    part = tmp_path / "Synthetic_Rain_Datasets"
    for name in ("Rain100L", "Test1200", "Rain100H"):
        shutil.copytree(rain / "test" / name, part / "test" / name)
    assert main(["eval", str(run), "--data", str(part), "--out", str(tmp_path / "report")]) == 0
    printed = capsys.readouterr().out
    assert "average of 3 of 5 sets" in printed
    assert "missing: Test100, Test2800" in printed
    rows, whole = (
        rows_of(tmp_path / "report" / "summary.csv"),
        {row["set"]: row for row in rows_of(five / "summary.csv")},
    )
    assert [row["set"] for row in rows[:-1]] == ["Rain100H", "Rain100L", "Test1200"]
    for row in rows[:-1]:
        assert float(row["psnr"]) == pytest.approx(float(whole[row["set"]]["psnr"]), abs=1e-4)
    assert float(rows[-1]["ssim"]) == pytest.approx(np.mean([float(row["ssim"]) for row in rows[:-1]]), abs=1e-5)


def test_one_set_and_images_that_are_damaged(rain, run, tmp_path, capsys):
    words = ["eval", str(run), "--out", str(tmp_path / "one")]
    assert main([*words, "--data", str(rain / "test" / "Rain100H"), "--protocol", "rgb", "--max-images", "1"]) == 0
    assert "protocol rgb:" in capsys.readouterr().out
    assert len(rows_of(tmp_path / "one" / "scores.csv")) == 1
    copy = tmp_path / "copy"
    shutil.copytree(rain, copy)
    (copy / "test" / "Test100" / "input" / "1.png").write_text("no image")
    (copy / "test" / "Rain100H" / "target" / "2.png").write_text("no image")
    assert main([*words, "--data", str(copy)]) == 1
    printed = capsys.readouterr().out
    assert "average of 4 of 5 sets" in printed
    assert "not measured (2):" in printed
    assert "  Rain100H/2.png: " in printed


def test_sets_with_protocols_of_their_own_in_python(rain, run, tmp_path):
    pairs = {name: TestSet(rain / "test" / name).pairs() for name in ("Rain100L", "Rain100H")}
    table = [NamedSet("light", pairs["Rain100L"], "dsrir-y"), NamedSet("heavy", pairs["Rain100H"], "dsrir-rgb")]
    result = api.evaluate(run, table, out=tmp_path / "own").evaluation
    assert [evaluation.protocol.name for evaluation in result.sets.values()] == ["dsrir-y", "dsrir-rgb"]
    wet, dry = (read_rgb(rain / "test" / "Rain100L" / side / "1.png") for side in ("input", "target"))
    assert result.sets["light"].input_mean["psnr"] == pytest.approx(get_protocol("dsrir-y").measure(wet, dry)["psnr"])
    same = api.evaluate(run, table, protocol="rgb8", out=tmp_path / "same").evaluation
    assert [evaluation.protocol.name for evaluation in same.sets.values()] == ["rgb8", "rgb8"]
    assert same.mean["psnr"] == pytest.approx(np.mean([part.mean["psnr"] for part in same.sets.values()]))


def test_both_engines_measure_the_same(uncompiled, run, rain, tmp_path):
    scores = {}
    for engine in ("onnx", "mindspore"):
        out = tmp_path / engine
        words = ["eval", str(run), "--data", str(rain), "--max-images", "1", "--engine", engine, "--out", str(out)]
        assert main(words) == 0
        with next(out.rglob("scores.csv")).open(encoding="utf-8") as stream:
            scores[engine] = next(csv.DictReader(stream))
    assert abs(float(scores["onnx"]["psnr"]) - float(scores["mindspore"]["psnr"])) < 0.001


def test_pictures_of_other_kinds_are_noted_and_counts_are_numbers(tmp_path, capsys):
    for side in ("hazy", "clear"):
        write_image(tmp_path / side / "1.png", np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8))
    for name in ("2.gif", "3.dng", "notes.txt", ".4.gif"):
        (tmp_path / "hazy" / name).touch()
    words = ["eval", "--model", "dehazeformer_t", "--weights", "dehaze_free"]
    words += ["--data", str(tmp_path), "--device", "CPU"]
    assert main([*words, "--protocol", "rgb", "--out", str(tmp_path / "r")]) == 0
    out, err = capsys.readouterr()
    assert "mean of 1 " in out
    assert err == (
        f"note: {tmp_path}/hazy: 2 files left out (1 .dng, 1 .gif): these kinds are not read; save pictures as PNG, "
        "JPEG or TIFF; develop raw photographs first\n"
    )
    for option, value in (("--max-images", "0"), ("--max-images", "-1"), ("--noise-seed", "-1")):
        assert main([*words, option, value]) == 2
        assert f"error: argument {option}: '{value}' is not a whole number of at least" in capsys.readouterr().err
