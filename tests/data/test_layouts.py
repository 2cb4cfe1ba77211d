"""The layouts of the deblurring, denoising and deraining sets: found, divided, paired by name, and complete."""

from __future__ import annotations

import numpy as np
import pytest

from mindrestore.data.catalog import CATALOG, DatasetError, find_pairs, find_parts, find_sets, find_split
from mindrestore.data.check import check_folder
from mindrestore.data.pairing import PairingError
from mindrestore.images.matlab import MatlabError, write_variables
from mindrestore.images.write import write_image

RAIN_SETS = ["Test100", "Rain100H", "Rain100L", "Test2800", "Test1200"]


def fill(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")


def pair_of_folders(base, *names, inputs="input", targets="target"):
    fill(base / inputs, *names)
    fill(base / targets, *names)


@pytest.fixture
def rain(tmp_path):
    root = tmp_path / "Synthetic_Rain_Datasets"
    pair_of_folders(root / "train", "a.png", "b.jpg", "c.png")
    for count, name in enumerate(reversed(RAIN_SETS), 1):
        pair_of_folders(root / "test" / name, *(f"{i}.png" for i in range(1, count + 1)))
    return root


@pytest.mark.parametrize("place", ["", "GoPro"])
def test_gopro_as_mprnet_and_paddlegan_lay_it_out(tmp_path, place):
    for split, count in (("train", 3), ("test", 2)):
        names = [f"GOPR0372_07_00-{i:06d}.png" for i in range(count)]
        pair_of_folders(tmp_path / place / split, *names)
    found = [find_split(name, tmp_path, split) for name in ("auto", "gopro") for split in ("train", "test")]
    assert [entry.dataset for entry in found] == ["gopro"] * 4
    assert [len(entry.pairing.pairs) for entry in found] == [3, 2, 3, 2]
    assert found[0].pairing.pairs[0].key == "GOPR0372_07_00-000000"


@pytest.mark.parametrize("place", ["GOPRO_Large", "GoPro", ""])
def test_gopro_as_published(tmp_path, place):
    for sequence in ("GOPR0384_11_00", "GOPR0384_11_05"):
        for kind in ("blur", "blur_gamma", "sharp"):
            fill(tmp_path / place / "test" / sequence / kind, "000001.png", "000002.png")
    found = find_split("auto", tmp_path, "test")
    keys = [pair.key for pair in found.pairing.pairs]
    assert found.dataset == "gopro"
    assert keys == [f"GOPR0384_11_0{k}-00000{i}" for k in (0, 5) for i in (1, 2)]
    assert all(pair.input.parent.name == "blur" and pair.target.parent.name == "sharp" for pair in found.pairing.pairs)
    assert all(pair.input.parent.parent == pair.target.parent.parent for pair in found.pairing.pairs)
    with pytest.raises(DatasetError, match="for the split 'train'"):
        find_pairs("gopro", tmp_path, "train")
    (tmp_path / place / "test/GOPR0384_11_05/sharp/000002.png").unlink()
    with pytest.raises(PairingError, match=r"1 of 4 images have no clear partner.*000002\.png"):
        find_pairs("auto", tmp_path, "test")


@pytest.mark.parametrize(
    ("name", "folder"), [("hide", "HIDE"), ("realblur_j", "RealBlur_J"), ("realblur_r", "RealBlur_R")]
)
def test_deblurring_test_sets(tmp_path, name, folder):
    pair_of_folders(tmp_path / folder / "test", "1.png", "2.png")
    for root in (tmp_path, tmp_path / folder):
        assert find_split("auto", root, "test").dataset == name
        assert len(find_pairs(name, root, "test")) == 2


@pytest.mark.parametrize("targets", ["target", "groundtruth"])
def test_sidd_patches(tmp_path, targets):
    for split in ("train", "val"):
        pair_of_folders(tmp_path / "SIDD" / split, f"{split}.png", targets=targets)
    for root in (tmp_path, tmp_path / "SIDD"):
        for split in ("train", "val"):
            (pair,) = find_pairs("auto", root, split)
            assert (pair.key, pair.target.parent.name) == (split, targets)
            assert find_split("auto", root, split).dataset == "sidd"


def write_blocks(folder, shape=(2, 3, 8, 8, 3), names=("Noisy", "Gt")):
    for name in names:
        variable = f"Validation{name}BlocksSrgb"
        write_variables(folder / f"{variable}.mat", {variable: np.zeros(shape, np.uint8)})


def test_sidd_blocks(tmp_path):
    write_blocks(tmp_path / "SIDD/test")
    for name in ("auto", "sidd", "sidd_mat"):
        for root in (tmp_path, tmp_path / "SIDD", tmp_path / "SIDD/test"):
            pairs = find_pairs(name, root, "test")
            assert [pair.key for pair in pairs] == [f"000{i}_0{k}" for i in (1, 2) for k in (1, 2, 3)]
    assert pairs[-1].input == tmp_path / "SIDD/test/ValidationNoisyBlocksSrgb.mat/0002_03"
    assert pairs[-1].target == tmp_path / "SIDD/test/ValidationGtBlocksSrgb.mat/0002_03"
    assert len(find_pairs("sidd", tmp_path, "val")) == 6
    with pytest.raises(DatasetError, match="for the split 'train'"):
        find_pairs("sidd", tmp_path, "train")


def test_sidd_blocks_that_do_not_belong_together(tmp_path):
    write_blocks(tmp_path, names=("Noisy",))
    with pytest.raises(MatlabError, match=r"ValidationGtBlocksSrgb\.mat: no such file beside ValidationNoisy"):
        find_pairs("auto", tmp_path, "test")
    write_blocks(tmp_path, (2, 2, 8, 8, 3), names=("Gt",))
    with pytest.raises(MatlabError, match=r"holds 6 blocks up to 0002_03, but .*Gt.* holds 4 up to 0002_02"):
        find_pairs("auto", tmp_path, "test")


def test_sidd_medium(tmp_path):
    data = tmp_path / "SIDD_Medium_Srgb" / "Data"
    for scene in ("0001_001_S6_00100_00060_3200_L", "0199_010_GP_00800_01600_5500_N"):
        for shot in ("010", "011"):
            fill(data / scene, *(f"{scene[:4]}_{word}_SRGB_{shot}.PNG" for word in ("NOISY", "GT")))
    for root in (tmp_path, data.parent, data):
        found = find_split("auto", root, "train")
        assert found.dataset == "sidd_medium"
        assert [pair.key for pair in found.pairing.pairs] == ["0001_010", "0001_011", "0199_010", "0199_011"]
        assert {pair.target.name.replace("GT", "NOISY") == pair.input.name for pair in found.pairing.pairs} == {True}
    (data / "0199_010_GP_00800_01600_5500_N" / "0199_GT_SRGB_011.PNG").unlink()
    with pytest.raises(PairingError, match=r"1 of 4 images .*0199_NOISY_SRGB_011\.PNG"):
        find_pairs("sidd_medium", tmp_path, "train")


def test_synthetic_rain(rain):
    for root in (rain, rain.parent):
        assert find_split("synthetic_rain", root, "train").input_dir == rain / "train" / "input"
        assert [pair.input.parent.parent.name for pair in find_pairs("synthetic_rain", root, "val")] == ["Rain100L"] * 3
        test = find_split("auto", root, "test")
        assert (test.dataset, len(test.pairing.pairs)) == ("synthetic_rain", 15)
        assert test.pairing.pairs[0].key == "Test100/1"
        assert len({pair.key for pair in test.pairing.pairs}) == 15
        parts = find_parts("synthetic_rain", root, "test")
        assert [part.spec.title for part in parts] == RAIN_SETS
        assert [len(part.pairing.pairs) for part in parts] == [5, 4, 3, 2, 1]
    assert find_split("auto", rain, "train").dataset == "synthetic_rain"


@pytest.mark.parametrize("name", RAIN_SETS)
def test_each_rain_set_alone(rain, name):
    by_folder = find_split("auto", rain / "test" / name, "test")
    by_name = find_split(name, rain, "test")
    assert by_folder.dataset == by_name.dataset == name.lower()
    assert by_folder.pairing.pairs == by_name.pairing.pairs
    assert {pair.input.parent.parent.name for pair in by_name.pairing.pairs} == {name}


def test_missing_rain_sets(rain, tmp_path):
    (rain / "test" / "Test100").rename(tmp_path / "elsewhere")
    assert len(find_pairs("synthetic_rain", rain, "test")) == 10
    with pytest.raises(DatasetError, match="no Test100 for the split 'test'"):
        find_pairs("test100", rain, "test")
    fill(tmp_path / "empty" / "other")
    with pytest.raises(DatasetError, match=r"expected Synthetic_Rain_Datasets/test/Test100, .*there is: other"):
        find_pairs("synthetic_rain", tmp_path / "empty", "test")


def test_find_sets_of_rain(rain):
    for root in (rain / "test", rain, rain.parent):
        sets = find_sets(root)
        assert list(sets) == RAIN_SETS
        assert [len(pairs) for pairs in sets.values()] == [5, 4, 3, 2, 1]
    assert sets["Rain100L"][0].target == rain / "test" / "Rain100L" / "target" / "1.png"
    (rain / "test" / "Test1200" / "target" / "1.png").unlink()
    with pytest.raises(PairingError, match=r"1\.png"):
        find_sets(rain / "test")


def test_find_sets_of_deblurring_and_others(tmp_path):
    for name in ("RealBlur_R", "HIDE", "GoPro", "mine"):
        pair_of_folders(tmp_path / name / "test", "1.png")
    assert list(find_sets(tmp_path)) == ["HIDE", "RealBlur_R", "GoPro", "mine"]  # GoPro by its file names only
    assert find_sets(tmp_path / "mine") == {}
    for kind in ("blur", "sharp"):
        fill(tmp_path / "raw/test/GOPR0384_11_00" / kind, "000001.png")
    assert find_sets(tmp_path / "raw") == {}  # one set, whatever its sequences
    with pytest.raises(DatasetError, match="no such folder"):
        find_sets(tmp_path / "absent")


@pytest.mark.parametrize("name", ["gopro", "hide", "sidd", "synthetic_rain", "rain100l"])
def test_a_missing_partner_is_named(tmp_path, name):
    title = {"gopro": "GoPro", "sidd": "SIDD", "synthetic_rain": "Synthetic_Rain_Datasets"}.get(name, name)
    split = CATALOG[name].splits[0]
    folder = tmp_path / title / split
    pair_of_folders(folder, "1.png", "2.png", "3.png")
    (folder / "target" / "2.png").rename(folder / "target" / "4.png")  # equal counts, so sort order would mix them up
    with pytest.raises(PairingError, match=r"1 of 3 images have no clear partner.*: 2\.png"):
        find_pairs(name, folder, split)


def test_published_counts():
    counts = {name: spec.counts for name, spec in CATALOG.items()}
    assert counts["gopro"] == {"train": ((2103, 2103),), "test": ((1111, 1111),)}
    tests = {name: spec["test"][0][0] for name, spec in counts.items() if "test" in spec}
    assert [tests[name.lower()] for name in RAIN_SETS] == [98, 100, 100, 2800, 1200]
    assert (tests["hide"], tests["realblur_j"], tests["realblur_r"], tests["sidd"]) == (2025, 980, 980, 1280)
    assert counts["synthetic_rain"]["train"] == ((11200 + 1800 + 700 + 12, 13712),)


@pytest.mark.parametrize(("folder", "dataset", "count"), [("rain100l", "rain100l", 18), ("rain100h", "rain100h", 9)])
def test_real_rain_folders(shared, folder, dataset, count):
    found = find_split("auto", shared / "data" / folder, "test")
    assert (found.dataset, len(found.pairing.pairs)) == (dataset, count)
    assert find_sets(shared / "data")[folder] == found.pairing.pairs


REARRANGED = {
    "reside_in": ("RESIDE-IN", "1_1_0.90179.png", "1_2_0.97842.png"),
    "reside_out": ("RESIDE-OUT", "0025_0.8_0.1.jpg", "0025_1_0.2.jpg"),
    "reside_6k": ("RESIDE-6K", "0.jpg", "1.jpg"),
    "rs_haze": ("RSHaze", "a_1.png", "b_1.png"),
    "nid": ("NID", "1.png", "2.png"),
    "rsid": ("RSID", "1.png", "2.png"),
}


@pytest.mark.parametrize("name", REARRANGED)
def test_dehazeformer_layouts(tmp_path, name):
    folder, *files = REARRANGED[name]
    for split in ("train", "test"):
        pair_of_folders(tmp_path / folder / split, *files, inputs="hazy", targets="GT")
    own = tmp_path / folder
    found = [find_split("auto", own, split) for split in ("train", "test")]
    assert [entry.dataset for entry in found] == [name, name]
    assert [pair.target.name for pair in found[0].pairing.pairs] == files
    if folder != "RSHaze":  # found below the folder of several data sets as well, under the published spelling
        assert find_split(folder, tmp_path, "test").input_dir == own / "test" / "hazy"


def test_a_clear_image_without_its_hazy_one_is_named(tmp_path):
    root = tmp_path / "NID"
    pair_of_folders(root / "train", "1.png", "2.png", inputs="hazy", targets="GT")
    fill(root / "train/GT", "3.png")
    with pytest.raises(PairingError, match=r"1 of 3 clear images have no degraded partner of the same name: 3\.png"):
        find_pairs("nid", tmp_path, "train")
    (root / "train/hazy/3.png").write_bytes(b"x")
    (root / "train/hazy/4.png").write_bytes(b"x")
    with pytest.raises(PairingError, match=r"1 of 4 images have no clear partner.*4\.png"):
        find_pairs("nid", tmp_path, "train")


def test_a_total_is_checked_over_all_splits(tmp_path):
    for split in ("train", "test"):
        for kind in ("GT", "hazy"):
            write_image(tmp_path / "RSID" / split / kind / "1.png", np.zeros((30, 30, 3), np.uint8))
    named, guessed = check_folder(tmp_path, "rsid"), check_folder(tmp_path / "RSID")
    assert named.problems == ["RSID: 2 pairs in all splits, published are 1000"]
    assert (guessed.problems, guessed.notes) == ([], named.problems)
