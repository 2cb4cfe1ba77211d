"""Tiles: exact for the identity and for networks that look no further than a third of the overlap."""

from __future__ import annotations

import dataclasses
import tracemalloc

import cv2
import numpy as np
import pytest

from mindrestore.inference import tiles
from mindrestore.inference.tiles import TileError, Tiling


def run_tiled(run, image, tiling):
    return tiles.run_tiled(lambda cut: [run(tile) for tile in cut], image, tiling)


@pytest.mark.parametrize("shape", [(100, 75), (64, 64), (64, 200), (20, 30), (129, 65)])
def test_identity_comes_back_exactly(shape):
    image = np.random.default_rng(0).random((*shape, 3), np.float32)
    result = run_tiled(lambda tile: tile, image, Tiling.of(48))
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, image)


@pytest.mark.parametrize("radius", [1, 3, 5])
def test_local_filters_equal_the_whole_image(radius):
    image = np.random.default_rng(1).random((150, 131, 3), np.float32)
    side = 2 * radius + 1

    def blur(tile):
        return cv2.blur(np.ascontiguousarray(tile), (side, side), borderType=cv2.BORDER_CONSTANT)

    tiling = Tiling.of(64)  # overlap 16: exact up to a radius of 5
    assert tiling.overlap // 3 == 5
    np.testing.assert_allclose(run_tiled(blur, image, tiling), blur(image), atol=1e-6)


def test_filters_that_look_further_leave_no_jump():
    image = np.linspace(0, 1, 200, dtype=np.float32)[None, :, None] * np.ones((64, 1, 3), np.float32)

    def statistics(tile):
        return tile + 0.2 * tile.mean()  # differs from tile to tile

    result = run_tiled(statistics, image, Tiling.of(64))
    assert np.abs(np.diff(result[32, :, 0])).max() < 0.02  # a hard edge would jump by about 0.05


def test_tiles_have_full_size_and_start_on_the_grid():
    seen = []

    def run(tile):
        seen.append(tile.shape[:2])
        return tile

    tiling = Tiling.of(62, multiple=8)
    assert (tiling.size, tiling.overlap) == (64, 16)
    run_tiled(run, np.zeros((104, 200, 3), np.float32), tiling)
    assert set(seen) == {(64, 64)}
    for length in (104, 200, 72, 64, 40):
        starts = tiling.starts(length)
        assert all(start % 8 == 0 for start in starts)
        assert starts[-1] == max(0, length - 64)
        assert all(later - earlier <= 64 - tiling.overlap for earlier, later in zip(starts, starts[1:]))


def test_strided_networks_fall_on_the_same_grid():
    image = np.random.default_rng(2).random((96, 160, 3), np.float32)

    def pool_and_repeat(tile):
        height, width = tile.shape[:2]
        pooled = tile.reshape(height // 8, 8, width // 8, 8, 3).mean(axis=(1, 3), keepdims=True)
        return np.broadcast_to(pooled, (height // 8, 8, width // 8, 8, 3)).reshape(tile.shape)

    np.testing.assert_allclose(run_tiled(pool_and_repeat, image, Tiling.of(64, 8)), pool_and_repeat(image), atol=1e-6)


def test_tiny_tiles_are_refused():
    with pytest.raises(TileError, match="tiles of 16 pixels are too small"):
        Tiling.of(16, multiple=8)
    with pytest.raises(TileError, match="at least 64"):
        Tiling.of(32, multiple=4, min_size=64)


def test_a_budget_of_pixels_gives_the_largest_tile_on_the_grid():
    assert Tiling.within(300_000, multiple=8).size == 544  # 547 squared are 299,209
    assert Tiling.within(100, multiple=8).size == 32  # the least that leaves an overlap on the grid
    assert Tiling.within(100, multiple=4, min_size=62).size == 64
    assert Tiling.of(2048).overlap == 64  # large tiles compute little twice
    assert Tiling.of(176, multiple=8).overlap == 40  # a quarter would be 44, and steps 128
    assert Tiling.of(176, multiple=8).starts(2 * 176 - 40) == [0, 136]


def test_tiles_of_a_budget_shrink_where_as_many_cover_the_image():
    tiling = Tiling.within(400_000, multiple=8)
    assert (tiling.side(720), tiling.side(1280)) == (392, 472)  # two by three; squares of 632 compute 2.6 images
    assert tiling.starts(720) == [0, 328]
    assert tiling.starts(1280) == [0, 408, 808]


@pytest.mark.parametrize(("multiple", "min_size"), [(1, 1), (4, 62), (8, 1), (16, 100), (62, 62)])
def test_shrunken_tiles_cover_the_image_with_no_more_of_them(multiple, min_size):
    tiling = Tiling.within(40_000, multiple, min_size)
    square = dataclasses.replace(tiling, least=None)
    for length in range(multiple * -(-min_size // multiple), 1500, multiple):
        starts, side = tiling.starts(length), tiling.side(length)
        assert len(starts) <= len(square.starts(length))
        assert side % multiple == 0
        assert min(length, tiling.least) <= side <= tiling.size
        assert starts[0] == 0
        assert starts[-1] + side == length
        assert all(start % multiple == 0 for start in starts)
        assert all(
            0 < later - earlier <= max(side - tiling.overlap, multiple) for earlier, later in zip(starts, starts[1:])
        )


def test_batches_of_tiles_have_one_shape_and_give_the_same():
    image = np.random.default_rng(3).integers(0, 256, (150, 131, 3), np.uint8)
    tiling, sizes = Tiling.of(64), []

    def run(cut):
        sizes.append(len(cut))
        assert {tile.shape for tile in cut} == {(64, 64, 3)}
        return [tile / 255 for tile in cut]

    result = tiles.run_tiled(run, image, tiling, batch=2)
    np.testing.assert_array_equal(result, image)
    assert set(sizes) == {1, 2}


def test_weights_of_every_line_sum_to_one():
    tiling = Tiling.of(64, 8)
    total = np.zeros(200)
    for start, weight in zip(tiling.starts(200), tiling.weights(200)):
        total[start : start + 64] += weight
    np.testing.assert_allclose(total, 1, atol=1e-12)


def test_large_images_take_little_more_memory_than_one_row_of_tiles():
    image = np.zeros((4096, 1024, 3), np.uint8)
    tracemalloc.start()
    tiles.run_tiled(lambda cut: cut, image, Tiling.of(128))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < image.nbytes + 4 * 128 * 1024 * 3 * 8  # the result, and a few rows of tiles in double precision
