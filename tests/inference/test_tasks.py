"""Tasks: both spellings, the network of each, and where published weights are looked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mindrestore.errors import MindRestoreError
from mindrestore.inference import tasks
from mindrestore.inference.tasks import (
    TaskError,
    network_for,
    published_weights,
    published_word,
    require_task,
    source_for,
    split_tasks,
    task_of,
)
from mindrestore.models.registry import list_models, model_spec


@pytest.mark.parametrize(
    ("word", "task", "network"),
    [
        ("derain", "derain", "mprnet_deraining"),
        ("Deraining", "derain", "mprnet_deraining"),
        ("DEBLUR", "deblur", "mprnet_deblurring"),
        ("deblurring", "deblur", "mprnet_deblurring"),
        ("Denoise", "denoise", "mprnet_denoising"),
        ("Denoising", "denoise", "mprnet_denoising"),
        ("dehaze", "dehaze", "aecrnet"),
        ("Dehazing", "dehaze", "aecrnet"),
    ],
)
def test_both_spellings_in_any_case(word, task, network):
    assert (task_of(word), network_for(word)) == (task, network)


def test_every_task_of_a_registered_network_has_a_published_word():
    assert {task for name in list_models() for task in model_spec(name).tasks} == set(tasks.PUBLISHED_WORDS)


def test_the_specialist_is_preferred(monkeypatch):
    specs = {"all": ("derain", "dehaze"), "rain": ("derain",), "two": ("denoise", "derain")}
    monkeypatch.setattr(tasks, "list_models", lambda: sorted(specs))
    monkeypatch.setattr(tasks, "model_spec", lambda name: type("Spec", (), {"tasks": specs[name]}))
    assert (network_for("derain"), network_for("dehaze"), network_for("denoise")) == ("rain", "all", "two")


@pytest.mark.parametrize("word", ["deringing", "", "derainn"])
def test_unknown_tasks_come_with_the_known_ones(word):
    message = r"unknown task .*; known: deblur \(Deblurring\), dehaze \(Dehazing\), denoise \(Denoising\), derain"
    with pytest.raises(TaskError, match=message) as caught:
        network_for(word)
    assert isinstance(caught.value, MindRestoreError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("word", ["Dehazing", "dehaze", "rain", None])
def test_only_three_tasks_are_those_of_the_published_programs(word):
    with pytest.raises(ValueError, match="is not one of Deblurring, Denoising, Deraining"):
        published_word(word)


def test_published_words():
    assert [published_word(word) for word in ("derain", "deraining", "Deblurring")] == [
        "Deraining",
        "Deraining",
        "Deblurring",
    ]


def test_a_network_for_another_task_is_refused():
    require_task("aecrnet", "Dehazing")
    with pytest.raises(TaskError, match="model aecrnet does dehaze, not derain"):
        require_task("aecrnet", "Deraining")


def test_weights_that_ship_give_their_network_another_task(ship):
    ship("noise", "dehazeformer_t", tasks=("denoise",))
    require_task("dehazeformer_t", "Denoising")
    with pytest.raises(TaskError, match="model dehazeformer_t does dehaze, denoise, not derain"):
        require_task("dehazeformer_t", "derain")
    assert source_for("denoise", None, "dehazeformer_t")[:2] == ("dehazeformer_t", "noise")


def test_published_words_look_below_the_working_directory_and_others_do_not(ship, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "Denoising" / "pretrained_models"
    assert published_weights("denoise") is None
    with pytest.raises(TaskError, match=r"no weights for denoise: .*; --task Denoising takes Denoising/pretrained_mod"):
        source_for("denoise")
    with pytest.raises(TaskError, match=r"no weights for Denoising: .*; put one at Denoising/pretrained_models/model_"):
        source_for("Denoising")
    folder.mkdir(parents=True)
    (folder / "model_denoising.pth").touch()
    assert source_for("Denoising")[:2] == ("mprnet_denoising", Path("Denoising/pretrained_models/model_denoising.pth"))
    np.savez(folder / "model_denoising.npz", a=np.zeros(1))
    assert published_weights("denoise").suffix == ".npz"  # what was converted comes first
    with pytest.raises(TaskError, match="no weights for denoise: none come with MindRestore"):
        source_for("denoise")
    with pytest.raises(
        TaskError, match="no weights for dehaze: none come with MindRestore; use a weight file, or train"
    ):
        source_for("dehaze")
    ship("noise", "dehazeformer_t", tasks=("denoise",))
    assert source_for("denoise")[:2] == ("dehazeformer_t", "noise")
    assert source_for("Denoising")[0] == "mprnet_denoising"
    (folder / "model_denoising.npz").unlink()
    (folder / "model_denoising.pth").unlink()
    assert source_for("Denoising")[:2] == ("dehazeformer_t", "noise")


@pytest.mark.parametrize("words", [",", "derain,", ",derain", "derain,,denoise", " , "])
def test_a_task_beside_a_comma_is_asked_for(words):
    with pytest.raises(TaskError) as caught:
        split_tasks(words, None)
    assert str(caught.value) == f"--task {words}: a task is missing beside a comma; use tasks such as derain,denoise"
