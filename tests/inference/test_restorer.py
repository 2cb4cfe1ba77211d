"""The restorer: every size and pixel type comes back as it went in."""

from __future__ import annotations

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from mindrestore.inference.engines import EngineError
from mindrestore.inference.pixels import RestoreError, pad_to
from mindrestore.inference.restorer import InTurn, Restorer
from mindrestore.inference.tiles import TileError
from mindrestore.weights.convert import save_weights


class Halve(nn.Cell):
    """Average 4x4 cells and bring the size back: insists on multiples of 4, as a strided network does."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def construct(self, x):
        self.shapes.append(x.shape)
        assert x.shape[2] % 4 == x.shape[3] % 4 == 0
        assert not self.training
        return x * 0.5


class Blur(nn.Cell):
    """A 5x5 mean with zeros beyond the border."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 5, pad_mode="pad", padding=2, group=3, has_bias=False, weight_init=1 / 25)

    def construct(self, x):
        return self.conv(x)


@pytest.fixture
def halve(spec_of):
    net = Halve()
    return Restorer(spec_of(), net=net, compiled=False)  # it notes shapes in Python


@pytest.mark.parametrize("shape", [(1, 1), (17, 23), (8, 8), (3, 40), (64, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, np.float16])
def test_size_and_type_are_kept(halve, shape, dtype):
    peak = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    photo = (np.random.default_rng(0).random((*shape, 3)) * peak).astype(dtype)
    restored = halve(photo)
    assert (restored.shape, restored.dtype) == (photo.shape, photo.dtype)
    expected = photo.astype(np.float64) / 2
    np.testing.assert_allclose(restored.astype(np.float64), expected, atol=0.51 if peak > 1 else 1e-3)


def test_padding_reaches_multiple_and_minimum(halve):
    halve(np.zeros((17, 3, 3), np.uint8))
    assert halve.net.shapes[-1] == (1, 3, 20, 8)


def test_grey_and_alpha(halve):
    grey = np.random.default_rng(0).integers(0, 256, (9, 12), np.uint8)
    assert halve(grey).shape == (9, 12)
    np.testing.assert_allclose(halve(grey).astype(int), grey / 2, atol=0.51)
    rgba = np.random.default_rng(1).integers(0, 256, (9, 12, 4), np.uint8)
    restored = halve(rgba)
    np.testing.assert_array_equal(restored[..., 3], rgba[..., 3])
    np.testing.assert_array_equal(restored[..., :3], halve(rgba[..., :3]))


def test_what_is_no_image_is_refused(halve):
    for photo, words in (
        (np.zeros((4, 4, 2), np.uint8), "not an image"),
        (np.zeros((0, 4, 3), np.uint8), "not an image"),
        (np.zeros((4, 4, 3), np.int64), "int64"),
        (np.full((4, 4, 3), np.nan), "NaN"),
    ):
        with pytest.raises(RestoreError, match=words):
            halve(photo)


def test_wrong_output_is_reported(spec_of):
    class Crop(nn.Cell):
        def construct(self, x):
            return x[:, :, 1:]

    with pytest.raises(EngineError, match=r"\(1, 3, 7, 8\) of \(1, 3, 8, 8\)"):
        Restorer(spec_of(), net=Crop())(np.zeros((8, 8, 3), np.uint8))


def test_training_goes_on_as_before(halve):
    names = [parameter.name for parameter in halve.net.get_parameters()]
    halve.net.set_train(True)
    halve(np.zeros((8, 8, 3), np.uint8))
    assert halve.net.training
    assert [parameter.name for parameter in halve.net.get_parameters()] == names


class Mixed(nn.Cell):
    """A network of which one part is in training and another is not."""

    def __init__(self):
        super().__init__(auto_prefix=True)
        self.first, self.second = Blur(), Blur()
        self.norm = nn.BatchNorm2d(3)

    def construct(self, x):
        return self.second(ops.relu(self.norm(self.first(x))))


@pytest.mark.parametrize("options", [{"compiled": False}, {"compiled": True}, {"tile": 16}, {"ensemble": True}])
def test_a_network_of_the_caller_is_left_as_it_is(spec_of, tmp_path, options):
    """Values, names, the mode of every cell, what it returns and what is saved of it."""
    photo = np.random.default_rng(0).integers(0, 256, (24, 20, 3), np.uint8)
    image = Tensor(np.random.default_rng(1).random((1, 3, 8, 8), np.float32))
    net = Mixed().set_train(False)
    expected = net(image).asnumpy()
    net.first.set_train(True)  # frozen parts beside trained ones
    modes = {name: cell.training for name, cell in net.cells_and_names()}
    values = {parameter.name: parameter.asnumpy().copy() for parameter in net.get_parameters()}
    cells, attributes = [name for name, _ in net.cells_and_names()], sorted(vars(net))
    save_weights(net, tmp_path / "before.npz")
    Restorer(spec_of(), net=net, **options)(photo)
    save_weights(net, tmp_path / "after.npz")
    assert {name: cell.training for name, cell in net.cells_and_names()} == modes
    assert (modes["first"], modes["second"]) == (True, False)
    assert {parameter.name: parameter.asnumpy().tolist() for parameter in net.get_parameters()} == {
        name: value.tolist() for name, value in values.items()
    }
    assert ([name for name, _ in net.cells_and_names()], sorted(vars(net))) == (cells, attributes)
    assert (tmp_path / "after.npz").read_bytes() == (tmp_path / "before.npz").read_bytes()
    np.testing.assert_array_equal(net.set_train(False)(image).asnumpy(), expected)


def test_tiles_equal_the_whole_image(spec_of):
    photo = np.random.default_rng(0).random((90, 131, 3), np.float32)
    whole = Restorer(spec_of(), net=Blur())(photo)
    tiled = Restorer(spec_of(), net=Blur(), tile=48)(photo)
    np.testing.assert_allclose(tiled, whole, atol=1e-6)
    assert np.abs(whole - photo).max() > 0.1


def test_tile_sizes_are_checked(spec_of):
    with pytest.raises(TileError, match="8 pixels"):
        Restorer(spec_of(), net=Blur(), tile=8)


def test_pad_to_reflects_then_repeats():
    row = np.arange(3.0).reshape(1, 3, 1)
    np.testing.assert_array_equal(pad_to(row, 2, 7)[:, :, 0], [[0, 1, 2, 1, 0, 0, 0]] * 2)
    assert pad_to(row, 1, 3) is row


def test_outputs_do_not_share_memory(spec_of):
    class Same(nn.Cell):
        def construct(self, x):
            return ops.relu(x)

    restorer = Restorer(spec_of(), net=Same())
    first = restorer.restore_float(np.full((8, 8, 3), 0.25, np.float32))
    restorer.restore_float(np.full((8, 8, 3), 0.75, np.float32))
    assert first.min() == first.max() == 0.25


def test_tiles_come_from_the_memory_that_is_allowed(spec_of):
    photo = np.random.default_rng(0).random((90, 131, 3), np.float32)
    net = Halve()
    restorer = Restorer(spec_of(cell_bytes=1000), net=net, tile="auto", memory=0.003, compiled=False)
    np.testing.assert_allclose(restorer(photo), photo / 2, atol=1e-6)
    assert set(net.shapes) == {(1, 3, 52, 52)}  # 3 MB at 1000 bytes per pixel: 54 squared, on the network's grid
    net.shapes.clear()
    Restorer(spec_of(cell_bytes=1000), net=net, tile="auto", memory=0.02, compiled=False)(photo)
    assert net.shapes == [(1, 3, 92, 132)]  # all of it fits
    net.shapes.clear()
    Restorer(spec_of(cell_bytes=1000), net=net, tile="auto", memory=0.006, batch=2, compiled=False)(photo)
    assert set(net.shapes) <= {(2, 3, 52, 52), (1, 3, 52, 52)}
    assert (2, 3, 52, 52) in net.shapes


def test_whole_numbers_come_back_from_tiles(spec_of):
    photo = np.random.default_rng(0).integers(0, 65536, (90, 131, 4), np.uint16)
    tiled = Restorer(spec_of(), net=Halve(), tile=48, compiled=False)(photo)
    whole = Restorer(spec_of(), net=Halve(), compiled=False)(photo)
    assert tiled.dtype == np.uint16
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    np.testing.assert_array_equal(tiled[..., 3], photo[..., 3])


def test_images_of_one_size_go_together(spec_of):
    photos = list(np.random.default_rng(0).integers(0, 256, (5, 9, 14, 3), np.uint8))
    net = Halve()
    restorer = Restorer(spec_of(), net=net, batch=2, compiled=False)
    for photo, restored in zip(photos, restorer.restore_batch(photos)):
        np.testing.assert_array_equal(restored, restorer(photo))
    assert net.shapes[:3] == [(2, 3, 12, 16), (2, 3, 12, 16), (1, 3, 12, 16)]
    grey = [photo[..., 0] for photo in photos]
    assert [image.shape for image in restorer.restore_batch(grey)] == [(9, 14)] * 5


def test_the_mean_over_eight_turns(spec_of):
    class Shift(nn.Cell):
        """Add a ramp from left to right: the turns of the image cancel it."""

        def construct(self, x):
            width = x.shape[3]
            ramp = ops.arange(width).astype(x.dtype) / width - (width - 1) / (2 * width)
            return x + 0.2 * ramp.reshape(1, 1, 1, width)

    photo = np.random.default_rng(0).random((16, 24, 3), np.float32) * 0.6 + 0.2
    plain = Restorer(spec_of(), net=Shift(), compiled=False)(photo)
    assert np.abs(plain - photo).max() > 0.08
    for tile in (None, 16):
        turned = Restorer(spec_of(), net=Shift(), ensemble=True, tile=tile, compiled=False)(photo)
        np.testing.assert_allclose(turned, photo, atol=1e-6)


def test_options_that_cannot_be_are_named(spec_of):
    for options, message in (
        ({"batch": 0}, "batch 0: use the number of images"),
        ({"tile": "auto", "memory": 0}, "memory 0: use gigabytes"),
        ({"tile": "large"}, "tile 'large': use a side in pixels, such as 512, or auto"),
        ({"tiel": 512}, "unknown option 'tiel'; did you mean 'tile'"),
        ({"weights": "x.ckpt"}, "a net is used with the weights it has"),
    ):
        with pytest.raises(RestoreError, match=message):
            Restorer(spec_of(), net=Halve(), **options)


def test_networks_in_turn_round_once(spec_of):
    photo = np.random.default_rng(0).integers(0, 256, (9, 12, 4), np.uint8)
    halve = Restorer(spec_of(), net=Halve(), compiled=False)
    restored = InTurn([halve, halve])(photo)
    np.testing.assert_array_equal(restored[..., :3], np.rint(photo[..., :3] / 4))
    np.testing.assert_array_equal(restored[..., 3], photo[..., 3])
    chain, told = InTurn([halve, halve]), []
    chain.progress = told.append
    chain(photo)
    assert told == [0.5, 1]


@pytest.mark.parametrize(
    ("options", "shares"),
    [
        ({}, [1]),
        ({"tile": 48}, [tile / 6 for tile in range(1, 7)]),
        ({"tile": 48, "batch": 2}, [2 / 6, 3 / 6, 5 / 6, 1]),  # rows of three tiles
        ({"ensemble": True}, [turn / 8 for turn in range(1, 9)]),
        ({"ensemble": True, "tile": 48}, [step / 48 for step in range(1, 49)]),
    ],
)
def test_progress_is_the_share_that_is_done(spec_of, options, shares):
    restorer, told = Restorer(spec_of(), net=Halve(), compiled=False, **options), []
    restorer.progress = told.append
    restorer(np.zeros((80, 120, 3), np.uint8))
    assert told == pytest.approx(shares)
