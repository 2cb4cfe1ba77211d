"""`mindrestore restore`: several tasks in a row, tiles, memory, batches, and what ends with exit code 1."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mindrestore.cli.main import main
from mindrestore.images.read import read_image
from mindrestore.images.write import write_image


class Step:
    """Stand in for a restorer: note what it is made of; each does something that tells it from the others."""

    made: list

    def __init__(self, trained, options):
        Step.made.append((trained.model, str(trained.weights), vars(options)))
        self.model = trained.model

    def __call__(self, photo):
        return photo // 2

    def restore_float(self, image):
        return image / 3 if "derain" in self.model else image + 0.25


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in a folder with two photographs, and note the restorers that are made."""
    Step.made = []
    monkeypatch.setattr("mindrestore.api.Restorer", Step)
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "sub/b.png"):
        write_image(Path("in") / name, np.full((6, 7, 3), 200, np.uint8))
    return tmp_path


def run(words):
    return main(["restore", *words.split()])


def test_several_tasks_in_a_row(here):
    assert run("in --task derain,Denoising --weights rain.npz,noise.npz --out o") == 0
    assert [entry[:2] for entry in Step.made] == [("mprnet_deraining", "rain.npz"), ("mprnet_denoising", "noise.npz")]
    expected = round(255 * (200 / 255 / 3 + 0.25))  # in this order, and rounded once
    assert np.unique(read_image("o/sub/b.png")) == [expected]


def test_weights_of_several_tasks_are_found(here):
    for task in ("Deraining", "Denoising"):
        path = Path(task, "pretrained_models", f"model_{task.lower()}.npz")
        path.parent.mkdir(parents=True)
        path.touch()
    assert run("in --task Deraining,Denoising --out o") == 0
    assert [Path(entry[1]).name for entry in Step.made] == ["model_deraining.npz", "model_denoising.npz"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("in --task derain,denoise --weights a.npz --out o", "2 tasks (derain,denoise) need a weight file each"),
        (
            "in --task derain,,denoise --weights a,b,c --out o",
            "--task derain,,denoise: a task is missing beside a comma; use tasks such as derain,denoise",
        ),
        ("in --task derain,blur --weights a,b --out o", "unknown task 'blur'; known: deblur"),
        ("in --task derain,denoise --weights a,b --model aecrnet --out o", "--model and --hyper hold for one network"),
        ("in --task derain,denoise --weights a,b --out o --stages", "--stages shows one network"),
        (
            "in --task dehaze --out o",
            "for dehaze: none come with MindRestore; use a weight file, or train aecrnet; see `mindre",
        ),
        ("in --task derain --out o", "none come with MindRestore; use a weight file; --task Deraining takes"),
    ],
)
def test_what_is_wrong_is_one_line(here, weights_folder, words, message, capsys):
    assert run(words) == 2
    (line,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("error: ")]
    assert message in line
    assert not Path("o").exists()


def test_how_images_go_through_the_network(here, capsys):
    assert run("in --task dehaze --weights w --out o") == 0
    plain = {"tile": "auto", "memory": None, "batch": 1, "ensemble": False, "full_size": False}
    assert {key: Step.made[0][2][key] for key in plain} == plain
    words = "in --task dehaze --weights w --out p --tile 512 --memory 1.5 --batch 4 --ensemble --full-size"
    assert run(words) == 0
    given = {"tile": 512, "memory": 1.5, "batch": 4, "ensemble": True, "full_size": True}
    assert {key: Step.made[1][2][key] for key in given} == given
    assert run("in --task dehaze --weights w --out q --tile none") == 0
    assert Step.made[2][2]["tile"] is None
    assert run("in --task dehaze --weights w --out q --tile big") == 2
    assert "'big' is not a side of a tile; use pixels such as 512, auto or none" in capsys.readouterr().err


def test_bad_files_end_the_batch_with_exit_code_1(here, capsys):
    Path("in/bad.jpg").write_bytes(b"")
    cv2.imwrite("in/sky.tif", np.ones((4, 4, 3), np.float32))
    assert run("in --task dehaze --weights w --out o") == 1
    out, err = capsys.readouterr()
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "in/bad.jpg: the file is empty (0 bytes)" in errors[0]
    assert "in/sky.tif: pixels of type float32 (HDR)" in errors[1]
    assert "restored 2 of 4 images into o\n" in out
    assert run("in --task dehaze --weights w --out o") == 1
    assert "restored 0 of 4 images into o (2 were there already)\n" in capsys.readouterr().out
    assert np.unique(read_image("o/sub/b.png")) == [100]
