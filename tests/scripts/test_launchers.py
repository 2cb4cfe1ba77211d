"""The shell launchers: argument order, help, early failure, and a real run with the device overridden to the CPU."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import mindspore as ms
import psutil
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
DEVICES = {"ascend": "Ascend", "gpu": "GPU", "cpu": "CPU"}
LAUNCHERS = sorted(path.name for path in SCRIPTS.glob("run_*.sh"))


def launch(name, *arguments, cwd, **settings):
    """Run a script of scripts/ from a folder that is not the project's, with this interpreter."""
    environment = {**os.environ, "PYTHON": sys.executable, "VIRTUAL_ENV": sys.prefix, **settings}
    command = ["bash", str(SCRIPTS / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


@pytest.fixture
def echo_python(tmp_path):
    """Return a stand-in for Python that answers the checks with yes and prints the command line of the program."""
    script = tmp_path / "echo-python"
    script.write_text(
        '#!/bin/sh\ncase "$*" in\n-c*) ;;\n"- "*) cat >/dev/null ;;\n"-m mindrestore.launch.cuda") ;;\n'
        '*) shift; printf "%s\\n" "$@" ;;\nesac\n'
    )
    script.chmod(0o755)
    return str(script)


def test_every_launcher_is_there():
    kinds = ("standalone_train", "distribute_train", "eval")
    expected = {f"run_{kind}_{device}.sh" for kind in kinds for device in DEVICES}
    assert expected | {"run_export.sh"} <= set(LAUNCHERS)


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.glob("*.sh")))
def test_scripts_parse(script):
    assert subprocess.run(["bash", "-n", str(SCRIPTS / script)], check=False).returncode == 0


