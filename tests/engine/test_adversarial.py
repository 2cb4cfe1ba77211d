"""Adversarial training: the step against the published procedure, overflow, and runs that stop and go on."""

from __future__ import annotations

import json
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, amp, nn, ops
from tiny import TinyLoader, TinyNet, overflowing_scale, tiny_recipe

from mindrestore.engine.adversarial import AdversarialStep, name_apart
from mindrestore.engine.optim import build_optimizer
from mindrestore.engine.state import CheckpointError, read_state
from mindrestore.engine.step import StepOptions, SupervisedStep
from mindrestore.engine.trainer import Trainer
from mindrestore.losses.adversarial import AdversarialLoss
from mindrestore.losses.objective import Objective
from mindrestore.losses.pixel import SmoothL1Loss
from mindrestore.models.layers import Conv2d, batch_norm
from mindrestore.recipes.schema import OptimConfig
from mindrestore.weights.convert import load_weights

BATCHES = [(Tensor(batch.input), Tensor(batch.target)) for batch in TinyLoader(batch_size=3).epoch(0)]
WEIGHT = 0.5  # a thousand times the published one, so that its effect is seen


class TinyJudge(nn.Cell):
    """A discriminator of two convolutions with batch norm between them."""

    def __init__(self, seed: int = 5) -> None:
        super().__init__()
        self.first = Conv2d(3, 4, 3, stride=2, padding=1, bias=False)  # the norm would leave its gradient to rounding
        self.norm, self.last = batch_norm(4), Conv2d(4, 1, 1)
        rng = np.random.default_rng(seed)
        for param in self.trainable_params():
            param.set_data(Tensor((0.5 * rng.standard_normal(param.shape)).astype(np.float32)))

    def construct(self, x):
        x = self.norm(self.first(x))
        x = self.last(ops.maximum(x, 0.2 * x))
        return ops.sigmoid(x.reshape(x.shape[0], -1).mean(-1))


def adversarial_objective(weight=WEIGHT, judge=None, lr_factor=1.0):
    term = AdversarialLoss((judge or TinyJudge()).set_train(True), weight)
    term.lr_factor = lr_factor
    objective = Objective({"smooth_l1": (1.0, SmoothL1Loss()), "adversarial": (weight, term)})
    name_apart(term.discriminator)
    return objective


def make(optim=None, weight=WEIGHT, lr_factor=1.0, mode="pynative", **options):
    optim = optim or OptimConfig(lr=1e-2)
    net, objective = TinyNet().set_train(True), adversarial_objective(weight, lr_factor=lr_factor)
    judge = objective.adversary.discriminator
    step = AdversarialStep(
        net,
        objective,
        build_optimizer(optim, net.trainable_params()),
        opponent=build_optimizer(optim, judge.trainable_params()),
        options=StepOptions(mode=mode, **options),
    )
    return net, judge, step


def values(*cells):
    return {param.name: param.asnumpy().copy() for cell in cells for param in cell.get_parameters()}


def largest_difference(a, b):
    assert a.keys() == b.keys()
    return max(float(np.abs(a[name] - b[name]).max()) for name in a)


class Literal:
    """The published procedure: D keeps what two backward passes leave in it, G what the second one does."""

    def __init__(self) -> None:
        self.net, self.judge = TinyNet().set_train(True), TinyJudge().set_train(True)
        name_apart(self.judge)
        self.own, self.other = (tuple(cell.trainable_params()) for cell in (self.net, self.judge))
        self.optimizers = [build_optimizer(OptimConfig(lr=1e-2), params) for params in (self.own, self.other)]
        self.pixel, self.count = SmoothL1Loss(), 0

    def gradients(self, hazy, clear):
        def first():
            return 1 - self.judge(clear).mean() + self.judge(self.net(hazy)).mean()

        def second():
            output = self.net(hazy)
            return self.pixel(output, hazy, clear) + WEIGHT * (1 - self.judge(output)).mean()

        of_first = ms.value_and_grad(first, None, self.other)()[1]
        of_second = ms.value_and_grad(second, None, self.own + self.other)()[1]
        summed = [a + b for a, b in zip(of_first, of_second[len(self.own) :])]
        return of_second[: len(self.own)], summed

    def step(self, hazy, clear, lr):
        self.count += 1
        plan = [Tensor(number, ms.float32) for number in (lr, self.count, 1.0)]
        for optimizer, gradients in zip(self.optimizers, self.gradients(hazy, clear)):
            optimizer(*plan, *gradients)


