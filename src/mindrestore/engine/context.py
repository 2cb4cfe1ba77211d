"""Device, mode, seed and ranks: the only place that talks to MindSpore's global context."""

from __future__ import annotations

import atexit
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import mindspore as ms
from mindspore import Parameter, Tensor, ops

from mindrestore.engine.signals import SCRATCH
from mindrestore.errors import MindRestoreError
from mindrestore.launch.cuda import missing
from mindrestore.models.cpu import prepare_cpu
from mindrestore.models.layers import current_device
from mindrestore.models.release import require_release

_DEVICES = ("Ascend", "GPU", "CPU")  # in order of preference
_MODES = ("graph", "pynative")
_FIRST_GENERATION = re.compile(r"Ascend(910(Pro|Premium)?[AB]?|310P?\d*)")


class DeviceError(MindRestoreError):
    """Report a device that this machine or this MindSpore cannot use."""


def setup(device: str = "auto", mode: str = "graph", seed: int | None = None, device_id: int | None = None) -> str:
    """Choose the device, seed MindSpore and join the other ranks; call it before the first network is made.

    PyNative stays the ambient mode; "graph" is a promise of the callers that they compile their step with `ms.jit`.
    Under several processes (RANK_SIZE > 1) this also starts the communication.

    Args:
        device: "auto", "CPU", "GPU" or "Ascend". "auto" takes MINDRESTORE_DEVICE when set, else the best there is.
        mode: "graph" or "pynative".
        seed: seed of MindSpore's weight initialisation and random operators; None leaves it alone.
        device_id: card number; None lets MindSpore choose.

    Returns:
        The device in use: "CPU", "GPU" or "Ascend".

    Raises:
        DeviceError: the device is unknown or absent, or another one is in use already.
        ReleaseError: this MindSpore is not accepted.
    """
    require_release(ms.__version__)
    if mode not in _MODES:
        raise DeviceError(f"mode {mode!r} is not one of {', '.join(_MODES)}")
    if os.environ.setdefault("MS_OM_PATH", str(SCRATCH)) == str(SCRATCH):
        atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)
    target = _choose(device)
    _select(target, device_id)
    ms.set_context(mode=ms.PYNATIVE_MODE)
    if rank_and_world()[1] > 1:
        _join_ranks()
    if target == "CPU":
        prepare_cpu()
    if target == "Ascend":
        _prepare_ascend()
    if seed is not None:
        ms.set_seed(seed)
    return target


def available_devices() -> list[str]:
    """List the devices that MindSpore can use here.

    Returns:
        A sub-list of ["Ascend", "GPU", "CPU"], the best first.
    """
    with muted_mindspore():  # a missing driver is an answer here, not five warnings
        return [name for name in _DEVICES if ms.hal.is_available(name)]


def require_device(target: str) -> None:
    """Refuse a device that MindSpore cannot use here.

    Raises:
        DeviceError: It is absent; the message says what is missing.
    """
    found = available_devices()
    if target not in found:
        reason = missing() if target == "GPU" else "install its driver and CANN" if target == "Ascend" else None
        raise DeviceError(
            f"device {target} is not available here, found: {', '.join(found)}; "
            f"{reason or '`mindrestore doctor` says more'}"
        )


def multiplies_in_half() -> bool:
    """Return whether this card multiplies matrices of float32 in float16, as Ascend's first generation (910A, 310P)."""
    return current_device() == "Ascend" and _FIRST_GENERATION.fullmatch(ms.hal.get_device_name(0, "Ascend")) is not None


@contextmanager
def muted_mindspore() -> Iterator[None]:
    """Silence log lines inside a `with` block whose caller reports every problem itself."""
    previous = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(previous)


def rank_and_world() -> tuple[int, int]:
    """Return this process's rank and the number of processes, as the launcher (msrun, rank table, mpirun) set them.

    Returns:
        (rank, world); (0, 1) for a single process. The scheduler of msrun, which runs the program, too, until the ranks
        join, has rank -1: msrun calls it 0, and it would own the run folder in place of the first worker.
    """
    rank, world = (os.environ.get(name) for name in ("RANK_ID", "RANK_SIZE"))
    if world is None:
        rank, world = (os.environ.get(f"OMPI_COMM_WORLD_{name}") for name in ("RANK", "SIZE"))
    if os.environ.get("MS_ROLE") == "MS_SCHED":
        rank = "-1"
    return int(rank or 0), int(world or 1)


def broadcast_parameters(params: Iterable[Parameter]) -> None:
    """Send every rank the values of rank 0; all ranks must call it.

    Args:
        params: the same parameters in the same order on every rank.
    """
    broadcast = ops.Broadcast(0)
    for param in params:
        ops.assign(param, broadcast((param.value(),))[0])


def any_rank(flag: bool) -> bool:
    """Send every rank whether a flag is set on any of them; all ranks must call it, and none goes on before all have.

    Args:
        flag: this rank's answer.

    Returns:
        The same answer on every rank.
    """
    if rank_and_world()[1] == 1:
        return flag
    return bool(ops.AllReduce()(Tensor([float(flag)], ms.float32)).asnumpy()[0])


def value_of_first(number: int) -> int:
    """Send every rank the number that rank 0 has; all ranks must call it.

    Args:
        number: below 2**31.

    Returns:
        That of rank 0.
    """
    if rank_and_world()[1] == 1:
        return number
    return int(ops.Broadcast(0)((Tensor([number], ms.int32),))[0].asnumpy()[0])


def _choose(device: str) -> str:
    if device == "auto":
        device = os.environ.get("MINDRESTORE_DEVICE", "auto")
    if device == "auto":
        return available_devices()[0]
    names = {name.lower(): name for name in _DEVICES}
    if device.lower() not in names:
        raise DeviceError(f"device {device!r} is not one of auto, {', '.join(_DEVICES)}")
    return names[device.lower()]


def _select(target: str, device_id: int | None) -> None:
    require_device(target)
    try:
        ms.set_device(target) if device_id is None else ms.set_device(target, device_id)
    except RuntimeError as error:  # the target can be set only before the first operator
        now = current_device()
        if now == target and device_id in (None, ms.get_context("device_id")):
            return  # the caller has computed on this very device already
        raise DeviceError(f"device {target} cannot be used ({now} was chosen earlier): {_one_line(error)}") from error


def _prepare_ascend() -> None:
    """Keep float32 as near to float32 as the card can, and take operators that are compiled already.

    By default MindSpore lets the first generation compute float32 networks in float16 altogether, sums included. It has
    no float32 products; `force_fp32` adds those of float16 up in float32. Later cards keep what the network says. What
    a program around this one has set before stays.
    """
    ascend = ms.device_context.ascend
    with suppress(RuntimeError):  # "can not be set repeatedly"
        ascend.op_precision.precision_mode("force_fp32" if multiplies_in_half() else "must_keep_origin_dtype")
    with suppress(RuntimeError):
        ascend.op_tuning.op_compile(False)  # else each operator of the older interface is compiled for every shape


def _join_ranks() -> None:
    from mindspore import communication

    if not communication.GlobalComm.INITED:
        communication.init()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
