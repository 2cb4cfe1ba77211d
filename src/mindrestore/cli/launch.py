"""`mindrestore launch`: run a command of this program on many devices at once."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from mindrestore.cli.arguments import nonempty_path
from mindrestore.errors import MindRestoreError

_EXAMPLES = """examples:
  mindrestore launch --device Ascend -- train --recipe aecrnet/its data.root=/data/RESIDE
  mindrestore launch --device CPU --device-num 2 --dry-run -- train --recipe quickstart data.root=data
  mindrestore launch --device GPU --visible-devices 2,3 --max-restarts 3 -- train --recipe quickstart data.root=data
  mindrestore launch --device Ascend --node-num 2 --node-rank 1 --master-addr 10.0.0.1 -- train ...

By default MindSpore's msrun starts the processes as a dynamic cluster; --rank-table starts one process per entry of an
Ascend rank table. The log of the first process appears here. When a process fails all others are ended, and the exit
code is that of the first that failed. Defaults come from the environment: DEVICE_NUM, VISIBLE_DEVICES, NODE_NUM,
NODE_RANK, MASTER_ADDR, MASTER_PORT.
"""


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser(
        "launch",
        help="train on many devices",
        usage="mindrestore launch --device {Ascend,GPU,CPU} [OPTION ...] -- COMMAND ...",
        description=__doc__,
        epilog=_EXAMPLES,
    )
    _add_cluster(parser)
    parser.add_argument("--mpi", action="store_true", help="start by Open MPI's mpirun (GPU, Ascend)")
    parser.add_argument(
        "--max-restarts", type=_number(0), default=0, metavar="N", help="restart after a crash, at most N times"
    )
    parser.add_argument(
        "--log-dir", type=nonempty_path, default=Path("launch"), metavar="DIR", help="folder for logs (default: launch)"
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be started, and start nothing")
    parser.add_argument("program", nargs="+", metavar="-- COMMAND", help="what every process runs, such as train ...")
    parser.set_defaults(run=run)


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add what says which devices of which machines take part."""
    number, environment = _number, os.environ.get
    parser.add_argument("--device", required=True, choices=("Ascend", "GPU", "CPU"), help="kind of the devices")
    parser.add_argument(
        "--device-num",
        type=number(1),
        default=environment("DEVICE_NUM"),
        metavar="N",
        help="processes on this node (default: one per visible device, 2 on CPU)",
    )
    parser.add_argument(
        "--visible-devices",
        type=_devices,
        default=environment("VISIBLE_DEVICES"),
        metavar="0,1,...",
        help="devices to use (default: all)",
    )
    parser.add_argument("--node-num", type=number(1), default=environment("NODE_NUM", "1"), metavar="N", help="nodes")
    parser.add_argument(
        "--node-rank",
        type=number(0),
        default=environment("NODE_RANK"),
        metavar="N",
        help="this node, from 0; needed with several",
    )
    parser.add_argument(
        "--master-addr",
        default=environment("MASTER_ADDR", "127.0.0.1"),
        metavar="HOST",
        help="address of node 0 (default: this machine)",
    )
    parser.add_argument(
        "--master-port",
        type=number(1),
        default=environment("MASTER_PORT"),
        metavar="PORT",
        help="a free port of node 0 (default: one is found; 8118 with several nodes)",
    )
    parser.add_argument(
        "--rank-table", type=nonempty_path, metavar="FILE", help="rank table of an Ascend cluster (JSON)"
    )


def run(args: argparse.Namespace) -> int:
    """Start the processes, or print what would be started."""
    from mindrestore.launch.job import run_with_restarts
    from mindrestore.launch.plan import Cluster, LaunchPlan, make_plan
    from mindrestore.launch.rank_table import read_rank_table

    cluster = Cluster(
        device=args.device,
        per_node=args.device_num,
        visible=args.visible_devices,
        nodes=args.node_num,
        node=args.node_rank,
        address=args.master_addr,
        port=args.master_port,
        table=read_rank_table(args.rank_table) if args.rank_table else None,
        mpi=args.mpi,
    )
    words = args.program[1:] if args.program[0] == "--" else args.program

    def plan(start: int) -> LaunchPlan:
        again = [word for word in words if word != "--no-resume"] if start else words
        logs = _next_folder(args.log_dir)
        made = make_plan(cluster, ["-m", "mindrestore", *again], logs)
        if not args.dry_run:
            _make(logs)
            print(f"logs of {len(made.logs)} processes: {logs}", flush=True)
        return made

    if args.dry_run:
        print(plan(0).shown())
    else:
        if args.device != "CPU":  # one line now, not one per process
            from mindrestore.engine.context import require_device

            require_device(args.device)
        run_with_restarts(plan, args.max_restarts, lambda line: print(line, file=sys.stderr, flush=True))
    return 0


def _next_folder(parent: Path) -> Path:
    """Name a folder for the logs of this start that there is not yet."""
    number = 1
    while (parent / f"start-{number}").exists():
        number += 1
    return (parent / f"start-{number}").absolute()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise MindRestoreError(f"{folder}: cannot be created ({error.strerror}); choose another --log-dir") from error


def _number(least: int) -> Any:
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least}")
        return int(text)

    return number


def _devices(text: str) -> tuple[int, ...]:
    words = text.split(",")
    if not all(word.strip().isdecimal() for word in words) or len({*words}) < len(words):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of different device numbers such as 0,1,2")
    return tuple(int(word) for word in words)
