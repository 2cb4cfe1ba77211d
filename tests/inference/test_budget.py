"""What fits into memory, and whether as a compiled graph or operator by operator."""

from __future__ import annotations

import numpy as np
import pytest

from mindrestore.inference.budget import Budget
from mindrestore.inference.pixels import RestoreError
from mindrestore.inference.restorer import Restorer
from mindrestore.models.registry import model_spec
from small import SMALL

SIZES = {"pixel_bytes": 2000, "tile_bytes": 1000, "eager_bytes": 500, "graph_bytes": 20_000_000}


@pytest.fixture
def large(spec_of):
    """Describe a network whose graph takes 20 MB and 2,000 bytes per pixel, which needs 500 without a graph."""
    return spec_of(**SIZES)


def test_as_memory_allows_images_are_compiled_run_without_a_graph_or_cut(large):
    budget = Budget.of(large, 0.06, compiled=None)
    assert (budget.compiled, budget.eager, budget.tile, budget.tiles_compiled) == (20_000, 120_000, 40_000, True)
    assert [budget.fits(pixels) for pixels in (20_000, 120_000, 120_001)] == [True, True, False]
    assert [budget.compiles(pixels) for pixels in (20_000, 20_001)] == [True, False]
    assert [budget.compiles(pixels, tile=True) for pixels in (40_000, 40_001)] == [True, False]


def test_tiles_too_small_for_a_graph_run_without_one(large):
    budget = Budget.of(large, 0.03, compiled=None)  # 10 MB beside the graph: tiles of 100x100
    assert (budget.tile, budget.tiles_compiled) == (60_000, False)
    assert not budget.compiles(1, tile=True)


def test_always_and_never_compiled(large):
    always, never = Budget.of(large, 0.06, compiled=True), Budget.of(large, 0.06, compiled=False)
    assert (always.compiled, always.eager, always.tile) == (20_000, 0, 40_000)
    assert always.compiles(10**9)
    assert always.compiles(10**9, tile=True)
    assert (never.compiled, never.eager, never.tile) == (0, 120_000, 120_000)
    assert not never.compiles(1)
    assert not never.compiles(1, tile=True)


def test_a_file_has_no_other_way_than_its_graph(large):
    budget = Budget.of(large, 0.06, compiled=None, graph_only=True)
    assert (budget.compiled, budget.eager) == (20_000, 0)
    assert budget.compiles(10**9)


@pytest.mark.parametrize("memory", [0, -1.5])
def test_memory_is_positive(large, memory):
    with pytest.raises(RestoreError, match=f"memory {memory}: give gigabytes"):
        Budget.of(large, memory, compiled=None)


@pytest.mark.parametrize("name", ["dehazeformer_b", "dehazeformer_m", "dehazeformer_l"])
def test_large_networks_take_a_megapixel_whole_in_eight_gigabytes(name):
    budget = Budget.of(model_spec(name), 8, compiled=None)
    assert budget.fits(1024 * 1024)
    assert not budget.compiles(1024 * 1024)


def test_both_ways_give_the_same_image_and_the_budget_chooses():
    photo = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    hyper = SMALL["mprnet_deraining"]
    roomy = Restorer("mprnet_deraining", device="CPU", hyper=hyper)
    narrow = Restorer("mprnet_deraining", device="CPU", hyper=hyper, net=roomy.net, tile="auto", memory=0.01)
    images = [restore.restore_float(photo / np.float32(255)) for restore in (roomy, narrow)]
    assert np.abs(images[0] - images[1]).max() < 1e-5
    assert list(roomy.engine._forwards) == [(1,)]  # one graph for every size
    assert list(narrow.engine._forwards) == [()]  # none: whole, operator by operator
