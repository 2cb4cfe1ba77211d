"""The check and the commands: every problem by name, exit code 0, 1 or 2."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mindrestore.cli import data as command
from mindrestore.data.catalog import DatasetError, find_pairs
from mindrestore.data.check import check_folder
from mindrestore.images.write import write_image

ROOT = Path(__file__).resolve().parents[2]


def run(*words):
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    args = parser.parse_args(["data", *map(str, words)])
    return args.run(args)


@pytest.fixture
def folder(tmp_path):
    for kind in ("hazy", "clear"):
        for name in ("a", "b", "c"):
            write_image(tmp_path / kind / f"{name}.png", np.random.default_rng(0).random((20, 30, 3)))
    return tmp_path


def test_clean_folder(folder, capsys):
    assert run("check", folder) == 0
    assert "paired folders (train/val/test): 3 pairs, 3 clear images, rule same" in capsys.readouterr().out


def test_every_problem_is_named(folder, capsys):
    (folder / "hazy/text.png").write_text("no image")
    write_image(folder / "clear/text.png", np.zeros((9, 9, 3)))
    (folder / "hazy/a.png").write_bytes((folder / "hazy/a.png").read_bytes()[:100])
    write_image(folder / "clear/b.png", np.zeros((21, 30, 3)))
    write_image(folder / "hazy/tiny.png", np.zeros((1, 1, 3)))
    write_image(folder / "clear/tiny.png", np.zeros((1, 1, 3)))
    write_image(folder / "hazy/lonely.png", np.zeros((9, 9, 3)))
    write_image(folder / "clear/unused.png", np.zeros((9, 9, 3)))
    assert run("check", folder) == 1
    out = capsys.readouterr().out
    for text in (
        "hazy/lonely.png: has no clear partner",
        "clear/unused.png: no degraded image belongs to it",
        "hazy/a.png: damaged image",
        "hazy/text.png: not an image",
        "hazy/b.png: 30x20, but its partner",
        "hazy/tiny.png: 1x1 is smaller than 8 pixels",
        "clear/tiny.png: 1x1 is smaller than 8 pixels",
        "7 problem(s)",
    ):
        assert text in out


def test_pictures_that_are_not_read_are_noted(folder, capsys):
    for name in ("d.jxl", "e.dng", "f.txt"):
        (folder / "hazy" / name).write_bytes(b"x")
    assert run("check", folder) == 0
    assert (
        f"note: {folder / 'hazy'}: 2 files left out (1 .dng, 1 .jxl): these kinds are not read"
        in capsys.readouterr().out
    )


def test_min_size(folder):
    assert run("check", folder, "--min-size", "20") == 0
    report = check_folder(folder, min_size=21)
    assert len(report.problems) == 6
    assert "a.png: 30x20 is smaller than 21 pixels" in report.problems[0]


def test_counts_matter_when_the_data_set_is_named(tmp_path, capsys):
    write_image(tmp_path / "hazy/1400_1.png", np.zeros((46, 62, 3)))
    write_image(tmp_path / "gt/1400.png", np.zeros((48, 64, 3)))  # larger, as published
    assert run("check", tmp_path) == 0
    assert "note: " in capsys.readouterr().out
    assert run("check", tmp_path, "--dataset", "sots_indoor") == 1
    assert "1 degraded and 1 clear images, published are 500 degraded and 50" in capsys.readouterr().out


def test_each_test_set_of_a_rain_folder_is_a_section(tmp_path):
    root = tmp_path / "Synthetic_Rain_Datasets"
    for name in ("train", "test/Test100", "test/Rain100L"):
        for kind in ("input", "target"):
            write_image(root / name / kind / "1.png", np.zeros((9, 9, 3)))
    report = check_folder(root)
    assert [line.split(":")[0] for line in report.sections] == [
        "Synthetic Rain Datasets (train)",
        "Test100 (test)",
        "Rain100L (test)",
    ]
    assert report.clean
    assert f"{root}: Synthetic Rain Datasets has no Rain100H, Test2800, Test1200 in it" in report.notes
    named = check_folder(root, "synthetic_rain")
    assert "Rain100L (val/test)" in [line.split(":")[0] for line in named.sections]
    assert sum("published are" in problem for problem in named.problems) == 3
    assert any("has no Rain100H" in problem for problem in named.problems)


def test_two_targets_for_one_key_are_reported_once(folder):
    write_image(folder / "clear/a.jpg", np.zeros((20, 30, 3)))
    report = check_folder(folder)
    assert len(report.problems) == 1
    assert "a.jpg and a.png both claim" in report.problems[0]


def test_missing_and_empty_folder(tmp_path):
    with pytest.raises(DatasetError, match="no such folder"):
        check_folder(tmp_path / "absent")
    with pytest.raises(DatasetError, match="is empty"):
        check_folder(tmp_path)


def test_split_folders_are_separate_sections(tmp_path):
    for split, name in (("train", "a.png"), ("test", "b.png")):
        for kind in ("hazy", "clear"):
            write_image(tmp_path / split / kind / name, np.zeros((9, 9, 3)))
    report = check_folder(tmp_path)
    assert report.clean
    assert [line.split(":")[0] for line in report.sections] == ["paired folders (train)", "paired folders (test)"]


def test_scenes_synth_check_in_a_row(tmp_path):
    assert run("scenes", tmp_path / "s", "--count", 2, "--size", "32x24", "--seed", 3) == 0
    assert run("synth", tmp_path / "s/clear", tmp_path / "t", "--per-image", 2, "--airlight", "0.8:0.9") == 0
    assert len(list((tmp_path / "t/hazy").iterdir())) == 4
    assert run("check", tmp_path / "t") == 0


def test_rain_by_command(tmp_path, capsys):
    words = ("--kind", "rain", "--count", 2, "--size", "32x24")
    assert run("scenes", tmp_path / "s", *words) == 0
    assert run("check", tmp_path / "s") == 0
    rain = ("--kind", "rain", "--density", "0.1:0.2", "--angle", "10", "--veiled", "0")
    assert run("synth", tmp_path / "s/target", tmp_path / "t", *rain) == 0
    records = [json.loads(line) for line in (tmp_path / "t/rain.jsonl").read_text().splitlines()]
    assert all(0.1 <= record["density"] <= 0.2 and abs(record["angle"]) <= 10 for record in records)
    assert [record["veil"] for record in records] == [0, 0]
    for words, message in (
        (("--kind", "rain", "--disparity-scale", "1"), "--disparity-scale does not go with --kind rain"),
        (("--density", "0.1"), "--density does not go with --kind haze"),
    ):
        with pytest.raises(SystemExit):
            run("synth", tmp_path / "s/target", tmp_path / "u", *words)
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("synth", "c", "o", "--angle", "95"), "'95' is not a number of degrees"),
        (("scenes", "o", "--size", "0x3"), "'0x3' is not a size such as 320x240"),
        (("scenes", "o", "--count", "x"), "'x' is not a whole number"),
        (("synth", "c", "o", "--beta", "2:1"), "'2:1' is not LOW:HIGH"),
        (("synth", "c", "o", "--airlight", "0.5:1.5"), "'0.5:1.5' is not LOW:HIGH within 0 and 1"),
        (("synth", "c", "o", "--nonhomogeneous", "2"), "'2' is not a number from 0 to 1"),
    ],
)
def test_bad_values(words, message, capsys):
    with pytest.raises(SystemExit):
        run(*words)
    assert message in capsys.readouterr().err


def test_entry_point_from_another_folder(tmp_path):
    script = [sys.executable, str(ROOT / "haze_data.py")]
    missing = subprocess.run([*script, "check", "absent"], cwd=tmp_path, capture_output=True, text=True)
    assert missing.returncode == 2
    assert missing.stderr == "error: absent: no such folder; name the folder that holds the images' folders\n"
    made = subprocess.run(
        [*script, "scenes", "s", "--count", "1", "--size", "16x16"], cwd=tmp_path, capture_output=True
    )
    assert made.returncode == 0
    assert (tmp_path / "s/clear/0001.png").is_file()


def test_data_tools_do_not_load_mindspore():
    modules = ", ".join(f"mindrestore.data.{name}" for name in ("check", "rain", "synth", "scenes", "source"))
    code = f"import sys, {modules}; print('mindspore' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "src", capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("name", ["sots_indoor", "ihaze_small", "reside6k_outdoor", "rain100l"])
def test_real_folders_are_clean(shared, name):
    assert check_folder(shared / "data" / name).clean


def test_the_tree_of_the_model_zoo_is_looked_at_as_a_whole(tmp_path, capsys):
    files = ["RESIDE/train/hazy/1_1_0.9.png", "RESIDE/train/clear/1.png"]
    files += [f"{name}/{file}" for name in ("Dense", "NHHaze") for file in ("hazy/46_hazy.png", "GT/46_GT.png")]
    for name in files:
        write_image(tmp_path / name, np.random.default_rng(0).random((20, 30, 3)))
    assert run("check", tmp_path) == 0
    out = capsys.readouterr().out
    for title in ("RESIDE ITS (train): 1 pairs", "Dense-Haze (val/test): 1 pairs", "NH-HAZE (val/test): 1 pairs"):
        assert title in out
    (tmp_path / "NHHaze/GT/46_GT.png").write_text("no image")
    assert run("check", tmp_path) == 1
    assert "wrong: " in capsys.readouterr().out
    assert len(check_folder(tmp_path, "dense_haze").sections) == 1  # the one that is named
    with pytest.raises(
        DatasetError, match="name the one to use, with --dataset dense_haze on the command line or data"
    ):
        find_pairs("auto", tmp_path, "test")
