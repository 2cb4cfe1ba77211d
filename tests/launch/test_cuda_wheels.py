"""CUDA's libraries out of NVIDIA's wheels: found, made known, and what is missing is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mindrestore.launch import cuda


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """Return a folder that looks like the one into which pip puts NVIDIA's wheels, on the path of Python."""
    for library, wheel in cuda.WHEELS.items():
        folder = tmp_path / "site" / "nvidia" / wheel.split("-")[1] / "lib"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / library).touch()
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("MINDRESTORE_CACHE", str(tmp_path / "cache"))
    for name in ("LD_LIBRARY_PATH", "CUDA_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "site" / "nvidia"


def test_the_libraries_and_a_version_are_made_known(wheels, tmp_path):
    found = cuda.gpu_environment({"LD_LIBRARY_PATH": "/own"})
    assert found["LD_LIBRARY_PATH"].split(":")[-1] == "/own"
    assert set(found["LD_LIBRARY_PATH"].split(":")[:-1]) == {str(path) for path in wheels.glob("*/lib")}
    assert found["CUDA_HOME"] == str(tmp_path / "cache" / "cuda-11.6")
    printed = subprocess.run([f"{found['CUDA_HOME']}/bin/nvcc"], capture_output=True, text=True, check=True).stdout
    assert printed == "Cuda compilation tools, release 11.6, V11.6.124\n"
    assert cuda.gpu_environment({**found, "CUDA_HOME": "/usr/local/cuda"}) == {}  # nothing is left to say


def test_without_wheels_nothing_is_touched(monkeypatch):
    monkeypatch.setattr(cuda, "wheel_folders", lambda: [])
    assert cuda.gpu_environment({}) == {}


def test_what_is_missing_is_said_in_one_line(wheels, monkeypatch):
    monkeypatch.setattr(cuda, "_loads", lambda library: False)
    assert cuda.missing().startswith("no NVIDIA driver (libcuda.so.1); install it")
    monkeypatch.setattr(cuda, "_loads", lambda library: library == cuda.DRIVER)
    assert cuda.missing() is None
    (wheels / "cudnn" / "lib" / "libcudnn.so.8").unlink()
    expected = "CUDA 11 libraries are missing; run: pip install 'mindrestore[gpu]' (it brings nvidia-cudnn-cu11)"
    assert cuda.missing() == expected
    monkeypatch.setattr(cuda, "wheel_folders", lambda: [])
    monkeypatch.setattr(cuda, "_loads", lambda library: True)
    assert cuda.missing().startswith("CUDA_HOME is not set")


def test_shells_get_exports_that_they_can_run(wheels, monkeypatch):
    done = subprocess.run(
        [sys.executable, "-m", "mindrestore.launch.cuda"], capture_output=True, text=True, check=True,
        env={"PATH": "/bin:/usr/bin", "PYTHONPATH": f"{Path(cuda.__file__).parents[2]}:{wheels.parent}",
             "MINDRESTORE_CACHE": str(wheels.parent)},
    )  # fmt: skip
    assert [line.split("=")[0] for line in done.stdout.splitlines()] == ["export LD_LIBRARY_PATH", "export CUDA_HOME"]


def test_the_extra_names_the_wheels_of_every_library():
    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    absent = [wheel for wheel in cuda.WHEELS.values() if f'"{wheel}==' not in text]
    assert absent == ["nvidia-cuda-nvrtc-cu11"]  # pip brings it with the others
