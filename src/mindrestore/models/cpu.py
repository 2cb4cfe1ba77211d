"""Settings that make MindSpore fast on CPU; they have to be made before its first operator runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import mindspore as ms
from mindspore import Tensor, ops

_RUNTIME = "MS_DEV_RUNTIME_CONF"


def prepare_cpu() -> None:
    """Ask oneDNN for its fast convolutions, and MindSpore to run operators and graphs without busy loops.

    MindSpore 2.9 and 2.10 fall back to oneDNN's reference loops on AVX-512 processors, 40 to 60 times slower than
    with AVX2; older releases are faster left alone. Operators outside graphs pass through threads that spin while they
    wait for each other: on two cores 0.146 s for a small training step, and 0.014 s without these threads.
    Graphs run in a queue of their own while the Python thread spins until they are done: with few cores it takes half
    of one away from the operators, and a training step up to 1.7 times as long. Values that the user has set win.
    """
    if tuple(int(part) for part in ms.__version__.split(".")[:2]) >= (2, 9):
        os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
    if ms.get_context("device_target") != "CPU":
        return
    ms.runtime.launch_blocking()
    if _RUNTIME not in os.environ:
        os.environ[_RUNTIME] = "graph_pipeline:false"
        with silenced(1):  # MindSpore prints the setting when an operator makes it read it, the first time only
            ops.relu(Tensor([0.0])).asnumpy()
        del os.environ[_RUNTIME]  # else it prints more


@contextmanager
def silenced(descriptor: int) -> Iterator[None]:
    """Throw away what native code prints on standard output (1) or standard error (2) inside a `with` block."""
    stream = {1: sys.stdout, 2: sys.stderr}[descriptor]
    try:
        kept = os.dup(descriptor)
    except OSError:  # closed: nothing can be printed
        yield
        return
    if stream is not None:
        stream.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