def test_gradients_equal_those_of_the_two_backward_passes():
    literal, (_, _, step) = Literal(), make()
    hazy, clear = BATCHES[0]
    expected = literal.gradients(hazy, clear)
    gathered = step.gradients(Tensor(1.0, ms.float32), hazy, clear)
    for (_, gradients), wanted in zip(gathered, expected):
        assert len(gradients) == len(wanted)
        for gradient, other in zip(gradients, wanted):
            np.testing.assert_allclose(gradient.asnumpy(), other.asnumpy(), rtol=1e-4, atol=2e-7)
            assert np.abs(other.asnumpy()).max() > 1e-5


def test_steps_equal_the_published_procedure():
    literal, (net, judge, step) = Literal(), make()
    for hazy, clear in BATCHES:
        result = step(hazy, clear, 1e-2)
        literal.step(hazy, clear, 1e-2)
        terms = result.terms
        assert result.total == pytest.approx(terms["smooth_l1"] + WEIGHT * terms["adversarial"], rel=1e-5)
        loss = 1 - terms["real"] + (1 - WEIGHT) * terms["fake"]
        assert terms["discriminator"] == pytest.approx(loss, rel=1e-5)
        assert terms["adversarial"] == pytest.approx(1 - terms["fake"], rel=1e-5)  # both at the same parameters
    trained = {name: value for name, value in values(net, judge).items() if "moving" not in name}
    expected = {name: value for name, value in values(literal.net, literal.judge).items() if "moving" not in name}
    del trained["running_mean"], expected["running_mean"]  # of statistics, the number of passes differs
    assert largest_difference(trained, expected) < 1e-5
    fresh = values(TinyNet(), TinyJudge())
    assert min(np.abs(trained[name] - fresh[name.removeprefix("discriminator.")]).max() for name in trained) > 1e-3


@pytest.mark.parametrize("mode", ["graph", "pynative"])
def test_five_steps_equal_those_of_pytorch(mode):
    """PyTorch ran the published order of calls: two backward passes through one graph, D's gradients cleared once."""
    golden = np.load(Path(__file__).parents[1] / "golden" / "adversarial.npz")
    net, judge, step = make(mode=mode)
    for batch, (total, real, fake) in zip(BATCHES, golden["losses"]):
        result = step(*batch, 1e-2)
        found = (result.total, result.terms["real"], result.terms["fake"])
        np.testing.assert_allclose(found, (total, real, fake), rtol=2e-6)
    for cell, prefix in ((net, "net"), (judge, "judge")):
        for name, param in cell.parameters_and_names():
            if param.requires_grad:
                np.testing.assert_allclose(param.asnumpy(), golden[f"{prefix}.{name}"], rtol=0, atol=2e-6)


def test_the_effect_of_every_part_is_seen():
    """The comparison above would notice a forgotten share of D, a stepped D before G, or a G without D."""
    literal = Literal()
    hazy, clear = BATCHES[0]
    own, other = literal.gradients(hazy, clear)
    plain = ms.value_and_grad(lambda: literal.pixel(literal.net(hazy), hazy, clear), None, literal.own)()[1]
    whole = ms.value_and_grad(
        lambda: 1 - literal.judge(clear).mean() + literal.judge(literal.net(hazy)).mean(), None, literal.other
    )()[1]
    for found, simpler in ((own, plain), (other, whole)):
        relative = [np.abs((a - b).asnumpy()).max() / np.abs(a.asnumpy()).max() for a, b in zip(found, simpler)]
        assert max(relative) > 1e-2


def test_overflow_skips_both_updates_and_puts_statistics_back():
    manager = amp.DynamicLossScaleManager(init_loss_scale=2.0**130, scale_factor=2, scale_window=1000)
    net, judge, step = make(loss_scale=manager)
    before = values(net, judge)
    first = step(*BATCHES[0], 1e-2)
    assert (first.finite, manager.get_loss_scale()) == (False, 2.0**129)
    assert largest_difference(before, values(net, judge)) == 0.0  # running statistics of both included
    assert [optimizer.count for optimizer in step.optimizers] == [0, 0]
    results = [step(*BATCHES[i % 5], 1e-2) for i in range(8)]
    assert results[-1].finite
    after = values(net, judge)
    assert all(np.abs(after[name] - before[name]).max() > 0 for name in after)
    assert step.optimizers[0].count == step.optimizers[1].count == sum(result.finite for result in results)


