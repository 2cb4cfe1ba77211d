"""The loop: what a run folder holds, when things happen, how a run stops, and what resuming says."""

from __future__ import annotations

import json
import os
import re
import signal

import numpy as np
import pytest
from tiny import TinyLoader, TinyNet, TinyStages, l1_objective, overflowing_scale, staged_objective, tiny_recipe

from mindrestore.engine.log import RunLog
from mindrestore.engine.memory import OutOfMemoryError, ran_out
from mindrestore.engine.progress import changed_keys, is_better
from mindrestore.engine.signals import break_off
from mindrestore.engine.state import CheckpointError, read_state
from mindrestore.engine.stopwatch import describe_times
from mindrestore.engine.trainer import DivergenceError, Interrupted, Trainer
from mindrestore.errors import MindRestoreError
from mindrestore.losses.objective import build_objective
from mindrestore.recipes.load import load_recipe, to_dict
from mindrestore.weights.convert import load_weights


def trainer(folder, recipe=None, *, net=None, loader=None, validate=None, objective=None):
    recipe = recipe or tiny_recipe()
    return Trainer(
        recipe,
        net=net or TinyNet(),
        objective=objective or l1_objective(),
        loader=loader or TinyLoader(),
        run_dir=folder,
        validate=validate,
    )


def records(folder, kind=None):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if kind in (None, line["kind"])]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One whole run in graph mode, with validation and averaged weights."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    scores = iter([20.0, 22.0, 21.0])
    modes = []

    def validate(net):
        modes.append(net.training)
        return {"psnr": next(scores), "ssim": 0.5}

    recipe = tiny_recipe(
        train={"mode": "graph", "val_every": 1, "checkpoint_every": 4, "checkpoint_unit": "step"}, ema={"decay": 0.5}
    )
    loader = TinyLoader()
    run = trainer(folder, recipe, validate=validate, loader=loader)
    result = run.fit()
    return folder, run, result, modes


def test_run_folder_is_complete(finished):
    folder, run, result, modes = finished
    names = {"recipe.yaml", "env.json", "metrics.jsonl", "log.txt", "last.ckpt", "best.ckpt", "ema.ckpt"}
    assert names <= set(os.listdir(folder))
    assert load_recipe(folder) == run.recipe
    assert json.loads((folder / "env.json").read_text())["device"] == "CPU"
    assert modes == [False, False, False]
    assert run.net.training
    assert (result.step, result.best, result.best_step) == (12, 22.0, 10)


def test_metrics_hold_each_interval_and_validation(finished):
    folder, run, _, _ = finished
    train = records(folder, "train")
    assert [line["step"] for line in train] == [2, 4, 6, 8, 10, 12]
    assert [line["epoch"] for line in train] == [1, 1, 2, 2, 2, 3]
    assert train[0]["lr"] == run.schedule.lr_at(2)
    assert all(line["terms"]["l1"] == line["loss"] for line in train)
    assert train[-1]["loss"] < train[0]["loss"]
    assert {"scale", "grad_norm", "skipped", "images_per_second", "data_share", "seconds"} <= set(train[0])
    validation = records(folder, "validation")
    assert [(line["step"], line["scores"]["psnr"], line["best"]) for line in validation] == [
        (5, 20.0, True),
        (10, 22.0, True),
        (12, 21.0, False),
    ]


def test_every_epoch_says_what_it_waited_for(finished):
    folder, run, _, _ = finished
    train, epochs = records(folder, "train"), records(folder, "epoch")
    assert [(line["epoch"], line["step"]) for line in epochs] == [(1, 5), (2, 10)]
    for line in epochs:
        assert line["lr"] == run.schedule.lr_at(line["step"])
        assert 0 <= line["data_share"] <= 1
        assert "communication_share" not in line  # one process has nobody to wait for
        assert line["images_per_second"] == pytest.approx(
            5 * 2 / line["seconds"],
            rel=max(0.01, 0.001 / line["seconds"]),  # seconds are rounded to milliseconds
        )
    assert epochs[1]["loss"] == pytest.approx(np.mean([line["loss"] for line in train[2:5]]), rel=0.2)
    text = (folder / "log.txt").read_text()
    for n, line in enumerate(epochs, 1):
        assert re.search(rf"epoch {n}/3  loss .* {re.escape(describe_times(line))}$", text, re.MULTILINE)


