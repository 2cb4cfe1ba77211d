"""Statistics of the whole image, given to the tiles: where they lie, and that they make tiles equal the whole."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindrestore.inference.pixels import RestoreError
from mindrestore.inference.restorer import Restorer
from mindrestore.inference.statistics import WholeStatistics, joined, parted
from mindrestore.models.dsrir import GridMean
from mindrestore.models.layers import ChannelMean
from mindrestore.models.registry import create_model


class Attention(nn.Cell):
    """Add the mean over what it sees."""

    def __init__(self):
        super().__init__()
        self.pool = ChannelMean()

    def construct(self, x):
        return 0.5 * x + 0.5 * self.pool(x)


class Toy(nn.Cell):
    def __init__(self):
        super().__init__()
        self.attention = Attention()

    def construct(self, x):
        return self.attention(x)


@pytest.fixture
def photo():
    ramp = np.linspace(0, 1, 128, dtype=np.float32)
    return np.ascontiguousarray(np.broadcast_to(ramp[None, :, None], (64, 128, 3)))


def test_tiles_with_the_statistics_of_the_whole_equal_the_whole(spec_of, photo):
    whole = Restorer(spec_of(tiling="statistics"), net=Toy())(photo)
    with pytest.warns(UserWarning, match="averages over the whole image"):
        plain = Restorer(spec_of(tiling="statistics"), net=Toy(), tile=32)(photo)
    held = Restorer(spec_of(tiling="statistics"), net=Toy(), tile=32, whole_statistics=True)
    assert np.abs(plain - whole).max() > 0.1
    np.testing.assert_allclose(held(photo), whole, atol=1e-4)
    np.testing.assert_allclose(held(photo[:24, :24]), photo[:24, :24] / 2 + photo[:24, :24].mean() / 2, atol=1e-5)
    np.testing.assert_allclose(held(photo / 2), whole / 2, atol=1e-4)  # not those of the image before


def test_halves_and_quarters_find_their_place():
    means = np.arange(4.0).reshape(4, 1, 1, 1)  # as MPRNet stacks them: left top, left bottom, right top, right bottom
    np.testing.assert_array_equal(joined(means)[0], [[0, 2], [1, 3]])
    np.testing.assert_array_equal(joined(means[:2])[0], [[0], [1]])
    cells = np.random.default_rng(0).random((4, 5, 2, 3))
    np.testing.assert_array_equal(parted(joined(cells), 4), cells)
    np.testing.assert_array_equal(parted(joined(cells[:2]), 2), cells[:2])


def test_cells_of_a_tile_are_those_it_lies_in():
    class Grid(nn.Cell):
        def __init__(self):
            super().__init__()
            self.pool = GridMean(4, 4)

        def construct(self, x):
            return self.pool(x)

    net = nn.SequentialCell(Grid())
    statistics = WholeStatistics(net)
    image = np.kron(np.arange(16.0).reshape(4, 4), np.ones((8, 8)))[None, None].astype(np.float32)
    statistics.note(net, Tensor(image))
    (pool,) = statistics.pools
    np.testing.assert_array_equal(pool.whole[0], np.arange(16.0).reshape(4, 4))
    statistics.give((16, 8), (16, 16), (32, 32))  # rows 16 to 31, columns 8 to 23: cells 2, 3 and 1, 2
    expected = np.kron(np.array([[9, 10], [13, 14]]), np.ones((2, 2)))
    np.testing.assert_array_equal(pool.held.asnumpy()[0, 0], expected)


DEHAZEFORMER = {"widths": (4, 8, 6), "depths": (1, 2, 2, 1, 1), "attention": (0, 1 / 2, 1)}
POOLS = {
    "aecrnet": ({"channels": 4, "blocks": 1, "deform_layers": 1}, 1),  # one block with a gate
    "dehazeformer_t": (DEHAZEFORMER, 3 + 2),  # blocks that attend, and fusions
    "dsrir": ({"width": 4, "blocks": 1, "groups": 1}, 19),
    "mprnet_deraining": ({"n_feat": 4, "scale_unetfeats": 4, "scale_orsnetfeats": 4, "num_cab": 1}, 34),
}


@pytest.mark.parametrize("name", POOLS)
def test_networks_hold_them(name):
    hyper, count = POOLS[name]
    assert len(WholeStatistics(create_model(name, **hyper)).pools) == count


@pytest.mark.filterwarnings("ignore:.*averages over the whole image")
def test_tiles_that_are_normalised_as_the_whole_come_nearer_to_it():
    ms.set_seed(0)
    net = create_model("dehazeformer_t", **DEHAZEFORMER)
    ramp = np.linspace(0, 1, 192, dtype=np.float32)
    image = np.ascontiguousarray(np.broadcast_to((4 * ramp * ramp[::-1])[None, :, None], (96, 192, 3)))
    whole, plain = (
        Restorer("dehazeformer_t", net=net, device="CPU", compiled=False, tile=tile).restore_float(image)
        for tile in (None, 64)
    )
    held = Restorer("dehazeformer_t", net=net, device="CPU", compiled=False, tile=64, whole_statistics=True)
    error = np.abs(held.restore_float(image) - whole).mean()
    assert 1e-4 < error < 0.5 * np.abs(plain - whole).mean()


def test_a_network_without_any_is_named(spec_of):
    with pytest.raises(RestoreError, match="has no statistics that can be held; leave whole_statistics out"):
        Restorer(spec_of(), net=nn.SequentialCell(nn.ReLU()), whole_statistics=True)
