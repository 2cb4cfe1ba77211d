"""The dispatcher: strict flags, one line per error, exit codes."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
import yaml

from mindrestore import __version__
from mindrestore.cli import main as cli
from mindrestore.cli.main import build_parser, main, parse
from mindrestore.errors import MindRestoreError


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mindrestore {__version__}\n"


@pytest.mark.parametrize("command", ["train", "eval", "restore", "export", "data", "recipes", "models", "doctor"])
def test_every_command_explains_itself(command, capsys):
    assert main([command, "--help"]) == 0
    assert f"usage: mindrestore {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["train", "--recipe", "quickstart", "--patchsize", "64"],
            "unknown argument '--patchsize'; did you mean '--patch_size'?",
        ),
        (["train", "--rec", "quickstart"], "unknown argument '--rec'"),
        (["train", "--recipe", "quickstart", "train.lr"], None),
        (["eval", "runs/x", "a=b"], "unknown argument 'a=b'"),
        (["dehaze"], "invalid choice: 'dehaze'"),
        (["restroe", "a.png"], "did you mean 'restore'?"),
        (["restore", "a.png", "--engine", "onxx"], "did you mean 'onnx'?"),
        (["eval"], "error: no network given; name a run folder"),
        (["export"], "error: no network given; name a run folder"),
    ],
)
def test_what_is_not_understood_is_an_error(words, message, capsys):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert "Traceback" not in err
    assert message is None or message in err


def test_no_word_at_all_shows_the_commands(capsys):
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: mindrestore")
    assert "    restore   restore photographs" in err


@pytest.mark.parametrize(
    "words",
    [
        ["restore", "", "--task", "denoise"],
        ["restore", "a.png", "--task", "denoise", "--out", ""],
        ["eval", "", "--data", "x"],
        ["eval", "runs/x", "--data", ""],
        ["data", "check", ""],
        ["compare", "runs/x", ""],
        ["convert", ""],
    ],
)
def test_an_empty_path_is_not_the_working_directory(words, capsys):
    assert main(words) == 2
    assert ": '' is not a path; is a variable of the shell unset?\n" in capsys.readouterr().err


def test_a_terminal_obeys_no_name_that_is_printed(tmp_path, capsys):
    folder = tmp_path / "red\x1b[31m"
    assert main(["data", "scenes", str(folder), "--count", "1", "--size", "16x16"]) == 0
    out = capsys.readouterr().out
    assert "red\\x1b[31m" in out
    assert "\x1b" not in out


def test_overrides_may_stand_anywhere():
    args = parse(build_parser(), ["train", "a=1", "--recipe", "quickstart", "b=2", "--run-dir", "out", "c=3"])
    assert args.overrides == ["a=1", "b=2", "c=3"]


def test_nothing_to_train_says_what_to_give(capsys):
    assert main(["train"]) == 2
    assert "use --recipe NAME" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["recipes", "aecrnet/itz"], "did you mean 'aecrnet/its'?"),
        (["train", "--recipe", "quickstrat"], "did you mean 'quickstart'?"),
        (["train", "--recipe", "quickstart", "optim.lrr=1"], "did you mean 'optim.lr'?"),
    ],
)
def test_unknown_names_come_with_the_closest(words, message, capsys):
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_recipes_lists_and_prints(capsys):
    assert main(["recipes"]) == 0
    assert "aecrnet/zoo_its" in capsys.readouterr().out
    assert main(["recipes", "quickstart", "optim.lr=5e-4"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["optim"]["lr"] == 5e-4


class Stopped(MindRestoreError):
    exit_code = 130


@pytest.mark.parametrize(
    ("raised", "code", "err"),
    [
        (MindRestoreError("x.png: broken"), 2, "error: x.png: broken\n"),
        (Stopped("stopped"), 130, "stopped\n"),
        (KeyboardInterrupt(), 130, ""),
        (PermissionError(13, "Permission denied", "runs"), 2, "error: runs: Permission denied\n"),
    ],
)
def test_exit_codes(raised, code, err, monkeypatch, capsys):
    def fail(args):
        raise raised

    monkeypatch.setattr(cli.models, "run", fail)
    assert main(["models"]) == code
    assert capsys.readouterr().err == err


def test_ctrl_c_while_modules_are_loaded_says_nothing():
    """The first quarter of a second belongs to imports; only the system's own way to end a process is silent there."""
    code = (
        "import os, signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'mindrestore.cli.main':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from mindrestore.__main__ import command\n"
        "command()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
