"""Networks compile for GPU and Ascend over stand-ins: MindSpore's own plug-ins optimise the graphs and select kernels.

What this proves: no operator, data type or format of these graphs is refused by MindSpore 2.8.0 for the device. What it
does not: any number, any time, what CANN says to an operator of its older interface (see README.md here).
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest
from compile_graphs import RECIPES
from kernels import compile_for
from standins import build, mindspore_libraries

from mindrestore.launch.plan import free_port
from mindrestore.models.registry import builder_name
from small import NETWORKS

HERE = Path(__file__).parent
PLUGINS = mindspore_libraries() / "plugin"
pytestmark = [
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the stand-ins are made for x86-64"),
    pytest.mark.skipif(
        any(shutil.which(tool) is None for tool in ("gcc", "nm", "strings")), reason="needs gcc and binutils"
    ),
    pytest.mark.skipif(not (PLUGINS / "libmindspore_gpu.so.11.6").exists(), reason="this MindSpore has no GPU plug-in"),
]

carried = pytest.mark.skipif(
    version("mindspore").startswith("2.10."),
    reason="the stand-ins for CANN carry the Ascend plug-ins of MindSpore 2.8 and 2.9; that of 2.10 ends with a fault",
)


@pytest.fixture(scope="session")
def cards(tmp_path_factory) -> dict[str, dict[str, str]]:
    """Return the environment of every device; the processes of one run share what is built."""
    own = tmp_path_factory.getbasetemp()
    root = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own  # the parent of a single process outlives the run
    with (root / "standins.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = root / "standins.json"
        if not done.exists():
            done.write_text(json.dumps(build(root / "standins")))
        return json.loads(done.read_text())


def test_stand_ins_answer_for_all_that_the_plug_ins_need(cards):
    """Every library that MindSpore's plug-ins ask for is found, system libraries and stand-ins together."""
    for device, plugin in (("GPU", "libmindspore_gpu.so.11.6"), ("Ascend", "libmindspore_ascend.so.2")):
        environment = {**os.environ, "LD_LIBRARY_PATH": f"{cards[device]['LD_LIBRARY_PATH']}:{PLUGINS.parent}"}
        listed = subprocess.run(
            ["ldd", str(PLUGINS / plugin)], env=environment, capture_output=True, text=True, check=True
        ).stdout
        assert [line.strip() for line in listed.splitlines() if "not found" in line] == []


def test_every_network_is_compiled():
    assert {builder_name(name) for name in RECIPES} == {builder_name(name) for name in NETWORKS}


COMPILED = {"forward": "ok", "step": "ok"}
# network -> graph -> the most kernels of aclnn and of aclop, in float16; docs/cards.md has the same table
KERNELS: dict[str, dict[str, tuple[int, int]]] = {
    "aecrnet": {"forward": (92, 1), "step": (669, 124)},
    "dehazeformer_m": {"forward": (437, 9), "step": (1703, 379)},
    "dehazeformer_t": {"forward": (443, 9), "step": (1765, 399)},
    "dsrir": {"forward": (463, 0), "step": (2617, 573)},
    "mpilnet": {"forward": (826, 0), "step": (3901, 1182)},
    "mprnet_denoising": {"forward": (659, 0), "step": (2783, 622)},
    "mprnet_deraining": {"forward": (659, 0), "step": (2453, 630)},
}


def outcomes(found):
    return {phase: graph["outcome"] for phase, graph in found.items()}


def grown(name, found):
    """Return the graphs that launch more kernels than the table says, of either interface."""
    counts = {
        phase: tuple(sum(operators.values()) for operators in graph["kernels"].values())
        for phase, graph in found.items()
    }
    most = {phase: KERNELS.get(name, {}).get(phase, counts[phase]) for phase in counts}
    return {phase: counts[phase] for phase in counts if any(a > b for a, b in zip(counts[phase], most[phase]))}


@pytest.mark.parametrize("device", ["GPU", pytest.param("Ascend", marks=carried)])
def test_a_small_network_compiles_in_float16(cards, device):
    found = compile_for("aecrnet", "float16", device, cards[device], "forward")
    assert outcomes(found) == {"forward": "ok"}
    if device == "Ascend":
        assert sum(found["forward"]["kernels"]["aclnn"].values()) > 50
        assert grown("aecrnet", found) == {}


@contextmanager
def one_of_two_ranks(cards, device):
    """Give what makes a process the first of two ranks: on Ascend MindSpore plays the other, on GPU it waits beside."""
    if device == "Ascend":
        yield {**cards[device], "MS_SIMULATION_LEVEL": "1", "RANK_SIZE": "2", "RANK_ID": "0"}
        return
    joined = {**cards[device], "MS_WORKER_NUM": "2", "MS_SCHED_HOST": "127.0.0.1", "MS_SCHED_PORT": str(free_port())}
    joined |= {"RANK_SIZE": "2", "PYTHONPATH": str(HERE.parents[1] / "src")}
    roles = [
        {"MS_ROLE": role, "MS_NODE_ID": rank, "RANK_ID": rank}
        for role, rank in (("MS_WORKER", "0"), ("MS_WORKER", "1"), ("MS_SCHED", "0"))
    ]
    waits = "import time; from mindrestore.engine.context import setup; setup('GPU'); time.sleep(3600)"
    others = [
        subprocess.Popen([sys.executable, "-c", waits], env={**os.environ, **joined, **role}, stderr=subprocess.DEVNULL)
        for role in roles[1:]
    ]
    try:
        yield {**joined, **roles[0]}
    finally:
        for other in others:
            other.kill()
            other.wait()


@pytest.mark.slow
@pytest.mark.parametrize(("device", "calls", "early"), [("GPU", 1, 0), pytest.param("Ascend", 5, 3, marks=carried)])
def test_gradients_of_two_ranks_share_all_reduces(cards, device, calls, early):
    """On Ascend one call is for the losses and four for gradients, of which three go while others are computed."""
    with one_of_two_ranks(cards, device) as environment:
        found = compile_for("aecrnet", "float16", device, environment, "step")
    assert outcomes(found) == {"step": "ok"}
    assert found["step"]["operators"]["AllReduce"] == calls
    behind = found["step"]["behind_all_reduces"]
    assert sum(number >= 5 for number in behind) == early, behind


@pytest.mark.slow
@pytest.mark.parametrize("amp", ["O0", "float16"])
@pytest.mark.parametrize("name", RECIPES)
def test_every_network_compiles_for_gpu(cards, name, amp):
    assert outcomes(compile_for(name, amp, "GPU", cards["GPU"])) == COMPILED


@carried
@pytest.mark.slow
@pytest.mark.parametrize("amp", ["O0", "float16", "bfloat16"])
@pytest.mark.parametrize("name", RECIPES)
def test_every_network_compiles_for_ascend(cards, name, amp):
    found = compile_for(name, amp, "Ascend", cards["Ascend"])
    assert outcomes(found) == COMPILED
    if amp == "float16":
        assert grown(name, found) == {}
