"""The training step: formulas against numpy, overflow, clipping, accumulation, averaging."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mindspore import Parameter, Tensor, amp, nn, ops
from tiny import TinyLoader, TinyNet, l1_objective, tiny_recipe

from mindrestore.engine import learner, reduce
from mindrestore.engine import step as engine_step
from mindrestore.engine.context import DeviceError
from mindrestore.engine.optim import build_optimizer
from mindrestore.engine.precision import build_loss_scale, cast_network, scale_state
from mindrestore.engine.step import StepOptions, SupervisedStep
from mindrestore.recipes.schema import LossScaleConfig, OptimConfig

BATCHES = [(Tensor(batch.input), Tensor(batch.target)) for batch in TinyLoader().epoch(0)]


def make(optim=None, net=None, mode="pynative", **options):
    net = (net or TinyNet()).set_train(True)
    optimizer = build_optimizer(optim or OptimConfig(lr=1e-2), net.trainable_params())
    return net, SupervisedStep(net, l1_objective(), optimizer, options=StepOptions(mode=mode, **options))


def weights(net):
    return {param.name: param.asnumpy().copy() for param in net.get_parameters()}


def largest_difference(a, b):
    return max(float(np.abs(a[name] - b[name]).max()) for name in a)


class Affine(nn.Cell):
    """y = w x + b on one number per image: gradients can be worked out by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.w = Parameter(Tensor([0.5], dtype=BATCHES[0][0].dtype), name="w")
        self.b = Parameter(Tensor([2.0], dtype=BATCHES[0][0].dtype), name="b")

    def construct(self, x):
        return self.w * x + self.b


def torch_adam(config, weight, gradient, state, t, lr):
    """PyTorch's Adam and AdamW in float64, written from their documentation."""
    m, v = state
    if config.name == "adamw":
        weight = weight * (1 - lr * config.weight_decay)
    else:
        gradient = gradient + config.weight_decay * weight
    m = config.betas[0] * m + (1 - config.betas[0]) * gradient
    v = config.betas[1] * v + (1 - config.betas[1]) * gradient**2
    m_hat, v_hat = m / (1 - config.betas[0] ** t), v / (1 - config.betas[1] ** t)
    return weight - lr * m_hat / (np.sqrt(v_hat) + config.eps), (m, v)


@pytest.mark.parametrize(
    "config",
    [OptimConfig(eps=1e-2), OptimConfig(weight_decay=0.1), OptimConfig(name="adamw", weight_decay=0.1, eps=1e-3)],
    ids=["adam", "adam-l2", "adamw"],
)
def test_optimizer_equals_pytorchs_formula(config):
    net, step = make(config, Affine())
    expected = {"w": np.array([0.5]), "b": np.array([2.0])}
    state = dict.fromkeys(expected, (0.0, 0.0))
    for t, (x, y) in enumerate(BATCHES, start=1):
        lr = 0.1 / t
        inputs, target = x.asnumpy().astype(np.float64), y.asnumpy()
        sign = np.sign(expected["w"] * inputs + expected["b"] - target)
        gradients = {"w": (sign * inputs).mean(), "b": sign.mean()}
        step(x, y, lr)
        for name in expected:
            expected[name], state[name] = torch_adam(config, expected[name], gradients[name], state[name], t, lr)
        for name, value in weights(net).items():
            np.testing.assert_allclose(value, expected[name], rtol=2e-6)


def test_graph_and_pynative_agree():
    """One graph with everything that a step can have: clipping, a scale that overflows, accumulation, averages."""
    spoilt = [(Tensor(np.full((2, 3, 8, 8), np.inf, np.float32)), BATCHES[0][1])]
    found = {}
    for mode in ("graph", "pynative"):
        manager = amp.DynamicLossScaleManager(init_loss_scale=2.0**130, scale_factor=4, scale_window=3)
        net, step = make(mode=mode, clip_norm=0.1, accumulate=2, ema_decay=0.5, loss_scale=manager)
        before, results, states = weights(net), [], []
        for x, y in [*BATCHES, *BATCHES, *spoilt, *BATCHES]:
            if result := step(x, y, 1e-2):
                results.append((result.terms["l1"], result.total, result.norm, result.finite, result.scale))
                states.append(largest_difference(before, weights(net)))
        averages = {param.name: param.asnumpy() for param in step.ema.average}
        found[mode] = np.array(results), np.array(states), weights(net), averages, step.optimizers[0].count
    (results, states, *cells, count), (others, other_states, *other_cells, other_count) = found.values()
    finite = results[:, 3] == 1
    np.testing.assert_array_equal(results[:, 3:], others[:, 3:])
    np.testing.assert_allclose(results[finite, :3], others[finite, :3], rtol=1e-5)
    np.testing.assert_allclose(states, other_states, atol=1e-5)
    assert max(largest_difference(*pair) for pair in zip(cells, other_cells)) < 1e-5
    assert count == other_count == finite.sum()
    assert (finite[0], states[0]) == (False, 0.0)  # a step that overflows leaves the weights, the running mean included
    assert list(finite[-3:]) == [False, True, True]  # so does the spoilt batch
    assert len(set(results[:, 4])) > 2
    assert results[finite, 0][-1] < results[finite, 0][0]


