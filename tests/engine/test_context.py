"""Choosing the device: what is asked for, what is there, and clear words when they differ."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import pytest

from mindrestore.engine import context
from mindrestore.engine.context import (
    DeviceError,
    any_rank,
    available_devices,
    rank_and_world,
    setup,
    value_of_first,
)


@pytest.fixture(autouse=True)
def without_a_preference(monkeypatch):
    monkeypatch.delenv("MINDRESTORE_DEVICE", raising=False)


@pytest.fixture
def cpu_only(monkeypatch):
    monkeypatch.setattr(context, "available_devices", lambda: ["CPU"])


def test_cpu_is_found_and_set_up_quietly(capfd):
    assert "CPU" in available_devices()
    assert setup("CPU", seed=3) == "CPU"
    assert setup("cpu") == "CPU"  # again, and in small letters
    assert ms.get_context("mode") == ms.PYNATIVE_MODE
    assert "WARNING" not in "".join(capfd.readouterr())


@pytest.mark.usefixtures("cpu_only")
def test_auto_takes_what_is_there():
    assert setup("auto") == "CPU"


@pytest.mark.usefixtures("cpu_only")
def test_absent_device_lists_what_exists():
    with pytest.raises(DeviceError, match="device Ascend is not available here, found: CPU"):
        setup("Ascend")


@pytest.mark.usefixtures("cpu_only")
def test_the_environment_decides_only_for_auto(monkeypatch):
    monkeypatch.setenv("MINDRESTORE_DEVICE", "GPU")
    with pytest.raises(DeviceError, match="device GPU is not available"):
        setup("auto")
    assert setup("CPU") == "CPU"


def test_unknown_names_are_refused():
    with pytest.raises(DeviceError, match="'TPU' is not one of auto, Ascend, GPU, CPU"):
        setup("TPU")
    with pytest.raises(DeviceError, match="mode 'eager' is not one of graph, pynative"):
        setup("CPU", mode="eager")


def test_seed_makes_initialisation_repeatable():
    from mindspore.common.initializer import Normal, initializer

    def draw():
        setup("CPU", seed=11)
        return initializer(Normal(), (4,), ms.float32).init_data().asnumpy()

    assert (draw() == draw()).all()


def test_rank_and_world_come_from_the_launcher(monkeypatch):
    assert rank_and_world() == (0, 1)
    monkeypatch.setenv("RANK_ID", "3")
    monkeypatch.setenv("RANK_SIZE", "8")
    assert rank_and_world() == (3, 8)
    monkeypatch.setenv("RANK_ID", "0")
    monkeypatch.setenv("MS_ROLE", "MS_SCHED")
    assert rank_and_world() == (-1, 8)


def test_rank_and_world_come_from_mpirun(monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "1")
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    assert rank_and_world() == (1, 4)


def test_a_single_process_agrees_with_itself():
    assert (any_rank(True), any_rank(False), value_of_first(7)) == (True, False, 7)


_FAILING = """
import os
from mindrestore.cli.main import main
main(["--version"])
import mindspore as ms
from mindrestore.engine import context
context.setup("CPU")
class Failing(ms.nn.Cell):
    def construct(self, x):
        return x.no_such_method()
try:
    ms.jit(Failing())(ms.Tensor([1.0]))
except AttributeError:
    print(os.path.isfile(os.environ["MS_OM_PATH"] + "/rank_0/om/analyze_fail.ir"), os.environ["MS_OM_PATH"])
"""


def test_a_failing_compilation_logs_nothing_and_leaves_nothing(tmp_path):
    clean = {name: value for name, value in os.environ.items() if name not in ("GLOG_v", "MS_OM_PATH")}
    clean["PYTHONPATH"] = str(Path(__file__).parents[2] / "src")
    script, folder = tmp_path / "failing.py", tmp_path / "folder"
    script.write_text(_FAILING)  # MindSpore reads the source of what it compiles
    folder.mkdir()
    done = subprocess.run([sys.executable, str(script)], cwd=folder, env=clean, capture_output=True, text=True)
    assert done.stderr == ""
    written, scratch = done.stdout.splitlines()[-1].split()
    assert written == "True"
    assert not Path(scratch).exists()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("card", "mode"),
    [
        ("Ascend910B2", "must_keep_origin_dtype"),
        ("Ascend910_9391", "must_keep_origin_dtype"),
        ("Ascend310B4", "must_keep_origin_dtype"),
        ("Ascend910A", "force_fp32"),
        ("Ascend910ProB", "force_fp32"),
        ("Ascend910B", "force_fp32"),
        ("Ascend310P3", "force_fp32"),
    ],
)
def test_ascend_keeps_float32_as_near_as_the_card_can(monkeypatch, card, mode):
    said = []
    monkeypatch.setattr(context, "available_devices", lambda: ["Ascend"])
    monkeypatch.setattr(ms, "set_device", lambda *chosen: None)
    monkeypatch.setattr(ms, "get_context", lambda key: "Ascend")
    monkeypatch.setattr(ms.hal, "get_device_name", lambda number, target: card)
    monkeypatch.setattr(ms.device_context.ascend.op_precision, "precision_mode", said.append)
    monkeypatch.setattr(ms.device_context.ascend.op_tuning, "op_compile", said.append)
    assert setup("Ascend") == "Ascend"
    assert said == [mode, False]
    assert context.multiplies_in_half() == (mode == "force_fp32")


def test_what_the_calling_program_has_set_on_ascend_stays(monkeypatch):
    def refuse(value):
        raise RuntimeError("can not be set repeatedly")

    monkeypatch.setattr(context, "available_devices", lambda: ["Ascend"])
    monkeypatch.setattr(ms, "set_device", lambda *chosen: None)
    monkeypatch.setattr(ms, "get_context", lambda key: "Ascend")
    monkeypatch.setattr(ms.hal, "get_device_name", lambda number, target: "Ascend910B1")
    monkeypatch.setattr(ms.device_context.ascend.op_precision, "precision_mode", refuse)
    monkeypatch.setattr(ms.device_context.ascend.op_tuning, "op_compile", refuse)
    assert setup("Ascend") == "Ascend"
