"""Open onnxruntime's sessions: quiet, on as many threads as the process may use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from mindrestore.errors import MindRestoreError, first_line

if TYPE_CHECKING:
    import onnxruntime

_PROVIDERS = {"CPU": "CPUExecutionProvider", "GPU": "CUDAExecutionProvider", "Ascend": "CANNExecutionProvider"}
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


def threads() -> int:
    """Return how many threads to compute on: OMP_NUM_THREADS, else the cores, and no more than the process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    wanted = int(asked) if asked.isdigit() and int(asked) else psutil.cpu_count(logical=False) or allowed
    return min(wanted, allowed)


@cache
def load_runtime() -> Any:
    """Import onnxruntime, quiet and without its reports."""
    # onnxruntime 1.32 reports its use to its makers unless told otherwise, and leaves a file in the temporary folder
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    onnxruntime.set_default_logger_severity(_FATAL)
    return onnxruntime
