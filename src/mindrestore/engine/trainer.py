"""The training loop of every recipe."""

from __future__ import annotations

import json
import math
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from mindrestore.engine import precision
from mindrestore.engine.best import describe_best, keep_best
from mindrestore.engine.context import any_rank, broadcast_parameters, rank_and_world, value_of_first
from mindrestore.engine.ema import evaluating
from mindrestore.engine.learner import Learner
from mindrestore.engine.log import RunLog, describe_environment
from mindrestore.engine.memory import VALIDATION, explained, too_large
from mindrestore.engine.meter import Meter, describe_means
from mindrestore.engine.outcome import CheckpointError, DivergenceError, Interrupted, TrainResult
from mindrestore.engine.progress import Progress, changed_keys
from mindrestore.engine.schedule import Schedule, plan_steps
from mindrestore.engine.signals import COMPILING, COMPUTING, VALIDATING, StopRequest
from mindrestore.engine.state import State, has_state, load_state, save_state, set_aside
from mindrestore.engine.step import StepResult
from mindrestore.engine.stopwatch import Stopwatch, describe_times
from mindrestore.files import write_bytes
from mindrestore.losses.batch_context import BatchContext
from mindrestore.models.layers import on_cpu
from mindrestore.models.registry import model_spec
from mindrestore.models.wrapper import ImageModel
from mindrestore.recipes.load import recipe_to_yaml
from mindrestore.recipes.schema import Recipe
from mindrestore.weights.convert import save_weights

if TYPE_CHECKING:
    from mindrestore.data.pipeline import Batch, ProgressiveLoader, TrainLoader


# The fifth word of a seed; it keeps the draws of loss terms apart from those of the loader.
_LOSS_DRAWS = 6
# Updates that a card may be ahead of what the host has read: reading waits for all of them, and each holds its batch.
_MOST_UNREAD = 16


