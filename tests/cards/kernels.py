"""Count the kernels that Ascend launches for a small network, by the interface of CANN that they go through.

    python tests/cards/kernels.py [--amp float16] [NETWORK ...]

Compiles over the stand-ins of `standins.py`, a minute or more for each network, and prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from standins import build

HERE = Path(__file__).parent
INTERFACES = ("aclnn", "aclop")
_SELECTED = re.compile(r"(\w+) select (aclnn|aclop) kernel")  # once for each operator


def compile_for(
    name: str, amp: str, device: str, environment: Mapping[str, str], *phases: str
) -> dict[str, dict[str, Any]]:
    """Compile a small network in a process of its own.

    Args:
        name: A key of `compile_graphs.RECIPES`.
        amp: "O0", "float16" or "bfloat16".
        device: "GPU" or "Ascend".
        environment: Where the stand-ins are, see `standins.build`.
        *phases: "forward", "step"; both by default.

    Returns:
        "forward" and "step" -> `outcome` ("ok", or the error), `operators` by name, and on Ascend `kernels`, the number
        of those that go through each interface; an operator that is said to go through both counts as the older one.

    Raises:
        RuntimeError: The process ended before it compiled.
    """
    level = "1" if device == "Ascend" else "4"  # the selection is an information
    settings = {"PYTHONPATH": str(HERE.parents[1] / "src"), "GLOG_v": level, "GLOG_logtostderr": "1"}
    command = [sys.executable, str(HERE / "compile_graphs.py"), name, amp, device, *phases]
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        done = subprocess.run(
            command, env={**os.environ, **environment, **settings}, stdout=subprocess.PIPE, stderr=log, text=True
        )
        log.seek(0)
        chosen, last = _selections(log)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"nothing was compiled: {last}")
    found = json.loads(lines[-1])
    for graph in found.values() if device == "Ascend" else ():
        counts = dict.fromkeys(INTERFACES, 0)
        for operator, number in graph["operators"].items():
            if operator in chosen:
                counts[max(chosen[operator])] += number
        graph["kernels"] = counts
    return found


def _selections(log: Iterable[str]) -> tuple[dict[str, set[str]], str]:
    """Read the interfaces of every operator from a log; return them, and the last line."""
    found: dict[str, set[str]] = {}
    line = ""
    for line in log:
        for operator, interface in _SELECTED.findall(line):
            found.setdefault(operator, set()).add(interface)
    return found, line


def main() -> None:
    from compile_graphs import RECIPES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(RECIPES))
    parser.add_argument("--amp", default="float16", choices=("O0", "float16", "bfloat16"))
    args = parser.parse_args()
    print("| network | graph | aclnn | aclop | without a kernel |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        environment = build(Path(folder))["Ascend"]
        for name in args.networks or RECIPES:
            for phase, found in compile_for(name, args.amp, "Ascend", environment).items():
                counts = [found["kernels"][interface] for interface in INTERFACES]
                rest = sum(found["operators"].values()) - sum(counts)
                shown = " | ".join(map(str, (*counts, rest))) if found["outcome"] == "ok" else found["outcome"]
                print(f"| `{name}` | {phase} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
