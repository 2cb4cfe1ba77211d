"""Lists as editors save them, wrong ones in one line, and folders that hold one sub-folder per scene."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from mindrestore.cli.main import main
from mindrestore.data.catalog import find_pairs
from mindrestore.data.check import check_folder
from mindrestore.data.lists import Row, read_list, read_rows, write_list
from mindrestore.data.locate import DatasetError
from mindrestore.data.pairing import PairingError
from mindrestore.data.texts import MOST_LINES, ListError
from mindrestore.evaluation.evaluator import evaluate_pairs
from mindrestore.evaluation.protocol import get_protocol
from mindrestore.images.write import write_image

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le-mark", "utf-16-be-mark")


def encoded(text, encoding):
    if encoding.endswith("-mark"):
        return ("\ufeff" + text).encode(encoding.removesuffix("-mark"))
    return text.encode(encoding)


def add_pair(root, key, shift=0):
    for kind in ("hazy", "gt"):
        image = np.random.default_rng(len(key) + shift).integers(0, 256, (12, 16, 3), np.uint8)
        write_image(root / kind / f"{key}.png", image)


@pytest.fixture
def folder(tmp_path):
    for key in ("0001", "0002", "雨 3"):
        add_pair(tmp_path, key)
    return tmp_path


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_keys_in_any_encoding(folder, encoding):
    (folder / "train.txt").write_bytes(encoded('0001\r\n"雨 3"\r\n\r\n# 0002\r\n', encoding))
    (folder / "test.txt").write_bytes(encoded("0002.png", encoding))
    assert [pair.key for pair in find_pairs("auto", folder, "train")] == ["0001", "雨 3"]
    assert [pair.key for pair in find_pairs("auto", folder, "test")] == ["0002"]
    report = check_folder(folder)
    assert report.problems == []
    assert [section.split(":")[0] for section in report.sections] == ["paired folders (train)", "paired folders (test)"]
    assert [section.split(": ")[1][:7] for section in report.sections] == ["2 pairs", "1 pairs"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_encodings_that_nothing_announces_are_told(folder, encoding):
    (folder / "train.txt").write_bytes("0001\n".encode(encoding))
    report = check_folder(folder)
    assert report.problems == [
        f"{folder / 'train.txt'}: not a text in UTF-8 (it holds zeros, as UTF-16 and UTF-32 do); save the list as UTF-8"
    ]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_rows_in_any_encoding(folder, encoding):
    (folder / "list.csv").write_bytes(
        encoded('gt/0001.png,hazy/0001.png\r\n"gt/雨 3.png","hazy/雨 3.png"\r\n', encoding)
    )
    assert list(read_rows(folder / "list.csv").values())[1] == Row("gt/雨 3.png", "hazy/雨 3.png")
    assert [pair.key for pair in read_list(folder / "list.csv", folder)] == ["hazy/0001", "hazy/雨 3"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"0001\n0009\n0010\n", r"train\.txt: no image has the key '0009' \(2 such lines\); correct the list"),
        (b"\n# nothing\n", r"train\.txt: the list is empty; write one key per line"),
        (b"0001\n\xd3\xea\n", r"train\.txt: not a text in UTF-8 \(.*\); save the list as UTF-8"),
        (b"1\n" * (MOST_LINES + 1), r"train\.txt: 500001 lines are more than a list can have \(500000\); split or"),
    ],
)
def test_what_training_refuses_the_checker_names(folder, capsys, content, line):
    (folder / "train.txt").write_bytes(content)
    (folder / "test.txt").write_text("0002\n")
    with pytest.raises(ListError, match=line):
        find_pairs("auto", folder, "train")
    assert main(["data", "check", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "nothing wrong" not in out
    assert "1 problem(s)" in out
    assert "paired folders (test): 1 pairs" in out


def test_what_never_ends_or_is_too_long_is_refused_at_once(folder):
    os.mkfifo(folder / "pipe.csv")
    with open(folder / "huge.csv", "wb") as file:
        file.truncate(1 << 34)  # 16 GB that take no room
    (folder / "rows.csv").write_bytes(b"gt/0001.png,hazy/0001.png\n" * 1_000_000)
    began = time.monotonic()
    for path, line in {
        "/dev/zero": "/dev/zero: not a file; name the path of a list",
        folder / "pipe.csv": "pipe.csv: not a file; name the path of a list",
        folder / "huge.csv": r"huge.csv: 17180 MB are more than a list can have \(67 MB\); is this the list\?",
        folder / "rows.csv": r"rows.csv: 1000000 lines are more than a list can have \(500000\); split or shorten it",
        folder / "none.csv": r"none.csv: cannot be read \(No such file or directory\); check the path of the list",
        folder: r"not a file; name the path of a list",
    }.items():
        with pytest.raises(ListError, match=line):
            read_rows(path)
    assert time.monotonic() - began < 10
    (folder / "train.txt").symlink_to("/dev/zero")
    (folder / "test.txt").write_text("0002\n")
    assert any("train.txt: not a file" in problem for problem in check_folder(folder).problems)


def test_names_that_a_list_cannot_hold(folder):
    with pytest.raises(DatasetError, match=r"a list is a text in UTF-8, in which .*\\udcd3.* has no place; rename it"):
        write_list(folder / "l.csv", [Row("gt/\udcd3.png", "hazy/\udcd3.png")])


@pytest.fixture
def scenes(tmp_path):
    for split, count in (("train", 3), ("test", 2)):
        for scene in ("C001", "C002"):
            for number in range(count):
                add_pair(tmp_path / split, f"{scene}/{number:05d}", shift=number)
    return tmp_path


def test_scenes_are_paired_by_folder_and_name(scenes, capsys):
    pairs = find_pairs("auto", scenes, "train")
    assert [pair.key for pair in pairs] == [f"C00{scene}/0000{number}" for scene in (1, 2) for number in range(3)]
    assert all(pair.input.parts[-2:] == pair.target.parts[-2:] for pair in pairs)
    assert main(["data", "check", str(scenes)]) == 0
    out = capsys.readouterr().out
    assert "paired folders (train): 6 pairs, 6 clear images, rule same" in out
    assert "paired folders (test): 4 pairs, 4 clear images, rule same" in out


def test_scenes_are_told_apart_in_an_evaluation(scenes):
    pairs = find_pairs("auto", scenes, "test")
    rows = evaluate_pairs(lambda image: image, pairs, get_protocol("rgb"), progress=False).rows
    assert [row.name for row in rows] == ["C001/00000.png", "C001/00001.png", "C002/00000.png", "C002/00001.png"]


def test_scenes_in_a_list(scenes):
    scenes = scenes / "train"
    (scenes / "train.txt").write_text("C001/00001\nC002/00002.png\n")
    assert [pair.key for pair in find_pairs("folders", scenes, "train")] == ["C001/00001", "C002/00002"]
    (scenes / "train.txt").write_text("00001\n")  # of which scene?
    with pytest.raises(ListError, match="no image has the key '00001'"):
        find_pairs("folders", scenes, "train")


def test_what_lacks_in_a_scene_is_named(scenes):
    (scenes / "train" / "gt" / "C002" / "00001.png").unlink()
    with pytest.raises(
        PairingError, match=r"C002: 1 of 6 images have no clear partner under the rule 'same': 00001.png"
    ):
        find_pairs("auto", scenes, "train")


def test_scenes_without_partners_say_what_to_do(scenes):
    for scene in ("C001", "C002"):
        (scenes / "train" / "gt" / scene).rename(scenes / "train" / "gt" / f"clear {scene}")
    line = (
        r"hazy: the images lie in sub-folders \(C001, C002\), and .*gt has no sub-folders of these names; name them "
        "alike, move the images up or write a CSV list"
    )
    with pytest.raises(DatasetError, match=line):
        find_pairs("auto", scenes, "train")
