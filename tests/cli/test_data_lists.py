"""`mindrestore data list`, `epoch-chg`, `crop`, `noise` and `scenes --kind all-in-one`, as they are typed."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from mindrestore.cli.main import main
from mindrestore.data.catalog import find_pairs
from mindrestore.data.degrade import add_haze, draw_haze
from mindrestore.data.lists import Row, read_list, read_rows
from mindrestore.data.scenes import render_scene
from mindrestore.data.synth import HazeRanges
from mindrestore.images.read import read_image, read_rgb
from mindrestore.images.write import write_image

DOCS = Path(__file__).resolve().parents[2] / "docs" / "datasets.md"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Write a small data root of real images, and work beside it."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    names = [f"BSD400/{n}.jpg" for n in (1, 2, 10)] + ["WED/gt/00001.bmp", "BSD68/a.png"]
    names += [f"Rain100L/train/{folder}-{n}.png" for n in (1, 2) for folder in ("gt/norain", "rainy/rain")]
    names += [f"Reside/train/gt/000{n}.jpg" for n in range(1, 6)]
    names += [f"Reside/train/hazy/000{n}_{v}.jpg" for n in range(1, 6) for v in ("0.8_0.1", "1_0.2")]
    names += [f"my/{folder}/{n}.png" for folder in ("input", "target") for n in "ab"]
    for name in names:
        write_image(tmp_path / "datasets" / name, rng.integers(0, 255, (17, 26, 3), dtype=np.uint8))
    return tmp_path / "datasets"


def run(words, capsys):
    code = main(["data", *map(str, words)])
    output = capsys.readouterr()
    return code, output.out, output.err


def test_lists_get_their_published_names(root, capsys, tmp_path):
    assert run(["list", "noise", "--root", root], capsys) == (0, f"4 pairs in {root / 'train_noise.csv'}\n", "")
    assert (root / "train_noise.csv").read_text().splitlines()[-2:] == [
        "BSD400/10.jpg,BSD400/10.jpg",
        "WED/gt/00001.bmp,WED/gt/00001.bmp",
    ]
    (tmp_path / "lists").mkdir()
    assert run(["list", "rain", "--root", root, "--out", "lists"], capsys)[1] == "50 pairs in lists/train_rain.csv\n"
    assert run(["list", "haze", "--root", root, "--out", "h.csv"], capsys)[1] == "5 pairs in h.csv\n"
    joined = ["list", "join", "--root", root, "--repeat", 3, "--count", 2]
    assert run(joined, capsys)[1] == f"12 pairs in {root / 'train_all_in_one.csv'}\n"
    assert len(read_list(root / "train_all_in_one.csv", root)) == 12
    code, out, err = run(joined, capsys)
    assert (code, out) == (2, "")
    assert "train_all_in_one.csv exists already; choose another file or pass --overwrite" in err
    assert run([*joined, "--overwrite"], capsys)[0] == 0


def test_lists_are_joined_in_the_order_given(root, capsys):
    run(["list", "rain", "--root", root, "--repeat", 2], capsys)
    (root / "own.csv").write_text("target | degraded\nmy/target/a.png | my/input/a.png\n")
    words = ["list", "join", "--root", root, root / "own.csv", root / "train_rain.csv"]
    assert run(words, capsys)[0] == 0
    rows = list(read_rows(root / "train_all_in_one.csv").values())
    assert rows[0] == Row("my/target/a.png", "my/input/a.png")
    assert rows[1:] == list(read_rows(root / "train_rain.csv").values())
    assert len(rows) == 5
    code, _, err = run([*words, "--overwrite", "--seed", 1], capsys)
    assert code == 2
    assert "--seed does not go with lists" in err
    (root / "my/input/a.png").unlink()
    code, _, err = run([*words, "--overwrite"], capsys)
    assert code == 2
    assert "own.csv, row 2: no image" in err


def test_check_refuses_a_list_with_bad_images(root, capsys):
    words = ["list", "pairs", "--root", root, "--degraded", "my/input", "--clean", "my/target", "--check"]
    assert run(words, capsys)[:2] == (0, f"2 pairs in {root / 'train_pairs.csv'}\n")
    (root / "train_pairs.csv").unlink()
    write_image(root / "my/target/b.png", np.zeros((17, 25, 3), np.uint8))
    code, out, _ = run([*words, "--min-size", 18], capsys)
    assert code == 1
    assert re.search(r"^wrong: .*input/a\.png: 26x17 is smaller than 18 pixels a side$", out, re.MULTILINE)
    assert re.search(r"^wrong: .*input/b\.png is 26x17 but .*target/b\.png is 25x17;", out, re.MULTILINE)
    assert out.endswith("2 problem(s), no list was written\n")
    assert not (root / "train_pairs.csv").exists()
    (root / "my/target/b.png").unlink()
    code, _, err = run(words, capsys)
    assert code == 2
    assert "1 of 2 images have no clear partner" in err
    write_image(root / "my/target/c.png", np.zeros((17, 26, 3), np.uint8))
    (root / "my/input/b.png").unlink()
    assert "note: " + str(root / "my/target") + ": nothing belongs to 1 clear images: c.png\n" in run(words, capsys)[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["list"], "required: KIND"),
        (["list", "noise"], "required: --root"),
        (["list", "noise", "--root", "datasets", "--repet", "3"], "unknown argument '--repet'"),
        (["list", "rain", "--root", "datasets", "--repet", "3"], "did you mean '--repeat'?"),
        (["list", "rain", "--root", "datasets", "--repeat", "0"], "'0' is not a whole number of at least 1"),
        (["list", "haze", "--root", "datasets", "--seed", "-1"], "'-1' is not a whole number of at least 0"),
        (
            ["list", "haze", "--root", "datasets", "--count", "6"],
            "of 5 clear images; ask for at most as many, not for 6",
        ),
        (["list", "pairs", "--root", "datasets", "--degraded", "my/input"], "required: --clean"),
        (
            ["list", "pairs", "--root", "datasets", "--degraded", "my/input", "--clean", "my/target", "--rule", "x"],
            "pairing rule 'x' is unknown",
        ),
        (["list", "noise", "--root", "datasets", "--folders", "../outside"], "outside: no such folder"),
        (["epoch-chg", "--images", "0"], "'0' is not a whole number"),
        (["epoch-chg", "--images", "9", "--batch-size", "1", "2"], "use one of each per stage"),
        (["epoch-chg", "--images", "520000"], "stage 4: 64000 iterations of 8 show fewer than the 520000 images"),
        (["crop", "datasets/my/input", "datasets/my/input"], "the originals are there"),
        (["crop", "datasets/my/input", "out", "--multiple", "32"], "26x17 is smaller than 32 pixels"),
        (["noise", "datasets/my/input", "out", "--sigma", "0"], "'0' is not a number above 0"),
        (["noise", "datasets/nothing", "out"], "datasets/nothing: no such folder"),
    ],
)
def test_what_cannot_be_done_is_an_error_that_says_why(words, message, root, capsys):
    code, out, err = run(words, capsys)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err


def test_switch_epochs(capsys):
    assert run(["epoch-chg", "--images", 15144], capsys)[1].splitlines() == [
        "--epoch-chg 135 238 314 347",
        "train.progressive.epoch_chg=[135, 238, 314, 347]",
    ]
    words = ["epoch-chg", "--images", 30, "--iterations", 60, 90, "--batch-size", 2, 1]
    assert run(words, capsys)[1].splitlines()[0] == "--epoch-chg 4 7"


def test_crop_and_noise(root, capsys):
    assert run(["crop", "datasets/BSD400", "cropped"], capsys)[1] == "3 images in cropped\n"
    assert np.array_equal(read_image("cropped/10.png"), read_image(root / "BSD400/10.jpg")[:16, 1:25])
    assert run(["noise", "cropped", "noisy", "--sigma", 50, "--seed", 9], capsys)[1] == "3 images in noisy\n"
    first = read_image("noisy/1.png")
    assert np.abs(first.astype(int) - read_image("cropped/1.png")).mean() > 20
    assert run(["noise", "cropped", "noisy", "--sigma", 50, "--seed", 9], capsys)[0] == 2
    assert run(["noise", "cropped", "noisy", "--seed", 9, "--overwrite"], capsys)[0] == 0
    assert np.abs(read_image("noisy/1.png").astype(int) - read_image("cropped/1.png")).mean() < 20


def test_scenes_for_three_tasks(tmp_path, capsys):
    out = tmp_path / "data"
    words = ["scenes", out, "--kind", "all-in-one", "--count", 2, "--size", "40x32", "--seed", 5]
    code, text, _ = run(words, capsys)
    assert code == 0
    assert text.startswith("6 scenes in ")
    assert text.endswith(f"listed in {out / 'train_all_in_one.csv'}\n")
    assert (out / "train_all_in_one.csv").read_text().splitlines() == [
        "clean/0001.png,clean/0001.png",
        "clean/0004.png,clean/0004.png",
        "rain/target/0002.png,rain/input/0002.png",
        "rain/target/0005.png,rain/input/0005.png",
        "haze/target/0003.png,haze/input/0003.png",
        "haze/target/0006.png,haze/input/0006.png",
    ]
    pairs = read_list(out / "train_all_in_one.csv", out)
    assert [pair.noise is not None for pair in pairs] == [True, True, False, False, False, False]
    for number, pair in zip((1, 4, 2, 5, 3, 6), pairs):
        scene, depth = render_scene(5, number, (40, 32), outdoors=number in (2, 5))
        np.testing.assert_allclose(read_rgb(pair.target), scene, atol=0.51 / 255)
    rng = np.random.default_rng((5, 6, 1))
    haze = draw_haze(HazeRanges(), depth, rng)
    np.testing.assert_allclose(read_rgb(pair.input), add_haze(read_rgb(pair.target), depth, haze, rng), atol=0.51 / 255)
    records = [json.loads(line) for line in (out / "haze/haze.jsonl").read_text().splitlines()]
    assert [record["file"] for record in records] == ["0003.png", "0006.png"]
    assert records[1]["beta"] == haze.beta
    assert len((out / "rain/rain.jsonl").read_text().splitlines()) == 2
    for task in ("rain", "haze"):
        assert len(find_pairs("auto", out / task, "test")) == 2
    kept = (out / "haze/input/0003.png").read_bytes()
    (out / "clean/0001.png").unlink()
    code, _, err = run(words, capsys)
    assert code == 2
    assert "exists already (10 such)" in err
    assert not (out / "clean/0001.png").exists()
    more = ["scenes", tmp_path / "more", *words[2:5], 1, *words[6:]]
    assert run(more, capsys)[0] == 0
    assert (tmp_path / "more/haze/input/0003.png").read_bytes() == kept


def test_the_documented_commands_run(root, capsys):
    section = DOCS.read_text(encoding="utf-8").split("\n## Lists\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```\n(python haze_data\.py .*?)```", section, flags=re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) >= 8
    for command in commands:
        words = shlex.split(command.replace("--count 5000", "--count 4"))
        assert words[:2] == ["python", "haze_data.py"]
        assert run(words[2:], capsys)[0] == 0, command
    assert len(read_rows(root / "train_all_in_one.csv")) == 4 + 50 + 4
