"""Train the tiny network against a discriminator, on one rank or several: python rivals_run.py FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from mindspore import ops
from ranks_run import GLOBAL_BATCH, PlainNet, ShareLoader
from test_adversarial import TinyJudge, adversarial_objective
from tiny import tiny_recipe

from mindrestore.engine import context
from mindrestore.engine.trainer import Trainer


class PlainJudge(TinyJudge):
    """Leave out the batch norm, so that a batch may be dealt out without changing a value."""

    def construct(self, x):
        x = self.first(x)
        x = self.last(ops.maximum(x, 0.2 * x))
        return ops.sigmoid(x.reshape(x.shape[0], -1).mean(-1))


def train(folder, mode="pynative", seed=0):
    """Train eight steps, the sixth of them with an image that is not finite, and give all values of the state."""
    _, world = context.rank_and_world()
    recipe = tiny_recipe(
        train={"max_steps": 8, "mode": mode, "batch_size": GLOBAL_BATCH // world, "checkpoint_every": 0},
        optim={"clip_norm": 0.3},
        ema={"decay": 0.9},
    )
    objective = adversarial_objective(judge=PlainJudge(seed=seed + 5))
    loader = ShareLoader(batch_size=GLOBAL_BATCH)
    run = Trainer(recipe, net=PlainNet(seed=seed), objective=objective, loader=loader, run_dir=folder)
    run.fit()
    values = {name: param.asnumpy() for name, param in run.learner.named_params().items()}
    return {**values, "updates": np.array(run.learner.facts()["updates"])}


def main(folder):
    context.setup("CPU", seed=1)
    rank, _ = context.rank_and_world()
    found = train(Path(folder) / f"run{rank}", mode="graph", seed=rank)
    np.savez(Path(folder) / f"rank{rank}.npz", **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
