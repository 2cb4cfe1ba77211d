"""Transfer learning: a learning rate of its own for a part of the network, and parts that stay as they are."""

from __future__ import annotations

import numpy as np
import pytest
from mindspore import Tensor
from tiny import TinyLoader, TinyNet, l1_objective, tiny_recipe

from mindrestore.engine.optim import build_optimizer
from mindrestore.engine.state import CheckpointError, read_state
from mindrestore.engine.step import StepOptions, SupervisedStep, buffers_of
from mindrestore.engine.trainer import Trainer
from mindrestore.errors import MindRestoreError
from mindrestore.recipes.load import load_recipe
from mindrestore.recipes.schema import OptimConfig, RecipeError

BATCHES = [(Tensor(batch.input), Tensor(batch.target)) for batch in TinyLoader().epoch(0)]


def moved(config, mode="pynative", steps=1):
    """Return how far every parameter moves."""
    net = TinyNet().set_train(True)
    before = {param.name: param.asnumpy().copy() for param in net.trainable_params()}
    optimizer = build_optimizer(config, net.trainable_params())
    step = SupervisedStep(net, l1_objective(), optimizer, options=StepOptions(mode=mode))
    for hazy, clear in BATCHES[:steps]:
        step(hazy, clear, config.lr)
    return {param.name: param.asnumpy() - before[param.name] for param in net.trainable_params()}


@pytest.mark.parametrize("mode", ["graph", "pynative"])
def test_updates_of_a_group_are_scaled(mode):
    whole, grouped = (moved(OptimConfig(lr=1e-2, lr_factors=factors), mode) for factors in ({}, {"first": 0.1}))
    for name, step in whole.items():
        factor = 0.1 if name.startswith("first") else 1.0
        assert np.abs(step).max() > 1e-3
        np.testing.assert_allclose(grouped[name], factor * step, rtol=1e-3, atol=1e-7)


def test_decoupled_decay_follows_the_rate_of_the_group():
    """AdamW shrinks by lr * decay; with a huge eps nothing else moves a parameter."""
    config = {"name": "adamw", "lr": 1e-1, "weight_decay": 0.5, "eps": 1e9}
    whole = moved(OptimConfig(**config))
    grouped = moved(OptimConfig(**config, lr_factors={"second": 0.25}))
    for name, factor in (("first.weight", 1.0), ("second.weight", 0.25)):
        np.testing.assert_allclose(grouped[name], factor * whole[name], rtol=1e-4, atol=1e-9)
        assert np.abs(whole[name]).max() > 1e-3


def test_the_longest_beginning_counts():
    factors = {"f": 0.5, "first.weight": 0.1}
    whole, grouped = moved(OptimConfig(lr=1e-2)), moved(OptimConfig(lr=1e-2, lr_factors=factors))
    for name, factor in (("first.weight", 0.1), ("first.bias", 0.5), ("second.weight", 1.0)):
        np.testing.assert_allclose(grouped[name], factor * whole[name], rtol=1e-3, atol=1e-7)


def test_a_beginning_that_fits_nothing_is_named():
    with pytest.raises(MindRestoreError, match="begins with 'encoder'; their names begin with first, second"):
        build_optimizer(OptimConfig(lr_factors={"first": 0.1, "encoder": 0.1}), TinyNet().trainable_params())


def test_recipes_take_factors_and_refuse_what_is_none():
    recipe = load_recipe("mpilnet/nh_haze", ["optim.lr_factors.encoders=0.1"])
    assert recipe.optim.lr_factors == {"encoders": 0.1}
    assert load_recipe("mpilnet/nh_haze", ["optim.lr_factors={encoders: 1}"]).optim.lr_factors == {"encoders": 1.0}
    with pytest.raises(RecipeError, match=r"optim\.lr_factors\.encoders: 0 is out of range; use a number above 0"):
        load_recipe("mpilnet/nh_haze", ["optim.lr_factors.encoders=0"])
    with pytest.raises(RecipeError, match=r"optim\.lr_factors\.encoders: 'slow' is text, expected a number"):
        load_recipe("mpilnet/nh_haze", ["optim.lr_factors.encoders=slow"])


class Frozen(TinyNet):
    """The first convolution stays as it is."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed=seed)
        for param in self.first.get_parameters():
            param.requires_grad = False


def trainer(folder, steps, net, **optim):
    recipe = tiny_recipe(train={"max_steps": steps}, optim=optim, ema={"decay": 0.9}, schedule={"name": "constant"})
    return Trainer(recipe, net=net, objective=l1_objective(), loader=TinyLoader(), run_dir=folder)


def test_frozen_parameters_stay_bit_for_bit_and_the_others_learn(tmp_path):
    net, start = Frozen(), Frozen()
    trainer(tmp_path, 6, net).fit()
    for name, param in net.parameters_and_names():
        same = np.array_equal(param.asnumpy(), dict(start.parameters_and_names())[name].asnumpy())
        assert same == name.startswith("first."), name
    state = read_state(tmp_path / "last.ckpt")
    assert state.holds("net.first.weight")
    assert not state.holds("optim.m.first")


def test_frozen_parameters_are_not_copied_at_every_step():
    assert [param.name for param in buffers_of(Frozen())] == ["running_mean"]


def test_groups_resume_bit_for_bit(tmp_path):
    factors = {"lr_factors": {"first": 0.1}}
    trainer(tmp_path / "whole", 5, TinyNet(), **factors).fit()
    trainer(tmp_path / "parts", 2, TinyNet(), **factors).fit()
    trainer(tmp_path / "parts", 5, TinyNet(seed=7), **factors).fit()
    ours, theirs = (read_state(tmp_path / name / "last.ckpt") for name in ("parts", "whole"))
    for name, array in theirs.arrays.items():
        assert np.array_equal(ours.arrays[name], array), name


def test_thawing_between_starts_says_what_is_missing(tmp_path):
    trainer(tmp_path, 2, Frozen()).fit()
    with pytest.raises(CheckpointError, match=r"optim\.m\.first\.weight is missing"):
        trainer(tmp_path, 4, TinyNet()).fit()
