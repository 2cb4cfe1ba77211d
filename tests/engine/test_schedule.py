"""Learning rates against the official values and against the formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mindrestore.engine.schedule import Schedule, StepPlan, plan_steps
from mindrestore.recipes.load import load_recipe
from mindrestore.recipes.schema import OptimConfig, ScheduleConfig, TrainConfig


def schedule(plan, **config):
    return Schedule(OptimConfig(lr=1.0), ScheduleConfig(**config), plan)


def test_official_aecrnet_rates(golden_dir):
    golden = np.load(golden_dir / "aecrnet.npz")
    recipe = load_recipe("aecrnet/its")
    rates = Schedule(recipe.optim, recipe.schedule, plan_steps(recipe.train, 874))
    ours = [rates.lr_at(int(step)) for step in golden["lr/step"]]
    np.testing.assert_allclose(ours, golden["lr/value"], rtol=0, atol=1e-9)


def test_zoo_rate_is_constant_within_an_epoch():
    recipe = load_recipe("aecrnet/zoo_its")
    rates = Schedule(recipe.optim, recipe.schedule, plan_steps(recipe.train, 874))
    for step, epoch in ((1, 0), (874, 0), (875, 1), (300 * 874, 299)):
        assert rates.lr_at(step) == pytest.approx(0.5e-4 * (1 + math.cos(math.pi * epoch / 300)), rel=1e-12)


@pytest.mark.parametrize("task", ["deblurring", "denoising", "deraining"])
def test_official_mprnet_rates(task, golden_dir):
    with np.load(golden_dir / f"mprnet_{task}.npz") as file:
        golden = {key: file[f"lr/{key}"] for key in ("small_config", "small", "full")}
    recipe = load_recipe(f"mprnet/{task}")
    base, least, warmup, epochs, extra = golden["small_config"]
    assert (base, least, warmup) == (recipe.optim.lr, recipe.schedule.min_lr, recipe.schedule.warmup)
    assert extra == recipe.schedule.cosine_extra
    for count, expected in ((int(epochs), golden["small"]), (recipe.train.epochs, golden["full"])):
        rates = Schedule(recipe.optim, recipe.schedule, plan_steps(TrainConfig(epochs=count), 3))
        ours = [rates.lr_at(step) for step in range(1, 3 * count + 1)]
        np.testing.assert_allclose(ours, np.repeat(expected, 3), rtol=0, atol=1e-9)


def test_published_restarts():
    recipe = load_recipe("mprnet/deraining_paddlegan")
    rates = Schedule(recipe.optim, recipe.schedule, plan_steps(recipe.train, 857))
    assert recipe.train.max_steps == sum(recipe.schedule.periods) == 100_000
    for before, rate in ((0, 2e-4), (12_500, 1.005e-4), (25_000, 1e-6), (37_500, 1.005e-4), (75_000, 1e-6)):
        assert rates.lr_at(before + 1) == pytest.approx(rate, rel=1e-12)
    assert rates.lr_at(25_002) == pytest.approx(2e-4, rel=1e-6)  # the boundary itself belongs to the earlier period


def test_restarts_have_heights_and_an_end():
    rates = schedule(
        StepPlan(9, 3), name="cosine_restarts", warmup=1, min_lr=0.2, periods=(2, 4), restart_weights=(1.0, 0.5)
    )
    eighth = math.cos(math.pi / 4)
    expected = [1.0, 1.0, 0.6, 0.2, 0.4 + 0.2 * eighth, 0.4, 0.4 - 0.2 * eighth, 0.2, 0.2]
    assert [rates.lr_at(step) for step in range(1, 10)] == pytest.approx(expected)
    by_epoch = schedule(StepPlan(6, 2), name="cosine_restarts", unit="epoch", periods=(2,))
    assert [by_epoch.lr_at(step) for step in range(1, 7)] == pytest.approx([1, 1, 0.5, 0.5, 0, 0])


def test_a_longer_cosine_stops_above_its_end():
    rates = schedule(StepPlan(4, 2), cosine_extra=4)
    assert rates.lr_at(4) == pytest.approx(0.5)


def test_warmup_then_cosine_to_the_floor():
    rates = schedule(StepPlan(14, 7), warmup=4, min_lr=0.1)
    assert [rates.lr_at(step) for step in (1, 2, 3, 4)] == [0.25, 0.5, 0.75, 1.0]
    assert rates.lr_at(9) == pytest.approx(0.1 + 0.9 * 0.5)
    assert rates.lr_at(14) == pytest.approx(0.1)


def test_warmup_by_epoch():
    rates = schedule(StepPlan(8, 2), warmup=2, unit="epoch", name="constant")
    assert [rates.lr_at(step) for step in range(1, 9)] == [0.5, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]


def test_milestones_in_steps_and_epochs():
    by_step = schedule(StepPlan(6, 2), name="step", milestones=(3, 5), gamma=0.1)
    assert [by_step.lr_at(step) for step in range(1, 7)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    by_epoch = schedule(StepPlan(6, 2), name="step", milestones=(1,), unit="epoch", min_lr=0.7)
    assert [by_epoch.lr_at(step) for step in range(1, 7)] == pytest.approx([1, 1, 0.7, 0.7, 0.7, 0.7])


def test_accumulated_batches_run_on_across_epochs():
    plan = plan_steps(TrainConfig(epochs=3), batches_per_epoch=5, accumulate=2)
    assert (plan.total_steps, plan.epochs) == (7, 3)
    assert [plan.epoch_of(step) for step in range(1, 8)] == [0, 0, 1, 1, 1, 2, 2]
    assert [plan.ends_epoch(step) for step in range(1, 8)] == [False, False, True, False, True, False, False]


def test_due_in_steps_and_epochs():
    plan = StepPlan(12, 3)
    assert [step for step in range(1, 13) if plan.is_due(step, 5, "step")] == [5, 10]
    assert [step for step in range(1, 13) if plan.is_due(step, 2, "epoch")] == [6, 12]
    assert not any(plan.is_due(step, 0, "step") for step in range(1, 13))


@pytest.mark.parametrize(("mode", "epochs"), [("all_in_one", 347), ("noise", 1005), ("rain", 1054), ("haze", 1054)])
def test_official_dsrir_rates(mode, epochs, golden_dir):
    recipe = load_recipe(f"dsrir/{mode}")
    assert recipe.train.epochs == recipe.train.progressive.epoch_chg[-1] == epochs
    rates = Schedule(recipe.optim, recipe.schedule, plan_steps(recipe.train, 3, earlier=((10, 2), (20, 1))))
    with np.load(golden_dir / "dsrir.npz") as golden:
        expected = golden[f"lr.E{epochs}"]
    firsts = [rates.plan.batches_in(epoch) + 1 for epoch in range(epochs)]
    np.testing.assert_allclose([rates.lr_at(step) for step in firsts], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_a_plan_of_stages_counts_as_a_list_of_batches_does(accumulate):
    earlier, last = ((2, 5), (1, 3)), 4
    listed = [(e, k) for e in range(8) for k in range(5 if e < 2 else 3 if e == 2 else last)]
    plan = plan_steps(TrainConfig(epochs=8), last, accumulate, earlier)
    assert plan.total_steps == len(listed) // accumulate
    assert [plan.place(batch) for batch in range(len(listed))] == listed
    assert [plan.batches_in(e) for e in range(9)] == [sum(epoch < e for epoch, _ in listed) for e in range(9)]
    for step in range(1, plan.total_steps + 1):
        used = listed[(step - 1) * accumulate : step * accumulate]
        following = (*listed, (8, 0))[(step - 1) * accumulate + 1 : step * accumulate + 1]
        assert plan.epoch_of(step) == used[-1][0]
        assert plan.ends_epoch(step) == any(position == 0 for _, position in following)
    ends = [step for step in range(1, plan.total_steps + 1) if plan.is_due(step, 3, "epoch")]
    assert ends == [math.ceil(plan.batches_in(epoch) / accumulate) for epoch in (3, 6)]


def test_the_last_epoch_runs_at_the_end_of_the_cosine(golden_dir):
    """DehazeFormer: one epoch more than the cosine has, a floor of a hundredth."""
    golden = np.load(golden_dir / "crossdehaze.npz")
    for name in ("lr0", "lr1"):
        base, epochs = golden[f"{name}.base_epochs"]
        config = ScheduleConfig(unit="epoch", min_lr=base / 100, cosine_extra=-1)
        schedule = Schedule(OptimConfig(lr=base), config, StepPlan((int(epochs) + 1) * 2, 2))
        rates = [schedule.lr_at(2 * epoch + 1) for epoch in range(int(epochs) + 1)]
        np.testing.assert_allclose(rates, golden[f"{name}.values"][: int(epochs) + 1], rtol=1e-9)
        assert rates[-1] == pytest.approx(base / 100)
    single = Schedule(OptimConfig(lr=1.0), ScheduleConfig(unit="epoch", cosine_extra=-1), StepPlan(2, 2))
    assert single.lr_at(1) == 1.0


def test_published_mpilnet_rates():
    recipe = load_recipe("mpilnet/reside6k")
    batches = 750  # 6000 pairs, 8 a batch
    rates = Schedule(recipe.optim, recipe.schedule, plan_steps(recipe.train, batches))
    per_epoch = [rates.lr_at(epoch * batches + 1) for epoch in range(200)]
    assert per_epoch == [1e-4] * 100 + [5e-5] * 40 + [2.5e-5] * 20 + [1.25e-5] * 40
    assert [rates.lr_at(epoch * batches) for epoch in (100, 140, 160, 200)] == [1e-4, 5e-5, 2.5e-5, 1.25e-5]


def test_shares_of_the_run_follow_its_length():
    config = {"name": "step", "milestone_shares": (0.5, 0.55), "gamma": 0.1}
    by_epoch = schedule(StepPlan(40, 2), unit="epoch", **config)
    assert [round(by_epoch.lr_at(2 * epoch + 1), 9) for epoch in (0, 9, 10, 11, 19)] == [1.0, 1.0, 0.1, 0.01, 0.01]
    by_step = schedule(StepPlan(100, 7), **config)  # 0.55 * 100 is a little more than 55 in floating point
    assert [round(by_step.lr_at(step), 9) for step in (1, 49, 50, 54, 55)] == [1.0, 1.0, 0.1, 0.1, 0.01]
