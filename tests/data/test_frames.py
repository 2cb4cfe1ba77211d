"""Window frames and poles that are painted into photographs, so that straight light things are not taken for rain."""

from __future__ import annotations

import numpy as np
import pytest

from mindrestore.data.frames import add_frames

SIZE = (120, 160, 3)


def painted(value, seed, most=4):
    return add_frames(np.full(SIZE, value, np.float32), np.random.default_rng(seed), most)


@pytest.mark.parametrize("seed", range(8))
def test_lines_are_light_and_hide_what_is_behind_them(seed):
    """On black and on white the middle of a line is the same, and the rest of a black image stays black."""
    black, white = painted(0.0, seed), painted(1.0, seed)
    assert black.dtype == np.float32
    assert 0 <= black.min() <= white.max() <= 1
    hidden = np.abs(black - white).max(axis=-1) < 1e-3
    assert 0.002 < hidden.mean() < 0.5
    assert black[hidden].mean(axis=-1).min() > 0.2  # the darkest colour, in the shadow of another line
    assert (black == 0).all(axis=-1).mean() > 0.4


def test_shadows_darken_a_light_image_beside_the_lines():
    shares = [(painted(1.0, seed).max(axis=-1) < 0.5).mean() for seed in range(20)]
    assert np.mean([0.002 < share < 0.3 for share in shares]) > 0.3


def test_most_lines_are_upright_or_level():
    """Values change along one axis: from column to column for poles, from row to row for sills."""
    along = []
    for seed in range(40):
        image = painted(0.0, seed, most=1)[..., 0]
        steps = [np.abs(np.diff(image, axis=axis)).sum() for axis in (0, 1)]
        along.append(max(steps) / sum(steps))
    assert np.mean(along) > 0.6
    assert sum(share > 0.8 for share in along) > 5


def test_the_same_draws_paint_the_same():
    np.testing.assert_array_equal(painted(0.3, 5), painted(0.3, 5))
    assert not np.array_equal(painted(0.3, 5), painted(0.3, 6))


def test_an_image_that_is_given_stays_as_it_is():
    clear = np.full(SIZE, 0.5, np.float32)  # of the type that is worked in, so that only a copy keeps it
    add_frames(clear, np.random.default_rng(0))
    assert (clear == 0.5).all()
