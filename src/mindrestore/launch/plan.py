"""Plan which processes one node starts for a distributed job, and show them."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mindrestore.errors import MindRestoreError
from mindrestore.launch.cuda import gpu_environment
from mindrestore.launch.rank_table import RankTable

MSRUN = "msrun"
DEFAULT_CPU_PROCESSES = 2
DEFAULT_PORT = 8118  # msrun's own, where several nodes have to agree without asking each other
_LOCAL = "127.0.0.1"
_CLUSTER_SECONDS = 300  # to wait for the processes of all nodes
_NO_RANK = 1 << 20  # msrun shows the log of this rank, which there never is: the leader's is shown here
_DEVICE_FILES = {"Ascend": "davinci", "GPU": "nvidia"}
VISIBLE = {"Ascend": "ASCEND_RT_VISIBLE_DEVICES", "GPU": "CUDA_VISIBLE_DEVICES"}


class LaunchError(MindRestoreError):
    """Report a job that cannot be started as asked."""


@dataclass(frozen=True)
class Cluster:
    """Describe the devices of a job.

    Args:
        device: "Ascend", "GPU" or "CPU".
        per_node: processes on every node; None counts the visible devices, or takes 2 on CPU.
        visible: devices of this node to use; None leaves the choice to the driver.
        nodes: number of nodes.
        node: rank of this node; None: the only one.
        address: host of the scheduler, the same on every node.
        port: its port; None takes a free one on a single node, else 8118.
        table: start one process per entry of this rank table instead of a dynamic cluster.
        mpi: start by mpirun.
    """

    device: str
    per_node: int | None = None
    visible: tuple[int, ...] | None = None
    nodes: int = 1
    node: int | None = None
    address: str = _LOCAL
    port: int | None = None
    table: RankTable | None = None
    mpi: bool = False


@dataclass(frozen=True)
class Start:
    """How one process is started.

    Attributes:
        name: what messages call it.
        command: words.
        log: file for its output.
        env: what it has beside the environment of this process.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def shown(self) -> str:
        """Return the start as a line that a shell would run."""
        settings = [f"{name}={shlex.quote(value)}" for name, value in self.env.items()]
        return " ".join([*settings, *map(shlex.quote, self.command), f"> {shlex.quote(str(self.log))} 2>&1"])


@dataclass(frozen=True)
class LaunchPlan:
    """List what a node starts.

    Attributes:
        starts: processes; those of a manager (msrun, mpirun) start the workers themselves.
        logs: rank -> log of that worker on this node, the leader first.
        managed: a manager starts the workers.
    """

    starts: tuple[Start, ...]
    logs: Mapping[int, Path]
    managed: bool

    def shown(self) -> str:
        """Return every process as a line that a shell would run."""
        return "\n".join(start.shown() for start in self.starts)


def make_plan(cluster: Cluster, program: Sequence[str], logs: Path) -> LaunchPlan:
    """Plan the processes of this node.

    Args:
        cluster: devices and nodes.
        program: arguments of `python` that every worker runs.
        logs: folder for their output.

    Returns:
        The plan.

    Raises:
        LaunchError: the cluster contradicts itself, or has no devices, or a program that is needed is absent.
    """
    if cluster.table:
        return _table_plan(cluster, cluster.table, program, logs)
    if cluster.node is None:
        if cluster.nodes > 1:
            raise LaunchError(f"{cluster.nodes} nodes: say which one this is with --node-rank, from 0")
        cluster = replace(cluster, node=0)
    if not 0 <= cluster.node < cluster.nodes:
        raise LaunchError(f"node rank {cluster.node} is not one of 0 to {cluster.nodes - 1}; check --node-num")
    if cluster.nodes > 1 and cluster.address == _LOCAL:
        raise LaunchError(f"{cluster.nodes} nodes need --master-addr, the address of the first one")
    local = _local_processes(cluster)
    environment = _environment(cluster, local)
    if cluster.mpi:
        return _mpi_plan(cluster, local, environment, program, logs)
    if local * cluster.nodes == 1:
        return _single_plan(environment, program, logs)
    return _msrun_plan(cluster, local, environment, program, logs)


