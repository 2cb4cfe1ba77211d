"""The loader: batches are a function of seed, epoch and step; ranks share the work; errors name the file."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mindrestore.data import pipeline
from mindrestore.data.cache import ImageCache
from mindrestore.data.catalog import DatasetError, find_pairs
from mindrestore.data.check import check_folder
from mindrestore.data.pairing import Pair
from mindrestore.data.pipeline import Batch, ProgressiveLoader, TrainLoader, mix, worker_count
from mindrestore.images.errors import ImageError
from mindrestore.images.write import write_image
from mindrestore.recipes.schema import DataConfig, MixupConfig, PasteConfig


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


def loader(pairs, *, batch_size=3, workers=1, repeat=1, mixup=None, paste=None, **options):
    changes = {"augment": ("hflip", "rot90"), "mixup": mixup, "paste": paste}
    config = DataConfig(patch_size=16, workers=workers, repeat=repeat, **changes)
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


def test_memory_of_batches_is_used_again_when_nobody_holds_it(pairs, monkeypatch):
    shapes, empty = [], np.empty
    monkeypatch.setattr(np, "empty", lambda shape, *rest, **more: shapes.append(shape) or empty(shape, *rest, **more))
    feed = loader(pairs, repeat=8)
    steps = sum(1 for _ in feed.epoch(0))
    assert (steps, 4 <= shapes.count((3, 3, 16, 16)) <= 2 * (pipeline.AHEAD + 2)) == (29, True)
    held = list(feed.epoch(1))
    assert len({batch.input.ctypes.data for batch in held} | {batch.target.ctypes.data for batch in held}) == 58
    same(held, list(loader(pairs, repeat=8, workers=2).epoch(1)))


def test_input_and_target_show_the_same_place(pairs):
    for batch in loader(pairs).epoch(3):
        stored = np.round(batch.target * 255).astype(int) // 2 + 100
        assert np.array_equal(np.round(batch.input * 255).astype(int), stored)


@pytest.mark.parametrize("workers", [0, 1, 2, 4])
def test_batches_do_not_depend_on_workers_cache_or_history(pairs, workers):
    reference = loader(pairs, cache=ImageCache(0))
    feed = loader(pairs, workers=workers, cache=ImageCache(5000))
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


def test_processes_and_the_disk_give_the_same_batches_and_the_same_errors(pairs, tmp_path):
    config = DataConfig(patch_size=16, workers=2, processes=True, cache="disk", cache_dir=str(tmp_path / "kept"))
    feed = TrainLoader(pairs, config=config, batch_size=3, seed=5)
    seen = set()
    for epoch in (0, 1):
        batches = list(feed.epoch(epoch))
        same(batches, list(loader(pairs).epoch(epoch)))
        seen.update(index for batch in batches for index in batch.index.tolist())
    assert len(list((tmp_path / "kept").glob("??/*.raw"))) == 2 * len(seen)
    (tmp_path / "torn.png").write_bytes(b"no image")
    broken = [*pairs[:6], Pair("torn", tmp_path / "torn.png", pairs[0].target)]
    feed = TrainLoader(broken, config=config, batch_size=7, seed=5)
    with pytest.raises(ImageError, match=r"torn\.png"):
        list(feed.epoch(0))


def test_workers_are_the_share_of_the_cores(monkeypatch):
    monkeypatch.setattr(pipeline.os, "sched_getaffinity", lambda pid: range(24), raising=False)
    monkeypatch.delenv("NODE_NUM", raising=False)
    assert [worker_count(None, world) for world in (1, 2, 4, 8, 24, 48)] == [8, 8, 6, 3, 1, 1]
    assert [worker_count(asked, 8) for asked in (0, 1, 16, 100)] == [1, 1, 16, 24]
    monkeypatch.setenv("NODE_NUM", "2")
    assert worker_count(None, 16) == 3


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


def test_clear_squares_are_pasted_last_and_the_same_whoever_asks(pairs):
    plain, pasted = loader(pairs), loader(pairs, paste=PasteConfig(probability=0.7, max_ratio=1.0))
    batches = [batch for epoch in range(4) for batch in pasted.epoch(epoch)]
    again = loader(pairs, paste=PasteConfig(probability=0.7, max_ratio=1.0), workers=2, cache=ImageCache(0))
    same(batches, [batch for epoch in range(4) for batch in again.epoch(epoch)])
    same(list(pasted.epoch(2, start_step=1)), batches[7:9])
    areas = []
    for before, after in zip((batch for epoch in range(4) for batch in plain.epoch(epoch)), batches):
        assert np.array_equal(before.target, after.target)  # crops, flips and the target are as without it
        for hazy, image, clear in zip(before.input, after.input, after.target):
            rows, columns = np.nonzero((hazy != image).any(0))
            areas.append(len(rows))
            if len(rows):
                square = (..., slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
                assert np.array_equal(image[square], clear[square])
    assert 0.4 < np.mean(np.array(areas) > 0) < 0.9
    assert len(set(areas)) > 5


def test_mixup_formula():
    rng = np.random.default_rng(3)
    batch = Batch(rng.random((5, 3, 4, 4), np.float32), rng.random((5, 3, 4, 4), np.float32), np.arange(5))
    mixed = mix(batch, 0.6, np.random.default_rng(8))
    draws = np.random.default_rng(8)
    other, share = draws.permutation(5), draws.beta(0.6, 0.6, 5)
    for i in range(5):
        for own, result in ((batch.input, mixed.input), (batch.target, mixed.target)):
            np.testing.assert_allclose(result[i], share[i] * own[i] + (1 - share[i]) * own[other[i]], rtol=1e-5)
    assert mixed.input.dtype == mixed.target.dtype == np.float32
    assert mixed.index.tolist() == [0, 1, 2, 3, 4]


def test_mixup_shares_have_the_spread_of_the_distribution():
    count = 4000
    own = np.zeros((count, 1, 1, 1), np.float32)
    own[: count // 2] = 1
    values = mix(Batch(own, own, np.arange(count)), 0.6, np.random.default_rng(0)).input.ravel()
    mixed = values[(values > 0) & (values < 1)]  # half of the samples meet one of the other kind
    assert len(mixed) / count == pytest.approx(0.5, abs=0.03)
    assert mixed.mean() == pytest.approx(0.5, abs=0.02)
    assert mixed.var() == pytest.approx(1 / (4 * (2 * 0.6 + 1)), rel=0.05)


def test_mixup_begins_with_its_epoch(pairs):
    plain, mixed = loader(pairs, batch_size=5), loader(pairs, batch_size=5, mixup=MixupConfig(0.6, from_epoch=3))
    for epoch in (0, 1):  # the first and the second
        same(list(mixed.epoch(epoch)), list(plain.epoch(epoch)))
    for before, after in zip(plain.epoch(2), mixed.epoch(2)):
        assert np.array_equal(before.index, after.index)
        assert not np.allclose(before.input, after.input)
        assert 0 <= after.target.min() <= after.target.max() <= 1
        stored = after.target * 255 / 2 + 100  # the relation of these pairs survives mixing, up to their rounding
        np.testing.assert_allclose(after.input * 255, stored, atol=0.51)


def test_mixup_resumes_exactly_and_differs_between_ranks(pairs):
    def shares(rank, start=0):
        options = {"rank": rank, "world": 2, "batch_size": 2, "mixup": MixupConfig(from_epoch=1)}
        return list(loader(pairs, **options).epoch(4, start))

    whole = shares(0)
    same(shares(0, 1), whole[1:])
    seeds = [np.random.default_rng((5, 4, 0, rank, 5)).random() for rank in (0, 1)]
    assert seeds[0] != seeds[1]
    plain = list(loader(pairs, rank=1, world=2, batch_size=2).epoch(4))
    for before, after, step in zip(plain, shares(1), range(3)):
        expected = mix(before, 0.6, np.random.default_rng((5, 4, step, 1, 5)))
        assert np.array_equal(expected.input, after.input)


def test_every_kind_of_image_becomes_rgb(tmp_path):
    """Grey, palette, RGBA, BMP and TIFF files train side by side, also smaller than the patch."""
    rng = np.random.default_rng(0)
    grey = Image.fromarray(rng.integers(0, 256, (13, 17), dtype=np.uint8))
    colour = Image.fromarray(rng.integers(0, 256, (13, 17, 4), dtype=np.uint8))  # RGBA
    for kind in ("input", "target"):
        (tmp_path / kind).mkdir()
        grey.save(tmp_path / kind / "grey.png")
        colour.save(tmp_path / kind / "rgba.png")
        colour.convert("RGB").quantize(16).save(tmp_path / kind / "palette.png")
        colour.convert("RGB").save(tmp_path / kind / "windows.bmp")
        colour.convert("RGB").save(tmp_path / kind / "print.tif")
    assert check_folder(tmp_path).clean
    found = find_pairs("auto", tmp_path, "train")
    config = DataConfig(patch_size=16, augment=("saturation", "dihedral9"), workers=1)
    (batch,) = TrainLoader(found, config=config, batch_size=5, seed=1).epoch(0)
    assert batch.input.shape == (5, 3, 16, 16)
    assert np.array_equal(batch.input, batch.target)
    names = [found[i].key for i in batch.index]
    grey_patch = batch.input[names.index("grey")]
    assert np.array_equal(grey_patch[0], grey_patch[2])
    assert np.ptp(batch.input[names.index("rgba")], axis=0).max() > 0.5


def test_no_pairs():
    with pytest.raises(DatasetError, match="no image pairs"):
        loader([])


def test_progressive_sizes_switch_after_their_epochs(pairs):
    stages = [(2, 8, 5), (3, 12, 3), (5, 16, 2)]
    feed = ProgressiveLoader(pairs, config=DataConfig(workers=1), stages=stages, seed=5)
    sizes = {epoch: [batch.input.shape for batch in feed.epoch(epoch)] for epoch in range(7)}
    first, second, last = [(5, 3, 8, 8)] * 2, [(3, 3, 12, 12)] * 3, [(2, 3, 16, 16)] * 5
    assert list(sizes.values()) == [first, first, second, last, last, last, last]
    assert (feed.earlier_stages, feed.steps_per_epoch) == (((2, 2), (1, 3)), 5)
    single = TrainLoader(pairs, config=DataConfig(workers=1, patch_size=12), batch_size=3, seed=5)
    same(list(feed.epoch(2, 1)), list(single.epoch(2))[1:])
    assert feed.names(np.array([3])) == [str(pairs[3].input)]


def test_noise_is_added_to_clear_patches_on_the_fly(tmp_path):
    write_image(tmp_path / "grey.png", np.full((40, 40, 3), 128, np.uint8))
    levels = (5, 20, 50)
    grey = Pair("grey", tmp_path / "grey.png", tmp_path / "grey.png", noise=levels)
    config = DataConfig(patch_size=40, augment=("dihedral9",), workers=1, repeat=60)
    batches = [next(TrainLoader([grey], config=config, batch_size=60, seed=5).epoch(0)) for _ in range(2)]
    same(*[[batch] for batch in batches])
    deviations = ((batches[0].input - batches[0].target) * 255).std(axis=(1, 2, 3))
    drawn = [min(levels, key=lambda level: abs(level - value)) for value in deviations]
    assert set(drawn) == set(levels)
    np.testing.assert_allclose(deviations, drawn, rtol=0.05)
    assert np.unique(batches[0].target).tolist() == [np.float32(128 / 255)]
    assert np.array_equal(np.rint(batches[0].input * 255) / np.float32(255), batches[0].input)  # 8 bits
