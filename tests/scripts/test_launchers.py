"""The shell launchers: argument order, help, early failure, and a real run with the device overridden to the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
    """Give a stand-in for Python that answers the checks with yes and prints the command line of the program."""
    script = tmp_path / "echo-python"
    script.write_text('#!/bin/sh\ncase "$1" in\n-c) ;;\n-) cat >/dev/null ;;\n*) shift; printf "%s\\n" "$@" ;;\nesac\n')
    script.chmod(0o755)
    return str(script)


def test_every_launcher_is_there():
    expected = {f"run_{kind}_{device}.sh" for kind in ("standalone_train", "eval") for device in DEVICES}
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
def test_evaluation_arguments_keep_the_published_order(device, tmp_path, echo_python):
    (tmp_path / "data").mkdir()
    (tmp_path / "x.ckpt").touch()
    done = launch(f"run_eval_{device}.sh", "data", "x.ckpt", "--", "--split", "val", cwd=tmp_path, PYTHON=echo_python)
    words = ["--model", "aecrnet", "--weights", "x.ckpt", "--data", "data", "--device", DEVICES[device]]
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
    assert evaluated[:4] == ["--model", "aecrnet", "--weights", "runs/aecrnet_its/best.ckpt"]
    exported = launch("run_export.sh", cwd=tmp_path, **settings).stdout.split()
    assert exported[4:6] == ["--out", "runs/aecrnet_its/best.mindir"]


@pytest.mark.parametrize("device", ["ascend", "gpu"])
def test_an_absent_device_ends_with_one_line(device, tmp_path):
    from mindrestore.engine.context import available_devices

    if DEVICES[device] in available_devices():
        pytest.skip(f"{DEVICES[device]} is here")
    (tmp_path / "data").mkdir()
    done = launch(f"run_standalone_train_{device}.sh", "data", cwd=tmp_path)
    assert done.returncode != 0
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
    assert (tmp_path / "first.mindir").stat().st_size > 719_108  # the float32 parameters of the quickstart network


@pytest.mark.parametrize("version", ["latest", ""])
def test_the_version_script_wants_a_version(version, tmp_path):
    done = launch("test_version.sh", *([version] if version else []), cwd=tmp_path)
    assert (done.returncode, "2.8.0" in done.stdout + done.stderr) == ((2, True) if version else (0, True))
