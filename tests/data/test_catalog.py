"""Every published layout is found, divided and paired; what does not fit is explained by name."""

from __future__ import annotations

import pytest

from mindrestore.data.catalog import CATALOG, DatasetError, dataset_name, find_pairs, find_split
from mindrestore.data.pairing import PairingError


def fill(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")


def its(base):
    fill(base / "hazy", "1_1_0.90179.png", "1_2_0.97842.png", "2_1_0.8.png")
    fill(base / "clear", "1.png", "2.png")


def ntire(base, numbers, targets="GT", word=""):
    fill(base / "hazy", *(f"{i:02d}{word}_hazy.png" for i in numbers))
    fill(base / targets, *(f"{i:02d}{word}_GT.png" for i in numbers))


def test_its_and_the_model_zoo_tree(tmp_path):
    its(tmp_path / "RESIDE" / "train")
    ntire(tmp_path / "Dense", range(46, 51))
    train = find_split("auto", tmp_path, "train")
    assert (train.dataset, len(train.pairing.pairs)) == ("reside_its", 3)
    assert [pair.target.name for pair in train.pairing.pairs] == ["1.png", "1.png", "2.png"]
    test = find_split("auto", tmp_path, "test")
    assert (test.dataset, [pair.key for pair in test.pairing.pairs]) == ("dense_haze", ["46", "47", "48", "49", "50"])
    assert find_split("Dense", tmp_path, "test").input_dir == tmp_path / "Dense" / "hazy"


def test_two_data_sets_for_one_split_must_be_named(tmp_path):
    ntire(tmp_path / "Dense", range(46, 51))
    ntire(tmp_path / "NHHaze", range(46, 51))
    with pytest.raises(DatasetError, match="dense_haze, nh_haze"):
        find_pairs("auto", tmp_path, "test")
    assert find_pairs("NHHaze", tmp_path, "test")[0].input.parent == tmp_path / "NHHaze" / "hazy"


@pytest.mark.parametrize(("split", "first", "count"), [("train", "01", 45), ("val", "46", 5), ("test", "51", 5)])
@pytest.mark.parametrize("name", ["Dense-Haze", "NH-HAZE"])
def test_ntire_numbers(tmp_path, name, split, first, count):
    ntire(tmp_path / name, range(1, 56))
    found = find_split("auto", tmp_path / name, split)
    assert found.dataset == {"Dense-Haze": "dense_haze", "NH-HAZE": "nh_haze"}[name]
    assert (found.pairing.pairs[0].key, len(found.pairing.pairs)) == (first, count)


def test_nh_haze_in_one_folder(tmp_path):
    root = tmp_path / "NH-HAZE"
    fill(root, *(f"{i:02d}_{word}.png" for i in range(1, 56) for word in ("hazy", "GT")))
    pairs = find_pairs("auto", root, "test")
    assert (pairs[0].input.name, pairs[0].target.name) == ("51_hazy.png", "51_GT.png")
    assert len(pairs) == 5


@pytest.mark.parametrize(
    ("name", "word", "total", "sizes"),
    [("o_haze", "_outdoor", 45, (35, 5, 5)), ("i_haze", "_indoor", 35, (25, 5, 5))],
)
def test_o_haze_and_i_haze(tmp_path, name, word, total, sizes):
    ntire(tmp_path, range(1, total + 1), word=word)
    found = [find_split("auto", tmp_path, split) for split in ("train", "val", "test")]
    assert [entry.dataset for entry in found] == [name] * 3
    assert tuple(len(entry.pairing.pairs) for entry in found) == sizes


@pytest.mark.parametrize("place", ["", "nyuhaze500", "indoor", "SOTS/indoor", "indoor/nyuhaze500"])
@pytest.mark.parametrize("targets", ["gt", "clear"])
def test_sots_indoor_crops_the_clear_image(tmp_path, place, targets):
    fill(tmp_path / place / "hazy", "1400_1.png", "1400_2.png", "1449_10.png")
    fill(tmp_path / place / targets, "1400.png", "1449.png")
    found = find_split("auto", tmp_path, "test")
    assert found.dataset == "sots_indoor"
    assert [pair.target.name for pair in found.pairing.pairs] == ["1400.png", "1400.png", "1449.png"]
    assert all(pair.crop_target for pair in found.pairing.pairs)


def test_sots_outdoor_and_ots_parts(tmp_path):
    fill(tmp_path / "outdoor" / "hazy", "0001_0.8_0.2.jpg")
    fill(tmp_path / "outdoor" / "gt", "0001.png")
    assert find_split("auto", tmp_path, "test").dataset == "sots_outdoor"
    fill(tmp_path / "OTS" / "hazy" / "part1", "0025_0.8_0.1.jpg")
    fill(tmp_path / "OTS" / "hazy" / "part2", "0025_1_0.1.jpg")
    fill(tmp_path / "OTS" / "clear", "0025.jpg")
    ots = find_split("auto", tmp_path, "train")
    assert (ots.dataset, len(ots.pairing.pairs)) == ("reside_ots", 2)


def test_reside_6k(tmp_path):
    for split in ("train", "test"):
        for kind in ("GT", "hazy"):
            fill(tmp_path / "RESIDE-6K" / split / kind, "a.jpg", "b.jpg")
    assert find_split("auto", tmp_path, "test").dataset == "reside_6k"
    assert len(find_pairs("auto", tmp_path / "RESIDE-6K", "train")) == 2
    with pytest.raises(DatasetError, match="has no split 'val'"):
        find_pairs("reside_6k", tmp_path, "val")


@pytest.mark.parametrize("names", [("hazy", "clear"), ("hazy", "GT"), ("hazy", "gt"), ("input", "target")])
def test_generic_folders_serve_every_split(tmp_path, names):
    for name in names:
        fill(tmp_path / name, "x.png", "y.png")
    for split in ("train", "val", "test"):
        assert [pair.key for pair in find_pairs("auto", tmp_path, split)] == ["x", "y"]


def test_generic_split_folders_and_depth(tmp_path):
    for split, name in (("train", "a.png"), ("val", "b.png")):
        for kind in ("hazy", "clear", "depth"):
            fill(tmp_path / split / kind, name)
    (pair,) = find_pairs("folders", tmp_path, "val")
    assert pair.key == "b"
    assert pair.depth == tmp_path / "val" / "depth" / "b.png"
    with pytest.raises(DatasetError, match=r"no paired folders for the split 'test'.*there is: train, val"):
        find_pairs("folders", tmp_path, "test")


def test_list_files_select_by_key_or_name(tmp_path):
    fill(tmp_path / "hazy", "1400_1.png", "1400_2.png", "1403_1.png", "1406_7.png")
    fill(tmp_path / "clear", "1400.png", "1403.png", "1406.png")
    (tmp_path / "train.txt").write_text("# scenes\n1400\n1403_1.png\n")
    (tmp_path / "test.txt").write_text("1406_7\n")
    train = find_split("auto", tmp_path, "train")
    assert [pair.input.name for pair in train.pairing.pairs] == ["1400_1.png", "1400_2.png", "1403_1.png"]
    assert train.pairing.pairs[0].crop_target
    assert [pair.key for pair in find_pairs("auto", tmp_path, "test")] == ["1406"]
    with pytest.raises(DatasetError, match="none for the split 'val'"):
        find_pairs("auto", tmp_path, "val")
    (tmp_path / "test.txt").write_text("9999\n")
    with pytest.raises(DatasetError, match="'9999'"):
        find_pairs("auto", tmp_path, "test")


def test_errors_name_the_folder(tmp_path):
    with pytest.raises(DatasetError, match="absent: no such folder"):
        find_pairs("auto", tmp_path / "absent", "train")
    with pytest.raises(DatasetError, match="is empty"):
        find_pairs("auto", tmp_path, "train")
    with pytest.raises(DatasetError, match="'fog' is unknown; use auto or one of reside_its"):
        find_pairs("fog", tmp_path, "train")
    with pytest.raises(DatasetError, match="'dev' is unknown"):
        find_pairs("auto", tmp_path, "dev")
    fill(tmp_path / "hazy")
    fill(tmp_path / "clear")
    with pytest.raises(DatasetError, match="holds no images"):
        find_pairs("auto", tmp_path, "train")
    fill(tmp_path / "hazy", "a.png", "b.png")
    fill(tmp_path / "clear", "a.png")
    with pytest.raises(PairingError, match=r"b\.png"):
        find_pairs("auto", tmp_path, "train")


def test_names_in_any_spelling():
    assert [dataset_name(name) for name in ("ITS", "NH-HAZE", "dense", "SOTS")] == [
        "reside_its",
        "nh_haze",
        "dense_haze",
        "sots_indoor",
    ]
    assert all(dataset_name(name) == name for name in CATALOG)


@pytest.mark.parametrize(
    ("folder", "dataset", "count"),
    [("sots_indoor", "sots_indoor", 14), ("sots_outdoor", "sots_outdoor", 2), ("ihaze_small", "folders", 24)],
)
def test_real_folders(shared, folder, dataset, count):
    found = find_split("auto", shared / "data" / folder, "test")
    assert (found.dataset, len(found.pairing.pairs)) == (dataset, count)
    assert not found.pairing.missing_targets
