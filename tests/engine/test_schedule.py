"""Learning rates against the official values and against the formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mindrestore.engine.schedule import Plan, Schedule, make_plan
from mindrestore.recipes.load import load_recipe
from mindrestore.recipes.schema import OptimConfig, ScheduleConfig, TrainConfig


def schedule(plan, **config):
    return Schedule(OptimConfig(lr=1.0), ScheduleConfig(**config), plan)


def test_official_aecrnet_rates(golden_dir):
    golden = np.load(golden_dir / "aecrnet.npz")
    recipe = load_recipe("aecrnet/its")
    rates = Schedule(recipe.optim, recipe.schedule, make_plan(recipe.train, 874))
    ours = [rates.lr_at(int(step)) for step in golden["lr/step"]]
    np.testing.assert_allclose(ours, golden["lr/value"], rtol=0, atol=1e-9)


def test_zoo_rate_is_constant_within_an_epoch():
    recipe = load_recipe("aecrnet/zoo_its")
    rates = Schedule(recipe.optim, recipe.schedule, make_plan(recipe.train, 874))
    for step, epoch in ((1, 0), (874, 0), (875, 1), (300 * 874, 299)):
        assert rates.lr_at(step) == pytest.approx(0.5e-4 * (1 + math.cos(math.pi * epoch / 300)), rel=1e-12)


def test_warmup_then_cosine_to_the_floor():
    rates = schedule(Plan(14, 7), warmup=4, min_lr=0.1)
    assert [rates.lr_at(step) for step in (1, 2, 3, 4)] == [0.25, 0.5, 0.75, 1.0]
    assert rates.lr_at(9) == pytest.approx(0.1 + 0.9 * 0.5)
    assert rates.lr_at(14) == pytest.approx(0.1)


def test_warmup_by_epoch():
    rates = schedule(Plan(8, 2), warmup=2, unit="epoch", name="constant")
    assert [rates.lr_at(step) for step in range(1, 9)] == [0.5, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]


def test_milestones_in_steps_and_epochs():
    by_step = schedule(Plan(6, 2), name="step", milestones=(3, 5), gamma=0.1)
    assert [by_step.lr_at(step) for step in range(1, 7)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    by_epoch = schedule(Plan(6, 2), name="step", milestones=(1,), unit="epoch", min_lr=0.7)
    assert [by_epoch.lr_at(step) for step in range(1, 7)] == pytest.approx([1, 1, 0.7, 0.7, 0.7, 0.7])


def test_accumulated_batches_run_on_across_epochs():
    plan = make_plan(TrainConfig(epochs=3), batches_per_epoch=5, accumulate=2)
    assert (plan.total_steps, plan.epochs) == (7, 3)
    assert [plan.epoch_of(step) for step in range(1, 8)] == [0, 0, 1, 1, 1, 2, 2]
    assert [plan.ends_epoch(step) for step in range(1, 8)] == [False, False, True, False, True, False, False]


def test_due_in_steps_and_epochs():
    plan = Plan(12, 3)
    assert [step for step in range(1, 13) if plan.is_due(step, 5, "step")] == [5, 10]
    assert [step for step in range(1, 13) if plan.is_due(step, 2, "epoch")] == [6, 12]
    assert not any(plan.is_due(step, 0, "step") for step in range(1, 13))