@pytest.mark.parametrize("side", ["network", "discriminator"])
def test_either_side_alone_stops_both(side):
    net, judge, step = make()
    step(*BATCHES[0], 1e-2)
    before = values(net, judge)
    hazy, clear = BATCHES[1]
    if side == "discriminator":  # a pixel so bright that D's convolution overflows, and the smooth L1 does not
        ops.assign(judge.first.weight, 10 * judge.first.weight)
        before = values(net, judge)
        bright = clear.asnumpy().copy()
        bright[0, 0, 4, 4] = 3e38
        result = step(hazy, Tensor(bright), 1e-2)
        assert np.isfinite([result.total, result.norm, result.terms["fake"]]).all()
        assert not np.isfinite(result.terms["real"])
    else:
        result = step(Tensor(np.full(hazy.shape, np.nan, np.float32)), clear, 1e-2)
    assert not result.finite
    assert largest_difference(before, values(net, judge)) == 0.0


def test_one_scale_for_both_changes_nothing_but_the_numbers_range():
    plain, scaled = make(), make(loss_scale=amp.FixedLossScaleManager(1024.0, drop_overflow_update=False))
    for hazy, clear in BATCHES:
        a, b = plain[2](hazy, clear, 1e-2), scaled[2](hazy, clear, 1e-2)
        assert b.terms["discriminator"] == pytest.approx(a.terms["discriminator"], rel=1e-5)
    assert largest_difference(values(*plain[:2]), values(*scaled[:2])) < 1e-5


def test_averages_follow_the_network_alone():
    net, _, step = make(ema_decay=0.5)
    expected = [param.asnumpy().copy() for param in net.trainable_params()]
    for hazy, clear in BATCHES:
        step(hazy, clear, 1e-2)
        expected = [0.5 * e + 0.5 * param.asnumpy() for e, param in zip(expected, net.trainable_params())]
    assert len(step.ema.average) == len(expected) == 4
    for e, average in zip(expected, step.ema.average):
        np.testing.assert_allclose(average.asnumpy(), e, rtol=1e-5, atol=1e-7)


def test_accumulated_batches_update_once_by_the_mean():
    """D's batch norm keeps the micro-batches apart, so the mean of gradients is compared, not one large batch."""
    config = OptimConfig(betas=(0.0, 0.0), eps=1e6)  # then the update is lr * gradient / 1e6
    net, judge, step = make(config, accumulate=2)
    single = make(config)[2]
    parts = [single.gradients(Tensor(1.0, ms.float32), *batch) for batch in BATCHES[:2]]
    means = [
        [(a.asnumpy() + b.asnumpy()) / 2 for a, b in zip(first[1], second[1])]
        for first, second in zip(parts[0], parts[1])
    ]
    before = [[p.asnumpy().copy() for p in cell.trainable_params()] for cell in (net, judge)]
    results = [step(*batch, 1e6) for batch in BATCHES[:2]]
    assert results[0] is None
    assert list(results[1].terms) == ["smooth_l1", "adversarial", "discriminator", "real", "fake"]
    for cell, old, wanted in zip((net, judge), before, means):
        for param, start, gradient in zip(cell.trainable_params(), old, wanted):
            np.testing.assert_allclose(start - param.asnumpy(), gradient, rtol=1e-3, atol=1e-6)


def test_each_side_is_clipped_by_its_own_norm_and_has_its_own_rate():
    config = OptimConfig(betas=(0.0, 0.0), eps=1e6)
    net, judge, step = make(config, clip_norm=0.01, lr_factor=0.5)
    before = [[p.asnumpy().copy() for p in cell.trainable_params()] for cell in (net, judge)]
    assert step(*BATCHES[0], 1e6).norm > 0.1
    for cell, old, norm in zip((net, judge), before, (0.01, 0.005)):
        moved = [start - p.asnumpy() for start, p in zip(old, cell.trainable_params())]
        assert np.sqrt(sum(float((m**2).sum()) for m in moved)) == pytest.approx(norm, rel=1e-2)


def test_without_a_weight_the_network_trains_as_supervised():
    net, _, step = make(weight=0.0)
    other = TinyNet().set_train(True)
    objective = Objective({"smooth_l1": (1.0, SmoothL1Loss())})
    optimizer = build_optimizer(OptimConfig(lr=1e-2), other.trainable_params())
    plain = SupervisedStep(other, objective, optimizer, options=StepOptions(mode="pynative"))
    for hazy, clear in BATCHES:
        step(hazy, clear, 1e-2)
        plain(hazy, clear, 1e-2)
    assert largest_difference(values(net), values(other)) < 1e-6


def trainer(folder, steps=7, *, seed=0, loader=None, validate=None, **sections):
    train = {"max_steps": steps, **sections.pop("train", {})}
    recipe = tiny_recipe(train=train, schedule={"name": "constant"}, ema={"decay": 0.9}, **sections)
    return Trainer(
        recipe,
        net=TinyNet(seed=seed),
        objective=adversarial_objective(judge=TinyJudge(seed=seed + 5)),
        loader=loader or TinyLoader(),
        run_dir=folder,
        validate=validate,
    )


