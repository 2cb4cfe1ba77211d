"""What people name first: several files, official weights, a file for the results, an address."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mindrestore import api
from mindrestore.cli.main import main
from mindrestore.errors import MindRestoreError
from mindrestore.images.read import read_image
from mindrestore.images.write import write_image
from mindrestore.inference.trained import resolve
from mindrestore.weights.shipped import find_shipped

PHOTO = np.random.default_rng(0).integers(0, 256, (16, 20, 3), np.uint8)
HAZE = ["--task", "dehaze", "--device", "CPU"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png", "-c.png", "sub/d.png"):
        write_image(tmp_path / name, PHOTO)
    return tmp_path


@pytest.fixture
def negative(monkeypatch):
    monkeypatch.setattr(api, "Restorer", lambda trained, options=None: lambda photo: 255 - photo)


def test_several_files_and_folders_before_and_behind_options(here, negative, capsys):
    assert main(["restore", "a.png", *HAZE, "--no-report", "b.png", "sub"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "restored 3 of 3 images into restored"
    for name in ("a.png", "b.png", "d.png"):
        np.testing.assert_array_equal(read_image(here / "restored" / name), 255 - PHOTO)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.png", "no.png"], "error: no.png: no such file or folder; check the path\n"),
        (["--", "-c.png", "--png"], "error: --png: no such file or folder; check the path; options stand before --\n"),
        (["-c.png"], "error: unknown argument '-c.png'; the file of this name is ./-c.png\n"),
        (
            ["a.png", "--out", "clean.png"],
            "error: --out clean.png: the folder for results, which keep the names of the inputs, has the name of a "
            "file; use --out ., with --name-suffix where the names must differ\n",
        ),
        (
            ["a.png", "--out", "obs://bucket/clean"],
            "error: argument --out: 'obs://bucket/clean' is an address, not a path; download it first, or copy "
            "results there afterwards (`mindrestore copy` does for obs://)\n",
        ),
        (["https://example.org/a.jpg"], "error: argument FILE_OR_FOLDER: 'https://example.org/a.jpg' is an address"),
        (["a.png", "b.png", "--stages"], "error: --stages shows one network, without a report, of one photograph or"),
        (
            ["a.png", "--name-suffix", "/x"],
            "error: '/x' cannot be part of a file name; leave out",
        ),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_line(here, words, message, capsys):
    assert main(["restore", *HAZE, *words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert not {"clean.png", "obs:", "restored"} & {*os.listdir(here)}


@pytest.fixture
def official(tmp_path):
    """A weight file with nothing beside it, as a download is."""
    return str(shutil.copy(find_shipped("dehaze_free").path, tmp_path / "dehazeformer-t.safetensors"))


def test_weights_are_taken_for_the_network_whose_names_and_shapes_they_have(official):
    assert resolve(weights=official).model == "dehazeformer_t"
    assert resolve(task="dehaze", weights=official).model == "dehazeformer_t"
    assert resolve(task="derain", weights=official).model == "dehazeformer_t"  # weights for rain ship for it
    assert resolve(task="deblur", weights=official).model == "mprnet_deblurring"  # refused when it is loaded
    assert resolve(model="aecrnet", weights=official).model == "aecrnet"


def test_official_weights_restore_with_a_task_or_without(here, official, capsys):
    words = ["restore", "a.png", "--weights", official, "--device", "CPU", "--no-report", "--overwrite"]
    assert main([*words, "--task", "dehaze"]) == 0
    assert capsys.readouterr().out == "restored 1 of 1 images into restored\n"
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"weights: {official}, taken for dehazeformer_t (dehaze); --task where it does another",
        "restored 1 of 1 images into restored",
    ]


def test_foreign_weights_are_not_taken_for_any(tmp_path):
    save_file({"a.weight": np.zeros((3, 3), np.float32)}, tmp_path / "x.safetensors")
    with pytest.raises(MindRestoreError, match=r"x.safetensors: nothing in it or beside it says which network"):
        resolve(weights=tmp_path / "x.safetensors")
    values = load_file(find_shipped("dehaze_free").path)
    values.pop("fusion1.mlp.0.weight")
    save_file(values, tmp_path / "lacking.safetensors")
    assert resolve(task="dehaze", weights=tmp_path / "lacking.safetensors").model == "dehazeformer_t"


def test_folders_without_permissions_are_what_is_said(here, negative, monkeypatch, capsys):
    def guarded(path, *, follow_symlinks=True):  # rights do not stop the superuser, who may run the tests
        if "locked" in path.parts:
            raise PermissionError(13, "Permission denied", str(path))
        return former(path, follow_symlinks=follow_symlinks)

    former = type(here).stat
    monkeypatch.setattr(type(here), "stat", guarded)
    monkeypatch.setattr(type(here), "lstat", lambda path: guarded(path, follow_symlinks=False))
    assert main(["restore", "locked/a.png", *HAZE]) == 2
    assert capsys.readouterr().err == "error: locked/a.png: Permission denied; check the path and its permissions\n"
    assert main(["restore", "a.png", *HAZE, "--out", "locked"]) == 2
    out, err = capsys.readouterr()
    assert "report" not in out + err  # nobody asked for a page


def test_results_count_where_the_page_cannot_be_written(here, negative, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    assert main(["restore", "a.png", *HAZE]) == 0
    monkeypatch.setattr("mindrestore.pages.restored.draw_sheet", full)
    capsys.readouterr()
    assert main(["restore", "a.png", "b.png", *HAZE]) == 0
    out, err = capsys.readouterr()
    assert "restored 1 of 2 images into restored (1 was there already)\n" in out
    assert "in a browser" not in out
    assert (
        err == "note: restored/report: the page with all pictures is not written ([Errno 28] No space left on device)\n"
    )
    assert not (here / "restored" / "report" / "index.html").exists()
    assert (here / "restored" / "report" / ".mindrestore-report").is_file()  # its pictures are no photographs


def test_a_process_without_streams_restores(here):
    script = 'exec "$0" -m mindrestore restore a.png --task dehaze --device CPU <&- >&- 2>&-'
    assert subprocess.run(["bash", "-c", script, sys.executable], check=False).returncode == 0
    assert read_image(here / "restored" / "a.png").shape == PHOTO.shape


def test_an_interruption_that_a_library_turns_into_an_error_says_nothing(heard, monkeypatch, capsys):
    from mindrestore.cli import main as cli

    def loading(argv):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("not interrupted")
        except KeyboardInterrupt:
            raise ImportError("numpy._core.multiarray failed to import") from None

    monkeypatch.setattr(cli, "main", loading)
    former = signal.getsignal(signal.SIGINT), sys.excepthook
    try:
        assert cli._interruptible([]) == 130
    finally:
        signal.signal(signal.SIGINT, former[0])
        sys.excepthook = former[1]
    assert capsys.readouterr().err == ""