class Trainer:
    """Train a network as a recipe says, into a run folder, from the start or from where an earlier run stopped.

    Args:
        recipe: everything that defines the run.
        net: network to train.
        objective: see `losses.objective`.
        loader: training batches.
        run_dir: run folder; it is created.
        validate: measures the network (in evaluation mode) on whole images, returns scores by name.
        notes: lines for the beginning of the log.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        net: nn.Cell,
        objective: nn.Cell,
        loader: TrainLoader | ProgressiveLoader,
        run_dir: str | Path,
        validate: Callable[[nn.Cell], Mapping[str, float]] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.recipe, self.net, self.objective, self.loader = recipe, net, objective, loader
        self.run_dir, self.validate = Path(run_dir), validate
        self.rank, self.world = rank_and_world()
        self.plan = plan_steps(recipe.train, loader.steps_per_epoch, recipe.optim.accumulate, loader.earlier_stages)
        self.schedule = Schedule(recipe.optim, recipe.schedule, self.plan)
        self.learner = Learner(recipe, net, objective, self.world)
        self.train_step, self.cell = self.learner.step, self.learner.cell
        self.notes = (*notes, *objective.notes, *self.learner.notes)
        self.progress = Progress()
        self.saved = (-1, -1)  # steps of the last state and of the last validation that it knows
        self._unread: list[tuple[int, np.ndarray, Tensor]] = []  # step, images, what it measured
        self._patience = 1 if on_cpu() else _MOST_UNREAD
        self._scale = 1.0  # of the loss, in the last update that was read
        self._seen: set[tuple[int, ...]] = set()  # shapes of batches
        self._busy_with = "building the network"

    def fit(self, resume: str | bool = "auto") -> TrainResult:
        """Train to the end of the recipe.

        Args:
            resume: "auto" goes on when the run folder holds a state, True insists on one, False starts anew and
                sets an earlier run's files aside.

        Returns:
            Where the run stands.

        Raises:
            CheckpointError: the folder cannot be written, or its state cannot be used.
            DivergenceError: losses stayed non-finite; the message names the images.
            Interrupted: Ctrl-C or SIGTERM; the state is saved.
            OutOfMemoryError: batches or validation images do not fit; the message says what to change.
        """
        self._prepare_folder(resume)
        first = self.rank == 0
        with RunLog(self.run_dir, first, self.recipe.train.tensorboard) as self.log, StopRequest(first) as stop:
            with explained(self._too_large):
                self._resume_or_begin(resume)
                self.log.start_bar(self.progress.step, self.plan.total_steps)
                self.watch = Stopwatch(("interval", "epoch"), self.world)
                with closing(self._batches()) as batches:
                    self._loop(stop, batches)
            if stop.requested:
                raise Interrupted(
                    f"stopped at step {self.progress.step} of {self.plan.total_steps}, everything is saved; "
                    f"continue with: mindrestore train --run-dir {shlex.quote(str(self.run_dir))}"
                )
            best = describe_best(self.recipe, self.progress)
            self.log.message(f"finished {self.progress.step} steps{best}; results in {self.run_dir}")
        return TrainResult(self.run_dir, self.progress.step, self.progress.best, self.progress.best_step)

    def _loop(self, stop: StopRequest, batches: Iterator[Batch]) -> None:
        train = self.recipe.train
        while True:
            step = self.progress.step
            last = step >= self.plan.total_steps
            stopping = self._agree(stop.requested)  # all after the same step, or they would wait for each other
            saves = last or stopping or self._is_due(train.checkpoint_every, train.checkpoint_unit)
            if saves:
                self._save()  # before a validation, too, which may be broken off
            if self._is_due(train.val_every, train.val_unit, last) and not stopping:
                with self.watch.timing("paused"):
                    self._validate(stop)
                    stopping = any_rank(stop.requested)
            if saves or stopping:
                self._save()
            if last or stopping:
                if any_rank(stopping or stop.requested):  # all wait for rank 0 to save: an error ends the others
                    stop.requested = True
                return
            self._advance(batches, stop)

    def _agree(self, flag: bool) -> bool:
        with self.watch.timing("communication"):
            return any_rank(flag)

    def _is_due(self, every: int, unit: str, last: bool = False) -> bool:
        step = self.progress.step
        return step > 0 and every > 0 and (last or self.plan.is_due(step, every, unit))

    def _advance(self, batches: Iterator[Batch], stop: StopRequest) -> None:
        """Make one update from `accumulate` batches, and log it."""
        step = self.progress.step + 1
        lr = self.schedule.lr_at(step)
        for number in range((step - 1) * self.plan.accumulate, step * self.plan.accumulate):
            with self.watch.timing("data"):
                batch = next(batches)
            self.watch.saw(len(batch.index))
            before = self.learner.step.communicated
            with self._compiling(stop, batch):
                measured = self.train_step.launch(
                    Tensor(batch.input), Tensor(batch.target), lr, self._term_inputs(number, batch)
                )
            self.watch.communicated(self.learner.step.communicated - before)
        self.progress.step = step
        self._unread.append((step, batch.index, measured))
        logs = step % self.recipe.train.log_every == 0 or step == self.plan.total_steps
        if logs or self.plan.ends_epoch(step) or len(self._unread) >= self._patience:
            self._read()
        if logs:
            self._log_interval(lr)
        if self.plan.ends_epoch(step):
            self._log_epoch(lr)

    def _read(self) -> None:
        """Wait for the updates that were launched, and take in what they measured."""
        while self._unread:
            step, index, measured = self._unread.pop(0)
            result = self.train_step.read(measured)
            self.progress.interval.add(result)
            self.progress.epoch.add(result)
            self._check_divergence(result, step, index)
            self._scale = result.scale
            self.log.advance_bar(loss=f"{result.total:.4f}", lr=f"{self.schedule.lr_at(step):.2e}")

    def _compiling(self, stop: StopRequest, batch: Batch) -> AbstractContextManager[None]:
        """Return the context of one step; batches of a new shape are compiled first."""
        shape = batch.input.shape
        self._busy_with = f"training on batches of {shape[0]} patches of {shape[3]}x{shape[2]} pixels"
        if shape in self._seen:
            return nullcontext()
        self._seen.add(shape)
        return stop.working(COMPILING if self.recipe.train.mode == "graph" else COMPUTING)

    def _too_large(self) -> str:
        return too_large(self.recipe, ms.get_context("device_target"), self.progress.step + 1, self._busy_with)

    def _term_inputs(self, number: int, batch: Batch) -> list[Tensor]:
        """Return what loss terms take beside a batch (from 0, counted over the run), a function of its number alone."""
        epoch, position = self.plan.place(number)
        rng = np.random.default_rng((self.recipe.train.seed, epoch, position, self.rank, _LOSS_DRAWS))
        context = BatchContext(epoch, self.plan.epochs, *batch.target.shape[2:], rng)
        return [Tensor(array) for array in self.objective.term_inputs(context)]

    def _batches(self) -> Iterator[Batch]:
        """Return batches without end, from where the run stands."""
        epoch, position = self.plan.place(self.progress.step * self.plan.accumulate)
        while True:
            yield from self.loader.epoch(epoch, position)
            epoch, position = epoch + 1, 0

    def _check_divergence(self, result: StepResult, step: int, index: np.ndarray) -> None:
        hopeless = not result.finite and precision.at_smallest_scale(self.learner.scaler)
        self.progress.bad_in_row = self.progress.bad_in_row + 1 if hopeless else 0
        if not result.finite:
            self.log.warn(f"step {step}: not finite at loss scale {result.scale:g}, update skipped")
        if self.progress.bad_in_row < self.recipe.train.nonfinite_patience:
            return
        terms = ", ".join(f"{name}={value:g}" for name, value in result.terms.items())
        saved = f"the state of step {self.saved[0]} is kept" if self.saved[0] >= 0 else "no state was saved"
        raise DivergenceError(
            f"losses or gradients were not finite {self.progress.bad_in_row} times in a row, last at step "
            f"{step} ({terms}, gradient norm {result.norm:g}); last batch: "
            f"{', '.join(self.loader.names(index))}. Check these files, or lower optim.lr "
            f"(now {self.schedule.lr_at(step):g}); {saved}"
        )

    def _log_interval(self, lr: float) -> None:
        step, means, times = self.progress.step, self.progress.interval.means(), self.watch.lap("interval")
        facts = {"kind": "train", "step": step, "epoch": self.plan.epoch_of(step) + 1, "lr": lr, "scale": self._scale}
        self.log.record({**facts, **means, "skipped": self.progress.interval.skipped, **times})
        line = f"step {step}/{self.plan.total_steps}  {describe_means(means)}  lr {lr:.2e}  {describe_times(times)}"
        self.log.message(line, console=not self.log.has_bar)
        self.progress.interval = Meter()

    def _log_epoch(self, lr: float) -> None:
        step, meter, times = self.progress.step, self.progress.epoch, self.watch.lap("epoch")
        epoch, means = self.plan.epoch_of(step) + 1, meter.means()
        facts = {"kind": "epoch", "step": step, "epoch": epoch, "lr": lr}
        self.log.record({**facts, **means, "skipped": meter.skipped, **times})
        skipped = f"  {meter.skipped} skipped" if meter.skipped else ""
        line = (
            f"epoch {epoch}/{self.plan.epochs}  {describe_means(means)}  lr {lr:.2e}  {describe_times(times)}{skipped}"
        )
        self.log.message(line)
        self.progress.epoch = Meter()

    def _validate(self, stop: StopRequest) -> None:
        """Measure whole images, and keep the weights when they are the best so far."""
        self._read()
        step = self.progress.step
        if self.validate is None or self.rank != 0 or self.progress.validated >= step:
            return
        began = time.perf_counter()
        self._busy_with = VALIDATION
        with evaluating(self.cell, self.train_step.ema):
            try:
                with stop.working(VALIDATING):
                    scores = {name: float(value) for name, value in self.validate(self.cell).items()}
            except KeyboardInterrupt:
                return  # the resumed run repeats it
            self._show_samples()
            keep_best(self.recipe, self.net, self.run_dir, self.progress, scores, self.plan.epoch_of(step))
        self.progress.validated = step
        seconds = round(time.perf_counter() - began, 3)
        facts = {"step": step, "epoch": self.plan.epoch_of(step) + 1, "protocol": self.recipe.validation.protocol}
        best = self.progress.best_step == step
        self.log.record({"kind": "validation", **facts, "scores": scores, "best": best, "seconds": seconds})
        listed = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
        self.log.message(f"validation at step {step} ({facts['protocol']})  {listed}{'  best so far' if best else ''}")

    def _show_samples(self) -> None:
        if not self.log.shows_images:
            return
        with closing(self.loader.epoch(0)) as batches:
            batch = next(batches)
        restored = ImageModel(self.cell, model_spec(self.recipe.model.name))
        output = restored(Tensor(batch.input[:4])).asnumpy()
        rows = np.concatenate([batch.input[:4], output, batch.target[:4]], axis=3)  # (N, 3, P, 3 P)
        self.log.images("input, output, target", rows, self.progress.step)

    def _save(self) -> None:
        self._read()
        if self.rank != 0 or self.saved == (self.progress.step, self.progress.validated):
            return
        facts = {
            **self.learner.facts(),
            "step": self.progress.step,
            "progress": self.progress.to_facts(),
            "batches_per_epoch": self.plan.batches_per_epoch,
        }
        save_state(self.run_dir, self.learner.named_params(), facts)
        self.saved = (self.progress.step, self.progress.validated)
        if self.train_step.ema is not None:
            with self.train_step.ema.in_place():
                save_weights(self.net, self.run_dir / "ema.ckpt")

    def _prepare_folder(self, resume: str | bool) -> None:
        if self.rank != 0:
            return
        try:
            self.run_dir.mkdir(parents=True, exist_ok=True)
            if resume is False:
                set_aside(self.run_dir)
        except OSError as error:
            raise CheckpointError(
                f"run folder {self.run_dir} cannot be written ({error.strerror}); choose another output.root"
            ) from error

    def _resume_or_begin(self, resume: str | bool) -> None:
        state = None
        if resume is True or (resume == "auto" and has_state(self.run_dir)):
            state = load_state(self.run_dir, self.log.warn)
            self._restore(state)
        first = value_of_first(self.progress.step)
        if first != self.progress.step:
            raise CheckpointError(
                f"rank {self.rank} finds step {self.progress.step} in {self.run_dir}, rank 0 step {first}; put "
                "output.root on storage that all nodes share, or copy the run folder to every node"
            )
        if self.world > 1:
            broadcast_parameters(self.learner.named_params().values())
        self.log.forget_after(self.progress.step, self.progress.validated)
        if self.rank == 0:
            environment = describe_environment(ms.get_context("device_target"), self.recipe.train.mode, self.world)
            write_bytes(self.run_dir / "recipe.yaml", recipe_to_yaml(self.recipe).encode())
            write_bytes(self.run_dir / "env.json", (json.dumps(environment, indent=2) + "\n").encode())
        for note in self.notes:
            self.log.message(note)
        size = sum(math.prod(param.shape) for param in self.net.trainable_params())
        length = f"{self.plan.total_steps} steps ({self.plan.described})"
        origin = f"resuming after step {state.facts['step']} from {state.path}" if state else "starting"
        self.log.message(f"{origin}: {self.recipe.model.name}, {size:,} parameters, {length}, into {self.run_dir}")

    def _restore(self, state: State) -> None:
        for change in changed_keys(state.facts["recipe"], self.recipe):
            self.log.warn(f"resuming with another recipe: {change}")
        if state.facts["batches_per_epoch"] != self.plan.batches_per_epoch:
            before = state.facts["batches_per_epoch"]
            self.log.warn(f"an epoch had {before} batches, now it has {self.plan.batches_per_epoch}")
        self.learner.restore(state)
        self.progress = Progress.from_facts(state.facts["progress"])
        self.saved = (self.progress.step, self.progress.validated)
