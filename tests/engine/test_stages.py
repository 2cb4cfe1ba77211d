"""Progressive training: sizes switch at their epochs, one compilation each, and a stop anywhere changes nothing."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from tiny import TinyNet, l1_objective, tiny_recipe

from mindrestore.data.pairing import Pair
from mindrestore.data.pipeline import ProgressiveLoader
from mindrestore.engine.state import read_state
from mindrestore.engine.trainer import Trainer
from mindrestore.errors import MindRestoreError
from mindrestore.images.write import write_image

# 7 pairs: epochs 1-2 have 3 batches of 2 patches of 8 pixels, epoch 3 has 7 of 1 of 12, later ones 2 of 3 of 16
STAGES = {"epoch_chg": [2, 3, 5], "patch_sizes": [8, 12, 16], "batch_sizes": [2, 1, 3]}
SHAPES = [(2, 3, 8, 8)] * 6 + [(1, 3, 12, 12)] * 7 + [(3, 3, 16, 16)] * 6


class Stop(MindRestoreError):
    """Stand for a power cut."""


class Watched(ProgressiveLoader):
    """Note the shape of every batch, and fail before one of them."""

    def __init__(self, *args, fail_at=None, **options):
        super().__init__(*args, **options)
        self.shapes, self.fail_at = [], fail_at

    def epoch(self, epoch, start_step=0):
        for batch in super().epoch(epoch, start_step):
            if self.fail_at == len(self.shapes):
                raise Stop("no power")
            self.shapes.append(batch.input.shape)
            yield batch


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    root, rng, found = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0), []
    for i in range(7):
        clear = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        write_image(root / f"{i}.png", clear)
        found.append(Pair(str(i), root / f"{i}.png", root / f"{i}.png", noise=(10, 30)))
    return found


def run(pairs, folder, mode, fail_at=None):
    recipe = tiny_recipe(
        train={"max_steps": None, "epochs": 6, "progressive": STAGES, "mode": mode, "checkpoint_every": 1,
               "checkpoint_unit": "step", "log_every": 1},
        optim={"name": "adamw", "weight_decay": 1e-3},
        ema={"decay": 0.9},
    )  # fmt: skip
    loader = Watched(pairs, config=recipe.data, stages=recipe.train.progressive.stages, seed=3, fail_at=fail_at)
    trainer = Trainer(recipe, net=TinyNet(), objective=l1_objective(), loader=loader, run_dir=folder)
    return trainer, loader


def losses(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["epoch"], line["loss"], line["lr"]) for line in lines if line["kind"] == "train"]


@pytest.fixture(scope="module")
def reference(pairs, tmp_path_factory):
    """Uninterrupted runs, by mode."""
    folders = {}

    def whole(mode):
        if mode not in folders:
            folders[mode] = tmp_path_factory.mktemp("reference") / mode
            run(pairs, folders[mode], mode)[0].fit()
        return folders[mode]

    return whole


STOPS = [(6, "pynative"), (14, "pynative")]  # before the first batch of a size, and after it
SLOW_STOPS = [*((stop, "pynative") for stop in (5, 7, 13)), (6, "graph")]


@pytest.mark.parametrize(
    ("stop", "mode"), [*STOPS, *(pytest.param(*stop, marks=pytest.mark.slow) for stop in SLOW_STOPS)]
)
def test_a_stop_around_a_switch_changes_nothing(pairs, reference, tmp_path, stop, mode):
    trainer, _ = run(pairs, tmp_path, mode, fail_at=stop)
    with pytest.raises(Stop):
        trainer.fit()
    trainer, loader = run(pairs, tmp_path, mode)
    trainer.fit()
    assert loader.shapes == SHAPES[stop:]
    whole = reference(mode)
    assert losses(tmp_path) == losses(whole)
    ours, theirs = read_state(tmp_path / "last.ckpt"), read_state(whole / "last.ckpt")
    assert ours.facts == theirs.facts
    for name, array in theirs.arrays.items():
        assert np.array_equal(ours.arrays[name], array), name


def test_sizes_follow_the_stages_the_last_goes_on_and_each_is_compiled_once(pairs, tmp_path):
    trainer, loader = run(pairs, tmp_path, "graph")
    seconds = []
    launch = trainer.train_step.launch

    def timed(*batch):
        began = time.perf_counter()
        result = launch(*batch)
        seconds.append(time.perf_counter() - began)
        return result

    trainer.train_step.launch = timed
    trainer.fit()
    assert loader.shapes == SHAPES
    assert set(np.argsort(seconds)[-3:]) == {0, 6, 13}  # compiling takes hundreds of times as long as a step here
    epochs = [epoch for _, epoch, _, _ in losses(tmp_path)]
    assert epochs == [1] * 3 + [2] * 3 + [3] * 7 + [4] * 2 + [5] * 2 + [6] * 2
    assert "6 epochs: 2 of 3 batches, 1 of 7, then 2" in (tmp_path / "log.txt").read_text()
