"""Time a network beside any PyTorch module: forward, training step and deformable convolution, in one run.

Ours and the peer run in processes of their own (peak memory is then honest), which take turns call by call, so that
both see the same machine. Median of many calls; compile time apart. Prints a table and writes JSON.

    python benchmarks/speed.py --model aecrnet --out speed.json
    python benchmarks/speed.py --peer-path DIR --peer module:Net() --peer-dcn module:DCN() --peer-python python3
    python benchmarks/speed.py --cases forward --onnx --peer-path DIR --peer module:Net()
    python benchmarks/speed.py --model all --cases forward --onnx --out onnx.json

A peer is `module:callable(args)` found in --peer-path; it gives a torch.nn.Module that maps (N, 3, H, W) to an image,
or to a tuple of images of which each gets its loss.
PyTorch is needed only for the peer, and only in the interpreter that --peer-python names. --onnx times onnxruntime as a
third in the forward case: the graph with which `restore` runs the network, or a file that `mindrestore export` wrote.
`--model all` times every registered network, one after the other; a peer goes with one network only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

WORKERS = Path(__file__).resolve().parent / "workers"
GRAPH = "graph"  # what `--onnx` alone asks for


class Worker:
    """A process that builds one case and runs it once per request."""

    def __init__(self, label: str, python: str, script: str, arguments: list[str], threads: int) -> None:
        self.label = label
        env = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        command = [python, str(WORKERS / script), "--threads", str(threads), *arguments]
        cores = sorted(os.sched_getaffinity(0))[:threads]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        self.ready = self.read()
        self.times: list[float] = []

    def read(self) -> dict:
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit(f"{self.label}: the worker ended early, see its messages above")

    def call(self) -> None:
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        self.times.append(self.read()["seconds"])

    def close(self) -> dict:
        self.process.stdin.write("end\n")
        self.process.stdin.flush()
        result = {**self.ready, **self.read(), "median_s": statistics.median(self.times), "runs": len(self.times)}
        self.process.wait()
        return result


def cases(args: argparse.Namespace) -> list[dict]:
    """List what to time: name, size of the input, and the arguments of both workers."""
    network = [
        {"case": "forward", "size": f"1,3,{args.size},{args.size}"},
        {"case": "train", "size": f"2,3,{args.size // 2},{args.size // 2}"},
    ]
    dcn = [{"case": name, "size": "1,256,64,64"} for name in ("dcn-forward", "dcn-train")]
    return [case for case in [*network, *dcn] if case["case"] in args.cases]


def measure(case: dict, args: argparse.Namespace) -> dict:
    """Run one case in alternation and give its row."""
    common = ["--case", case["case"], "--size", case["size"]]
    workers = [Worker("mindrestore", sys.executable, "ours.py", [*common, "--model", args.model], args.threads)]
    peer = args.peer_dcn if case["case"].startswith("dcn") else args.peer
    if peer:
        extra = ["--peer", peer, "--peer-path", args.peer_path]
        workers.append(Worker("peer", args.peer_python, "peer.py", [*common, *extra], args.threads))
    if args.onnx and case["case"] == "forward":
        source = ["--model", args.model] if args.onnx == GRAPH else ["--file", args.onnx]
        workers.append(Worker("onnx", sys.executable, "onnx_file.py", [*common, *source], args.threads))
    for _ in range(args.runs):
        for worker in workers:
            worker.call()
    ours, *others = workers
    row = {**case, "ours": ours.close()}
    for worker in others:
        row[worker.label] = worker.close()
        row[f"{worker.label}_speedup"] = statistics.median(b / a for a, b in zip(ours.times, worker.times))
        row[f"{worker.label}_memory_ratio"] = row["ours"]["peak_mb"] / row[worker.label]["peak_mb"]
    return row


def table(rows: list[dict]) -> str:
    """Lay the rows out for people."""
    heads = ("ours ms", "peer ms", "speed-up", "onnx ms", "speed-up", "first s", "ours MB", "peer MB", "onnx MB")
    lines = [f"{'case':12} {'input':14}" + "".join(f" {head:>9}" for head in heads)]
    for row in rows:
        ours, peer, onnx = (row.get(name, {}) for name in ("ours", "peer", "onnx"))
        times = [ours["median_s"] * 1e3]
        for name, other in (("peer", peer), ("onnx", onnx)):
            times += [other.get("median_s", 0) * 1e3, row.get(f"{name}_speedup", 0)]
        numbers = "".join(f"{value:9.2f}x" if i in (2, 4) else f"{value:10.1f}" for i, value in enumerate(times))
        megabytes = "".join(f"{worker.get('peak_mb', 0):10.0f}" for worker in (ours, peer, onnx))
        lines.append(f"{row['case']:12} {row['size']:14}{numbers}{ours['first_call_s']:10.1f}{megabytes}")
    return "\n".join(lines)


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="aecrnet", help="registered network to time, or all")
    parser.add_argument("--size", type=int, default=256, help="side of the forward input; training takes half of it")
    parser.add_argument("--runs", type=int, default=7, help="counted calls per case, after the first")
    parser.add_argument("--threads", type=int, default=2)
    names = ["forward", "train", "dcn-forward", "dcn-train"]
    parser.add_argument("--cases", nargs="+", choices=names, default=names)
    parser.add_argument("--peer-path", default=".", help="folder of the peer's module")
    parser.add_argument("--peer", help="module:callable(args) of the peer network")
    parser.add_argument("--peer-dcn", help="module:callable(args) of the peer's deformable layer, 256 channels")
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that has PyTorch")
    parser.add_argument(
        "--onnx", nargs="?", const=GRAPH, metavar="FILE", help="time onnxruntime too: the network's graph, or a file"
    )
    parser.add_argument("--out", help="JSON file to write")
    args = parser.parse_args()
    if args.model == "all" and (args.peer or args.onnx not in (None, GRAPH)):
        parser.error("--model all goes without --peer and without a file: these are of one network")
    results = [measure_network(args, model) for model in (names_of_all() if args.model == "all" else [args.model])]
    if args.out:
        Path(args.out).write_text(json.dumps(results[0] if len(results) == 1 else results, indent=1) + "\n")


def names_of_all() -> list[str]:
    """List the registered networks."""
    sys.path.insert(0, str(WORKERS.parents[1] / "src"))
    from mindrestore.models.registry import list_models

    return list_models()


def measure_network(args: argparse.Namespace, model: str) -> dict:
    """Run all cases of one network and print their table."""
    args.model, rows = model, []
    for case in cases(args):
        rows.append(measure(case, args))
        lines = table(rows[-1:]).splitlines()
        print("\n".join([f"{model}", *lines] if len(rows) == 1 else lines[1:]), flush=True)
    return {"model": model, "threads": args.threads, "cpu": platform.processor(), "rows": rows}


if __name__ == "__main__":
    main()