def test_last_weights_and_averages_are_plain_files(finished):
    folder, run, _, _ = finished
    fresh = TinyNet(seed=9)
    load_weights(fresh, folder / "ema.ckpt")
    for ours, average in zip(fresh.trainable_params(), run.train_step.ema.average):
        assert np.array_equal(ours.asnumpy(), average.asnumpy())
    load_weights(fresh, folder / "best.ckpt")
    state = read_state(folder / "last.ckpt")
    assert state.facts["step"] == 12
    for param in run.net.get_parameters():
        assert np.array_equal(state.arrays[f"net.{param.name}"], param.asnumpy())


def test_a_finished_run_has_nothing_left_to_do(finished):
    folder, run, _, _ = finished
    before = (folder / "metrics.jsonl").read_text()
    result = trainer(folder, run.recipe).fit()
    assert result.step == 12
    assert (folder / "metrics.jsonl").read_text() == before


def test_longer_training_goes_on_and_other_changes_are_named(tmp_path):
    trainer(tmp_path, tiny_recipe(train={"max_steps": 3})).fit()
    longer = tiny_recipe(train={"max_steps": 6, "batch_size": 3}, optim={"lr": 2e-2})
    assert trainer(tmp_path, longer).fit().step == 6
    text = (tmp_path / "log.txt").read_text()
    assert "train.batch_size was 2, is now 3" in text
    assert "optim.lr was 0.01, is now 0.02" in text
    assert "max_steps was" not in text


def test_keys_that_are_newer_than_a_state_count_as_their_defaults():
    recipe = tiny_recipe()
    before = to_dict(recipe)
    del before["optim"]["lr_factors"], before["data"]["paste"], before["schedule"]["milestone_shares"]
    assert changed_keys(before, recipe) == []
    slow = tiny_recipe(optim={"lr_factors": {"first": 0.1}})
    assert changed_keys(before, slow) == ["optim.lr_factors.first was None, is now 0.1"]


def test_averaging_can_be_switched_on_and_off_between_starts(tmp_path):
    constant = {"schedule": {"name": "constant"}}
    trainer(tmp_path, tiny_recipe(train={"max_steps": 2}, **constant)).fit()
    run = trainer(tmp_path, tiny_recipe(train={"max_steps": 3}, ema={"decay": 0.5}, **constant))
    run.fit()
    moved = [
        np.abs(a.asnumpy() - p.asnumpy()).max() for a, p in zip(run.train_step.ema.average, run.train_step.ema.params)
    ]
    assert 0 < max(moved) < 0.01  # half an update away: the average began at the restored weights
    assert trainer(tmp_path, tiny_recipe(train={"max_steps": 4})).fit().step == 4


def test_resume_true_needs_a_state_and_false_sets_it_aside(tmp_path):
    with pytest.raises(CheckpointError, match="holds no training state"):
        trainer(tmp_path).fit(resume=True)
    trainer(tmp_path, tiny_recipe(train={"max_steps": 2})).fit()
    trainer(tmp_path, tiny_recipe(train={"max_steps": 2})).fit(resume=False)
    assert [line["step"] for line in records(tmp_path)] == [2]
    assert read_state(tmp_path / "former-1" / "last.ckpt").facts["step"] == 2


