"""What a node would start: msrun by default, one process per entry of a rank table, or mpirun."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

import pytest
from test_rank_table import table

from mindrestore.launch import plan as planning
from mindrestore.launch.plan import Cluster, LaunchError, free_port, make_plan
from mindrestore.launch.rank_table import read_rank_table

PROGRAM = ["-m", "mindrestore", "train", "data.root=my data"]


@pytest.fixture(autouse=True)
def no_device_files(monkeypatch):
    monkeypatch.setattr(planning, "visible_devices", lambda device: [])
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.fixture
def two_servers(tmp_path):
    (tmp_path / "table.json").write_text(json.dumps(table(servers=2, devices=2, first=4)))
    return read_rank_table(tmp_path / "table.json")


def flags_of(start):
    return dict(word[2:].split("=", 1) for word in start.command if word.startswith("--"))


def test_msrun_is_the_default(tmp_path):
    plan = make_plan(Cluster("Ascend", per_node=8, port=9001), PROGRAM, tmp_path)
    (start,) = plan.starts
    assert Path(start.command[0]).name == "msrun" or start.command[1:3] == ("-m", "mindspore.parallel.cluster.run")
    flags = flags_of(start)
    numbers = {
        name: flags[name] for name in ("worker_num", "local_worker_num", "master_addr", "master_port", "node_rank")
    }
    assert list(numbers.values()) == ["8", "8", "127.0.0.1", "9001", "0"]
    assert (flags["join"], flags["log_dir"]) == ("True", str(tmp_path))
    assert start.command[-5:] == ("python", *PROGRAM)
    assert start.env["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert plan.managed
    assert list(plan.logs) == [*range(8)]
    assert plan.logs[3] == tmp_path / "worker_3.log"


def test_a_second_node_counts_on(tmp_path):
    cluster = Cluster("Ascend", per_node=4, nodes=2, node=1, address="10.0.0.1")
    (start,), logs, _ = vars(make_plan(cluster, PROGRAM, tmp_path)).values()
    flags = flags_of(start)
    assert (flags["worker_num"], flags["local_worker_num"], flags["node_rank"]) == ("8", "4", "1")
    assert (flags["master_addr"], flags["master_port"]) == ("10.0.0.1", "8118")
    assert start.env["NODE_NUM"] == "2"
    assert list(logs) == [4, 5, 6, 7]


def test_a_free_port_is_chosen(tmp_path):
    ports = {flags_of(make_plan(Cluster("CPU"), PROGRAM, tmp_path).starts[0])["master_port"] for _ in range(5)}
    assert all(1024 <= int(port) < 65536 for port in ports)
    assert 1024 <= free_port() < 65536


def test_two_processes_share_a_cpu(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 9)
    (start,) = make_plan(Cluster("CPU"), PROGRAM, tmp_path).starts
    assert (flags_of(start)["worker_num"], start.env["OMP_NUM_THREADS"]) == ("2", "4")
    (start,) = make_plan(Cluster("CPU", per_node=3, visible=(0,)), PROGRAM, tmp_path).starts  # cards mean nothing here
    assert (flags_of(start)["worker_num"], start.env["OMP_NUM_THREADS"]) == ("3", "3")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert "OMP_NUM_THREADS" not in make_plan(Cluster("CPU"), PROGRAM, tmp_path).starts[0].env


@pytest.mark.parametrize(
    ("device", "variable"), [("Ascend", "ASCEND_RT_VISIBLE_DEVICES"), ("GPU", "CUDA_VISIBLE_DEVICES")]
)
def test_devices_are_counted_or_chosen(device, variable, tmp_path, monkeypatch):
    (start,) = make_plan(Cluster(device, visible=(2, 5, 7)), PROGRAM, tmp_path).starts
    assert (flags_of(start)["worker_num"], start.env[variable]) == ("3", "2,5,7")
    (start,) = make_plan(Cluster(device, per_node=2, visible=(2, 5, 7)), PROGRAM, tmp_path).starts
    assert flags_of(start)["worker_num"] == "2"
    monkeypatch.setattr(planning, "visible_devices", lambda device: ["a", "b"])
    (start,) = make_plan(Cluster(device), PROGRAM, tmp_path).starts
    assert flags_of(start)["worker_num"] == "2"
    assert variable not in start.env


def test_device_files_are_counted(monkeypatch):
    monkeypatch.undo()
    names = ["davinci0", "davinci1", "davinci_manager", "nvidia0", "nvidiactl", "nvidia-uvm"]
    monkeypatch.setattr(Path, "glob", lambda self, pattern: [self / n for n in names if n.startswith(pattern[:-1])])
    assert planning.visible_devices("Ascend") == ["davinci0", "davinci1"]
    assert planning.visible_devices("GPU") == ["nvidia0"]
    assert planning.visible_devices("CPU") == []


def test_a_rank_table_starts_one_process_per_entry(tmp_path, two_servers):
    plan = make_plan(Cluster("Ascend", node=1, nodes=2, table=two_servers), PROGRAM, tmp_path)
    assert not plan.managed
    assert [start.env["RANK_ID"] for start in plan.starts] == ["2", "3"]
    assert [start.env["DEVICE_ID"] for start in plan.starts] == ["4", "5"]
    for start in plan.starts:
        assert (start.env["RANK_SIZE"], start.env["NODE_NUM"]) == ("4", "2")
        assert start.env["RANK_TABLE_FILE"] == str(two_servers.path)
        assert start.command[1:] == tuple(PROGRAM)
    assert plan.logs == {2: tmp_path / "worker_2.log", 3: tmp_path / "worker_3.log"}


def test_mpirun_is_an_option(tmp_path, monkeypatch):
    mpirun = tmp_path / "mpirun"
    mpirun.write_text("#!/bin/sh\n")
    mpirun.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    plan = make_plan(Cluster("GPU", visible=(0, 1), mpi=True), PROGRAM, tmp_path)
    (start,) = plan.starts
    assert start.command[0] == str(mpirun)
    assert start.command[start.command.index("-n") + 1] == "2"
    assert start.command[-4:] == tuple(PROGRAM)
    assert start.env["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert "CUDA_VISIBLE_DEVICES" in start.command  # handed on


def test_what_is_shown_is_what_a_shell_would_start(tmp_path, two_servers):
    lines = make_plan(Cluster("Ascend", node=0, table=two_servers), PROGRAM, tmp_path).shown().splitlines()
    assert len(lines) == 2
    words = shlex.split(lines[1])
    assert words[:4] == [f"RANK_TABLE_FILE={two_servers.path}", "RANK_SIZE=4", "RANK_ID=1", "DEVICE_ID=5"]
    assert words[-6:] == ["mindrestore", "train", "data.root=my data", ">", str(tmp_path / "worker_1.log"), "2>&1"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "Ascend"}, "no Ascend devices under /dev; set their number with --device-num"),
        ({"device": "GPU"}, "no GPU devices under /dev"),
        ({"device": "GPU", "per_node": 3, "visible": (0, 1)}, "3 processes for 2 visible devices"),
        ({"device": "CPU", "mpi": True}, "--mpi is for GPU and Ascend"),
        ({"device": "CPU", "nodes": 2}, "2 nodes: say which one this is with --node-rank"),
        ({"device": "CPU", "nodes": 2, "node": 0}, "2 nodes need --master-addr"),
        ({"device": "CPU", "nodes": 2, "node": 2}, "node rank 2 is not one of 0 to 1"),
        (
            {"device": "GPU", "per_node": 2, "nodes": 2, "node": 0, "address": "10.0.0.1", "mpi": True},
            "--mpi starts one node",
        ),
    ],
)
def test_contradictions_are_named(settings, message, tmp_path, monkeypatch):
    monkeypatch.setattr(planning.shutil, "which", lambda name: "/usr/bin/mpirun")
    with pytest.raises(LaunchError, match=message):
        make_plan(Cluster(**settings), PROGRAM, tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "GPU"}, "a rank table starts Ascend devices, not GPU"),
        ({"device": "Ascend", "visible": (0, 1)}, "the table chooses the devices"),
        ({"device": "Ascend", "mpi": True}, "the table chooses the devices"),
        ({"device": "Ascend", "node": 2}, "lists 2 servers"),
        ({"device": "Ascend", "nodes": 3}, "lists 2 servers"),
        (
            {"device": "Ascend"},
            r"say which server this is with --node-rank \(or NODE_RANK\): 0 is 10.0.0.1, 1 is 10.0.0.2",
        ),
        ({"device": "Ascend", "per_node": 8, "node": 0}, "lists 2 devices for node 0, but --device-num is 8"),
    ],
)
def test_a_rank_table_has_the_last_word(settings, message, tmp_path, two_servers):
    with pytest.raises(LaunchError, match=rf"table\.json: {message}"):
        make_plan(Cluster(**settings, table=two_servers), PROGRAM, tmp_path)


def test_without_mpirun_the_fix_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(planning.shutil, "which", lambda name: None)
    with pytest.raises(LaunchError, match="mpirun is not on the PATH; install Open MPI"):
        make_plan(Cluster("GPU", per_node=2, mpi=True), PROGRAM, tmp_path)


def test_one_process_is_started_without_a_scheduler(tmp_path):
    plan = make_plan(Cluster("CPU", per_node=1), PROGRAM, tmp_path)
    (start,) = plan.starts
    assert start.command[1:] == tuple(PROGRAM)
    assert Path(start.command[0]).parent == Path(sys.executable).parent
    assert (plan.managed, plan.logs) == (False, {0: tmp_path / "worker_0.log"})
    assert start.log == tmp_path / "worker_0.log"
