"""Lists of pairs: every row kept, both separators, errors with row numbers, and the published generators."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from mindrestore.data.lists import Row, read_list, read_rows, write_list
from mindrestore.data.locate import DatasetError
from mindrestore.data.make_lists import (
    HAZE_FOLDERS,
    RAIN_FOLDERS,
    Folders,
    check_rows,
    list_all_in_one,
    list_haze,
    list_noise,
    list_pairs,
)
from mindrestore.data.pairing import PairingError
from mindrestore.images.write import write_image


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.fixture
def root(tmp_path):
    """Write a small tree of DSRIR's training data, with empty files."""
    root = tmp_path / "datasets"
    touch(root, *(f"BSD400/{name}.jpg" for name in (100, 20, 3)), *(f"WED/gt/0000{n}.bmp" for n in (1, 2)))
    touch(root, *(f"Rain100L/train/{folder}-{n}.png" for n in (1, 2, 10) for folder in ("gt/norain", "rainy/rain")))
    for number in range(1, 21):
        versions = [f"{a}_{b}" for a in (0.8, 0.85, 0.9, 1) for b in (0.04, 0.08, 0.2)]
        touch(root, f"Reside/train/gt/{number:04d}.jpg")
        touch(root, *(f"Reside/train/hazy/part{k % 2}/{number:04d}_{v}.jpg" for k, v in enumerate(versions)))
    return root


def written(tmp_path, text):
    path = tmp_path / "list.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_pairs_of_a_list(root, tmp_path):
    path = written(
        tmp_path,
        "BSD400/20.jpg,BSD400/20.jpg\n"
        "Rain100L/train/gt/norain-1.png,Rain100L/train/rainy/rain-1.png\n"
        "Rain100L/train/gt/norain-1.png,Rain100L/train/rainy/rain-1.png\n",
    )
    noisy, *rainy = read_list(path, root)
    assert (noisy.key, noisy.input, noisy.target) == ("BSD400/20", root / "BSD400/20.jpg", root / "BSD400/20.jpg")
    assert noisy.noise == tuple(range(56))
    assert len(rainy) == 2
    assert rainy[0] == rainy[1]
    assert (rainy[0].key, rainy[0].noise) == ("Rain100L/train/rainy/rain-1", None)
    assert rainy[0].input == root / "Rain100L/train/rainy/rain-1.png"
    assert rainy[0].target == root / "Rain100L/train/gt/norain-1.png"
    assert read_list(path, root, (15, 17))[0].noise == (15, 16, 17)
    assert read_list(path, root, levels=[15, 25, 50])[0].noise == (15, 25, 50)
    with pytest.raises(DatasetError, match=r"noise \(55, 0\): use the least and the greatest"):
        read_list(path, root, (55, 0))
    with pytest.raises(DatasetError, match=r"nowhere: no such folder"):
        read_list(path, root / "nowhere")


@pytest.mark.parametrize(
    "text",
    [
        "a/x.png,b/x.png\nc.png,c.png\n",
        "a/x.png | b/x.png\nc.png|c.png",
        "  a/x.png\t|b/x.png  \r\n c.png , c.png\r\n\r\n  \r\n",
        b"\xef\xbb\xbfa/x.png,b/x.png\nc.png,c.png\n",
        '"a/x.png","b/x.png"\n"c.png" | "c.png" \n',
        "a\\x.png,./b/x.png\nc.png,c.png\n",
    ],
)
def test_both_separators_blanks_quotes_and_line_ends(text, tmp_path):
    assert read_rows(written(tmp_path, text)) == {1: Row("a/x.png", "b/x.png"), 2: Row("c.png", "c.png")}


@pytest.mark.parametrize(
    ("header", "swapped"),
    [
        ("target,degraded", False),
        ("Clean Path | Noisy Path", False),
        ("gt_image_path,input_file", False),
        ("degraded,target", True),
        ("LQ,GT", True),
    ],
)
def test_a_header_is_no_sample_and_may_swap_the_columns(header, swapped, tmp_path):
    path = written(tmp_path, f"{header}\na.png,b.png\nc.png,c.png\n")
    first = Row("b.png", "a.png") if swapped else Row("a.png", "b.png")
    assert read_rows(path) == {2: first, 3: Row("c.png", "c.png")}