def test_overflow_lowers_the_scale_and_skips_the_update():
    manager = amp.DynamicLossScaleManager(init_loss_scale=2.0**130, scale_factor=4, scale_window=3)
    net, step = make(loss_scale=manager)
    before = weights(net)
    first = step(*BATCHES[0], 1e-2)
    assert (first.finite, first.scale, manager.get_loss_scale()) == (False, 2.0**130, 2.0**128)
    assert largest_difference(before, weights(net)) == 0.0  # the running mean included
    results = [step(*BATCHES[i % 5], 1e-2) for i in range(12)]
    finite = [result.finite for result in results]
    assert finite.index(True) >= 1
    assert any(later.scale > earlier.scale for earlier, later in zip(results, results[1:]))  # grew after 3 good steps
    assert largest_difference(before, weights(net)) > 1e-3
    assert all(math.isfinite(result.total) for result in results)


@pytest.mark.parametrize("factor", [2, 3])
def test_updates_that_are_read_late_equal_those_that_are_read_at_once(factor):
    """The device counts updates and moves the loss scale by itself; the host only follows."""
    found = []
    for late in (1, 4):
        manager = amp.DynamicLossScaleManager(init_loss_scale=2.0**126, scale_factor=factor, scale_window=2)
        net, step = make(loss_scale=manager, ema_decay=0.9, mode="pynative")
        spoilt = Tensor(np.full((2, 3, 8, 8), np.inf, np.float32))
        launched, results = [], []
        for i in range(12):
            x, y = BATCHES[i % 5]
            launched.append(step.launch(spoilt if i in (5, 6) else x, y, 1e-2))
            if len(launched) == late:
                results += [step.read(measured) for measured in launched]
                launched.clear()
                state = [step.optimizers[0].count, manager.get_loss_scale(), *step.conclusion.state_of_host()[2:]]
                np.testing.assert_array_equal(step.conclusion.state.asnumpy(), state)
        facts = [(result.total, result.finite, result.scale, result.norm) for result in results]
        found.append((facts, weights(net), [param.asnumpy() for param in step.ema.average], scale_state(manager)))
    (facts, *values, state), (other_facts, *other_values, other_state) = found
    np.testing.assert_equal(facts, other_facts)
    assert [i for i, (_, finite, _, _) in enumerate(facts) if not finite] == [5, 6]
    assert len({scale for _, _, scale, _ in facts}) > 2
    assert max(scale for _, _, scale, _ in facts) <= 2.0**127  # it stays a number of float32
    assert state == other_state
    np.testing.assert_equal(values, other_values)


def test_sums_over_ranks_stand_in_the_graph_of_a_card(monkeypatch):
    """Two ranks that see the same batches are one."""
    alone, step = make(clip_norm=0.01, mode="pynative")
    monkeypatch.setattr(engine_step, "on_cpu", lambda: False)
    monkeypatch.setattr(reduce, "_all_reduce", lambda number: lambda tensor: tensor + tensor)
    both, other = make(clip_norm=0.01, mode="pynative", world=2)
    for x, y in BATCHES[:3]:
        one, two = step(x, y, 1e-2), other(x, y, 1e-2)
        assert (one.total, one.norm) == (two.total, two.norm)
        assert one.terms == two.terms
    assert other.communicated == 0
    assert largest_difference(weights(alone), weights(both)) == 0.0


def test_fixed_scale_does_not_change_the_result():
    plain, plain_step = make()
    scaled, scaled_step = make(loss_scale=build_loss_scale(LossScaleConfig(kind="fixed", value=1024)))
    for x, y in BATCHES:
        a, b = plain_step(x, y, 1e-2), scaled_step(x, y, 1e-2)
        assert (b.total, b.norm) == (pytest.approx(a.total, rel=1e-6), pytest.approx(a.norm, rel=1e-5))
        assert b.scale == 1024.0
    assert largest_difference(weights(plain), weights(scaled)) < 1e-6


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_bad_batch_leaves_no_trace(value):
    net, step = make(ema_decay=0.9)
    step(*BATCHES[0], 1e-2)
    before, count = weights(net), step.optimizers[0].count
    result = step(Tensor(np.full((2, 3, 8, 8), value, np.float32)), BATCHES[0][1], 1e-2)
    assert (result.finite, step.optimizers[0].count) == (False, count)
    assert largest_difference(before, weights(net)) == 0.0
    assert step(*BATCHES[1], 1e-2).finite
    clean, clean_step = make(ema_decay=0.9)  # the run that never met the bad batch
    for x, y in BATCHES[:2]:
        clean_step(x, y, 1e-2)
    assert largest_difference(weights(clean), weights(net)) == 0.0


