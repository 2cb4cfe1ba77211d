"""Which pairs are measured: one data set, or the sets of a table."""

from __future__ import annotations

import numpy as np
import pytest

from mindrestore.data.catalog import DatasetError
from mindrestore.data.pairing import PairingError
from mindrestore.evaluation.sets import TestSet
from mindrestore.images.write import write_image
from mindrestore.recipes.load import load_recipe

FIVE = ["Test100", "Rain100H", "Rain100L", "Test2800", "Test1200"]


def make_set(folder, names=("1.png",), sides=("input", "target")):
    for side in sides:
        for name in names:
            write_image(folder / side / name, np.zeros((8, 8, 3), np.uint8))


@pytest.fixture
def rain(tmp_path):
    root = tmp_path / "Synthetic_Rain_Datasets"
    for name in ("train", *(f"test/{name}" for name in FIVE)):
        make_set(root / name, ("2.png", "10.png"))
    return root


@pytest.mark.parametrize("place", ["", "test", ".."])
@pytest.mark.parametrize("dataset", [None, "synthetic_rain"])
def test_the_five_sets_in_published_order(rain, place, dataset):
    sets = TestSet(rain / place, dataset).named_sets("mpr-derain")
    assert [entry.name for entry in sets] == FIVE
    assert {entry.protocol for entry in sets} == {"mpr-derain"}
    for entry in sets:
        assert [pair.input.name for pair in entry.pairs] == ["2.png", "10.png"]
        assert {pair.input.parent.resolve() for pair in entry.pairs} == {rain / "test" / entry.name / "input"}


def test_missing_sets_have_no_pairs_and_other_sets_come_last(tmp_path):
    make_set(tmp_path / "rain100l")  # folder names in another case
    make_set(tmp_path / "Mine")
    sets = TestSet(tmp_path).named_sets("rgb")
    assert [entry.name for entry in sets] == ["Test100", "Rain100H", "rain100l", "Test2800", "Test1200", "Mine"]
    assert [len(entry.pairs) for entry in sets] == [0, 0, 1, 0, 0, 1]


def test_any_sets_side_by_side(tmp_path):
    for name in ("b10", "b9"):
        make_set(tmp_path / name)
    assert [entry.name for entry in TestSet(tmp_path).named_sets("rgb")] == ["b9", "b10"]


def test_one_data_set_is_no_table(rain, tmp_path, tiny_data):
    assert TestSet(rain / "test/Rain100L").named_sets("rgb") == []
    assert TestSet(rain, "rain100l").named_sets("rgb") == []
    assert [pair.input.name for pair in TestSet(rain, "rain100l").pairs()] == ["2.png", "10.png"]
    assert TestSet(rain, split="train").named_sets("rgb") == []
    assert TestSet(tiny_data).named_sets("rgb") == []
    make_set(tmp_path / "single/Mine")
    assert TestSet(tmp_path / "single").named_sets("rgb") == []


def test_what_is_not_given_comes_from_the_recipe(rain):
    recipe = load_recipe("quickstart", ["data.dataset=synthetic_rain", f"data.root={rain}", "data.val_split=val"])
    assert TestSet().named_sets("rgb", recipe) == []
    assert [pair.input.parent.parent.name for pair in TestSet().pairs(recipe)] == ["Rain100L"] * 2
    assert [entry.name for entry in TestSet(split="test").named_sets("rgb", recipe)] == FIVE
    assert [entry.name for entry in TestSet(rain / "test").named_sets("rgb", recipe)] == FIVE


def test_what_is_wrong_is_named(rain, tmp_path):
    with pytest.raises(DatasetError, match="--data"):
        TestSet().named_sets("rgb")
    with pytest.raises(DatasetError, match=r"data\.val_root"):
        TestSet().pairs(load_recipe("quickstart", ["data.root=null"]))
    with pytest.raises(DatasetError, match="no such folder"):
        TestSet(tmp_path / "nowhere").named_sets("rgb")
    (rain / "test/Rain100H/target/10.png").unlink()
    with pytest.raises(PairingError, match=r"10\.png"):
        TestSet(rain).named_sets("rgb")
