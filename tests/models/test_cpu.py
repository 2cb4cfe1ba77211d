"""What makes MindSpore fast on CPU."""

import os
import subprocess
import sys

import mindspore as ms
import pytest

from mindrestore.models.cpu import prepare_cpu

SCRIPT = """
import os, sys, time
import mindspore as ms
import numpy as np
from mindrestore.models.cpu import prepare_cpu
prepare_cpu()
from mindspore import Tensor, nn, ops
class Chain(nn.Cell):
    def __init__(self):
        super().__init__()
        self.kernel = ms.Parameter(Tensor(np.random.randn(32, 32, 3, 3).astype(np.float32) * 0.05))
        self.conv = ops.Conv2D(32, 3, mode=1, pad_mode="pad", pad=1, stride=1, dilation=1, group=1)
    def construct(self, x):
        for _ in range(8):
            x = self.conv(x, self.kernel)
        return (x * x).mean()
chain = Chain()
gradient = ms.jit(ops.value_and_grad(chain, None, ms.ParameterTuple(chain.trainable_params())))
x = Tensor(np.random.randn(2, 32, 128, 128).astype(np.float32))
gradient(x)[0].asnumpy()
began, used = time.perf_counter(), time.thread_time()
for _ in range(3):
    gradient(x)[0].asnumpy()
print((time.thread_time() - used) / (time.perf_counter() - began), os.environ.get("MS_DEV_RUNTIME_CONF"))
"""


@pytest.mark.parametrize(
    ("version", "before", "after"),
    [
        ("2.8.0", None, None),
        ("2.9.0", None, "AVX2"),
        ("2.10.0", None, "AVX2"),
        ("2.10.0", "AVX512_CORE", "AVX512_CORE"),
    ],
)
def test_cpu_setting_depends_on_the_release_and_respects_the_user(monkeypatch, version, before, after):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", before or "")
    if before is None:
        monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    monkeypatch.setattr(ms, "__version__", version)
    prepare_cpu()
    assert os.environ.get("ONEDNN_MAX_CPU_ISA") == after


def waiting_share(tmp_path, **environment):
    """Give the share of the time that the Python thread is busy while a graph runs, and the setting left behind."""
    (tmp_path / "wait.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "wait.py")]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
    (line,) = done.stdout.splitlines()[-1:]
    share, left = line.split()
    return float(share), left, done.stdout.splitlines()[:-1]


def test_python_sleeps_while_a_graph_runs_and_nothing_is_printed(tmp_path):
    share, left, printed = waiting_share(tmp_path)
    assert share < 0.06
    assert left == "None"
    assert printed == []


def test_a_runtime_setting_of_the_user_wins(tmp_path):
    share, left, _ = waiting_share(tmp_path, MS_DEV_RUNTIME_CONF="graph_pipeline:true")
    assert share > 0.06
    assert left == "graph_pipeline:true"
