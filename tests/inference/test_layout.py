"""How images are padded, shrunken and cut to what an engine takes and to what fits into memory."""

from __future__ import annotations

import numpy as np
import pytest

from mindrestore.inference import layout as module
from mindrestore.inference.engines import EngineError
from mindrestore.inference.layout import ImageLayout, tiled
from mindrestore.inference.options import Options
from mindrestore.inference.progress import ImageProgress
from mindrestore.inference.tiles import TileError


class Identity:
    """An engine that returns what it gets and notes the shapes."""

    def __init__(self, size=None, pixel_bytes=1000):
        self.size, self.pixel_bytes, self.shapes = size, pixel_bytes, []

    def __call__(self, images):
        self.shapes.append(images.shape)
        return images


def layout_of(spec_of, engine=None, **options):
    return ImageLayout.of(spec_of(), engine or Identity(), Options(**options))


def test_whole_where_it_fits_else_tiles(spec_of):
    layout = layout_of(spec_of, memory=0.04)
    assert layout.pixels == 40_000
    assert layout.tiling(200, 200) is None
    assert layout.tiling(200, 204).size == 200
    assert layout_of(spec_of, memory=0.04, batch=4).tiling(200, 204).size == 100
    assert layout_of(spec_of, tile=None, memory=0.04).tiling(4000, 4000) is None
    assert layout_of(spec_of, tile=64, memory=0.04).tiling(60, 64) is None
    assert layout_of(spec_of, tile=64).tiling(60, 68).size == 64


def test_the_usual_memory_is_one_gigabyte_or_half_of_what_is_free(spec_of, monkeypatch):
    for free, pixels in ((8e9, 1_000_000), (1e9, 500_000)):
        monkeypatch.setattr(module, "free_memory", lambda free=free: free)
        assert layout_of(spec_of).pixels == pixels


def test_a_tile_that_is_too_small_is_refused_at_once(spec_of):
    with pytest.raises(TileError, match="tiles of 8 pixels are too small for this network"):
        layout_of(spec_of, tile=8)


def test_a_file_of_one_square_is_the_tile(spec_of):
    layout = layout_of(spec_of, Identity((64, 64)))
    assert layout.padded(10, 70) == (64, 72)
    assert layout.tiling(64, 72).size == 64
    with pytest.raises(EngineError, match="the file takes 64x64 pixels; tiles of 128 are not possible"):
        layout_of(spec_of, Identity((64, 64)), tile=128)


def test_a_file_of_one_oblong_takes_no_larger_image_but_haze_is_made_to_fit(spec_of):
    layout = layout_of(spec_of, Identity((48, 64)))
    assert layout.padded(10, 60) == (48, 64)
    assert layout.tiling(48, 64) is None
    with pytest.raises(EngineError, match="the file takes 48x64 pixels, the image has 49x10"):
        layout.padded(49, 10)
    assert layout.working(96, 64) == (48, 32)
    assert layout.working(30, 40) == (30, 40)


def test_the_working_size_keeps_to_the_memory(spec_of):
    assert layout_of(spec_of, memory=0.04).working(400, 400) == (200, 200)
    assert layout_of(spec_of, memory=0.001).working(400, 400) == (128, 128)
    assert layout_of(spec_of, tile=512).working(2000, 1000) == (707, 354)


def test_sizes_are_extended_and_cut_back(spec_of):
    engine, image = Identity(), np.random.default_rng(0).integers(0, 256, (17, 23, 3), np.uint8)
    restored = tiled(engine, layout_of(spec_of, engine), ImageProgress())(image)
    np.testing.assert_array_equal(restored, image)
    assert engine.shapes == [(1, 3, 20, 24)]


def test_a_gradient_has_no_step_at_a_border_of_tiles(spec_of):
    """Each tile is changed by its own mean, as by a network that averages over what it sees."""

    class Mean(Identity):
        def __call__(self, images):
            return images + np.float32(0.05) * images.mean((1, 2, 3), keepdims=True)

    engine = Mean()
    ramp = np.linspace(0, 0.9, 1600, dtype=np.float32)
    image = np.repeat(np.broadcast_to(ramp, (400, 1600))[..., None], 3, axis=2)
    restored = tiled(engine, layout_of(spec_of, engine, tile=256), ImageProgress())(image)
    steps = np.diff(restored[200, :, 0])
    tone = 0.05 * 0.9 * 192 / 1600  # between the means of two neighbours
    assert tone > 0.005  # more than a grey level: hard borders would show
    assert steps.max() < 0.9 / 1599 + 1.2 * tone / 22  # mixed over a third of the 64 pixels that neighbours share
    assert np.abs(np.diff(restored, axis=0)).max() < 1e-6
