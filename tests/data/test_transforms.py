"""Crops, flips and fills: the same for both images, and decided by the generator alone."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from mindrestore.data.transforms import (
    centre_crop,
    check_augmentations,
    crop_start,
    dihedral,
    fill_to,
    make_patch,
    paste_clear,
    saturate,
)
from mindrestore.errors import MindRestoreError

ALL = ("hflip", "vflip", "rot90", "transpose")


def numbered(height, width):
    """Return an image in which every pixel tells its own place."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, rows * width + columns], 2).astype(np.int32)


def test_both_images_get_the_same_treatment():
    image = numbered(40, 50)
    for draw in range(20):
        a, b = make_patch(image, image + 7, 16, ALL, np.random.default_rng((1, 2, draw)))
        assert a.shape == (16, 16, 3)
        assert np.array_equal(a + 7, b)


def test_patches_are_reproducible_and_varied():
    image = numbered(40, 50)
    first = [make_patch(image, image, 16, ALL, np.random.default_rng((1, 0, i)))[0] for i in range(8)]
    again = [make_patch(image, image, 16, ALL, np.random.default_rng((1, 0, i)))[0] for i in range(8)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert len({patch.tobytes() for patch in first}) == 8


@pytest.mark.parametrize(
    ("names", "count"), [((), 1), (("hflip",), 2), (("vflip",), 2), (("transpose",), 2), (("rot90",), 4), (ALL, 8)]
)
def test_reachable_orientations(names, count):
    image = numbered(5, 5)
    seen = {make_patch(image, image, 5, names, np.random.default_rng(i))[0].tobytes() for i in range(200)}
    assert len(seen) == count


def test_every_crop_position_is_reachable():
    image = numbered(5, 4)
    corners = {tuple(make_patch(image, image, 3, (), np.random.default_rng(i))[0][0, 0, :2]) for i in range(200)}
    assert corners == {(y, x) for y in range(3) for x in range(2)}


def test_fill_reflects_then_repeats():
    line = np.arange(3).reshape(1, 3, 1)
    assert fill_to(line, 7)[0, :, 0].tolist() == [0, 1, 2, 1, 0, 0, 0]
    assert fill_to(line, 7).shape == (7, 7, 1)
    one = np.full((1, 1, 3), 9, np.uint8)
    assert fill_to(one, 4).tolist() == np.full((4, 4, 3), 9).tolist()
    assert fill_to(line, 1) is line


def test_odd_and_tiny_sizes_give_patches():
    for shape in ((1, 1), (17, 23), (300, 5)):
        a, b = make_patch(numbered(*shape), numbered(*shape), 24, ALL, np.random.default_rng(0))
        assert a.shape == (24, 24, 3)
        assert np.array_equal(a, b)


def test_centre_crop_of_sots():
    cut = centre_crop(numbered(480, 640), 460, 620)
    assert cut.shape == (460, 620, 3)
    assert cut[0, 0, :2].tolist() == [10, 10]


def test_unknown_augmentation():
    with pytest.raises(MindRestoreError, match="'blur' is unknown; use some of hflip"):
        check_augmentations(["hflip", "blur"])


def test_nine_codes_against_the_published_ones():
    golden = np.load(Path(__file__).parents[1] / "golden" / "augment.npz")
    row, column, size = golden["rr_cc_ps"]
    cut = (slice(row, row + size), slice(column, column + size))
    for code, (target, degraded) in enumerate(golden["out"]):
        assert np.array_equal(dihedral(golden["target"][cut], code), target)
        assert np.array_equal(dihedral(golden["degraded"][cut], code), degraded)
    assert np.array_equal(fill_to(golden["small"], size), golden["small_out"])
    with pytest.raises(MindRestoreError, match="no geometric code 9; use 0 to 8"):
        dihedral(golden["target"], 9)


def test_nine_codes_are_equally_likely_and_the_same_for_both():
    image = numbered(4, 4)
    keys = [dihedral(image, code).tobytes() for code in range(8)]
    counts = np.zeros(8)
    for draw in range(1800):
        a, b = make_patch(image, image + 1, 4, ("dihedral9",), np.random.default_rng(draw))
        assert np.array_equal(a + 1, b)
        counts[keys.index(a.tobytes())] += 1
    np.testing.assert_allclose(counts / 200, [2, 1, 1, 1, 1, 1, 1, 1], atol=0.25)


def test_saturation_against_pillow_by_hand():
    image = np.uint8([[[200, 100, 50], [0, 255, 0], [255, 255, 250], [7, 7, 7]]])
    grey = (image.astype(int) @ [19595, 38470, 7471] + 0x8000) >> 16  # the luma weights in 16-bit fixed point
    expected = np.trunc(np.clip(grey[..., None] + 1.2 * (image.astype(float) - grey[..., None]), 0, 255))
    assert np.array_equal(saturate(image, 1.2), expected)
    assert np.array_equal(saturate(image, 1.0), image)
    assert np.array_equal(saturate(image, 0.0), np.repeat(grey[..., None], 3, axis=2))
    assert saturate(image[:, ::-1], 0.9).flags.c_contiguous  # views are taken, too
    for kind, top in ((np.uint16, 65535), (np.float32, 1.0)):
        other = (image / 255 * top).astype(kind)
        result = saturate(other, 1.2)
        assert result.dtype == kind
        np.testing.assert_allclose(result / top * 255, expected, atol=1.7)


def test_saturation_probability_range_and_equality():
    image = np.full((4, 4, 3), (200, 100, 50), np.uint8)
    low, high = (int(saturate(image, factor)[0, 0, 0]) for factor in (0.8, 1.2))
    changed = []
    for draw in range(900):
        a, b = make_patch(image, image, 4, ("saturation",), np.random.default_rng(draw))
        assert np.array_equal(a, b)
        if not np.array_equal(a, image):
            changed.append(int(a[0, 0, 0]))
    assert len(changed) / 900 == pytest.approx(1 / 3, abs=0.04)
    assert low <= min(changed) <= low + 1
    assert high - 1 <= max(changed) <= high


class PythonDraws:
    """Draw with Python's generator, as the published programs do."""

    def __init__(self, seed):
        self.draws = random.Random(seed)
        self.random = self.draws.random

    def integers(self, count):
        return self.draws.randint(0, count - 1)


@pytest.mark.parametrize("case", ["augment2", "augment3"])
def test_golden_crops_with_edge_decay(golden_dir, case):
    with np.load(golden_dir / "crossdehaze.npz") as file:
        (size, edge_decay, only_h_flip), seeds, patches = (
            file[key] for key in (f"{case}.cfg", "augment.seeds", f"{case}.out")
        )
    image = np.arange(20 * 24 * 3).reshape(20, 24, 3)
    size = int(size)
    for seed, patch in zip(seeds, patches):
        draws = PythonDraws(int(seed))
        top, left = (crop_start(side, size, draws, edge_decay) for side in (20, 24))
        crop = image[top : top + size, left : left + size]
        crop = crop[:, ::-1] if draws.integers(2) == 1 else crop
        crop = crop if only_h_flip else np.rot90(crop, draws.integers(4))
        np.testing.assert_array_equal(crop, patch)


def test_edge_decay_brings_crops_to_the_border_as_often_as_it_says():
    rng = np.random.default_rng(0)
    starts = np.array([crop_start(100, 40, rng, edge_decay=0.5) for _ in range(20000)])
    assert (starts.min(), starts.max()) == (0, 60)
    border = 0.2 + 0.8 * 2 / 61  # size / length * decay, and both ends among the 61 even draws
    assert np.isin(starts, (0, 60)).mean() == pytest.approx(border, abs=0.01)
    image = numbered(100, 100)
    patches = [make_patch(image, image, 40, (), np.random.default_rng(i), edge_decay=2.5)[0] for i in range(50)]
    assert {tuple(patch[0, 0, :2]) for patch in patches} == {(0, 0), (0, 60), (60, 0), (60, 60)}


class Draws:
    """Provide chosen numbers where a generator draws."""

    def __init__(self, *numbers):
        self.numbers, self.limits = list(numbers), []

    def random(self):
        return self.numbers.pop(0)

    def integers(self, count):
        self.limits.append(count)
        return self.numbers.pop(0)


def test_a_clear_square_is_pasted_where_the_draws_say():
    hazy, clear = np.zeros((3, 256, 256), np.float32), np.ones((3, 256, 256), np.float32)
    draws = Draws(0.49, 0.9999, 3, 128)  # whether, the ratio (halved), top, left
    pasted = paste_clear(hazy, clear, draws)
    expected = hazy.copy()
    expected[:, 3 : 3 + 127, 128:255] = 1  # the largest side is 127
    assert np.array_equal(pasted, expected)
    assert draws.limits == [130, 130]  # 256 - 127 + 1 places, the last one included
    assert not hazy.any()
    assert paste_clear(hazy, clear, Draws(0.5)) is hazy
    assert not paste_clear(hazy, clear, Draws(0.0, 0.0078, 0, 0)).any()  # int(256 * 0.0039) is 0: nothing
    assert paste_clear(hazy, clear, Draws(0.0, 0.25, 0, 0), max_ratio=1.0).sum() == 3 * 64**2


def test_clear_squares_come_as_often_and_as_large_as_published():
    hazy, clear = np.zeros((1, 64, 64), np.float32), np.ones((1, 64, 64), np.float32)
    rng = np.random.default_rng(0)
    sides = [int(paste_clear(hazy, clear, rng).sum() ** 0.5) for _ in range(4000)]
    assert max(sides) == 31
    assert np.mean(np.array(sides) > 0) == pytest.approx(0.5 * 31 / 32, abs=0.025)
    assert np.mean(sides) == pytest.approx(0.5 * 15.5, abs=0.5)
    often = [paste_clear(hazy, clear, rng, probability=1.0, max_ratio=0.25).sum() for _ in range(300)]
    assert max(often) == 15**2
