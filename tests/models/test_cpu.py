"""What makes MindSpore fast on CPU."""

import os
import subprocess
import sys

import mindspore as ms
import pytest

from mindrestore.models.cpu import prepare_cpu

SCRIPT = """
import contextlib, os, sys
import mindspore as ms
from mindrestore.models import cpu
if sys.argv[1] == "loud":
    cpu.silenced = contextlib.nullcontext
cpu.prepare_cpu()
print(ms.ops.relu(ms.Tensor([-1.0, 2.0])), os.environ.get("MS_DEV_RUNTIME_CONF"))
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


def printed(tmp_path, how, **environment):
    """Return the lines that a program prints which prepares MindSpore and computes something."""
    (tmp_path / "program.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "program.py"), how]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_mindspore_reads_the_setting(tmp_path):
    assert printed(tmp_path, "loud")[0].split() == ["[MS_DEV_RUNTIME_CONF]", "config:", "graph_pipeline:false"]


def test_nothing_is_printed_and_the_environment_stays_as_it_was(tmp_path):
    assert printed(tmp_path, "muted") == ["[0. 2.] None"]


def test_a_runtime_setting_of_the_user_wins(tmp_path):
    lines = printed(tmp_path, "loud", MS_DEV_RUNTIME_CONF="graph_pipeline:true")
    assert lines[0].split()[-1] == "graph_pipeline:true"
    assert lines[-1] == "[0. 2.] graph_pipeline:true"