def test_only_the_first_row_can_be_a_header_and_only_by_its_words(tmp_path):
    assert len(read_rows(written(tmp_path, "a,b\ntarget,degraded\nc,d\n"))) == 3
    assert len(read_rows(written(tmp_path, "clean/1.png,noisy/1.png\n"))) == 1
    assert len(read_rows(written(tmp_path, "target.png,degraded.png\n"))) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.png,b.png\n\nc.png,d.png\n", "row 2: a blank line is not a pair"),
        ("\na.png,b.png\n", "row 1: a blank line is not a pair"),
        ("a.png,b.png\nc.png\n", "row 2: 'c.png' is not a pair; write the clear and the degraded image"),
        ("a.png,b.png,c.png\n", "row 1: 'a.png,b.png,c.png' is not a pair"),
        ("target,degraded\na.png,\n", "row 2: 'a.png,' is not a pair"),
        ("a.png;b.png\n", "row 1: 'a.png;b.png' is not a pair"),
        ("a.png,b.png\n/etc/x.png,b.png\n", "row 2: /etc/x.png leads out of the data folder; use a path relative"),
        ("a.png,b/../../c.png\n", r"row 1: b/\.\./\.\./c.png leads out"),
        ("C:\\data\\a.png,b.png\n", "row 1: C:.*leads out"),
        ("", "the list holds no pair"),
        ("target,degraded\n\n", "the list holds no pair"),
        (b"\x89PNG\r\n\x1a\n\xff", "not a text in UTF-8"),
        (b"a\x00b,c\n", "not a text in UTF-8 .it holds zeros"),
    ],
)
def test_bad_lists_are_refused_with_the_row(text, message, tmp_path, root):
    with pytest.raises(DatasetError, match=f"list.csv(, |: ){message}"):
        read_list(written(tmp_path, text), root)


def test_missing_files_are_named_with_row_and_number(root, tmp_path):
    path = written(tmp_path, "target,degraded\nBSD400/3.jpg,BSD400/3.jpg\nBSD400/4.jpg,BSD400/4.jpg\n")
    with pytest.raises(DatasetError, match=r"list.csv, row 3: no image .*BSD400/4\.jpg; correct the row"):
        read_list(path, root)
    path = written(tmp_path, "BSD400/3.jpg,BSD400\nBSD400/3.jpg,no.jpg\nno.jpg,no.jpg\n")
    with pytest.raises(DatasetError, match=r"row 1: no image .*BSD400 \(3 rows miss an image\)"):
        read_list(path, root)
    with pytest.raises(DatasetError, match=r"none\.csv: cannot be read \(No such file"):
        read_list(tmp_path / "none.csv", root)
    with pytest.raises(DatasetError, match=r"row 1: no image .*/source;.*write a header as `target,degraded`"):
        read_list(written(tmp_path, "source,label\nBSD400/3.jpg,BSD400/3.jpg\n"), root)


def test_written_lists_are_read_again(tmp_path):
    rows = [Row("a.png", "b c.png"), Row("ä, b/1.png", "ä, b/1.png"), *2 * [Row("d.png", 'e"f.png')]]
    path = tmp_path / "new" / "list.csv"
    write_list(path, rows)
    assert path.read_text(encoding="utf-8").splitlines()[:2] == ["a.png,b c.png", '"ä, b/1.png","ä, b/1.png"']
    assert list(read_rows(path).values()) == rows
    with pytest.raises(DatasetError, match=r"list\.csv exists already; choose another file or pass --overwrite"):
        write_list(path, rows[:1])
    assert len(read_rows(path)) == 4
    write_list(path, rows[:1], overwrite=True)
    assert len(read_rows(path)) == 1
    assert [entry.name for entry in path.parent.iterdir()] == ["list.csv"]


@pytest.mark.parametrize("name", ["a|b.png", "a\nb.png", " a.png", "a.png ", "", "a\\b.png", "/a.png", "../a.png"])
def test_names_that_a_list_cannot_hold(name, tmp_path):
    with pytest.raises(DatasetError, match=r"cannot hold the names|leads out of the data folder"):
        write_list(tmp_path / "list.csv", [Row("a.png", "a.png"), Row(name, "b.png")])
    assert not (tmp_path / "list.csv").exists()
    with pytest.raises(DatasetError, match="no pairs to write"):
        write_list(tmp_path / "list.csv", [])


