"""Switch epochs of progressive training against the published ones."""

from __future__ import annotations

import numpy as np
import pytest

from mindrestore.recipes.progressive import epoch_switches
from mindrestore.recipes.schema import RecipeError


def test_published_switch_epochs(golden_dir):
    golden = np.load(golden_dir / "dsrir.npz")
    counts = [int(key.removeprefix("epoch_chg.N")) for key in golden.files if key.startswith("epoch_chg.N")]
    assert sorted(counts) == [200, 5000, 5144, 5244, 15144]
    for count in counts:
        assert epoch_switches(count) == golden[f"epoch_chg.N{count}"].tolist()


def test_other_plans():
    assert epoch_switches(30, [60, 90], [2, 1]) == [4, 7]
    assert epoch_switches(3, [1], [3]) == [1]
    assert epoch_switches(1, [5, 5], [1, 2]) == [5, 15]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((100, [10, 20], [2]), r"iterations \[10, 20\] and batch sizes \[2\]: use one of each per stage"),
        ((100, [], []), "use one of each per stage"),
        ((0, [10], [2]), "0 is not a number of images"),
        ((100, [10], [-2]), "-2 is not a number"),
        ((100, [100, 24], [4, 4]), "stage 2: 24 iterations of 4 show fewer than the 100 images; plan more"),
    ],
)
def test_plans_that_cannot_be_followed(arguments, message):
    with pytest.raises(RecipeError, match=message):
        epoch_switches(*arguments)
