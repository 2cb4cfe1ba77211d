"""From image pairs to a restored photograph through the command line, and what it says when something is wrong."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mindrestore import Restorer, api
from mindrestore.cli.main import main
from mindrestore.images.read import read_image
from mindrestore.images.write import write_image

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def finished(quickstart_run, tmp_path_factory) -> Path:
    """Return a run folder of three steps of `quickstart`."""
    return Path(shutil.copytree(quickstart_run, tmp_path_factory.mktemp("runs") / "tiny"))


def trained_arguments(run: Path) -> list[str]:
    return ["--model", "aecrnet", "--weights", str(run / "best.ckpt")]


def test_training_leaves_a_complete_run_folder(finished):
    files = {path.name for path in finished.iterdir()}
    assert {"recipe.yaml", "metrics.jsonl", "log.txt", "env.json", "last.ckpt", "best.ckpt"} <= files
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    losses = [line["terms"]["l1"] for line in lines if line["kind"] == "train"]
    assert len(losses) == 3
    assert all(0 < loss < 2 for loss in losses)


def test_evaluation_measures_input_and_output(finished, capsys):
    assert main(["eval", str(finished)]) == 0
    assert "protocol aecr" in capsys.readouterr().out
    report = json.loads((finished / "report" / "scores.json").read_text())
    means = report["means"]
    assert 5 < means["input"]["psnr"] < 40
    assert 0 < means["restored"]["psnr"] < 40
    with (finished / "report" / "scores.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert math.isclose(sum(float(row["psnr"]) for row in rows) / len(rows), means["restored"]["psnr"], abs_tol=1e-4)
    pictures = list((finished / "report" / "pictures").glob("*.png"))
    assert len(pictures) == 2
    assert read_image(pictures[0]).shape[1] > 3 * 48


def test_weights_alone_give_the_same_scores_as_the_run_folder(finished, tiny_data, tmp_path):
    by_run, by_file = tmp_path / "by_run", tmp_path / "by_file"
    assert main(["eval", str(finished), "--out", str(by_run), "--max-images", "1"]) == 0
    words = [
        "--data",
        str(tiny_data),
        "--dataset",
        "auto",
        "--split",
        "test",
        "--protocol",
        "aecr",
        "--max-images",
        "1",
    ]
    assert main(["eval", *trained_arguments(finished), *words, "--out", str(by_file)]) == 0
    scores = [json.loads((folder / "scores.json").read_text())["means"] for folder in (by_run, by_file)]
    assert scores[0] == scores[1]


def test_the_published_evaluation_command(finished, tiny_data, tmp_path, capsys):
    words = ["--dir_data", str(tiny_data), "--ckpt_path", str(finished / "best.ckpt"), "--train_url", str(tmp_path)]
    assert main(["eval", *words]) == 0
    assert "protocol aecr-zoo:" in capsys.readouterr().out
    assert (tmp_path / "scores.csv").is_file()


def test_export_compares_the_reloaded_file(finished, capsys):
    assert main(["export", str(finished)]) == 0
    assert (finished / "model.mindir").stat().st_size > 509_080  # the float32 parameters that are used
    assert "model.mindir" in capsys.readouterr().out


def test_export_of_an_impossible_size(finished, capsys):
    assert main(["export", *trained_arguments(finished), "--size", "huge"]) == 2
    assert "HEIGHTxWIDTH" in capsys.readouterr().err


def test_onnx_restores_what_the_weights_do(finished, uncompiled, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    assert main(["export", str(finished), "--format", "onnx"]) == 0
    assert "model.onnx: " in capsys.readouterr().out
    write_image(tmp_path / "a.png", np.random.default_rng(0).random((37, 43, 3), np.float32))
    results = {}
    for weights, engine in (("model.onnx", "onnx"), ("best.ckpt", "mindspore")):
        words = [str(tmp_path / "a.png"), "--model", "aecrnet", "--weights", str(finished / weights)]
        assert main(["restore", *words, "--engine", engine, "--out", str(tmp_path / engine)]) == 0
        results[engine] = read_image(tmp_path / engine / "a.png").astype(int)
    assert np.abs(results["onnx"] - results["mindspore"]).max() <= 1
    words[3:] = ["--weights", str(finished / "model.onnx"), "--engine", "mindir", "--out", str(tmp_path / "no")]
    assert main(["restore", *words, "--model", "aecrnet"]) == 2
    assert "engine mindir takes a file .mindir" in capsys.readouterr().err


def test_an_encrypted_export_opens_with_its_key_only(finished, tmp_path, capfd, monkeypatch):
    right, wrong, secret = (tmp_path / name for name in ("right.key", "wrong.key", "secret.mindir"))
    right.write_text("0123456789abcdef" * 2)
    wrong.write_text("fedcba9876543210" * 2)
    words = ["--out", str(secret), "--key-file", str(right), "--size", "40x48"]
    assert main(["export", *trained_arguments(finished), *words]) == 0
    said = capfd.readouterr().out
    assert "encrypted" in said
    assert "40x48" in said
    write_image(tmp_path / "a.png", np.zeros((40, 48, 3), np.float32))
    words = ["restore", str(tmp_path / "a.png"), "--model", "aecrnet", "--weights", str(secret), "--out"]
    assert main([*words, str(tmp_path / "out"), "--key-file", str(wrong)]) == 2
    said = capfd.readouterr()
    assert said.err.splitlines() == [
        f"error: {secret}: cannot be loaded: it was encrypted with another key, or is damaged"
    ]
    monkeypatch.setenv("MINDRESTORE_KEY", right.read_text())
    assert main([*words, str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "a.png").is_file()
    assert right.read_text() not in "".join(capfd.readouterr())
    monkeypatch.delenv("MINDRESTORE_KEY")
    assert main(["export", str(finished), "--encrypt"]) == 2
    assert "no key; set MINDRESTORE_KEY" in capfd.readouterr().err


def test_air_away_from_ascend_has_one_line(finished, capsys):
    assert main(["export", str(finished), "--format", "air", "--size", "40x48", "--device", "CPU"]) == 2
    said = capsys.readouterr().err
    assert said.splitlines() == [
        "error: AIR can be written on Ascend only; export MINDIR here, which Ascend's converter reads, too"
    ]
    assert not (finished / "model.air").exists()


def test_restoring_a_folder_keeps_names_sizes_and_earlier_results(finished, tmp_path, capsys):
    photos, clean = tmp_path / "photos", tmp_path / "clean"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for name, size in {"a.png": (17, 23), "b.jpg": (48, 32), "dot.png": (1, 1)}.items():
        write_image(photos / name, rng.random((*size, 3), np.float32))
    (photos / "text.png").write_text("no image")
    words = ["restore", str(photos), *trained_arguments(finished), "--out", str(clean)]
    assert main(words) == 1  # the text file
    done = capsys.readouterr()
    assert "text.png" in done.err
    assert "restored 3 of 4 images" in done.out
    assert (clean / "report" / "index.html").is_file()
    sizes = {path.name: read_image(path).shape for path in clean.iterdir() if path.is_file()}
    assert sizes == {"a.png": (17, 23, 3), "b.jpg": (48, 32, 3), "dot.png": (1, 1, 3)}
    stamp = (clean / "a.png").stat().st_mtime_ns
    main(words)
    assert "--overwrite replaces it" in capsys.readouterr().out
    assert (clean / "a.png").stat().st_mtime_ns == stamp
    main([*words, "--overwrite"])
    assert (clean / "a.png").stat().st_mtime_ns > stamp


def test_a_single_file_in_tiles(finished, tmp_path):
    write_image(tmp_path / "a.png", np.random.default_rng(0).random((70, 80, 3), np.float32))
    trained = api.Trained.of_file("aecrnet", finished / "best.ckpt")
    whole, tiled = (Restorer(trained, tile=tile, device="CPU")(read_image(tmp_path / "a.png")) for tile in (None, 64))
    words = [str(tmp_path / "a.png"), *trained_arguments(finished), "--out", str(tmp_path / "out"), "--tile", "64"]
    assert main(["restore", *words, "--device", "CPU"]) == 0
    restored = read_image(tmp_path / "out" / "a.png")
    np.testing.assert_array_equal(restored, tiled)
    assert not np.array_equal(restored, whole)


def test_models_prints_the_specs(capsys):
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert "aecrnet" in out
    assert "2,614,229" in out


@pytest.fixture
def broken_data(tiny_data, tmp_path) -> Path:
    """Return a copy of the tiny data set to damage."""
    return Path(shutil.copytree(tiny_data, tmp_path / "copy"))


def assert_refused(words, message, capsys):
    """Expect exit code 2 and one clear line."""
    assert main([str(word) for word in words]) == 2
    err = capsys.readouterr().err
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: shutil.rmtree(root), "no such folder"),
        (lambda root: [shutil.rmtree(root), root.mkdir()], "folder is empty"),
        (lambda root: (root / "train" / "clear" / "3.png").unlink(), "3.png"),
        (lambda root: (root / "train" / "hazy" / "2.png").write_text("no image"), "2.png"),
        (lambda root: (root / "train" / "hazy" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n"), "2.png"),
        (lambda root: shutil.rmtree(root / "test"), "test"),
    ],
    ids=["missing", "empty", "partner", "text", "truncated", "no-test-split"],
)
def test_training_names_what_is_wrong_with_the_data(damage, message, broken_data, tiny_overrides, capsys):
    damage(broken_data)
    words = ["--recipe", "quickstart", f"data.root={broken_data}", *tiny_overrides, "train.mode=pynative"]
    run = broken_data.parent / "run"
    assert_refused(["train", *words, "--run-dir", run], message, capsys)
    assert not list(run.glob("*.ckpt"))


def test_evaluation_and_restoring_name_what_is_wrong(finished, tiny_data, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    weights = trained_arguments(finished)
    assert_refused(["eval", tmp_path / "nowhere"], "no such folder", capsys)
    assert_refused(["eval", tmp_path / "empty"], "no recipe.yaml", capsys)
    assert_refused(["eval", *weights, "--data", tmp_path / "empty"], "empty", capsys)
    assert_refused(["eval", *weights], "--data", capsys)
    assert_refused(["eval", *weights, "--data", tiny_data, "--protocol", "aecrr"], "'aecr'", capsys)
    assert_refused(["eval", finished, "--model", "aecrnet"], "not both", capsys)
    assert_refused(["restore", tmp_path / "empty", *weights, "--out", tmp_path / "out"], "no image", capsys)
    assert_refused(["restore", tmp_path / "none.png", *weights, "--out", tmp_path / "out"], "no such file", capsys)
    photos = tiny_data / "test" / "hazy"
    assert_refused(["restore", photos, *weights, "--out", photos], "would replace", capsys)


def test_weights_that_do_not_fit_are_refused(finished, tmp_path, capsys):
    np.savez(tmp_path / "other.npz", **{"conv.weight": np.zeros((3, 3), np.float32)})
    (tmp_path / "zero.ckpt").touch()
    damaged = (finished / "best.ckpt").read_bytes()
    (tmp_path / "half.ckpt").write_bytes(damaged[: len(damaged) // 2])
    photo, out = tmp_path / "a.png", tmp_path / "out"
    write_image(photo, np.zeros((8, 8, 3), np.float32))
    for name in ("other.npz", "zero.ckpt", "half.ckpt", "absent.ckpt"):
        weights = ["--model", "aecrnet", "--weights", tmp_path / name]
        assert_refused(["restore", photo, *weights, "--out", out], name, capsys)
    assert_refused(["restore", photo, "--model", "aecrnt", "--weights", "x", "--out", out], "aecrnet", capsys)
    assert not out.exists()


def test_output_folders_that_cannot_be_written_are_named(finished, tiny_data, tiny_overrides, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    blocked = tmp_path / "file" / "out"
    assert_refused(["eval", finished, "--out", blocked], str(tmp_path / "file"), capsys)
    photos = tiny_data / "test" / "hazy"
    assert_refused(["restore", photos, *trained_arguments(finished), "--out", blocked], str(blocked), capsys)
    words = ["--recipe", "quickstart", f"data.root={tiny_data}", *tiny_overrides]
    assert_refused(["train", *words, "--run-dir", blocked], str(tmp_path / "file"), capsys)


@pytest.mark.parametrize(
    ("sent", "workers"), [(signal.SIGINT, 2), pytest.param(signal.SIGTERM, 1, marks=pytest.mark.slow)]
)
def test_ctrl_c_saves_and_says_how_to_go_on(sent, workers, tiny_data, tiny_overrides, tmp_path):
    run = tmp_path / "run"
    words = ["--recipe", "quickstart", f"data.root={tiny_data}", *tiny_overrides, "train.max_steps=100000"]
    words += ["train.val_every=0", "train.mode=pynative", f"data.workers={workers}", "data.repeat=1000"]
    command = [sys.executable, str(ROOT / "train.py"), *words, "--run-dir", str(run)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as training:
        wait_for_steps(run / "metrics.jsonl", training)
        training.send_signal(sent)
        err = training.communicate(timeout=120)[1]
    assert training.returncode == 130
    assert "Traceback" not in err
    assert err.splitlines()[-1].endswith(f"everything is saved; continue with: mindrestore train --run-dir {run}")
    assert (run / "last.ckpt").is_file()
    stopped = len((run / "metrics.jsonl").read_text().splitlines())
    assert main(["train", "--run-dir", str(run), f"train.max_steps={stopped + 2}"]) == 0
    assert len((run / "metrics.jsonl").read_text().splitlines()) >= stopped + 2


def wait_for_steps(metrics: Path, process: subprocess.Popen, count: int = 2, seconds: float = 120) -> None:
    """Wait until a training process has logged some steps."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if metrics.is_file() and len(metrics.read_text().splitlines()) >= count:
            return
        time.sleep(0.1)
    process.kill()
    pytest.fail(f"no {count} steps within {seconds} s: {process.communicate()[1]}")
