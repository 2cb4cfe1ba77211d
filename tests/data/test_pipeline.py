"""The loader: batches are a function of seed, epoch and step; ranks share the work; errors name the file."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from mindrestore.data.catalog import DatasetError
from mindrestore.data.images import ImageError, write_image
from mindrestore.data.pairing import Pair
from mindrestore.data.pipeline import TrainLoader


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    root = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    found = []
    for i in range(11):
        clear = rng.integers(0, 256, (20 + i, 30, 3), dtype=np.uint8)
        write_image(root / f"clear/{i}.png", clear)
        write_image(root / f"hazy/{i}.png", clear // 2 + 100)
        found.append(Pair(str(i), root / f"hazy/{i}.png", root / f"clear/{i}.png"))
    return found


def loader(pairs, *, batch_size=3, workers=1, repeat=1, augment=("hflip", "rot90"), **options):
    config = SimpleNamespace(patch_size=16, augment=augment, workers=workers, repeat=repeat)
    return TrainLoader(pairs, config=config, batch_size=batch_size, **{"seed": 5, **options})


def same(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second):
        assert all(np.array_equal(x, y) for x, y in zip(a, b))


def test_shapes_ranges_and_names(pairs):
    feed = loader(pairs)
    batches = list(feed.epoch(0))
    assert feed.steps_per_epoch == len(batches) == 3
    batch = batches[0]
    assert batch.input.shape == batch.target.shape == (3, 3, 16, 16)
    assert batch.input.dtype == batch.target.dtype == np.float32
    assert batch.index.dtype == np.int64
    assert 0 <= batch.target.min() < batch.target.max() <= 1
    assert feed.names(batch.index) == [str(pairs[i].input) for i in batch.index]
    indices = np.concatenate([b.index for b in batches])
    assert len(set(indices.tolist())) == 9  # no image twice in an epoch


def test_input_and_target_show_the_same_place(pairs):
    for batch in loader(pairs).epoch(3):
        stored = np.round(batch.target * 255).astype(int) // 2 + 100
        assert np.array_equal(np.round(batch.input * 255).astype(int), stored)


@pytest.mark.parametrize("workers", [0, 1, 2, 4])
def test_batches_do_not_depend_on_workers_cache_or_history(pairs, workers):
    reference = loader(pairs, cache_bytes=0)
    feed = loader(pairs, workers=workers, cache_bytes=5000)
    np.random.seed(workers)  # the global generator must not matter
    list(feed.epoch(1))
    same(list(feed.epoch(0)), list(reference.epoch(0)))
    same(list(feed.epoch(2)), list(reference.epoch(2)))


def test_epochs_and_seeds_differ(pairs):
    feed = loader(pairs)
    order = [np.concatenate([b.index for b in feed.epoch(epoch)]).tolist() for epoch in (0, 1)]
    assert order[0] != order[1]
    other = np.concatenate([b.index for b in loader(pairs, seed=6).epoch(0)]).tolist()
    assert other != order[0]


def test_resume_in_the_middle_of_an_epoch(pairs):
    whole = list(loader(pairs, batch_size=2).epoch(4))
    for start in (1, 4):
        same(list(loader(pairs, batch_size=2, workers=2).epoch(4, start)), whole[start:])
    assert list(loader(pairs, batch_size=2).epoch(4, 5)) == []


def test_an_abandoned_epoch_leaves_the_loader_usable(pairs):
    feed = loader(pairs, workers=2)
    next(feed.epoch(0))
    same(list(feed.epoch(1)), list(loader(pairs).epoch(1)))


def test_ranks_share_one_order(pairs):
    feeds = [loader(pairs, rank=rank, world=3, batch_size=2) for rank in range(3)]
    assert [feed.steps_per_epoch for feed in feeds] == [2, 2, 2]
    shares = [np.concatenate([b.index for b in feed.epoch(0)]).tolist() for feed in feeds]
    whole = np.concatenate([b.index for b in loader(pairs, batch_size=11).epoch(0)]).tolist()
    wrapped = whole + whole
    assert shares == [[wrapped[rank + 3 * n] for n in range(4)] for rank in range(3)]
    assert set().union(*shares) == set(range(11))


def test_fewer_images_than_a_batch_start_over_with_other_crops(pairs):
    (batch,) = loader(pairs[:2], batch_size=5).epoch(0)
    assert sorted(batch.index.tolist())[1:4] in ([0, 0, 1], [0, 1, 1])
    assert len({patch.tobytes() for patch in batch.target}) == 5


def test_repeat_makes_longer_epochs(pairs):
    feed = loader(pairs, repeat=3, batch_size=11)
    batches = list(feed.epoch(0))
    assert [sorted(batch.index.tolist()) for batch in batches] == [list(range(11))] * 3
    assert batches[0].index.tolist() != batches[1].index.tolist()
    assert not np.array_equal(batches[0].input, batches[1].input)


@pytest.mark.parametrize("workers", [1, 3])
def test_an_unreadable_image_is_named(pairs, tmp_path, workers):
    (tmp_path / "broken.png").write_bytes(pairs[0].input.read_bytes()[:60])
    broken = [*pairs[:6], Pair("x", tmp_path / "broken.png", pairs[0].target)]
    with pytest.raises(ImageError, match=r"broken\.png: damaged image") as caught:
        list(loader(broken, batch_size=7, workers=workers).epoch(0))
    assert "\n" not in str(caught.value)


def test_unequal_sizes_name_both_files(pairs):
    odd = [Pair("x", pairs[0].input, pairs[3].target)]
    with pytest.raises(ImageError, match=r"0\.png is 30x20 but .*3\.png is 30x23"):
        next(loader(odd, batch_size=1).epoch(0))
    cropped = [Pair("x", pairs[0].input, pairs[3].target, crop_target=True)]
    assert next(loader(cropped, batch_size=1).epoch(0)).input.shape == (1, 3, 16, 16)


def test_no_pairs():
    with pytest.raises(DatasetError, match="no image pairs"):
        loader([])