def test_accumulated_batches_equal_one_large_batch():
    class Plain(TinyNet):
        def construct(self, x):
            return self.second(ops.tanh(self.first(x)))

    one, one_step = make(net=Plain(), clip_norm=0.01)
    many, many_step = make(net=Plain(), clip_norm=0.01, accumulate=4)
    large = tuple(Tensor(np.concatenate([pair[i].asnumpy() for pair in BATCHES[:4]])) for i in range(2))
    for _ in range(2):
        whole = one_step(*large, 1e-2)
        parts = [many_step(x, y, 1e-2) for x, y in BATCHES[:4]]
    assert [part is None for part in parts] == [True, True, True, False]
    assert parts[-1].total == pytest.approx(whole.total, rel=1e-6)
    assert parts[-1].norm == pytest.approx(whole.norm, rel=1e-5)
    assert largest_difference(weights(one), weights(many)) < 1e-5


def test_clipping_limits_the_gradient_norm():
    config = OptimConfig(betas=(0.0, 0.0), eps=1e6)  # then the update is lr * gradient / 1e6
    net, step = make(config, clip_norm=0.01)
    before = weights(net)
    assert step(*BATCHES[0], 1e6).norm > 0.1
    moved = [before[p.name] - p.asnumpy() for p in net.trainable_params()]
    assert math.sqrt(sum(float((m**2).sum()) for m in moved)) == pytest.approx(0.01, rel=1e-3)


def test_average_follows_the_weights_and_steps_aside():
    net, step = make(ema_decay=0.5)
    expected = [param.asnumpy().copy() for param in net.trainable_params()]
    for i, (x, y) in enumerate(BATCHES):
        if i == 2:
            weights_now = weights(net)
            with step.ema.in_place():
                shown = [param.asnumpy().copy() for param in net.trainable_params()]
                net.set_train(False)
                net(x)
                net.set_train(True)
            np.testing.assert_allclose(shown[0], expected[0], rtol=1e-6, atol=1e-7)
            assert largest_difference(weights_now, weights(net)) == 0.0
        step(x, y, 1e-2)
        expected = [0.5 * e + 0.5 * param.asnumpy() for e, param in zip(expected, net.trainable_params())]
    for e, average in zip(expected, step.ema.average):
        np.testing.assert_allclose(average.asnumpy(), e, rtol=1e-5, atol=1e-7)
    plain, plain_step = make()
    for x, y in BATCHES:
        plain_step(x, y, 1e-2)
    assert largest_difference(weights(plain), weights(net)) == 0.0  # the excursion changed nothing


def test_half_precision_trains_close_to_float32():
    _full, full_step = make()
    half = TinyNet()
    cast = cast_network(half, "float16", "CPU").set_train(True)
    optimizer = build_optimizer(OptimConfig(lr=1e-2), half.trainable_params())
    step = SupervisedStep(cast, l1_objective(), optimizer, options=StepOptions(mode="pynative"))
    for x, y in BATCHES[:3]:
        assert step(x, y, 1e-2).total == pytest.approx(full_step(x, y, 1e-2).total, rel=1e-2)
    assert all(param.asnumpy().dtype == np.float32 for param in half.get_parameters())


def test_bfloat16_is_refused_where_there_is_no_kernel():
    with pytest.raises(DeviceError, match="bfloat16"):
        cast_network(TinyNet(), "bfloat16", "CPU")


@pytest.mark.parametrize(("kind", "told"), [("none", 1), ("fixed", 0), ("dynamic", 0)])
def test_float32_on_a_card_without_float32_products_asks_for_a_loss_scale(monkeypatch, kind, told):
    monkeypatch.setattr(learner, "multiplies_in_half", lambda: True)
    recipe = tiny_recipe(loss_scale={"kind": kind}, train={"mode": "pynative"})
    notes = learner.Learner(recipe, TinyNet(), l1_objective(), world=1).notes
    assert [note.startswith("warning: this card multiplies matrices in float16") for note in notes] == [True] * told
