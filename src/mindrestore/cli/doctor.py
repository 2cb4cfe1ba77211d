"""`mindrestore doctor`: what this machine can do, what it cannot, and which convolution path it takes."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mindrestore.files import cache_folder
from mindrestore.version import __version__

_CODES = "Exit code 0: all that is needed works; 1: something is broken."

PACKAGES = ("mindspore", "numpy", "opencv-python-headless", "pillow", "psutil", "pyyaml", "safetensors", "tqdm")
OPTIONAL = {"matplotlib": "plots", "tensorboardX": "TensorBoard logs", "pytest": "the tests"}
ISA = "ONEDNN_MAX_CPU_ISA"
BUSY = 1.5  # processes per core
SLOW_GFLOPS = 3.0  # oneDNN's reference loop gives below 1, its compiled kernels above 10, on one core already
LEAST_MEMORY, LEAST_DISK = 2e9, 5e9  # bytes
CONVOLUTION_FLOP = 2 * 32 * 32 * 9 * 128 * 128


@dataclass(frozen=True)
class Finding:
    """One remark: `ok`, `note`, `warning` (works, but not as it should) or `broken`."""

    level: str
    text: str


@dataclass(frozen=True)
class ThisMachine:
    """What there is, before it is judged: release, packages, processor, free memory and disk."""

    mindrestore: str
    python: str
    platform: str
    packages: dict[str, str]
    processor: str
    cores: int
    instructions: str
    free_memory_gb: float
    free_disk_gb: float

    def lines(self) -> list[str]:
        """Return the facts as lines of text."""
        packages = ", ".join(f"{name} {version}" for name, version in self.packages.items())
        return [
            f"mindrestore {self.mindrestore}, Python {self.python}, {self.platform}",
            f"packages:  {packages}",
            f"processor: {self.processor}, {self.cores} cores, {self.instructions}",
            f"free:      {self.free_memory_gb:.1f} GB of memory, {self.free_disk_gb:.1f} GB of disk in {Path.cwd()}",
        ]


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("doctor", help="check this machine", description=__doc__, epilog=_CODES)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the findings.

    Returns:
        0 when everything needed works (warnings included), 1 when something is broken.
    """
    asked_isa = os.environ.get(ISA)  # before MindRestore sets its own value
    versions = {name: installed(name) for name in (*PACKAGES, *OPTIONAL)}
    versions["opencv-python-headless"] = versions["opencv-python-headless"] or installed("opencv-python")
    machine = this_machine(versions)
    if not args.json:
        print("\n".join(machine.lines()), flush=True)
    findings = []
    for finding in examine(versions, asked_isa):
        findings.append(finding)
        if not args.json:
            print(f"{finding.level + ':':10} {finding.text}", flush=True)
    broken = any(finding.level == "broken" for finding in findings)
    if args.json:
        report = {**asdict(machine), "findings": [asdict(finding) for finding in findings], "ok": not broken}
        print(json.dumps(report, indent=2))
    return int(broken)


def this_machine(versions: dict[str, str | None]) -> ThisMachine:
    """Collect the facts; they take no time."""
    flags = cpu_flags()
    return ThisMachine(
        __version__,
        platform.python_version(),
        platform.platform(),
        {name: version for name, version in versions.items() if version},
        processor(),
        os.cpu_count() or 1,
        next((name for name in ("avx512f", "avx2", "avx") if name in flags), "no AVX"),
        round(free_memory() / 1e9, 2),
        round(shutil.disk_usage(Path.cwd()).free / 1e9, 2),
    )


def examine(versions: dict[str, str | None], isa: str | None) -> Iterator[Finding]:
    """Judge packages, room, engine and devices, the slow ones last.

    Args:
        versions: Package -> version, `None` when absent.
        isa: ONEDNN_MAX_CPU_ISA as the user has set it; `None` when unset.

    Yields:
        Each finding as soon as it is known.
    """
    yield from package_findings(versions)
    yield from room_findings(free_memory(), shutil.disk_usage(Path.cwd()).free)
    yield cache_finding(cache_folder())
    yield engine_finding()
    yield from convolution_setting(versions["mindspore"], cpu_flags(), isa)
    if versions["mindspore"]:
        yield from machine_findings()


def free_memory() -> int:
    """Return the bytes that a program can still have here."""
    from mindrestore.exporting import session

    return session.free_memory()


def room_findings(memory: int, disk: int) -> list[Finding]:
    """Judge free memory and disk, in bytes."""
    few = []
    if memory < LEAST_MEMORY:
        few.append(Finding("warning", f"{memory / 1e9:.1f} GB of memory are free; photographs go in small tiles then"))
    if disk < LEAST_DISK:
        few.append(Finding("warning", f"{disk / 1e9:.1f} GB of disk are free here; a run folder needs more"))
    return few