@pytest.mark.parametrize("mode", [pytest.param("graph", marks=pytest.mark.slow), "pynative"])
def test_a_stopped_run_goes_on_bit_for_bit_with_its_discriminator(tmp_path, mode):
    shared = {"train": {"mode": mode}, "scale": overflowing_scale(window=3)}
    trainer(tmp_path / "whole", **shared).fit()
    trainer(tmp_path / "parts", 3, **shared).fit()
    trainer(tmp_path / "parts", seed=8, **shared).fit()  # other initial weights: all of them have to come from the file
    ours, theirs = (read_state(tmp_path / name / "last.ckpt") for name in ("parts", "whole"))
    assert ours.facts["updates"] == theirs.facts["updates"] < 7  # some were skipped
    assert ours.facts["loss_scale"] == theirs.facts["loss_scale"]
    assert ours.arrays.keys() == theirs.arrays.keys()
    for prefix in (
        "net.",
        "discriminator.",
        "optim.m.first",
        "optim.m.discriminator.",
        "optim.v.discriminator.",
        "ema.",
    ):
        assert ours.holds(prefix), prefix
    assert "discriminator.norm.moving_variance" in ours.arrays
    assert not ours.holds("ema.discriminator")
    for name, array in theirs.arrays.items():
        assert np.array_equal(ours.arrays[name], array), name


def test_the_log_names_every_term_and_files_hold_the_network_alone(tmp_path):
    scores = iter([20.0, 21.5, 21.0])
    run = trainer(
        tmp_path,
        10,
        train={"val_every": 4, "val_unit": "step"},
        output={"best_name": "NH-HAZE_epoch_{epoch}_PSNR_{psnr:.4f}.ckpt"},
        validate=lambda net: {"psnr": next(scores)},
    )
    run.fit()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    terms = next(line["terms"] for line in lines if line["kind"] == "train")
    assert list(terms) == ["smooth_l1", "adversarial", "discriminator", "real", "fake"]
    assert all(0 < terms[name] < 1 for name in ("adversarial", "real", "fake"))
    named = sorted(path.name for path in tmp_path.glob("NH-HAZE*"))
    assert named == ["NH-HAZE_epoch_0_PSNR_20.0000.ckpt", "NH-HAZE_epoch_1_PSNR_21.5000.ckpt"]  # as published, from 0
    for name in ("best.ckpt", "ema.ckpt", named[-1]):
        load_weights(TinyNet(), tmp_path / name)  # strict: nothing of the discriminator in it
    best = ms.load_checkpoint(str(tmp_path / "best.ckpt"))
    again = ms.load_checkpoint(str(tmp_path / named[-1]))
    assert all(np.array_equal(best[name].asnumpy(), again[name].asnumpy()) for name in best)
    trainer(tmp_path, 2).fit(resume=False)
    assert not list(tmp_path.glob("NH-HAZE*"))  # set aside with the rest of the earlier run


def test_a_supervised_state_is_refused_by_name(tmp_path):
    recipe = tiny_recipe(train={"max_steps": 1}, ema={"decay": 0.9})
    objective = Objective({"smooth_l1": (1.0, SmoothL1Loss())})
    Trainer(recipe, net=TinyNet(), objective=objective, loader=TinyLoader(), run_dir=tmp_path).fit()
    with pytest.raises(CheckpointError, match=r"optim\.m\.discriminator\.first\.weight is missing"):
        trainer(tmp_path, train={"mode": "pynative"}).fit()


def test_half_precision_trains_close_to_float32(tmp_path):
    full = trainer(tmp_path / "full", 5)
    half = trainer(
        tmp_path / "half", 5, train={"amp": "float16", "mode": "graph"}, loss_scale={"kind": "dynamic", "value": 1024.0}
    )
    for run in (full, half):
        run.fit()
    ours, theirs = (read_state(tmp_path / name / "last.ckpt").arrays for name in ("half", "full"))
    for name in ("net.first.weight", "discriminator.first.weight", "discriminator.last.weight"):
        assert ours[name].dtype == np.float32
        assert 0 < np.abs(ours[name] - theirs[name]).max() < 1e-2  # five updates of 1e-2 each


@pytest.mark.parametrize("size", [1, 2])
def test_one_image_per_batch_is_warned_of(tmp_path, size):
    run = trainer(tmp_path, 1, train={"batch_size": size}, loader=TinyLoader(batch_size=size))
    run.fit()
    assert ("warning: train.batch_size=1" in (tmp_path / "log.txt").read_text()) == (size == 1)
