"""Train the tiny network in a process of its own, and die on request: python tiny_run.py FOLDER MODE [DEATH]."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import mindspore as ms
from tiny import TinyLoader, TinyNet, l1_objective, overflowing_scale, tiny_recipe

from mindrestore.engine import context, state
from mindrestore.engine.trainer import Trainer


class SlowLoader(TinyLoader):
    """Take a while for each batch, so that a kill from outside finds the run at work."""

    def epoch(self, epoch, start_step=0):
        for batch in super().epoch(epoch, start_step):
            time.sleep(0.01)
            yield batch


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_while_writing(nth):
    """Leave half a state file behind, as a kill in the middle of the write does."""
    real, calls = ms.save_checkpoint, iter(range(10**6))

    def half(entries, path, **options):
        real(entries, path, **options)
        if "last" in path and next(calls) == nth:
            raw = Path(path).read_bytes()
            Path(path).chmod(0o600)
            Path(path).write_bytes(raw[: len(raw) // 2])
            die()

    state.ms.save_checkpoint = half


def die_between_renames(nth):
    """Leave the new state beside and the former one already renamed."""
    real, calls = os.replace, iter(range(10**6))

    def once(source, target):
        real(source, target)
        if str(target).endswith(state.PREVIOUS) and next(calls) == nth:
            die()

    state.os.replace = once


def validate(net):
    sample = ms.Tensor(next(TinyLoader(seed=8).epoch(0)).target)
    return {"psnr": float(-net(sample).abs().mean().asnumpy())}


def main(folder, mode, death=""):
    context._select("CPU", None)
    ms.set_seed(1)
    if death:
        {"write": die_while_writing, "rename": die_between_renames}[death](nth=2)
    recipe = tiny_recipe(
        train={"max_steps": 24, "mode": mode, "log_every": 3, "val_every": 1, "checkpoint_every": 4,
               "checkpoint_unit": "step"},
        optim={"accumulate": 2, "clip_norm": 0.1, "weight_decay": 1e-3, "name": "adamw"},
        scale=overflowing_scale(window=7),
        ema={"decay": 0.9},
    )  # fmt: skip
    loader = SlowLoader(batches=7, poison={30: float("nan")})
    Trainer(recipe, net=TinyNet(), objective=l1_objective(), loader=loader, run_dir=folder, validate=validate).fit()


if __name__ == "__main__":
    main(*sys.argv[1:])