def test_another_network_is_refused_by_name(tmp_path):
    trainer(tmp_path, tiny_recipe(train={"max_steps": 1}, model={"name": "aecrnet"})).fit()
    with pytest.raises(CheckpointError, match="network 'aecrnet', but the recipe trains 'dsrir'"):
        trainer(tmp_path, tiny_recipe(model={"name": "dsrir"})).fit()
    with pytest.raises(CheckpointError, match=r"net\.first\.weight has shape \(4, 3, 3, 3\) in the file, \(5, 3"):
        trainer(tmp_path, tiny_recipe(model={"name": "aecrnet"}), net=TinyNet(width=5)).fit()


def test_repeated_bad_losses_stop_with_the_names_of_the_files(tmp_path):
    loader = TinyLoader(poison={2: np.nan, 4: np.nan, 5: np.inf, 6: np.nan})
    run = trainer(tmp_path, tiny_recipe(train={"checkpoint_every": 1, "checkpoint_unit": "step"}), loader=loader)
    with pytest.raises(DivergenceError) as caught:
        run.fit()
    message = str(caught.value)
    assert "3 times in a row, last at step 7" in message
    assert "image_12.png, image_13.png" in message
    assert "optim.lr" in message
    assert run.progress.step == 7
    assert all(np.isfinite(param.asnumpy()).all() for param in run.net.get_parameters())
    assert [line["skipped"] for line in records(tmp_path, "train")] == [0, 1, 2]


def test_ctrl_c_finishes_the_step_saves_and_says_how_to_resume(tmp_path):
    class Interrupting(TinyLoader):
        def epoch(self, epoch, start_step=0):
            for step, batch in enumerate(super().epoch(epoch, start_step), start=start_step):
                if (epoch, step) == (1, 1):
                    os.kill(os.getpid(), signal.SIGINT)
                yield batch

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match=f"step 7 of 12.*--run-dir {tmp_path}") as caught:
        trainer(tmp_path, loader=Interrupting()).fit()
    assert caught.value.exit_code == 130
    assert signal.getsignal(signal.SIGINT) is handler
    assert read_state(tmp_path / "last.ckpt").facts["step"] == 7
    assert trainer(tmp_path).fit().step == 12


@pytest.mark.parametrize(("number", "step"), [(1, 5), (3, 12)])  # the last one, too
def test_ctrl_c_breaks_off_a_validation_which_the_resumed_run_repeats(tmp_path, number, step):
    def interrupted(net):
        seen.append(net)
        if len(seen) == number:
            os.kill(os.getpid(), signal.SIGTERM)
        break_off()  # as before every image
        return {"psnr": 1.0}

    recipe, seen = tiny_recipe(train={"val_every": 1}), []
    with pytest.raises(Interrupted, match=f"stopped at step {step} of 12, everything is saved"):
        trainer(tmp_path, recipe, validate=interrupted).fit()
    assert [line["step"] for line in records(tmp_path, "validation")] == [5, 10][: number - 1]
    for _ in range(2):  # the validation that was made up for is saved, too
        trainer(tmp_path, recipe, validate=lambda net: {"psnr": 1.0}).fit()
        assert [line["step"] for line in records(tmp_path, "validation")] == [5, 10, 12]


class Exhausted(TinyLoader):
    """Memory runs out at the third batch."""

    def epoch(self, epoch, start_step=0):
        for step, batch in enumerate(super().epoch(epoch, start_step)):
            if step == 2:
                raise MemoryError
            yield batch


def test_out_of_memory_names_batch_and_patch_and_what_to_lower(tmp_path):
    with pytest.raises(OutOfMemoryError) as caught:
        trainer(tmp_path, loader=Exhausted()).fit()
    assert str(caught.value) == (
        "out of memory on CPU at step 3, training on batches of 2 patches of 8x8 pixels with aecrnet; lower "
        "train.batch_size (now 2; optim.accumulate=2 with half of it learns the same) or data.patch_size (now 240)"
    )
    assert caught.value.__cause__ is None
    assert trainer(tmp_path).fit().step == 12


