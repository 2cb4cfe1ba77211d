"""Pairs by key: one to one, many to one, one folder for both, and what has no partner."""

from __future__ import annotations

import pytest

from mindrestore.data.pairing import PairingError, pair_folders, require_partners


def fill(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


def names_of(pairing):
    return [(pair.key, pair.input.name, pair.target.name) for pair in pairing.pairs]


def test_same_names_with_other_suffixes(tmp_path):
    pairing = pair_folders(fill(tmp_path / "a", "2.png", "10.png"), fill(tmp_path / "b", "10.jpg", "2.jpg"))
    assert names_of(pairing) == [("2", "2.png", "2.jpg"), ("10", "10.png", "10.jpg")]
    assert pairing.rule == "same"


def test_many_to_one_ignores_sort_order(tmp_path):
    hazy = fill(tmp_path / "hazy", "10_1_0.9.png", "1_2_0.85.png", "1_1_0.90179.png", "2_1_0.7.png")
    clear = fill(tmp_path / "clear", "1.png", "2.png", "10.png")
    pairing = pair_folders(hazy, clear)
    assert pairing.rule == "prefix"
    assert names_of(pairing) == [
        ("1", "1_1_0.90179.png", "1.png"),
        ("1", "1_2_0.85.png", "1.png"),
        ("2", "2_1_0.7.png", "2.png"),
        ("10", "10_1_0.9.png", "10.png"),
    ]


def test_version_after_the_last_underscore(tmp_path):
    hazy = fill(tmp_path / "hazy", "img_01_1.png", "img_01_2.png", "img_02_1.png")
    pairing = pair_folders(hazy, fill(tmp_path / "clear", "img_01.png", "img_02.png"))
    assert (pairing.rule, [pair.key for pair in pairing.pairs]) == ("version", ["img_01", "img_01", "img_02"])


def test_role_words_in_two_folders(tmp_path):
    pairing = pair_folders(
        fill(tmp_path / "hazy", "46_hazy.png", "01_outdoor_hazy.jpg"),
        fill(tmp_path / "GT", "46_GT.png", "01_outdoor_GT.jpg"),
        "role",
    )
    assert [pair.key for pair in pairing.pairs] == ["01_outdoor", "46"]
    rain = pair_folders(fill(tmp_path / "rainy", "rain-1.png"), fill(tmp_path / "gt", "norain-1.png"))
    assert names_of(rain) == [("1", "rain-1.png", "norain-1.png")]


def test_one_folder_for_both(tmp_path):
    both = fill(tmp_path / "both", "01_hazy.png", "01_GT.png", "02_GT.png", "02_hazy.png", "cover.png")
    assert names_of(pair_folders(both, both, "role")) == [
        ("01", "01_hazy.png", "01_GT.png"),
        ("02", "02_hazy.png", "02_GT.png"),
    ]


def test_a_missing_partner_is_not_replaced_by_a_neighbour(tmp_path):
    hazy = fill(tmp_path / "hazy", "a_1.png", "a_2.png", "b_1.png")
    clear = fill(tmp_path / "clear", "a_1.png", "b_1.png", "a.png")
    pairing = pair_folders(hazy, clear)
    assert pairing.rule == "same"
    assert [path.name for path in pairing.missing_targets] == ["a_2.png"]
    assert [path.name for path in pairing.unused_targets] == ["a.png"]
    with pytest.raises(PairingError, match=r"1 of 3 images have no clear partner.*a_2\.png"):
        require_partners(pairing)


def test_long_lists_are_shortened(tmp_path):
    hazy = fill(tmp_path / "hazy", *(f"{i}.png" for i in range(9)))
    with pytest.raises(PairingError, match=r"0\.png, 1\.png, 2\.png, 3\.png, 4\.png and 4 more"):
        require_partners(pair_folders(hazy, fill(tmp_path / "clear")))


def test_two_targets_with_one_key(tmp_path):
    with pytest.raises(PairingError, match=r"1\.jpg and 1\.png both claim"):
        pair_folders(fill(tmp_path / "hazy", "1.png"), fill(tmp_path / "clear", "1.png", "1.jpg"))


def test_unknown_rule(tmp_path):
    with pytest.raises(PairingError, match="'order' is unknown"):
        pair_folders(tmp_path, tmp_path, "order")


def test_recursive_parts(tmp_path):
    fill(tmp_path / "hazy" / "part1", "0025_0.8_0.1.jpg")
    fill(tmp_path / "hazy" / "part2", "0025_0.9_0.1.jpg")
    pairing = pair_folders(tmp_path / "hazy", fill(tmp_path / "clear", "0025.jpg"), "prefix", recursive=True)
    assert [pair.input.parent.name for pair in pairing.pairs] == ["part1", "part2"]
