"""Compile the graphs of a small network for a card, and print as JSON what came of each and which operators it holds.

    python tests/cards/compile_graphs.py NETWORK AMP DEVICE [PHASE ...]

Needs the environment of `standins.build`. Nothing is computed: the forward pass and the whole training step, update and
discriminator included, are compiled with MindSpore's own passes and kernel selection for the device. On Ascend the log
on standard error says which operators have a kernel of aclnn, and which go to the older aclop interface: `kernels.py`.

With RANK_SIZE in the environment gradients are summed over ranks, in buffers so small that a network has several;
with MS_SIMULATION_LEVEL=1 MindSpore plays the other ranks (Ascend only).
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("GLOG_v", "3")

import mindspore as ms
import numpy as np
from mindspore import Tensor, communication, ops

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # small.py

SIDE, BATCH = 64, 2
BUCKET = 2**14  # numbers in a buffer of gradients between ranks
PHASES = ("forward", "step")
VGG_TERMS = ("contrastive", "pocl")
# network -> the recipe whose losses and settings are compiled
RECIPES = {
    "aecrnet": "aecrnet/its",
    "mprnet_deraining": "mprnet/deraining",
    "mprnet_denoising": "mprnet/denoising",
    "dsrir": "dsrir/all_in_one",
    "dehazeformer_t": "dehazeformer/indoor_t",
    "dehazeformer_m": "dehazeformer/indoor_m",
    "mpilnet": "mpilnet/reside6k",
}
Job = tuple[Any, Sequence[Any]]  # a cell, and what it is compiled for


def graphs(name: str, amp: str, device: str, phases: Sequence[str], folder: Path) -> dict[str, Job]:
    """Build a small network for inference, another with its training step, and list the cells to compile."""
    from mindrestore.engine import reduce
    from mindrestore.engine.context import rank_and_world
    from mindrestore.engine.learner import Learner
    from mindrestore.engine.precision import cast_network
    from mindrestore.losses.batch_context import BatchContext
    from mindrestore.losses.objective import build_objective
    from mindrestore.models.registry import model_spec
    from small import small

    images = [Tensor(np.full((BATCH, 3, SIDE, SIDE), value, np.float32)) for value in (0.5, 0.25)]
    jobs: dict[str, Job] = {}
    if "forward" in phases:
        jobs["forward"] = (cast_network(small(name), amp, device).set_train(False), images[:1])
    if "step" in phases:
        reduce._BUCKET = BUCKET
        recipe = recipe_of(name, amp, device, folder)
        objective = build_objective(recipe.loss, stages=model_spec(name).stages)
        learner = Learner(recipe, small(name), objective, world=rank_and_world()[1])
        context = BatchContext(0, 10, SIDE, SIDE, np.random.default_rng(0))
        extra = [Tensor(array) for array in objective.term_inputs(context)]
        jobs["step"] = (learner.step.whole, (Tensor(1e-3, ms.float32), *images, *extra))
    return jobs


def recipe_of(name: str, amp: str, device: str, folder: Path) -> Any:
    """Return the network's recipe at a small size, with random VGG weights where a loss term compares features."""
    from mindrestore.models.vgg import VGGFeatures
    from mindrestore.recipes.load import load_recipe

    words = [f"model.name={name}", f"data.root={folder}", f"data.patch_size={SIDE}", f"train.device={device}"]
    words += [f"train.amp={amp}", "train.mode=pynative", "ema.decay=0.9", "optim.clip_norm=1.0"]
    compares = [term for term in load_recipe(RECIPES[name], words).loss.terms if term in VGG_TERMS]
    if compares:
        features = VGGFeatures("vgg19", ("relu5_1",))
        np.savez(folder / "vgg.npz", **{key: value.asnumpy() for key, value in features.parameters_and_names()})
        words += [f"loss.terms.{term}.vgg_weights={folder / 'vgg.npz'}" for term in compares]
    return load_recipe(RECIPES[name], words)


class HostOperators:
    """While networks are built, operators that constructors run at once are computed by NumPy: no card computes."""

    def __enter__(self) -> None:
        self.kept = ops.ones, ops.zeros, Tensor.abs, Tensor.reshape
        ops.ones = lambda shape, dtype=ms.float32: Tensor(np.ones(shape, ms.dtype_to_nptype(dtype)))
        ops.zeros = lambda shape, dtype=ms.float32: Tensor(np.zeros(shape, ms.dtype_to_nptype(dtype)))
        Tensor.abs = lambda tensor: Tensor(np.abs(tensor.asnumpy()))
        Tensor.reshape = lambda tensor, *shape: Tensor(tensor.asnumpy().reshape(*shape))

    def __exit__(self, *caught: object) -> None:
        ops.ones, ops.zeros, Tensor.abs, Tensor.reshape = self.kept


def compiled(jobs: Mapping[str, Job], folder: Path) -> dict[str, dict[str, Any]]:
    """Compile each; return its outcome ("ok", or the error), what `counted` finds, and `behind_all_reduces`."""
    found = {}
    for phase, (cell, inputs) in jobs.items():
        place = folder / phase
        ms.set_context(save_graphs=1, save_graphs_path=str(place))
        try:
            cell.compile(*inputs)
            outcome = "ok"
        except Exception as error:  # whatever a plug-in refuses is the finding
            outcome = f"{type(error).__name__}: {str(error).strip()[:2000]}"
        found[phase] = {"outcome": outcome, **counted(place), "behind_all_reduces": behind_all_reduces(place)}
    return found


def play_ranks() -> None:
    """Allow for what MindSpore's simulation of several ranks lacks here: CANN's Python package, and a card to name."""
    communication.GlobalComm.CHECK_ENVS = False
    ms.hal.get_device_name = lambda number, target: "Ascend910B2"


def counted(folder: Path) -> dict[str, Any]:
    """Count the operators of the graph as it goes to the device, and the tensors that go into it at every launch."""
    operators: Counter[str] = Counter()
    inputs = 0
    for path in sorted(folder.rglob("graph_build*.ir")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            found = re.match(r"\s*%\d+\([^)]*\) = (?:PrimFunc_)?([A-Za-z_]\w*)\(", line)
            if found:
                operators[found.group(1)] += 1
            inputs += line.startswith("%para") and line.endswith("IsWeight: false")
    return {"operators": dict(operators), "inputs": inputs}


def behind_all_reduces(folder: Path) -> list[int]:
    """Say for every all-reduce, as the graph launches them, how many operators of gradients are launched later."""
    text = "".join(path.read_text(encoding="utf-8", errors="replace") for path in folder.rglob("final_actor_set*.ir"))
    launched = re.findall(r"^%\d+ = \w+:(\w+)-op\d+\(", text, re.MULTILINE)
    gradients = ["Grad" in name or "Backprop" in name for name in launched]
    return [sum(gradients[k:]) for k, name in enumerate(launched) if name == "AllReduce"]


def main() -> None:
    """Compile what the command line names."""
    from mindrestore.engine.context import setup

    name, amp, device, *phases = sys.argv[1:]
    if "MS_SIMULATION_LEVEL" in os.environ:
        play_ranks()
    setup(device)
    with tempfile.TemporaryDirectory() as folder:
        with HostOperators():
            jobs = graphs(name, amp, device, phases or PHASES, Path(folder))
        ms.set_context(mode=ms.GRAPH_MODE, jit_level="O0")
        print(json.dumps(compiled(jobs, Path(folder))), flush=True)
    os._exit(0)  # the stand-ins cannot take a device down


if __name__ == "__main__":
    main()
