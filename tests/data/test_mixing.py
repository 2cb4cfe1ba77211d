"""Several data sets in one epoch: exact shares, no pair twice too early, disjoint ranks, exact resume."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from mindrestore.cli.main import main
from mindrestore.data.catalog import DatasetError
from mindrestore.data.mixing import mixed_order, mixed_pairs, source_shares
from mindrestore.data.pipeline import TrainLoader
from mindrestore.images.read import read_image
from mindrestore.images.write import write_image
from mindrestore.recipes.load import load_recipe
from mindrestore.recipes.schema import DataConfig, RecipeError, SourceConfig

COUNTS = {"first": 9, "second": 3}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mix")
    rng = np.random.default_rng(0)
    for name, count in COUNTS.items():
        for i in range(count):
            for kind in ("hazy", "clear"):
                image = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
                write_image(folder / name / "train" / kind / f"{i}.png", image)
    return folder


def config(root, shares=(None, None), repeat=1):
    mix = tuple(SourceConfig(root=name, share=share) for name, share in zip(COUNTS, shares))
    return DataConfig(root=str(root), patch_size=16, augment=("hflip",), workers=1, repeat=repeat, mix=mix)


def loader(root, shares, **options):
    data = config(root, shares, options.pop("repeat", 1))
    return TrainLoader(mixed_pairs(data), config=data, **{"batch_size": 4, "seed": 5, **options})


def test_pairs_of_every_source_are_found_and_keep_their_gamma(root):
    mix = (SourceConfig(root="second", gamma=(1.9, 1.91, 1.91)), SourceConfig(root="first"))
    pairs = mixed_pairs(DataConfig(root=str(root), mix=mix))
    assert Counter((pair.source, pair.gamma) for pair in pairs) == {(0, (1.9, 1.91, 1.91)): 3, (1, None): 9}
    with pytest.raises(DatasetError, match="third"):
        mixed_pairs(DataConfig(root=str(root), mix=(SourceConfig(root="third"),)))


@pytest.mark.parametrize(
    ("shares", "expected"), [((1, 1), (6, 6)), ((0.75, 0.25), (9, 3)), ((1, 3), (3, 9)), ((1, 2.1), (4, 8))]
)
def test_shares_are_exact(root, shares, expected):
    feed = loader(root, shares)
    for epoch in (0, 1):
        index = np.concatenate([batch.index for batch in feed.epoch(epoch)])
        assert (int((index < 9).sum()), int((index >= 9).sum())) == expected
        often = Counter(index.tolist())
        for first, last in ((0, 9), (9, 12)):
            counts = [often[i] for i in range(first, last)]
            assert max(counts) - min(counts) <= 1  # a data set starts over only when all of it was seen


def test_without_shares_all_pairs_come_once(root):
    feed = loader(root, (None, None))
    index = np.concatenate([batch.index for batch in feed.epoch(0)])
    assert sorted(index.tolist()) == list(range(12))


def test_every_epoch_shows_other_pairs_of_a_large_source():
    sources = np.array([0] * 100 + [1] * 10)
    orders = [mixed_order(sources, (0.1, 0.9), 50, (666, epoch)) for epoch in range(3)]
    seen = [set(order[order < 100].tolist()) for order in orders]
    assert [len(each) for each in seen] == [5, 5, 5]
    assert seen[0] != seen[1]
    assert len(set().union(*seen)) > 10
    assert np.array_equal(mixed_order(sources, (0.1, 0.9), 50, (666, 1)), orders[1])


def test_ranks_share_the_order_without_overlap(root):
    whole = np.concatenate([batch.index for batch in loader(root, (1, 1), batch_size=12).epoch(3)]).tolist()
    shares = [
        np.concatenate([batch.index for batch in loader(root, (1, 1), batch_size=2, rank=rank, world=3).epoch(3)])
        for rank in range(3)
    ]
    assert [share.tolist() for share in shares] == [whole[rank::3] for rank in range(3)]


def test_resume_in_the_middle_of_an_epoch(root):
    whole = list(loader(root, (2, 1)).epoch(2))
    for ours, theirs in zip(loader(root, (2, 1)).epoch(2, 1), whole[1:]):
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs))


def test_repeat_lengthens_the_epoch(root):
    feed = loader(root, (1, 2), repeat=3)
    index = np.concatenate([batch.index for batch in feed.epoch(0)])
    assert (len(index), int((index < 9).sum())) == (36, 12)


def test_shares_are_normalised():
    assert source_shares([SourceConfig(share=3.0), SourceConfig(share=1.0)]) == (0.75, 0.25)
    assert source_shares([SourceConfig(), SourceConfig()]) == ()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.mix=[{share: 1}, {root: b}]", "some data sets have a share"),
        ("data.mix=[{share: 0}]", r"data\.mix\[0\]\.share: 0 is out of range"),
        ("data.mix=[{gamma: [1.9]}]", r"data\.mix\[0\]\.gamma \[1\.9\]: use three numbers"),
        ("data.mix=[{rot: b}]", r"'data\.mix\[0\]\.rot'; did you mean 'data\.mix\[0\]\.root'"),
    ],
)
def test_mistakes_in_a_mix_are_named(override, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe("quickstart", [override])


def test_a_mix_and_a_list_exclude_each_other():
    with pytest.raises(RecipeError, match=r"data\.mix and data\.train_list"):
        load_recipe("quickstart", ["data.mix=[{root: b}]", "data.train_list=x.csv"])


def test_the_tone_on_the_fly_is_that_of_transferred_files(root, tmp_path):
    gamma = (1.9, 1.2, 0.7)
    shutil.copytree(root / "second", tmp_path / "second")
    shutil.rmtree(tmp_path / "second/train/hazy")
    assert main(["data", "transfer", str(root / "second/train/hazy"), str(tmp_path / "second/train/hazy"),
                 "--gamma", *map(str, gamma)]) == 0  # fmt: skip
    batches = []
    for folder, exponents in ((root, gamma), (tmp_path, ())):
        mix = (SourceConfig(root="second", gamma=exponents),)
        data = DataConfig(root=str(folder), patch_size=16, augment=("hflip", "rot90"), workers=1, mix=mix)
        batches.append(next(TrainLoader(mixed_pairs(data), config=data, batch_size=3, seed=5).epoch(0)))
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(*batches))
    assert not np.array_equal(batches[0].input, next(loader(root, (1, 1)).epoch(0)).input[:3])


def test_crops_meet_the_border_more_often_with_an_edge_decay(root):
    def at_the_border(edge_decay):
        data = DataConfig(
            root=str(root / "first"), patch_size=16, augment=(), workers=1, edge_decay=edge_decay, repeat=60
        )
        pairs = mixed_pairs(replace(data, mix=(SourceConfig(),)))
        feed = TrainLoader(pairs, config=data, batch_size=54, seed=5)
        images = {number: read_image(pair.target) for number, pair in enumerate(pairs)}
        found = []
        for batch in feed.epoch(0):
            for patch, number in zip(batch.target, batch.index):
                rows = np.rint(patch.transpose(1, 2, 0) * 255)
                whole = images[int(number)]
                places = [(y, x) for y in range(5) for x in range(9)]
                tops = [y for y, x in places if np.array_equal(rows, whole[y : y + 16, x : x + 16])]
                found.append(tops[0] in (0, 4))
        return np.mean(found)

    # 16 of 20 rows: even draws give 2 in 5; a decay of 1 touches the border in 0.8 + 0.2 * 0.4 of all crops
    assert at_the_border(0.0) == pytest.approx(0.4, abs=0.05)
    assert at_the_border(1.0) == pytest.approx(0.88, abs=0.05)
