"""What a run trains: the network, its optimizer, loss scale and averages; a discriminator where the loss has one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import mindspore as ms
from mindspore import Parameter, nn

from mindrestore.engine import precision
from mindrestore.engine.adversarial import AdversarialStep, name_apart
from mindrestore.engine.context import multiplies_in_half
from mindrestore.engine.optim import build_optimizer
from mindrestore.engine.state import State, check_network, restore
from mindrestore.engine.step import StepOptions, SupervisedStep
from mindrestore.models.registry import model_spec
from mindrestore.models.wrapper import in_unit_range
from mindrestore.recipes.load import to_dict
from mindrestore.recipes.schema import Recipe


class Learner:
    """Build the training step of a recipe, and give everything about it that a killed run needs to go on.

    Args:
        recipe: everything that defines the run.
        net: network to train; it is put into training mode.
        objective: see `losses.objective`; its `adversary` makes the training adversarial.
        world: number of data-parallel processes.
    """

    def __init__(self, recipe: Recipe, net: nn.Cell, objective: nn.Cell, world: int) -> None:
        self.recipe, self.net = recipe, net
        self.scaler = precision.build_loss_scale(recipe.loss_scale)
        self.cell = precision.cast_network(net, recipe.train.amp, ms.get_context("device_target"))
        self.cell.set_train(True)
        options = StepOptions(
            loss_scale=self.scaler,
            clip_norm=recipe.optim.clip_norm,
            accumulate=recipe.optim.accumulate,
            ema_decay=recipe.ema.decay,
            mode=recipe.train.mode,
            world=world,
        )
        trained = in_unit_range(self.cell, model_spec(recipe.model.name))
        optimizer = build_optimizer(recipe.optim, net.trainable_params())
        self.discriminator = objective.adversary.discriminator if objective.adversary else None
        if self.discriminator is None:
            self.step = SupervisedStep(trained, objective, optimizer, options=options)
        else:
            name_apart(self.discriminator.set_train(True))
            alike = replace(recipe.optim, lr_factors={})  # these name parts of the network
            opponent = build_optimizer(alike, self.discriminator.trainable_params())
            self.step = AdversarialStep(trained, objective, optimizer, opponent=opponent, options=options)

    @property
    def notes(self) -> list[str]:
        """Lines for the log: what a person should know before training begins."""
        train, notes = self.recipe.train, []
        least = min(train.progressive.batch_sizes) if train.progressive else train.batch_size
        cells = self.discriminator.cells_and_names() if self.discriminator else ()
        if least == 1 and any(isinstance(cell, nn.BatchNorm2d) for _, cell in cells):
            notes.append(
                "warning: train.batch_size=1: the batch norm of the discriminator sees one image at a time and hides "
                "its colour and contrast; use 2 or more per device, optim.accumulate does not help"
            )
        if self.scaler is None and multiplies_in_half():
            notes.append(
                "warning: this card multiplies matrices in float16 even where the recipe says float32, and small "
                "gradients vanish in it; use loss_scale.kind=dynamic"
            )
        return notes

    def named_params(self) -> dict[str, Parameter]:
        """Return everything that the state file holds, by its name there."""
        named = {f"net.{param.name}": param for param in self.net.get_parameters()}
        extra = [param for optimizer in self.step.optimizers for param in optimizer.state]
        extra += self.step.ema.state if self.step.ema else []
        extra += self.discriminator.get_parameters() if self.discriminator else []
        return {**named, **{param.name: param for param in extra}}

    def facts(self) -> dict[str, Any]:
        """Return the rest of the state: counts and numbers that are not parameters."""
        return {
            "model": self.recipe.model.name,
            "hyper": dict(self.recipe.model.hyper),
            "updates": self.step.optimizers[0].count,
            "loss_scale": precision.scale_state(self.scaler),
            "recipe": to_dict(self.recipe),
        }

    def restore(self, state: State) -> None:
        """Put back what `named_params` and `facts` gave.

        Raises:
            CheckpointError: the state is that of another network; nothing has been changed then.
        """
        check_network(state, self.recipe.model.name)
        restore(state, self.named_params(), self.recipe.model.name)
        if self.step.ema is not None and not state.holds("ema."):
            self.step.ema.reset()
        for optimizer in self.step.optimizers:  # all of them update, or none
            optimizer.count = state.facts["updates"]
        precision.restore_scale(self.scaler, state.facts["loss_scale"])