def test_noise_lists_every_image_of_every_folder_in_order(root):
    names = [row.target for row in list_noise(root).rows]
    assert names == [*(f"BSD400/{n}.jpg" for n in (3, 20, 100)), "WED/gt/00001.bmp", "WED/gt/00002.bmp"]
    assert all(row.target == row.degraded for row in list_noise(root).rows)
    assert [row.target for row in list_noise(root, ["WED/gt"]).rows] == names[3:]
    (root / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty: the folder holds no images"):
        list_noise(root, ["empty"])
    with pytest.raises(DatasetError, match=r"is not below .*sub"):
        list_noise(root / "sub", [str(root / "BSD400")])


def test_rain_pairs_are_repeated(root):
    rows, notes = list_pairs(root, RAIN_FOLDERS, 25)
    assert notes == []
    assert len(rows) == 75
    assert rows[:25] == 25 * [Row("Rain100L/train/gt/norain-1.png", "Rain100L/train/rainy/rain-1.png")]
    assert rows[50] == Row("Rain100L/train/gt/norain-10.png", "Rain100L/train/rainy/rain-10.png")
    (root / "Rain100L/train/gt/norain-2.png").unlink()
    with pytest.raises(PairingError, match=r"1 of 3 images have no clear partner.*: rain-2\.png"):
        list_pairs(root, RAIN_FOLDERS)


def test_haze_draws_one_version_of_every_clear_image(root):
    rows, notes = list_haze(root, seed=7)
    assert notes == []
    assert [row.target for row in rows] == [f"Reside/train/gt/{n:04d}.jpg" for n in range(1, 21)]
    assert all(row.degraded.rpartition("/")[2].startswith(row.target[16:20] + "_") for row in rows)
    assert list_haze(root, seed=7).rows == rows
    assert list_haze(root, seed=8).rows != rows
    drawn = Counter(row.degraded.split("_", 1)[1] for seed in range(60) for row in list_haze(root, seed=seed).rows)
    assert len(drawn) == 12
    assert min(drawn.values()) > 60  # of 100 expected
    some = list_haze(root, count=6, seed=7).rows
    assert len(some) == 6
    assert [row for row in rows if row in some] == some  # the same versions, in the same order
    with pytest.raises(DatasetError, match="hazy versions of 20 clear images; ask for at most as many, not for 21"):
        list_haze(root, count=21)


def test_clear_images_without_a_hazy_version_are_noted_and_hazy_ones_without_a_clear_one_refused(root):
    touch(root, "Reside/train/gt/0021.jpg", "Reside/train/gt/0022.jpg")
    rows, notes = list_haze(root)
    assert len(rows) == 20
    assert notes == [f"{root / HAZE_FOLDERS.target}: nothing belongs to 2 clear images: 0021.jpg, 0022.jpg"]
    touch(root, "Reside/train/hazy/part0/0023_1_0.2.jpg")
    with pytest.raises(PairingError, match=r"0023_1_0\.2\.jpg"):
        list_haze(root)


def test_all_in_one_is_noise_rain_and_haze(root):
    rows = list_all_in_one(root, repeat=4, count=9, seed=3).rows
    assert rows == [
        *list_noise(root).rows,
        *list_pairs(root, RAIN_FOLDERS, 4).rows,
        *list_haze(root, count=9, seed=3).rows,
    ]
    assert len(rows) == 5 + 12 + 9
    assert len(list_all_in_one(root).rows) == 5 + 75 + 20


def test_own_pairs(tmp_path):
    touch(tmp_path, "in/a_hazy.png", "in/b_hazy.png", "out/a_GT.jpg", "out/b_GT.jpg")
    rows = list_pairs(tmp_path, Folders("in", "out")).rows
    assert rows == [Row("out/a_GT.jpg", "in/a_hazy.png"), Row("out/b_GT.jpg", "in/b_hazy.png")]
    with pytest.raises(PairingError, match="2 of 2 images have no clear partner under the rule 'same'"):
        list_pairs(tmp_path, Folders("in", "out", "same"))
    (tmp_path / "void").mkdir()
    with pytest.raises(DatasetError, match="void: the folder holds no images"):
        list_pairs(tmp_path, Folders("void", "out"))


def test_check_names_what_is_wrong_once(tmp_path):
    grey = np.full((20, 30, 3), 99, np.uint8)
    for name in ("in/a.png", "out/a.png", "in/b.png"):
        write_image(tmp_path / name, grey)
    write_image(tmp_path / "out/b.png", grey[:, 1:])
    write_image(tmp_path / "small.png", grey[:15])
    touch(tmp_path, "empty.png")
    rows = [*3 * [Row("out/a.png", "in/a.png")], *3 * [Row("out/b.png", "in/b.png")]]
    rows += [Row(name, name) for name in ("small.png", "empty.png")]
    seen = []
    problems = check_rows(tmp_path, rows, 16, lambda rows: seen.extend(rows) or rows)
    assert len(seen) == 4
    assert len(problems) == 3
    assert "b.png is 30x20 but" in problems[0]
    assert "29x20" in problems[0]
    assert problems[1] == f"{tmp_path / 'small.png'}: 30x15 is smaller than 16 pixels a side"
    assert "the file is empty" in problems[2]
    assert len(check_rows(tmp_path, rows, 15)) == 2
