"""Loss terms with inputs of their own: same numbers in both modes, exact resume, networks of another value range."""

from __future__ import annotations

import numpy as np
import pytest
from mindspore import Tensor, nn
from tiny import TinyBatch, TinyLoader, TinyNet, tiny_recipe

from mindrestore.engine.optim import build_optimizer
from mindrestore.engine.state import read_state
from mindrestore.engine.step import StepOptions, SupervisedStep
from mindrestore.engine.trainer import Trainer
from mindrestore.losses.batch_context import BatchContext
from mindrestore.losses.objective import build_objective
from mindrestore.models.registry import model_spec
from mindrestore.models.wrapper import UnitRange, in_unit_range

SIDE = 20
TERMS = {"l1": {"weight": 1.0}, "consistency": {"weight": 1.0, "crop": "random", "sigma": [0.5, 5.0]}}


class Loader(TinyLoader):
    """Images that are large enough for the crop."""

    def epoch(self, epoch, start_step=0):
        for step in range(start_step, self.steps_per_epoch):
            rng = np.random.default_rng((self.seed, epoch, step))
            target = rng.random((self.batch_size, 3, SIDE, SIDE)).astype(np.float32)
            yield TinyBatch(0.5 * target + 0.5, target, np.arange(self.batch_size))


class Stop(Exception):
    pass


class Broken(Loader):
    """Stop before a batch of the whole run."""

    def __init__(self, last):
        super().__init__(batches=4)
        self.last = last

    def epoch(self, epoch, start_step=0):
        for step, batch in enumerate(super().epoch(epoch, start_step), start_step):
            if epoch * self.steps_per_epoch + step == self.last:
                raise Stop
            yield batch


def trainer(folder, accumulate, loader, seed=0):
    recipe = tiny_recipe(
        train={"max_steps": 7, "log_every": 1, "checkpoint_every": 3, "checkpoint_unit": "step"},
        loss={"terms": TERMS},
        optim={"accumulate": accumulate},
    )
    objective = build_objective(recipe.loss)
    return Trainer(recipe, net=TinyNet(seed=seed), objective=objective, loader=loader, run_dir=folder)


def test_a_scheduled_term_is_weighted_by_its_factor_and_trains():
    objective = build_objective(tiny_recipe(loss={"terms": TERMS}).loss)
    rng = np.random.default_rng(0)
    images = [Tensor(rng.random((2, 3, SIDE, SIDE)).astype(np.float32)) for _ in range(2)]
    found = {}
    for mode in ("graph", "pynative"):
        net = TinyNet()
        optimizer = build_optimizer(tiny_recipe().optim, net.trainable_params())
        step = SupervisedStep(net, objective, optimizer, options=StepOptions(mode=mode))
        results = []
        for epoch in (0, 5, 10):
            term_inputs = objective.term_inputs(BatchContext(epoch, 11, SIDE, SIDE, np.random.default_rng(epoch)))
            results.append(step(*images, 1e-2, [Tensor(array) for array in term_inputs]))
        found[mode] = results
        for result, factor in zip(results, (1.0, 0.5, 0.0)):
            assert result.total == pytest.approx(result.terms["l1"] + factor * result.terms["consistency"], rel=1e-5)
        assert results[0].terms["consistency"] > 1e-4
    for first, second in zip(*found.values()):
        assert first.total == pytest.approx(second.total, rel=1e-5)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path, accumulate):
    trainer(tmp_path / "whole", accumulate, Loader(batches=4)).fit()
    with pytest.raises(Stop):
        trainer(tmp_path / "half", accumulate, Broken(5 * accumulate)).fit()
    assert read_state(tmp_path / "half/last.ckpt").facts["step"] == 3
    trainer(tmp_path / "half", accumulate, Loader(batches=4), seed=9).fit()
    ours, theirs = (read_state(tmp_path / name / "last.ckpt") for name in ("half", "whole"))
    for name, array in theirs.arrays.items():
        assert np.array_equal(ours.arrays[name], array), name


class Symmetric(nn.Cell):
    """A network of [-1, 1]."""

    def construct(self, x):
        return 0.5 * x


def test_a_network_of_another_range_is_wrapped():
    x = np.float32([[[[0.0, 0.5, 1.0]]]])
    wrapped = UnitRange(Symmetric(), -1.0, 1.0)
    np.testing.assert_allclose(wrapped(Tensor(x)).asnumpy(), [[[[0.25, 0.5, 0.75]]]], atol=1e-7)
    net = TinyNet()
    assert in_unit_range(net, model_spec("aecrnet")) is net
    names = [param.name for param in net.get_parameters()]
    assert [param.name for param in UnitRange(net, -1.0, 1.0).get_parameters()] == names
