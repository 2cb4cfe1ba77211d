"""The learning rate as a pure function of the step, so that nothing about it needs to be saved."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mindrestore.recipes.schema import OptimConfig, ScheduleConfig, TrainConfig


@dataclass(frozen=True)
class StepPlan:
    """Relate updates, batches and epochs of one run.

    Steps count updates from 1; one update takes `accumulate` batches, and batches run on across the end of an epoch.

    Args:
        total_steps: number of updates.
        batches_per_epoch: batches in one pass over the data; with progressive training, in its last stage.
        accumulate: batches per update.
        earlier: (epochs, batches per epoch) of the stages before the last one.
    """

    total_steps: int
    batches_per_epoch: int
    accumulate: int = 1
    earlier: tuple[tuple[int, int], ...] = ()

    @property
    def epochs(self) -> int:
        """Number of epochs that the run touches."""
        return self.epoch_of(self.total_steps) + 1

    @property
    def described(self) -> str:
        """Epochs and batches in words, stage by stage."""
        if not self.earlier:
            return f"{self.epochs} epochs of {self.batches_per_epoch} batches"
        stages = [f"{epochs} of {batches}" for epochs, batches in self.earlier]
        return f"{self.epochs} epochs: {stages[0]} batches, {', '.join([*stages[1:], 'then'])} {self.batches_per_epoch}"

    def epoch_of(self, step: int) -> int:
        """Return the epoch (from 0) that the last batch of an update (from 1) belongs to."""
        return self.place(max(step, 1) * self.accumulate - 1)[0]

    def ends_epoch(self, step: int) -> bool:
        """Return whether an update (from 1) uses the last batch of an epoch."""
        return self.place(step * self.accumulate)[0] > self.place((step - 1) * self.accumulate)[0]

    def place(self, batch: int) -> tuple[int, int]:
        """Return the epoch of a batch (from 0, counted over the run) and its position in that epoch."""
        before = 0
        for epochs, batches in self.earlier:
            if batch < epochs * batches:
                return before + batch // batches, batch % batches
            batch, before = batch - epochs * batches, before + epochs
        return before + batch // self.batches_per_epoch, batch % self.batches_per_epoch

    def batches_in(self, epochs: int) -> int:
        """Count the batches of the first epochs."""
        total = 0
        for length, batches in self.earlier:
            total, epochs = total + min(length, epochs) * batches, epochs - min(length, epochs)
        return total + epochs * self.batches_per_epoch

    def is_due(self, step: int, every: int, unit: str) -> bool:
        """Return whether something that happens `every` steps or epochs (0: never) happens after this update."""
        if every == 0:
            return False
        if unit == "step":
            return step % every == 0
        finished = self.place(step * self.accumulate)[0]
        return self.ends_epoch(step) and finished % every == 0


def plan_steps(
    train: TrainConfig, batches_per_epoch: int, accumulate: int = 1, earlier: tuple[tuple[int, int], ...] = ()
) -> StepPlan:
    """Count the updates of a run from its epochs or its steps.

    Args:
        train: section of the recipe with `epochs` or `max_steps`.
        batches_per_epoch: batches in one pass over the data, > 0.
        accumulate: batches per update.

    Returns:
        The plan.
    """
    plan = StepPlan(1, batches_per_epoch, accumulate, earlier)
    steps = train.max_steps if train.max_steps is not None else plan.batches_in(train.epochs) // accumulate
    return replace(plan, total_steps=max(steps, 1))


@dataclass(frozen=True)
class Schedule:
    """Learning rate of every update.

    With unit "step" the position is t / T with t = 1..T, so that cosine reaches its end at the last step
    (AECR-Net: 0.5 (1 + cos(pi t / T)) lr). With unit "epoch" it is e / E with e = 0..E-1, constant within an epoch.
    During warm-up the rate grows linearly, and the main curve starts after it; a cosine that is longer than the run by
    `cosine_extra` units stops above its end (MPRNet, denoising); -1 with epochs lets the last one run at the end
    (DehazeFormer, e / (E - 1)).

    Cosine with restarts counts the units before this one, t = 0, 1, ..., and a restart takes effect one unit after the
    boundary, which still belongs to the earlier period (PaddleGAN). After the last period the rate keeps its end value.
    """

    optim: OptimConfig
    config: ScheduleConfig
    plan: StepPlan

    def lr_at(self, step: int) -> float:
        """Return the learning rate of update `step` (from 1)."""
        by_epoch = self.config.unit == "epoch"
        position = self.plan.epoch_of(step) if by_epoch else step
        length = self.plan.epochs if by_epoch else self.plan.total_steps
        warmup = self.config.warmup
        ordinal = position + 1 if by_epoch else position  # how many units have begun, this one included
        if ordinal <= warmup:
            return self.optim.lr * ordinal / warmup
        if self.config.name == "cosine_restarts":
            return self._restarted(ordinal - 1 - warmup)
        return self._curve(position - warmup, max(length - warmup, 1), position)

    def _curve(self, position: int, length: int, absolute: int) -> float:
        top, low = self.optim.lr, self.config.min_lr
        if self.config.name == "cosine":
            return self._cosine(position / max(length + self.config.cosine_extra, 1))
        if self.config.name == "step":
            whole = self.plan.epochs if self.config.unit == "epoch" else self.plan.total_steps
            shares = [share * whole - 1e-6 for share in self.config.milestone_shares]  # against 0.55 * 100 > 55
            milestones = self.config.milestones or shares
            passed = sum(absolute >= milestone for milestone in milestones)
            return max(top * self.config.gamma**passed, low)
        return top

    def _restarted(self, position: int) -> float:
        weights = self.config.restart_weights or (1.0,) * len(self.config.periods)
        for period, weight in zip(self.config.periods, weights):
            if position <= period:
                return self._cosine(position / period, weight)
            position -= period
        return self.config.min_lr

    def _cosine(self, share: float, weight: float = 1.0) -> float:
        """Go from the base rate (share 0) to the least rate (share 1)."""
        top, low = self.optim.lr, self.config.min_lr
        return low + weight * 0.5 * (1.0 + math.cos(math.pi * share)) * (top - low)