def test_out_of_memory_in_validation_names_the_crop(tmp_path):
    def validate(net):
        raise RuntimeError("Allocate device memory failed!\n\n- C++ Call Stack: (For framework developers)")

    with pytest.raises(OutOfMemoryError) as caught:
        trainer(tmp_path, tiny_recipe(train={"val_every": 1}), validate=validate).fit()
    assert str(caught.value) == (
        "out of memory on CPU at step 6, validation with aecrnet; lower data.val_crop (now whole images)"
    )


@pytest.mark.parametrize(
    "text",
    [
        "std::bad_alloc",
        "Device(id:0) memory isn't enough and alloc failed, kernel name: Default/Conv2D-op1, alloc size: 1073741824B.",
        "Memory not enough: current free memory size[102400] is smaller than required size[4096000].",
        "Malloc device memory failed! size[8589934592], ret[207001]",
        "CUDA out of memory",
        "cudaMalloc failed: cudaErrorMemoryAllocation",
        "Call rt api rtMalloc failed, ret: 207001",
        "EL0004: Failed to allocate memory. Possible Cause: Available memory is insufficient.",
    ],
)
def test_every_wording_of_running_out_of_memory_is_known(text):
    assert ran_out(RuntimeError(text))
    assert not ran_out(ValueError(text))
    assert not ran_out(RuntimeError("For 'Split', the number of outputs cannot be greater than 1, but got 2"))


def test_validation_does_not_touch_training(tmp_path):
    def nosy(net):
        net(ms_tensor())
        return {"mae": 1.0}

    recipe = {"train": {"max_steps": 8, "val_every": 2, "val_unit": "step"}, "ema": {"decay": 0.9}}
    runs = []
    for name, validate in (("with", nosy), ("without", None)):
        settings = {key: dict(value) for key, value in recipe.items()}
        run = trainer(tmp_path / name, tiny_recipe(**settings, validation={"best_metric": "mae"}), validate=validate)
        run.fit()
        runs.append(run)
    for a, b in zip(runs[0].net.get_parameters(), runs[1].net.get_parameters()):
        assert np.array_equal(a.asnumpy(), b.asnumpy())


def ms_tensor():
    from mindspore import Tensor

    return Tensor(np.random.default_rng(0).random((1, 3, 12, 16)).astype(np.float32))


def test_best_metric_knows_its_direction():
    assert is_better("psnr", 2.0, 1.0)
    assert not is_better("mae", 2.0, 1.0)
    assert is_better("ciede2000", 1.0, 2.0)
    assert is_better("psnr", -5.0, None)
    assert not is_better("psnr", float("nan"), None)


def test_unknown_best_metric_names_the_known(tmp_path):
    recipe = tiny_recipe(train={"val_every": 1, "val_unit": "step"}, validation={"best_metric": "lpips"})
    with pytest.raises(MindRestoreError, match="best_metric=lpips is not among the scores of protocol aecr: psnr"):
        trainer(tmp_path, recipe, validate=lambda net: {"psnr": 1.0}).fit()


def test_switched_off_terms_are_said_once(tmp_path):
    objective = build_objective(load_recipe("quickstart").loss)
    trainer(tmp_path, tiny_recipe(train={"max_steps": 1}), objective=objective).fit()
    assert (tmp_path / "log.txt").read_text().count("contrastive term is off") == 1


def test_dynamic_scale_survives_a_restart(tmp_path):
    scale = overflowing_scale(window=2)
    trainer(tmp_path / "a", tiny_recipe(scale=scale)).fit()
    trainer(tmp_path / "b", tiny_recipe(scale=scale, train={"max_steps": 5})).fit()
    trainer(tmp_path / "b", tiny_recipe(scale=scale)).fit()
    scales = [[line["scale"] for line in records(tmp_path / name, "train") if line["step"] > 5] for name in "ab"]
    assert scales[0] == scales[1]
    assert records(tmp_path / "a", "train")[0]["skipped"] > 0


