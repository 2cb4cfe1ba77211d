"""`mindrestore doctor`: what this machine can do, what it cannot, and which convolution path it takes."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from mindrestore import __version__

PACKAGES = ("mindspore", "numpy", "opencv-python-headless", "pillow", "pyyaml", "safetensors", "tqdm")
OPTIONAL = {"matplotlib": "plots", "tensorboardX": "TensorBoard logs", "pytest": "the tests"}
ISA = "ONEDNN_MAX_CPU_ISA"
SLOW_GFLOPS = 3.0  # oneDNN's reference loop gives below 1, its compiled kernels above 10, on one core already
CONVOLUTION_FLOP = 2 * 32 * 32 * 9 * 128 * 128


@dataclass(frozen=True)
class Finding:
    """One remark: `ok`, `note`, `warning` (works, but not as it should) or `broken`."""

    level: str
    text: str


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("doctor", help="check this machine", description=__doc__)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the findings.

    Returns:
        0 when everything needed works (warnings included), 1 when something is broken.
    """
    asked_isa = os.environ.get(ISA)  # before MindRestore sets its own value
    print(f"mindrestore {__version__}, Python {platform.python_version()}, {platform.platform()}")
    versions = {name: installed(name) for name in (*PACKAGES, *OPTIONAL)}
    versions["opencv-python-headless"] = versions["opencv-python-headless"] or installed("opencv-python")
    print("packages:  " + ", ".join(f"{name} {version}" for name, version in versions.items() if version))
    flags = cpu_flags()
    widest = next((name for name in ("avx512f", "avx2", "avx") if name in flags), "no AVX")
    print(f"processor: {processor()}, {os.cpu_count()} cores, {widest}")
    findings = package_findings(versions)
    findings += convolution_setting(versions["mindspore"], flags, asked_isa)
    if versions["mindspore"]:
        findings += machine_findings()
    for finding in findings:
        print(f"{finding.level + ':':10} {finding.text}")
    return int(any(finding.level == "broken" for finding in findings))


def installed(package: str) -> str | None:
    """Look a package's version up without importing it."""
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
        return [
            Finding("ok", f"MindSpore {mindspore} on this processor takes oneDNN's compiled convolutions by itself")
        ]
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


def machine_findings() -> list[Finding]:
    """Import MindSpore, list the devices and time a convolution."""
    from mindrestore.engine import context

    devices = context.available_devices()
    findings = [Finding("ok", f"MindSpore finds {', '.join(devices)}")]
    if devices == ["CPU"]:
        findings.append(
            Finding(
                "note",
                "no GPU or Ascend: the quickstart, restoring and exporting work; a published recipe would take weeks",
            )
        )
    findings.append(
        Finding("note", "on the CPU bfloat16 convolutions do not exist; train.amp=bfloat16 needs an accelerator")
    )
    context.setup("CPU")
    seconds = time_convolution()
    return [*findings, judge_convolution(seconds)]


def judge_convolution(seconds: float) -> Finding:
    """Return from a measured time which path the convolution took."""
    speed = CONVOLUTION_FLOP / seconds / 1e9
    measured = f"convolution 3x3, 32 to 32 channels, 128x128: {seconds * 1e3:.1f} ms ({speed:.1f} GFLOP/s)"
    if speed < SLOW_GFLOPS:
        return Finding(
            "warning", f"{measured}: this is oneDNN's slow reference path; set {ISA}=AVX2 before Python starts"
        )
    return Finding("ok", f"{measured}: a compiled kernel")


def time_convolution(rounds: int = 7) -> float:
    """Return the median time in seconds of one 3x3 convolution, 32 to 32 channels, on a 128x128 image."""
    import numpy as np
    from mindspore import Tensor

    from mindrestore.models.layers import conv

    layer, image = conv(32, 32, 3, padding=1), Tensor(np.ones((1, 32, 128, 128), np.float32))
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