def cache_finding(folder: Path) -> Finding:
    """Return what lies in the cache and whether it can be written."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(there, os.W_OK):
        return Finding("warning", f"cache {folder}: cannot be written; set MINDRESTORE_CACHE to a folder that can")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
    return Finding("ok", f"cache {folder}: {size / 1e6:.1f} MB")


def engine_finding() -> Finding:
    """Name what runs exported networks."""
    if find_spec("onnxruntime") is None:
        return Finding("warning", "onnxruntime is absent: restoring on CPU needs it; pip install onnxruntime")
    from mindrestore.exporting.session import load_runtime

    onnxruntime = load_runtime()
    known = {"CPUExecutionProvider": "CPU", "CUDAExecutionProvider": "GPU", "CANNExecutionProvider": "Ascend"}
    devices = [known[name] for name in onnxruntime.get_available_providers() if name in known]
    return Finding("ok", f"inference engine onnxruntime {onnxruntime.__version__} on {', '.join(sorted(devices))}")


def installed(package: str) -> str | None:
    """Look a package's version up without importing it."""
    from importlib import metadata  # takes a third of the time of a whole command line

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def package_findings(versions: dict[str, str | None]) -> list[Finding]:
    """Judge the installed versions.

    Args:
        versions: Package -> version, `None` when absent.

    Returns:
        A finding for each package that is absent, too new for another one, or optional and absent.
    """
    findings = [
        Finding("broken", f"{name} is not installed; run: pip install -r requirements.txt")
        for name in PACKAGES
        if name in versions and not versions[name]
    ]
    numpy, opencv = versions.get("numpy"), versions.get("opencv-python-headless")
    if numpy and release(numpy) >= (2,):
        findings.append(
            Finding(
                "warning", f"numpy {numpy}: MindSpore's PyNative mode needs numpy below 2; run: pip install 'numpy<2'"
            )
        )
    if numpy and opencv and release(numpy) < (2,) and release(opencv) >= (4, 12):
        fix = "pip install 'opencv-python-headless<4.12'"
        findings.append(
            Finding(
                "warning", f"opencv-python-headless {opencv} is built for numpy 2, here is numpy {numpy}; run: {fix}"
            )
        )
    absent = [f"{name} ({use})" for name, use in OPTIONAL.items() if name in versions and not versions[name]]
    if absent:
        findings.append(Finding("note", f"optional and absent: {', '.join(absent)}"))
    return findings


def convolution_setting(mindspore: str | None, flags: frozenset[str], isa: str | None) -> list[Finding]:
    """Predict which convolution kernels MindSpore takes on the CPU.

    Args:
        mindspore: Its version; `None` when absent.
        flags: Processor flags as Linux names them.
        isa: ONEDNN_MAX_CPU_ISA as the user has set it; `None` when unset.

    Returns:
        A warning when the user's own value forces the slow path, a note when only MindRestore's setting avoids it.
    """
    if not mindspore or release(mindspore) < (2, 9) or "avx512f" not in flags:
        return [Finding("ok", f"MindSpore {mindspore} on this processor uses oneDNN's compiled convolutions")]
    slow = f"MindSpore {mindspore} on AVX-512 processors runs float32 convolutions 40 to 60 times too slowly"
    if isa is None:
        return [
            Finding(
                "note", f"{slow}; MindRestore prevents it with {ISA}=AVX2, other programs have to set that themselves"
            )
        ]
    if isa.upper().startswith(("AVX512", "AVX10", "ALL", "DEFAULT")):
        return [Finding("warning", f"{slow}, and {ISA}={isa} keeps it so; unset it or set it to AVX2")]
    return [Finding("ok", f"{ISA}={isa} keeps MindSpore {mindspore} off its slow convolutions")]


def machine_findings() -> Iterator[Finding]:
    """Import MindSpore, list the devices and time a convolution."""
    from mindrestore.engine import context
    from mindrestore.launch.cuda import missing
    from mindrestore.launch.plan import visible_devices

    devices = context.available_devices()
    yield Finding("ok", f"MindSpore finds {', '.join(devices)}")
    cards = visible_devices("GPU")
    if "GPU" not in devices:
        lacking = missing() or "MindSpore's plug-in does not take the cards that are here"
        yield Finding("warning" if cards else "note", f"no GPU: {lacking}; docs/gpu.md")
    if "Ascend" not in devices:
        there = visible_devices("Ascend")
        lacking = "the CANN toolkit of this MindSpore is missing" if there else "no card (/dev/davinci*), no driver"
        yield Finding("warning" if there else "note", f"no Ascend: {lacking}")
    if devices == ["CPU"]:
        text = "on the CPU the quickstart, restoring and exporting work; a published recipe would take weeks"
        yield Finding("note", f"{text}; train.amp=bfloat16 needs a card")
    context.setup("CPU")
    yield judge_convolution(time_convolution(), os.getloadavg()[0] / (os.cpu_count() or 1))


def judge_convolution(seconds: float, load: float = 0.0) -> Finding:
    """Return from a measured time which path the convolution took.

    Args:
        seconds: Time of one convolution.
        load: Processes that wanted a core in the last minute, per core.
    """
    speed = CONVOLUTION_FLOP / seconds / 1e9
    measured = f"convolution 3x3, 32 to 32 channels, 128x128: {seconds * 1e3:.1f} ms ({speed:.1f} GFLOP/s)"
    if speed >= SLOW_GFLOPS:
        return Finding("ok", f"{measured}: a compiled kernel")
    if load > BUSY:
        return Finding("note", f"{measured}, but other programs use the processor ({load:.1f} per core); measure again")
    return Finding("warning", f"{measured}: this is oneDNN's slow reference path; set {ISA}=AVX2 before Python starts")


def time_convolution(rounds: int = 7) -> float:
    """Return the median time in seconds of one 3x3 convolution, 32 to 32 channels, on a 128x128 image."""
    import statistics

    import numpy as np
    from mindspore import Tensor

    from mindrestore.models.layers import Conv2d

    layer, image = Conv2d(32, 32, 3, padding=1), Tensor(np.ones((1, 32, 128, 128), np.float32))
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        layer(image).asnumpy()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])  # the first call compiles


def release(version: str) -> tuple[int, ...]:
    """Split a version into numbers that compare: 2.10.0rc1 -> (2, 10)."""
    numbers = []
    for part in version.split(".")[:3]:
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def cpu_flags() -> frozenset[str]:
    """Read the processor's flags; empty where the system does not tell."""
    return frozenset(_cpuinfo("flags").split())


def processor() -> str:
    """Name the processor."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(field: str) -> str:
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return ""
    lines = (line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.startswith(field))
    return next(lines, "").partition(":")[2].strip()
