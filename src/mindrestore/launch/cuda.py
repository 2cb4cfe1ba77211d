"""Find the CUDA libraries that pip installed, and tell MindSpore where they are.

MindSpore takes the version of CUDA from `$CUDA_HOME/bin/nvcc` and the libraries from LD_LIBRARY_PATH. NVIDIA's wheels
have the libraries without nvcc and outside that path: `pip install 'mindrestore[gpu]'` is enough with this module.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from mindrestore.errors import MindRestoreError
from mindrestore.files import cache_folder

# Library -> wheel that has it. MindSpore's plug-in is built for CUDA 11.6; the 11.8 wheels fit, and know newer cards.
WHEELS = {
    "libcudart.so.11.0": "nvidia-cuda-runtime-cu11",
    "libcublas.so.11": "nvidia-cublas-cu11",
    "libcudnn.so.8": "nvidia-cudnn-cu11",
    "libcufft.so.10": "nvidia-cufft-cu11",
    "libcusolver.so.11": "nvidia-cusolver-cu11",
    "libcurand.so.10": "nvidia-curand-cu11",
    "libcusparse.so.11": "nvidia-cusparse-cu11",
    "libnvrtc.so.11.2": "nvidia-cuda-nvrtc-cu11",
}
DRIVER = "libcuda.so.1"
VERSION = "11.6"  # what the plug-in libmindspore_gpu.so.11.6 asks for
_PATH, _HOME = "LD_LIBRARY_PATH", "CUDA_HOME"
_NVCC = f'#!/bin/sh\necho "Cuda compilation tools, release {VERSION}, V{VERSION}.124"\n'


def wheel_folders() -> list[Path]:
    """List the folders in which NVIDIA's wheels keep their libraries; none where no such wheel is installed."""
    spec = find_spec("nvidia")  # a package without __init__.py, which several wheels share
    roots = spec.submodule_search_locations or () if spec else ()
    return sorted({path for root in roots for path in Path(root).glob("*/lib") if any(path.glob("lib*.so*"))})


def gpu_environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what has to stand in the environment, before Python starts, so that MindSpore finds those libraries.

    Args:
        settings: An environment, by default that of this process; a CUDA_HOME in it stays.

    Returns:
        Variable -> value, of what is not there yet; empty where no wheel is installed.
    """
    settings = os.environ if settings is None else settings
    folders = [str(path) for path in wheel_folders()]
    if not folders:
        return {}
    there = [path for path in settings.get(_PATH, "").split(os.pathsep) if path]
    new = {} if set(folders) <= set(there) else {_PATH: os.pathsep.join([*folders, *there])}
    return new if settings.get(_HOME) else {**new, _HOME: str(_version_shim())}


def missing() -> str | None:
    """Return in one line what a GPU lacks here, the driver or libraries with their wheels; None when all is there."""
    if not _loads(DRIVER):
        return f"no NVIDIA driver ({DRIVER}); install it, or start the container with the cards (docker run --gpus all)"
    folders = [*wheel_folders(), *map(Path, filter(None, os.environ.get(_PATH, "").split(os.pathsep)))]
    absent = [
        w for library, w in WHEELS.items() if not (any((f / library).is_file() for f in folders) or _loads(library))
    ]
    if absent:
        return f"CUDA 11 libraries are missing; run: pip install 'mindrestore[gpu]' (it brings {', '.join(absent)})"
    if not os.environ.get(_HOME) and not wheel_folders():
        return f"{_HOME} is not set; MindSpore reads the version of CUDA from ${_HOME}/bin/nvcc"
    return None


def enter_gpu_environment() -> None:
    """Start this process anew with those variables where they are needed and a driver is there; else do nothing."""
    new = gpu_environment() if sys.platform == "linux" and Path("/dev/nvidiactl").exists() else {}
    if new:
        os.execve(sys.executable, [sys.executable, *getattr(sys, "orig_argv", [])[1:]], {**os.environ, **new})


def _version_shim() -> Path:
    """Make a folder whose bin/nvcc prints the version of CUDA, in the cache of this user."""
    home = cache_folder() / f"cuda-{VERSION}"
    nvcc = home / "bin" / "nvcc"
    try:
        nvcc.parent.mkdir(parents=True, exist_ok=True)
        if not nvcc.is_file() or nvcc.read_text(encoding="utf-8") != _NVCC:
            nvcc.write_text(_NVCC, encoding="utf-8")
        nvcc.chmod(0o755)
    except OSError as error:
        raise MindRestoreError(
            f"{nvcc}: cannot be written ({error.strerror}); set MINDRESTORE_CACHE to a folder that can, or CUDA_HOME"
        ) from error
    return home


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


if __name__ == "__main__":  # for shells: eval "$(python -m mindrestore.launch.cuda)"
    for name, value in gpu_environment().items():
        print(f"export {name}={shlex.quote(value)}")