@pytest.mark.parametrize("script", LAUNCHERS)
def test_help(script, tmp_path):
    done = launch(script, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert f"Usage: {script} [" in done.stdout


@pytest.mark.parametrize("script", LAUNCHERS)
def test_a_missing_path_ends_with_one_line(script, tmp_path):
    done = launch(script, "nowhere", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: nowhere: no such")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("script", LAUNCHERS)
def test_flags_belong_after_the_dashes(script, tmp_path):
    done = launch(script, "--batch_size", "4", cwd=tmp_path)
    assert done.returncode == 2
    assert "flags of the program go after --" in done.stderr


@pytest.mark.parametrize("device", DEVICES)
def test_training_arguments_keep_the_published_order(device, tmp_path, echo_python):
    (tmp_path / "my data").mkdir()
    script = f"run_standalone_train_{device}.sh"
    done = launch(script, "my data", "first", "--", "train.batch_size=8", cwd=tmp_path, PYTHON=echo_python)
    words = ["--recipe", "aecrnet/zoo_its", "--device", DEVICES[device], "--dir_data", "my data", "--filename", "first"]
    assert (done.returncode, done.stdout.splitlines()) == (0, [*words, "train.batch_size=8"])


@pytest.mark.parametrize("device", DEVICES)
def test_distributed_training_takes_published_arguments_and_flags(device, tmp_path, echo_python):
    (tmp_path / "my data").mkdir()
    script, flags = f"run_distribute_train_{device}.sh", ["--device-num", "2", "--dry-run", "--master-port", "9001"]
    words = ["my data", *flags, "first", "table.json", "--", "train.batch_size=8"]
    done = launch(script, *words, cwd=tmp_path, PYTHON=echo_python)
    launcher = ["mindrestore", "launch", "--device", DEVICES[device], "--log-dir", "runs/first/launch", *flags]
    trained = [
        "--recipe",
        "aecrnet/zoo_its",
        "--device",
        DEVICES[device],
        "--dir_data",
        "my data",
        "--filename",
        "first",
    ]
    expected = [*launcher, "--rank-table", "table.json", "--", "train", *trained, "train.batch_size=8"]
    assert (done.returncode, done.stdout.splitlines()) == (0, expected)


def test_distributed_training_has_defaults_for_everything(tmp_path, echo_python):
    (tmp_path / "data").mkdir()
    settings = {"PYTHON": echo_python, "RECIPE": "aecrnet/its", "RANK_TABLE_FILE": "all.json"}
    words = launch("run_distribute_train_ascend.sh", cwd=tmp_path, **settings).stdout.split()
    assert words[2:8] == ["--device", "Ascend", "--log-dir", "runs/aecrnet_its/launch", "--rank-table", "all.json"]
    assert words[-4:] == ["--dir_data", "data", "--filename", "aecrnet_its"]
    elsewhere = launch("run_distribute_train_ascend.sh", "data", "/scratch/run", cwd=tmp_path, PYTHON=echo_python)
    assert elsewhere.stdout.split()[4:6] == ["--log-dir", "/scratch/run/launch"]  # logs lie in the run folder
    lacking = launch("run_distribute_train_cpu.sh", "--device-num", cwd=tmp_path, PYTHON=echo_python)
    assert (lacking.returncode, "flag --device-num needs a value" in lacking.stderr) == (2, True)


def test_a_dry_run_shows_what_would_start(tmp_path):
    (tmp_path / "data").mkdir()
    settings = {"DEVICE_NUM": "3", "MASTER_PORT": "9001"}
    done = launch("run_distribute_train_cpu.sh", "data", "first", "--dry-run", cwd=tmp_path, **settings)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    logs = tmp_path / "runs" / "first" / "launch" / "start-1"
    for part in ("msrun --worker_num=3 --local_worker_num=3", "--master_port=9001", f"--log_dir={logs}", "--join=True"):
        assert part in line
    assert line.endswith(
        f"python -m mindrestore train --recipe aecrnet/zoo_its --device CPU --dir_data data --filename first "
        f"> {logs}/msrun.log 2>&1"
    )
    assert list(tmp_path.iterdir()) == [tmp_path / "data"]


def test_the_number_of_processes_may_stand_in_front(tmp_path):
    (tmp_path / "data").mkdir()
    done = launch("run_distribute_train_cpu.sh", "2", "./data", "first", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0
    assert "--worker_num=2" in done.stdout
    assert "--dir_data ./data --filename first" in done.stdout


def test_a_rank_table_is_checked_before_anything_starts(tmp_path):
    (tmp_path / "data").mkdir()
    table = tmp_path / "table.json"
    device = {"device_id": "0", "device_ip": "192.168.0.1", "rank_id": "0"}
    content = {"version": "1.0", "status": "completed", "server_list": [{"server_id": "a", "device": [device]}]}
    table.write_text(json.dumps(content))
    words = ["run_distribute_train_ascend.sh", "data", "first", "table.json", "--dry-run"]
    done = launch(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"RANK_TABLE_FILE={table} RANK_SIZE=1 RANK_ID=0 DEVICE_ID=0 ")
    device["rank_id"] = "7"
    table.write_text(json.dumps(content))
    done = launch(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "table.json: its rank_id are 7, not 0 to 0 once each" in done.stderr


@pytest.mark.parametrize("device", DEVICES)
def test_evaluation_arguments_keep_the_published_order(device, tmp_path, echo_python):
    (tmp_path / "data").mkdir()
    (tmp_path / "x.ckpt").touch()
    done = launch(f"run_eval_{device}.sh", "data", "x.ckpt", "--", "--split", "val", cwd=tmp_path, PYTHON=echo_python)
    words = ["--recipe", "aecrnet/zoo_its", "--weights", "x.ckpt", "--data", "data", "--device", DEVICES[device]]
    assert (done.returncode, done.stdout.splitlines()) == (0, [*words, "--split", "val"])


def test_defaults(tmp_path, echo_python):
    (tmp_path / "data").mkdir()
    run = tmp_path / "runs" / "aecrnet_its"
    run.mkdir(parents=True)
    (run / "best.ckpt").touch()
    settings = {"PYTHON": echo_python, "RECIPE": "aecrnet/its", "MINDRESTORE_DEVICE": "CPU"}
    trained = launch("run_standalone_train_ascend.sh", cwd=tmp_path, **settings).stdout.split()
    assert trained == ["--recipe", "aecrnet/its", "--device", "CPU", "--dir_data", "data", "--filename", "aecrnet_its"]
    evaluated = launch("run_eval_gpu.sh", cwd=tmp_path, **settings).stdout.split()
    assert evaluated[:4] == ["--recipe", "aecrnet/its", "--weights", "runs/aecrnet_its/best.ckpt"]
    exported = launch("run_export.sh", cwd=tmp_path, **settings).stdout.split()
    assert exported[4:6] == ["--out", "runs/aecrnet_its/best.mindir"]


@pytest.mark.parametrize(  # one script and one card of each kind; the other is the same line with another word
    ("kind", "device"),
    [("standalone", "ascend"), ("distribute", "gpu"), pytest.param("standalone", "gpu", marks=pytest.mark.slow)],
)
def test_an_absent_device_ends_with_one_line(kind, device, tmp_path):
    from mindrestore.engine.context import available_devices

    if DEVICES[device] in available_devices():
        pytest.skip(f"{DEVICES[device]} is here")
    (tmp_path / "data").mkdir()
    flags = ["--device-num", "8"] if kind == "distribute" else []
    done = launch(f"run_{kind}_train_{device}.sh", "data", *flags, cwd=tmp_path)
    assert done.returncode != 0
    assert not (tmp_path / "runs").exists()  # no logs of eight processes
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert f"device {DEVICES[device]} is not available here" in errors[0]
    assert "Traceback" not in done.stderr


def test_without_mindspore_the_fix_is_named(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    done = launch("run_standalone_train_cpu.sh", "data", cwd=tmp_path, PYTHON=str(tmp_path / "python"))
    assert done.returncode == 2
    assert "pip install -r" in done.stderr


@pytest.mark.slow
def test_a_real_run_with_the_device_overridden(tiny_data, tiny_overrides, tmp_path):
    def succeed(name, *arguments):
        done = launch(name, *arguments, cwd=tmp_path, MINDRESTORE_DEVICE="CPU", RECIPE="quickstart")
        assert done.returncode == 0, done.stderr
        return done.stdout

    settings = ["--", *tiny_overrides, "train.mode=pynative"]
    succeed("run_standalone_train_ascend.sh", tiny_data, "first", *settings)
    assert "resuming after step 3" in succeed("run_standalone_train_gpu.sh", tiny_data, "first", *settings)
    weights = "runs/first/best.ckpt"
    assert "protocol rgb" in succeed("run_eval_ascend.sh", tiny_data, weights, "--", "--protocol", "rgb")
    assert (tmp_path / "report" / "scores.json").is_file()
    assert "protocol aecr" in succeed("run_eval_gpu.sh", tiny_data, "runs/first")
    succeed("run_export.sh", weights, "first.mindir")
    values = ms.load_checkpoint(str(tmp_path / weights))
    used = sum(value.asnumpy().nbytes for name, value in values.items() if "dcn_block" not in name)  # never called
    assert used < (tmp_path / "first.mindir").stat().st_size < 1.2 * used


@pytest.mark.slow
def test_a_real_run_on_two_processes_survives_a_kill(tiny_data, tiny_overrides, tmp_path):
    words = [*tiny_overrides, "train.mode=pynative", "train.batch_size=1", "train.max_steps=12", "train.val_every=0"]
    words += ["train.checkpoint_every=2", "train.checkpoint_unit=step"]
    script = str(SCRIPTS / "run_distribute_train_ascend.sh")
    settings = {
        "PYTHON": sys.executable,
        "VIRTUAL_ENV": sys.prefix,
        "MINDRESTORE_DEVICE": "CPU",
        "RECIPE": "quickstart",
    }

    def start(*flags):
        command = ["bash", script, str(tiny_data), "first", "--device-num", "2", *flags, "--", *words]
        environment = {**os.environ, "GLOG_v": "3", **settings}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes)

    first = start()
    killed = kill_second_worker(first, tmp_path / "runs" / "first" / "last.ckpt")
    _, errors = first.communicate(timeout=60)
    assert time.monotonic() - killed < 15
    assert (first.returncode, errors.startswith("error: worker 1 was ended by SIGKILL")) == (128 + signal.SIGKILL, True)

    state = (tmp_path / "runs" / "first" / "last.ckpt").stat().st_mtime
    second = start("--max-restarts", "1")
    kill_second_worker(second, tmp_path / "runs" / "first" / "last.ckpt", newer_than=state)
    output, errors = second.communicate(timeout=600)
    assert second.returncode == 0, errors
    assert errors.rstrip().endswith("starting again (1 of 1)")
    assert output.count("resuming after step") == 2
    assert "trained 12 steps" in output
    assert len(list((tmp_path / "runs" / "first" / "launch").iterdir())) == 3


def kill_second_worker(launcher, checkpoint, newer_than=0.0):
    """Wait for a checkpoint, kill the worker of rank 1, and tell when."""
    while not (checkpoint.exists() and checkpoint.stat().st_mtime > newer_than):
        assert launcher.poll() is None, launcher.communicate()[1]
        time.sleep(0.1)
    for process in psutil.Process(launcher.pid).children(recursive=True):
        environment = process.environ()
        if (environment.get("MS_ROLE"), environment.get("RANK_ID")) == ("MS_WORKER", "1"):
            process.kill()
            return time.monotonic()
    raise AssertionError("there is no worker of rank 1")


@pytest.mark.parametrize("version", ["latest", ""])
def test_the_version_script_wants_a_version(version, tmp_path):
    done = launch("test_version.sh", *([version] if version else []), cwd=tmp_path)
    assert (done.returncode, "2.8.0" in done.stdout + done.stderr) == ((2, True) if version else (0, True))
