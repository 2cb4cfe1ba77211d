"""What a process may use, and what is said when that is not enough."""

from __future__ import annotations

import resource
import subprocess
import sys

import cv2
import psutil
import pytest

from mindrestore.errors import ran_out
from mindrestore.exporting import session
from mindrestore.inference.files import restore_files

FREE = 8 << 30
NEED = "close other programs, or let it use less, as in --memory 0.3 or --tile 128"


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Return the folder of a control group that limits nothing yet, on a machine with 8 GB free."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": FREE}))
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    monkeypatch.setattr(session, "_CONTAINERS", ((str(tmp_path), "memory.max", "memory.current", "inactive_file"),))
    return tmp_path


def test_a_container_limits_what_is_free(groups):
    assert session.free_memory() == FREE
    (groups / "memory.stat").write_text("anon 5\ninactive_file 300\n")
    (groups / "memory.current").write_text("1000\n")
    for limit, free in (("max", FREE), ("5000", 4300), ("600", 0)):
        (groups / "memory.max").write_text(f"{limit}\n")
        assert session.free_memory() == free


def test_a_limit_of_the_process_counts(groups, monkeypatch):
    used = psutil.Process().memory_info().vms
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (used + (1 << 20), resource.RLIM_INFINITY))
    assert 0 <= session.free_memory() <= 1 << 21


def test_a_process_that_may_take_little_restores_in_small_pieces(tmp_path):
    script = (
        "import resource, numpy as np, mindrestore as mr, psutil;"
        "restore = mr.Restorer(task='denoise', device='CPU');"
        "most = psutil.Process().memory_info().vms + (300 << 20);"
        "resource.setrlimit(resource.RLIMIT_AS, (most, most));"
        "restore = mr.Restorer(task='denoise', device='CPU');"
        "print(restore.layout.pixels < 80_000, restore(np.zeros((600, 900, 3), np.uint8)).shape)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True (600, 900, 3)\n", "")


@pytest.mark.parametrize(
    "text",
    [
        "[ONNXRuntimeError] : 1 : FAIL : Conv node. onnxruntime::BFCArena::AllocateRawInternal Failed to allocate",
        "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Add node. Status Message: std::bad_alloc",
    ],
)
def test_exhausted_memory_is_said_in_our_words(text):
    said = session.not_running("net", (1, 3, 8, 9), Exception(text))
    assert str(said) == f"net: there is not enough memory for images of (1, 3, 8, 9); {NEED}"
    assert str(session.not_running("net", (1,), Exception("bad shape"))) == "net: does not run on (1,): bad shape"


def test_opencv_without_memory_is_no_fault_of_the_disk(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), cv2.UMat(8, 8, cv2.CV_8UC3).get())

    def restore(photo):
        raise cv2.error("error: (-4:Insufficient memory) Failed to allocate 20784000 bytes")

    (line,) = restore_files(restore, tmp_path / "a.png", tmp_path / "out", progress=False).failed
    assert line.startswith(f"{tmp_path}/a.png: the network could not run (error: (-4:Insufficient memory)")
    assert line.endswith(NEED)
    assert ran_out(MemoryError())