def test_unwritable_folder_is_reported(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match=r"cannot be written.*output\.root"):
        trainer(tmp_path / "file" / "run").fit()


def test_records_after_the_state_and_torn_lines_are_dropped(tmp_path):
    lines = [
        '{"kind": "train", "step": 2}',
        '{"kind": "validation", "step": 1}',
        '{"kind": "validation", "step": 2}',
        '{"kind": "train", "step": 4}',
        '{"kind": "tr',
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    with RunLog(tmp_path) as log:
        log.forget_after(2, validated=1)
        log.record({"kind": "train", "step": 3, "loss": float("nan")})
    assert records(tmp_path) == [
        {"kind": "train", "step": 2},
        {"kind": "validation", "step": 1},
        {"kind": "train", "step": 3, "loss": None},
    ]


def test_tensorboard_without_its_package_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(MindRestoreError, match=r"pip install mindrestore\[tensorboard\]"):
        trainer(tmp_path, tiny_recipe(train={"tensorboard": True})).fit()


@pytest.mark.parametrize("amp", ["O0", "float16"])
def test_every_stage_is_logged_by_term_and_in_sum(tmp_path, amp):
    recipe = tiny_recipe(train={"max_steps": 4, "amp": amp}, ema={"decay": 0.5}, model={"name": "mprnet_deraining"})
    run = trainer(tmp_path, recipe, net=TinyStages(), objective=staged_objective())
    run.fit()
    line = records(tmp_path, "train")[-1]
    terms = line["terms"]
    assert list(terms) == [f"{part}_{stage}" for stage in (3, 2, 1) for part in ("charbonnier", "edge", "total")]
    for stage in (3, 2, 1):
        parts = terms[f"charbonnier_{stage}"] + 0.05 * terms[f"edge_{stage}"]
        assert terms[f"total_{stage}"] == pytest.approx(parts, rel=1e-6)
    assert line["loss"] == pytest.approx(sum(terms[f"total_{stage}"] for stage in (3, 2, 1)), rel=1e-6)
    text = (tmp_path / "log.txt").read_text()
    stages = "/".join(f"{terms[f'edge_{stage}']:.5f}" for stage in (3, 2, 1))
    assert f"  edge {stages}  total " in text
    assert "for stages 3/2/1" in text
    assert any(
        np.abs(p.asnumpy() - a.asnumpy()).max() > 0
        for p, a in zip(run.train_step.ema.params, run.train_step.ema.average)
    )


@pytest.fixture
def board(monkeypatch):
    """Stand in for tensorboardX and note what it is told."""
    calls = []

    class Writer:
        def __init__(self, folder):
            calls.append(("open", folder))

        def add_scalar(self, name, value, step):
            calls.append((name, step))

        def add_images(self, name, rows, step):
            calls.append((name, rows.shape))

        def close(self):
            calls.append(("close",))

    module = type("tensorboardX", (), {"SummaryWriter": Writer})
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", module)
    return calls


def test_tensorboard_gets_scalars_and_images(tmp_path, board):
    recipe = tiny_recipe(train={"max_steps": 2, "tensorboard": True, "val_every": 1})
    trainer(tmp_path, recipe, validate=lambda net: {"psnr": 1.0}).fit()
    assert ("train/terms/l1", 2) in board
    assert ("validation/scores/psnr", 2) in board
    assert ("input, output, target", (2, 3, 8, 24)) in board
    assert board[-1] == ("close",)


def test_tensorboard_shows_the_final_stage(tmp_path, board):
    recipe = tiny_recipe(
        train={"max_steps": 1, "tensorboard": True, "val_every": 1}, model={"name": "mprnet_deraining"}
    )
    run = trainer(tmp_path, recipe, net=TinyStages(), objective=staged_objective(), validate=lambda net: {"psnr": 1.0})
    run.fit()
    assert ("input, output, target", (2, 3, 8, 24)) in board
    assert ("train/terms/edge_1", 1) in board
