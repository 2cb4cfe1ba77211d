"""Open onnxruntime's sessions: quiet, on as many threads as the process may use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from mindrestore.errors import MindRestoreError, first_line, ran_out

if TYPE_CHECKING:
    import onnxruntime

_PROVIDERS = {"CPU": "CPUExecutionProvider", "GPU": "CUDAExecutionProvider", "Ascend": "CANNExecutionProvider"}
LESS_MEMORY = "close other programs, or let it use less, as in --memory 0.3 or --tile 128"
# Control groups of both kinds: folder, limit, what is used, and which part of that are cached files
_CONTAINERS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
_FATAL = 4  # of onnxruntime's log: errors come as exceptions, too


class EngineError(MindRestoreError):
    """Report an exported file or a graph that cannot be run, or not in this way."""


def open_session(
    model: str | Path | bytes, values: Mapping[str, np.ndarray] | None = None, device: str = "CPU"
) -> onnxruntime.InferenceSession:
    """Open an ONNX model.

    Args:
        model: File, or its content.
        values: Name -> array of the initializers whose values the model leaves out.
        device: "CPU"; "GPU" and "Ascend" with an onnxruntime built for them.

    Returns:
        The session.

    Raises:
        EngineError: This onnxruntime does not know the device, or cannot load the model.
    """
    runtime = load_runtime()
    provider = _PROVIDERS[device]
    if provider not in runtime.get_available_providers():
        raise EngineError(f"this onnxruntime has no {provider}; install the one for {device}, or use device CPU")
    options = runtime.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = threads()
    # The memory arena stays on: without it DehazeFormer-T took as much memory at 512x512 and half as much time again
    if values:
        held = [runtime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array)) for array in values.values()]
        options.add_external_initializers(list(values), held)
    try:
        # Without the fallback, which prints three lines and tries the same again
        return runtime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=[provider], enable_fallback=0
        )
    except Exception as error:  # onnxruntime's own classes are generated and share no base
        raise EngineError(f"cannot be loaded: {first_line(error)}") from error


def not_running(source: object, shape: tuple[int, ...], error: Exception) -> EngineError:
    """Return the error that says why a model does not run on images of a shape."""
    if ran_out(error):
        return EngineError(f"{source}: there is not enough memory for images of {shape}; {LESS_MEMORY}")
    return EngineError(f"{source}: does not run on {shape}: {first_line(error)}")


def threads() -> int:
    """Return how many threads to compute on: OMP_NUM_THREADS, else the cores, and no more than the process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    wanted = int(asked) if asked.isdigit() and int(asked) else psutil.cpu_count(logical=False) or allowed
    return min(wanted, allowed)


def free_memory() -> int:
    """Return the bytes that the process may still take: what is free, within its own limits and its container's."""
    free = [psutil.virtual_memory().available]
    if hasattr(os, "sched_getaffinity"):  # Linux
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[0]  # as `ulimit -v` sets it
        free += [] if most == resource.RLIM_INFINITY else [most - psutil.Process().memory_info().vms]
    for group, most, taken, unused in _CONTAINERS:
        try:
            facts = dict(line.split() for line in Path(group, "memory.stat").read_text().splitlines())
            used = int(Path(group, taken).read_text()) - int(facts.get(unused, 0))  # cached files make room
            free.append(int(Path(group, most).read_text()) - used)
        except (OSError, ValueError):  # no such control group, or "max": no limit
            continue
    return max(min(free), 0)


@cache
def load_runtime() -> Any:
    """Import onnxruntime, quiet and without its reports."""
    # onnxruntime 1.32 reports its use to its makers unless told otherwise, and leaves a file in the temporary folder
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    onnxruntime.set_default_logger_severity(_FATAL)
    return onnxruntime
