"""Two trainings one after the other: weights, folders, resuming in either, and what is refused at the start."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
from tiny import TinyNet

from mindrestore import api, training
from mindrestore.engine.outcome import Interrupted
from mindrestore.engine.signals import break_off
from mindrestore.engine.state import read_state
from mindrestore.engine.trainer import Trainer
from mindrestore.errors import MindRestoreError
from mindrestore.recipes.load import load_recipe, next_stage, run_folder
from mindrestore.recipes.schema import RecipeError
from mindrestore.weights.convert import load_weights

THEN = "then={loss: {terms: {consistency: {weight: 0.4, crop: random}}}, train: {max_steps: 4}}"


@pytest.fixture(scope="module")
def chain(tiny_data, tiny_overrides):
    """Return a recipe of two stages; the network is a tiny one."""
    rhythm = ["train.checkpoint_every=1", "train.checkpoint_unit=step", "train.val_every=3", "train.mode=pynative"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "create_model", lambda name, **hyper: TinyNet())
        yield load_recipe("quickstart", [f"data.root={tiny_data}", *tiny_overrides, *rhythm, THEN])


class Stop(Exception):
    pass


def stopping_at(monkeypatch, stage, step):
    """Let the training of a stage break off before one of its steps."""

    class Stopping(Trainer):
        def _advance(self, *args):
            if bool(self.recipe.model.follows) == (stage == 2) and self.progress.step == step:
                raise Stop
            super()._advance(*args)

    monkeypatch.setattr(training, "Trainer", Stopping)


@pytest.fixture(scope="module")
def reference(chain, tmp_path_factory):
    """Return the folder of the first stage; that of the second lies beside it."""
    folder = tmp_path_factory.mktemp("reference") / "whole"
    assert api.train(chain, run_dir=folder).run_dir == folder.with_name("whole_stage2")
    return folder


def test_the_second_stage_starts_from_the_best_weights_of_the_first(chain, tmp_path, monkeypatch):
    stopping_at(monkeypatch, stage=2, step=0)
    with pytest.raises(Stop):
        api.train(chain, run_dir=tmp_path / "run")
    written = load_recipe(tmp_path / "run_stage2")
    assert written.model.weights == str(tmp_path / "run/best.ckpt")
    assert (written.name, written.then, written.train.max_steps) == ("quickstart_stage2", None, 4)
    monkeypatch.setattr(training, "Trainer", Trainer)
    slow = load_recipe(tmp_path / "run_stage2", ["optim.lr=1e-12", "train.max_steps=1", "optim.weight_decay=0"])
    found = api.train(slow, run_dir=tmp_path / "still").run_dir
    best, after = TinyNet(seed=1), TinyNet(seed=2)
    load_weights(best, tmp_path / "run/best.ckpt")
    load_weights(after, found / "last.ckpt")
    for ours, theirs in zip(after.trainable_params(), best.trainable_params()):
        np.testing.assert_allclose(ours.asnumpy(), theirs.asnumpy(), atol=1e-7)


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("resume", ["auto", True])
def test_a_chain_goes_on_in_either_stage(chain, reference, tmp_path, monkeypatch, stage, resume):
    with monkeypatch.context() as patch:
        stopping_at(patch, stage, step=2)
        with pytest.raises(Stop):
            api.train(chain, run_dir=tmp_path / "run")
    assert (tmp_path / "run_stage2").exists() == (stage == 2)
    result = api.train(load_recipe(tmp_path / "run"), run_dir=tmp_path / "run", resume=resume)
    assert (result.run_dir, result.step) == (tmp_path / "run_stage2", 4)
    for end in ("", "_stage2"):
        ours = read_state(tmp_path / f"run{end}" / "last.ckpt")
        theirs = read_state(reference.with_name(f"whole{end}") / "last.ckpt")
        assert ours.facts["step"] == theirs.facts["step"]
        for key, array in theirs.arrays.items():
            assert np.array_equal(ours.arrays[key], array), key


def test_a_stop_in_the_last_validation_keeps_the_second_stage_from_starting(chain, tmp_path, monkeypatch, capfd):
    def stop(recipe):
        def validate(net):
            os.kill(os.getpid(), signal.SIGINT)
            break_off()

        return validate

    with monkeypatch.context() as patch:
        patch.setattr(training, "validation", stop)
        with pytest.raises(Interrupted, match=f"stopped at step 3 of 3, everything is saved; .* {tmp_path}/run$"):
            api.train(chain, run_dir=tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert len(capfd.readouterr().err.splitlines()) == 1
    assert api.train(chain, run_dir=tmp_path / "run").run_dir == tmp_path / "run_stage2"


def test_a_moved_run_goes_on_where_it_lies(chain, tmp_path, monkeypatch):
    """Both stages, though the recipe says where they were; the weights that the second began with are gone."""
    for stage in (1, 2):
        with monkeypatch.context() as patch:
            stopping_at(patch, stage, step=2)
            with pytest.raises(Stop):
                api.train(chain, run_dir=tmp_path / "run")
    (tmp_path / "new").mkdir()
    for end in ("", "_stage2"):
        shutil.move(tmp_path / f"run{end}", tmp_path / "new" / f"moved{end}")
    second = tmp_path / "new" / "moved_stage2"
    result = api.train(str(second))
    assert (result.run_dir, result.step) == (second, 4)
    assert api.train(tmp_path / "new" / "moved" / "recipe.yaml").run_dir == second
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_dir()) == ["moved", "moved_stage2", "new"]
    assert run_folder(second, ["output.name=other"]) is None


def test_starting_anew_sets_both_runs_aside(chain, tmp_path):
    for resume in ("auto", False):
        api.train(chain, run_dir=tmp_path / "run", resume=resume)
    for name in ("run", "run_stage2"):
        assert (tmp_path / name / "former-1/last.ckpt").is_file()


def test_without_validation_the_last_weights_go_on(chain, tmp_path):
    api.train(replace(chain, train=replace(chain.train, val_every=0)), run_dir=tmp_path / "run")
    assert load_recipe(tmp_path / "run_stage2").model.weights == str(tmp_path / "run/last.ckpt")


def test_overrides_count_for_both_stages_and_then_for_the_second():
    recipe = load_recipe("quickstart", ["optim.lr=1e-3", THEN, "then.optim.lr=1e-5", "output.name=mine"])
    second = next_stage(recipe, "x.ckpt")
    assert (recipe.optim.lr, second.optim.lr, second.data) == (1e-3, 1e-5, recipe.data)
    assert (second.output.name, second.model.follows) == ("mine_stage2", "quickstart")
    assert list(second.loss.terms) == ["l1", "contrastive", "consistency"]
    assert next_stage(second, None) is None


def test_mistakes_of_the_second_stage_are_reported_at_once():
    with pytest.raises(RecipeError, match=r"'optim\.rl'; did you mean 'optim\.lr'"):
        load_recipe("quickstart", [THEN, "then.optim.rl=1"])
    with pytest.raises(RecipeError, match=r"unknown recipe key 'optim\.rl'"):
        load_recipe("quickstart", ["then={optim: {rl: 1}}"])


def test_a_second_stage_without_weights_is_refused(tiny_data):
    recipe = load_recipe("quickstart", [f"data.root={tiny_data}", "model.follows=some/stage1"])
    with pytest.raises(MindRestoreError, match=r"weights of some/stage1.*model\.weights=runs/some_stage1/best\.ckpt"):
        api.train(recipe)


def test_patches_below_the_least_size_are_refused(tiny_data):
    recipe = load_recipe("quickstart_cross", [f"data.root={tiny_data}", "data.patch_size=24", "train.max_steps=1"])
    with pytest.raises(MindRestoreError, match="patches of 24 pixels: dehazeformer_t needs at least 25 a side"):
        api.train(recipe)
