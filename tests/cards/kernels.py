"""Compile small networks for cards, and say what came of each, how many kernels a graph launches, and its inputs.

    python tests/cards/kernels.py [--on GPU:O0 GPU:float16 Ascend:O0 Ascend:float16 Ascend:bfloat16] [NETWORK ...]

Compiles over the stand-ins of `standins.py`, half a minute to a few minutes for each network and configuration, and
prints a table: operators of the graph on GPU, kernels by interface of CANN on Ascend. With `--done FILE` what came of
each is kept there, one JSON object a line, and a later call goes on behind the last.
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
CONFIGURATIONS = ("GPU:O0", "GPU:float16", "Ascend:O0", "Ascend:float16", "Ascend:bfloat16")
_SELECTED = re.compile(r"(\w+) select (aclnn|aclop) kernel")  # once for each operator


def compile_for(
    name: str, amp: str, device: str, environment: Mapping[str, str], *phases: str, limit: float | None = None
) -> dict[str, dict[str, Any]]:
    """Compile a small network in a process of its own.

    Args:
        name: A key of `compile_graphs.RECIPES`.
        amp: "O0", "float16" or "bfloat16".
        device: "GPU" or "Ascend".
        environment: Where the stand-ins are, see `standins.build`.
        *phases: "forward", "step"; both by default.
        limit: Seconds that it may take.

    Returns:
        "forward" and "step" -> `outcome` ("ok", or the error), `operators` by name, `inputs`, and on Ascend `kernels`:
        interface -> operator -> number; an operator that is said to go through both counts as the older one.

    Raises:
        RuntimeError: The process ended before it compiled, or took too long.
    """
    settings = {"PYTHONPATH": str(HERE.parents[1] / "src"), "GLOG_v": "3", "GLOG_logtostderr": "1"}
    settings["MS_DEV_DUMP_IR_PASSES"] = "graph_build"  # graphs of all passes take two thirds of the time
    if device == "Ascend":
        settings["MS_SUBMODULE_LOG_v"] = "{DEVICE:1}"  # which kernel is selected is an information
    command = [sys.executable, str(HERE / "compile_graphs.py"), name, amp, device, *phases]
    environment = {**os.environ, **environment, **settings}
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        try:
            done = subprocess.run(
                command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True, timeout=limit
            )
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"not compiled in {limit:g} s") from error
        log.seek(0)
        chosen, last = _selections(log)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"nothing was compiled: {last}")
    found = json.loads(lines[-1])
    for graph in found.values() if device == "Ascend" else ():
        graph["kernels"] = {interface: {} for interface in INTERFACES}
        for operator, number in graph["operators"].items():
            if operator in chosen:
                graph["kernels"][max(chosen[operator])][operator] = number
    return found


def _selections(log: Iterable[str]) -> tuple[dict[str, set[str]], str]:
    """Read the interfaces of every operator from a log; return them, and the last line."""
    found: dict[str, set[str]] = {}
    line = ""
    for line in log:
        for operator, interface in _SELECTED.findall(line):
            found.setdefault(operator, set()).add(interface)
    return found, line


def shown(graph: Mapping[str, Any]) -> str:
    """Return one cell of the table."""
    if graph["outcome"] != "ok":
        return graph["outcome"].splitlines()[0][:120]
    if "kernels" not in graph:
        return f"{sum(graph['operators'].values())} operators"
    aclnn, aclop = (graph["kernels"][interface] for interface in INTERFACES)
    most = ", ".join(f"{name} {number}" for name, number in sorted(aclop.items(), key=lambda item: -item[1])[:8])
    return f"{sum(aclnn.values())} aclnn, {sum(aclop.values())} aclop ({most})"


def main() -> None:
    from compile_graphs import PHASES, RECIPES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(RECIPES))
    parser.add_argument("--on", nargs="+", default=CONFIGURATIONS, choices=CONFIGURATIONS, metavar="DEVICE:AMP")
    parser.add_argument("--limit", type=float, default=480.0, help="seconds for each network and configuration")
    parser.add_argument("--done", type=Path, help="file of what has been compiled")
    args = parser.parse_args()
    lines = args.done.read_text().splitlines() if args.done and args.done.exists() else []
    done = {tuple(row[:2]): row[2] for row in map(json.loads, lines)}
    print("| network | on | forward | whole step | inputs of it |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        environments = build(Path(folder))
        for name in args.networks or RECIPES:
            for where in args.on:
                if (name, where) not in done:
                    device, amp = where.split(":")
                    try:
                        graphs = compile_for(name, amp, device, environments[device], limit=args.limit)
                    except RuntimeError as error:
                        graphs = {phase: {"outcome": str(error)} for phase in PHASES}
                    done[name, where] = graphs
                    if args.done:
                        with args.done.open("a") as file:
                            file.write(json.dumps([name, where, graphs]) + "\n")
                graphs = done[name, where]
                cells = " | ".join(shown(graphs[phase]) for phase in PHASES)
                print(f"| `{name}` | {where} | {cells} | {graphs['step'].get('inputs', '')} |", flush=True)


if __name__ == "__main__":
    main()