def free_port() -> int:
    """Find a port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((_LOCAL, 0))
        return probe.getsockname()[1]


def visible_devices(device: str) -> list[str]:
    """List the device files of this machine; none on CPU."""
    kind = _DEVICE_FILES.get(device)
    folder = Path("/dev")
    return sorted(path.name for path in folder.glob(f"{kind}*") if path.name[len(kind) :].isdecimal()) if kind else []


def _local_processes(cluster: Cluster) -> int:
    if cluster.device == "CPU":
        return cluster.per_node or DEFAULT_CPU_PROCESSES
    count = cluster.per_node or len(cluster.visible or visible_devices(cluster.device))
    if count < 1:
        raise LaunchError(
            f"no {cluster.device} devices under /dev; set their number with --device-num, or --visible-devices"
        )
    if cluster.visible and count > len(cluster.visible):
        raise LaunchError(f"{count} processes for {len(cluster.visible)} visible devices; lower --device-num")
    return count


def _environment(cluster: Cluster, local: int) -> dict[str, str]:
    """Return which devices there are, which Python runs, and how many threads processes of one CPU leave each other."""
    environment = {"PATH": f"{_python().parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    if cluster.nodes > 1:
        environment["NODE_NUM"] = str(cluster.nodes)
    if cluster.device == "GPU":
        environment.update(gpu_environment())
    if cluster.visible and cluster.device in VISIBLE:
        environment[VISIBLE[cluster.device]] = ",".join(map(str, cluster.visible))
    if cluster.device == "CPU" and "OMP_NUM_THREADS" not in os.environ:
        environment["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // local))
    return environment


def _python() -> Path:
    """Return this interpreter, under a name that msrun takes."""
    folder = Path(sys.executable).parent
    for name in ("python", "python3"):
        if (folder / name).exists():
            return folder / name
    raise LaunchError(f"{folder} has neither python nor python3, which msrun needs; run this in a virtual environment")


def _single_plan(environment: Mapping[str, str], program: Sequence[str], logs: Path) -> LaunchPlan:
    """Start one process by itself: the scheduler of msrun runs the program, too, and would train beside it."""
    log = logs / "worker_0.log"
    return LaunchPlan((Start("worker 0", (str(_python()), *program), log, environment),), {0: log}, managed=False)


def _msrun_plan(
    cluster: Cluster, local: int, environment: Mapping[str, str], program: Sequence[str], logs: Path
) -> LaunchPlan:
    port = cluster.port or (free_port() if cluster.nodes == 1 else DEFAULT_PORT)
    flags = {
        "worker_num": local * cluster.nodes,
        "local_worker_num": local,
        "master_addr": cluster.address,
        "master_port": port,
        "node_rank": cluster.node,
        "log_dir": logs,
        "join": True,
        "cluster_time_out": _CLUSTER_SECONDS,
        "tail_worker_log": _NO_RANK,
    }
    python = _python()
    msrun = python.with_name(MSRUN)
    command = [str(msrun)] if msrun.exists() else [str(python), "-m", "mindspore.parallel.cluster.run"]
    command += [f"--{name}={value}" for name, value in flags.items()]
    start = Start(MSRUN, (*command, python.name, *program), logs / "msrun.log", environment)
    first = cluster.node * local
    return LaunchPlan(
        (start,), {rank: logs / f"worker_{rank}.log" for rank in range(first, first + local)}, managed=True
    )


def _mpi_plan(
    cluster: Cluster, local: int, environment: Mapping[str, str], program: Sequence[str], logs: Path
) -> LaunchPlan:
    if cluster.device == "CPU":
        raise LaunchError("--mpi is for GPU and Ascend: MindSpore joins the processes of a CPU by msrun alone")
    mpirun = shutil.which("mpirun")
    if mpirun is None:
        raise LaunchError("mpirun is not on the PATH; install Open MPI, or leave --mpi out")
    if cluster.nodes > 1:
        raise LaunchError("--mpi starts one node; for several leave it out")
    root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    passed = [word for name in environment for word in ("-x", name)]
    command = [mpirun, *root, "-n", str(local), "--tag-output", *passed, str(_python()), *program]
    log = logs / "mpirun.log"
    return LaunchPlan((Start("mpirun", tuple(command), log, environment),), {0: log}, managed=True)


def _table_plan(cluster: Cluster, table: RankTable, program: Sequence[str], logs: Path) -> LaunchPlan:
    if cluster.device != "Ascend":
        raise LaunchError(f"{table.path}: a rank table starts Ascend devices, not {cluster.device}; leave it out")
    if cluster.visible or cluster.mpi:
        raise LaunchError(f"{table.path}: the table chooses the devices; leave --visible-devices and --mpi out")
    contradiction = f"{table.path}: lists {len(table.servers)} servers; --node-num or --node-rank says otherwise"
    if cluster.nodes not in (1, len(table.servers)):
        raise LaunchError(contradiction)
    if cluster.node is None and len(table.servers) > 1:
        listed = ", ".join(f"{rank} is {server.name}" for rank, server in enumerate(table.servers))
        raise LaunchError(f"{table.path}: say which server this is with --node-rank (or NODE_RANK): {listed}")
    cluster = replace(cluster, node=cluster.node or 0)
    if cluster.node >= len(table.servers):
        raise LaunchError(contradiction)
    devices = table.servers[cluster.node].devices
    if cluster.per_node not in (None, len(devices)):
        here = f"{len(devices)} devices for node {cluster.node}"
        raise LaunchError(f"{table.path}: lists {here}, but --device-num is {cluster.per_node}; leave it out")
    shared = {"RANK_TABLE_FILE": str(table.path), "RANK_SIZE": str(table.size)}
    starts = [
        Start(
            f"worker {device.rank}",
            (str(_python()), *program),
            logs / f"worker_{device.rank}.log",
            {
                **shared,
                "RANK_ID": str(device.rank),
                "DEVICE_ID": str(device.device),
                "NODE_NUM": str(len(table.servers)),
            },
        )
        for device in devices
    ]
    return LaunchPlan(tuple(starts), {device.rank: start.log for device, start in zip(devices, starts)}, managed=False)
