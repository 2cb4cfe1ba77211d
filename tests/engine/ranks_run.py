"""Train the tiny network on several ranks: python ranks_run.py FOLDER STEPS [RANK THAT GETS SIGTERM].

Each rank has a run folder of its own, FOLDER/run0 and so on, which shows who writes; all share FOLDER/run if it exists.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
from mindspore import ops
from tiny import TinyBatch, TinyLoader, TinyNet, l1_objective, tiny_recipe

from mindrestore.engine import context
from mindrestore.engine.trainer import Interrupted, Trainer

GLOBAL_BATCH = 4
POISONED = 5  # number of the batch whose last image is not finite: one rank has it


class PlainNet(TinyNet):
    """Leave out the mean of the batch, so that a batch may be dealt out without changing a value."""

    def construct(self, x):
        return self.second(ops.tanh(self.first(x)))


class ShareLoader(TinyLoader):
    """Deal every batch out to the ranks."""

    def epoch(self, epoch, start_step=0):
        rank, world = context.rank_and_world()
        for step, batch in enumerate(super().epoch(epoch, start_step), start_step):
            time.sleep(float(os.environ.get("RANKS_RUN_PAUSE", "0")))
            degraded = batch.input.copy()
            if epoch * self.steps_per_epoch + step == POISONED:
                degraded[-1] = np.nan
            yield TinyBatch(*(array[rank::world] for array in (degraded, batch.target, batch.index)))


def train(folder, steps, mode="pynative", seed=0, wounded=False):
    """Train up to a step in a run folder, and return the trainer."""
    _, world = context.rank_and_world()
    recipe = tiny_recipe(
        train={"max_steps": steps, "mode": mode, "log_every": 1, "checkpoint_every": 2, "checkpoint_unit": "step",
               "val_every": 3, "val_unit": "step", "batch_size": GLOBAL_BATCH // world},
        optim={"clip_norm": 0.3},
        loss_scale={"kind": "dynamic", "value": 1024.0, "window": 100},
        ema={"decay": 0.9},
    )  # fmt: skip
    measured = []
    trainer = Trainer(
        recipe,
        net=PlainNet(seed=seed),
        objective=l1_objective(),
        loader=ShareLoader(batch_size=GLOBAL_BATCH),
        run_dir=folder,
        validate=lambda net: measured.append(1) or {"psnr": 1.0},
    )
    if wounded:
        launch = trainer.train_step.launch

        def signalled(*batch):
            os.kill(os.getpid(), signal.SIGTERM)
            return launch(*batch)

        trainer.train_step.launch = signalled
    trainer.fit()
    trainer.measured = measured
    return trainer


def values_of(trainer):
    """Return everything that the ranks have to agree on."""
    params = {name: param.asnumpy() for name, param in trainer.learner.named_params().items()}
    scale = np.array(trainer.learner.facts()["loss_scale"]["loss_scale"], np.float64)
    return {**params, "scale": scale, "updates": np.array(trainer.learner.facts()["updates"])}


def main(folder, steps, stop_rank="-1"):
    context.setup("CPU", seed=1)
    rank, world = context.rank_and_world()
    run = Path(folder) / "run"
    if not run.is_dir():
        run = Path(folder) / f"run{rank}"
    try:
        trained = train(run, int(steps), mode="graph", seed=rank, wounded=rank == int(stop_rank))
    except Interrupted as stopped:
        print(stopped, flush=True)
        sys.exit(stopped.exit_code)
    np.savez(Path(folder) / f"rank{rank}.npz", **values_of(trained))
    facts = {"world": world, "validations": len(trained.measured), "step": trained.progress.step}
    (Path(folder) / f"rank{rank}.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
