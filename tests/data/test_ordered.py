"""Folders trainA, trainB, testA, testB: pairs by order, three to one, and what happens when an image is missing."""

from __future__ import annotations

import numpy as np
import pytest

from mindrestore.data.catalog import DatasetError, find_pairs, find_split
from mindrestore.data.check import check_folder
from mindrestore.data.ordered import pair_in_order
from mindrestore.data.pairing import PairingError
from mindrestore.images.write import write_image

FOG = [f"aachen_{scene:06d}_000019_leftImg8bit" for scene in range(4)]
DENSITIES = ("0.005", "0.01", "0.02")


def fill(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")


def foggy(root, split="train", scenes=FOG):
    fill(root / f"{split}A", *(f"{scene}_foggy_beta_{beta}.png" for scene in scenes for beta in DENSITIES))
    fill(root / f"{split}B", *(f"{scene}.png" for scene in scenes))


def names(pairs):
    return [(pair.input.name, pair.target.name) for pair in pairs]


def test_pairs_go_by_sorted_names(tmp_path):
    fill(tmp_path / "trainA", "10.png", "9.png", "b.jpg")  # as text, 10 comes before 9
    fill(tmp_path / "trainB", "x.png", "y.png", "z.png")
    pairs = find_pairs("auto", tmp_path, "train")
    assert names(pairs) == [("10.png", "x.png"), ("9.png", "y.png"), ("b.jpg", "z.png")]
    assert [pair.key for pair in pairs] == ["10", "9", "b"]
    found = find_split("auto", tmp_path, "train")
    assert (found.dataset, found.pairing.rule) == ("ab_folders", "order")


def test_three_hazy_images_share_a_clear_one(tmp_path):
    foggy(tmp_path / "HazeCityscapes")
    foggy(tmp_path / "HazeCityscapes", "test", FOG[:2])
    for root, dataset in ((tmp_path / "HazeCityscapes", "auto"), (tmp_path, "HazeCityscapes")):
        found = find_split(dataset, root, "train")
        assert (found.dataset, found.pairing.rule) == ("hazecityscapes", "order, 3 to 1")
        for i, pair in enumerate(found.pairing.pairs):
            assert pair.target.name == f"{FOG[i // 3]}.png"
            assert pair.input.name == f"{FOG[i // 3]}_foggy_beta_{DENSITIES[i % 3]}.png"
        assert len(found.pairing.pairs) == 12
    assert len(find_pairs("hazecityscapes", tmp_path, "test")) == 6


def test_three_to_one_goes_by_order_where_names_say_nothing(tmp_path):
    fill(tmp_path / "A", *(f"{i:02d}.png" for i in range(6)))
    fill(tmp_path / "B", "one.png", "two.png")
    assert [pair.target.name for pair in pair_in_order(tmp_path / "A", tmp_path / "B", 3).pairs] == [
        *["one.png"] * 3,
        *["two.png"] * 3,
    ]


@pytest.mark.parametrize(
    ("gone", "orphan"),
    [
        (("trainA", f"{FOG[1]}_foggy_beta_0.01.png"), f"trainB/{FOG[1]}.png"),  # a clear image with two hazy ones
        (("trainB", f"{FOG[2]}.png"), f"trainA/{FOG[2]}_foggy_beta_0.005.png"),
    ],
)
def test_a_missing_image_of_hazecityscapes_is_named(tmp_path, gone, orphan):
    foggy(tmp_path)
    (tmp_path / gone[0] / gone[1]).unlink()
    with pytest.raises(PairingError, match=rf"3 times as many.*first without its partner is \S*{orphan}"):
        find_pairs("hazecityscapes", tmp_path, "train")


def test_without_telling_names_the_first_behind_the_end_is_named(tmp_path):
    fill(tmp_path / "A", *(f"{i}.png" for i in range(7)))
    fill(tmp_path / "B", "one.png", "two.png")
    with pytest.raises(PairingError, match=r"holds 7 images and \S*B 2; .*partner is \S*A/6\.png"):
        pair_in_order(tmp_path / "A", tmp_path / "B", 3)
    fill(tmp_path / "C", "one.png", "two.png", "zoo.png")
    with pytest.raises(PairingError, match=r"partner is \S*C/zoo\.png"):
        pair_in_order(tmp_path / "A", tmp_path / "C", 3)
    with pytest.raises(PairingError, match=r"as many degraded as clear.*partner is \S*A/3\.png"):
        pair_in_order(tmp_path / "A", tmp_path / "C")


def test_names_that_contradict_the_order_stop_it(tmp_path):
    fill(tmp_path / "A", "1_hazy.png", "2_hazy.png", "3_hazy.png", "5_hazy.png")
    fill(tmp_path / "B", "1_GT.png", "2_GT.png", "4_GT.png", "5_GT.png")  # as many, and two of them lone
    with pytest.raises(
        PairingError, match=r"3_hazy\.png: by its place it belongs to \S*4_GT.png, but it has no partner"
    ):
        pair_in_order(tmp_path / "A", tmp_path / "B")
    fill(tmp_path / "C", "a1.png", "a2.png", "a3.png", "a4.png")
    fill(tmp_path / "D", "a1.png", "a2.png", "a3.png", "a0.png")
    with pytest.raises(
        PairingError, match=r"a1\.png: by its place it belongs to \S*a0\.png, but it belongs to a1\.png"
    ):
        pair_in_order(tmp_path / "C", tmp_path / "D")


def test_three_versions_in_the_one_to_one_layout_are_recognised(tmp_path):
    foggy(tmp_path)
    with pytest.raises(PairingError, match=r"take data\.dataset=hazecityscapes"):
        find_pairs("ab_folders", tmp_path, "train")


def test_one_folder_without_the_other_and_no_folder_at_all(tmp_path):
    fill(tmp_path / "trainA", "1.png")
    with pytest.raises(PairingError, match="trainB: no such folder beside trainA"):
        find_pairs("auto", tmp_path, "train")
    with pytest.raises(DatasetError, match=r"expected testA \(degraded images\) beside testB"):
        find_pairs("hazecityscapes", tmp_path, "test")


def test_a_check_reports_pairs_and_orphans(tmp_path):
    image = np.full((16, 16, 3), 0.5, np.float32)
    for folder, count in (("trainA", 3), ("trainB", 3), ("testA", 2), ("testB", 1)):
        for i in range(count):
            (tmp_path / folder).mkdir(exist_ok=True)
            write_image(tmp_path / folder / f"{i}.png", image)
    report = check_folder(tmp_path)
    assert report.sections == [
        f"trainA, trainB, testA, testB (train): 3 pairs, 3 clear images, rule order, {tmp_path / 'trainA'}"
    ]
    (problem,) = report.problems
    assert problem.endswith(f"The first without its partner is {tmp_path / 'testA' / '1.png'}")
