"""The training objective of a recipe: named terms and their weighted sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from mindrestore.errors import MindRestoreError
from mindrestore.losses.batch_context import BatchContext
from mindrestore.recipes.schema import LossConfig
from mindrestore.recipes.terms import LOSS_TERMS


class Objective(nn.Cell):
    """Weigh and add named loss terms; every term stays visible.

    A network of several stages gives one image per stage. A term on images measures each of them and is logged as
    `<term>_<stage>`, the final stage having the highest number; `total_<stage>` is the weighted sum of a stage's terms.
    A term whose cell has a true attribute `raw_output` takes the whole output once, under its own name. A term with a
    method `term_inputs` takes the final image and what that method returns for each batch: a factor of its weight, and
    further inputs. Both come from the host as arrays, so that schedules and draws need no compilation.

    Args:
        terms: term name -> (weight, cell); each cell maps (output, batch_input, target) to a 0-d tensor.
        notes: lines for the training log, such as which terms are off.
        stage_weights: factor of each stage, the final one first; one number for a network with one image.

    Inputs:
        output: what the network returned: (N, 3, H, W), a tuple of them with the final one first, or a tuple whose
            first element is that tuple.
        batch_input: (N, 3, H, W) degraded images in [0, 1].
        target: (N, 3, H, W) clear images in [0, 1].
        *term_inputs: what `term_inputs` returned for this batch, as tensors.

    Returns:
        (total, value, value, ...): 0-d tensors; the values are in the order of `names`, those of terms unweighted.
    """

    def __init__(
        self,
        terms: Mapping[str, tuple[float, nn.Cell]],
        notes: tuple[str, ...] = (),
        stage_weights: tuple[float, ...] = (1.0,),
    ) -> None:
        super().__init__()
        raw = {name: term for name, term in terms.items() if getattr(term[1], "raw_output", False)}
        scheduled = {name: term for name, term in terms.items() if hasattr(term[1], "term_inputs")}
        image = {name: term for name, term in terms.items() if name not in raw and name not in scheduled}
        self.stage_weights = stage_weights
        self.staged = len(stage_weights) > 1
        self.shows_totals = self.staged and len(image) > 1
        self.names = (*self._stage_names(tuple(image)), *raw, *scheduled)
        order = "/".join(str(stage) for stage in range(len(stage_weights), 0, -1))
        self.notes = (*notes, f"terms on images are logged for stages {order}") if self.staged and image else notes
        self.weights = tuple(float(weight) for weight, _ in image.values())
        self.raw_weights = tuple(float(weight) for weight, _ in raw.values())
        self.losses = nn.CellList([cell for _, cell in image.values()])
        self.raw_losses = nn.CellList([cell for _, cell in raw.values()])
        self.scheduled_weights = tuple(float(weight) for weight, _ in scheduled.values())
        self.scheduled_losses = nn.CellList([cell for _, cell in scheduled.values()])
        ends = np.cumsum([0, *(cell.term_input_count for _, cell in scheduled.values())]).tolist()
        self.spans = tuple(zip(ends, ends[1:]))  # of each scheduled term's share of `term_inputs`

    def _stage_names(self, terms: tuple[str, ...]) -> tuple[str, ...]:
        if not self.staged:
            return terms
        parts = (*terms, "total") if self.shows_totals else terms
        return tuple(f"{part}_{stage}" for stage in range(len(self.stage_weights), 0, -1) for part in parts)

    @property
    def adversary(self) -> nn.Cell | None:
        """Return the term that holds a discriminator to train beside the network; None without one."""
        return next((cell for cell in self.losses if hasattr(cell, "discriminator")), None)

    def term_inputs(self, context: BatchContext) -> tuple[np.ndarray, ...]:
        """Return what the terms take for one batch beside its images; nothing, when none has a method `term_inputs`.

        Args:
            context: the batch's place in training.

        Returns:
            Arrays for `construct`, in its order.
        """
        return tuple(array for cell in self.scheduled_losses for array in cell.term_inputs(context))

    def construct(
        self, output: Tensor | tuple[Tensor, ...], batch_input: Tensor, target: Tensor, *term_inputs: Tensor
    ) -> tuple[Tensor, ...]:
        total = 0.0
        values = ()
        for s in range(len(self.stage_weights)):
            stage = 0.0
            for i in range(len(self.weights)):
                value = self.losses[i](self.image(output, s), batch_input, target)
                stage = stage + self.weights[i] * value
                values = (*values, value)
            total = total + self.stage_weights[s] * stage
            if self.shows_totals:
                values = (*values, stage)
        for i in range(len(self.raw_weights)):
            value = self.raw_losses[i](output, batch_input, target)
            total = total + self.raw_weights[i] * value
            values = (*values, value)
        for i in range(len(self.scheduled_weights)):
            first, last = self.spans[i]
            value = self.scheduled_losses[i](self.image(output, 0), batch_input, target, *term_inputs[first + 1 : last])
            total = total + self.scheduled_weights[i] * term_inputs[first] * value
            values = (*values, value)
        return (total, *values)

    def image(self, output: Tensor | tuple[Tensor, ...], stage: int) -> Tensor:
        """Return the image of a stage, 0 being the final one."""
        if not self.staged:
            return output
        return output[0][stage] if isinstance(output[0], tuple) else output[stage]


def build_objective(config: LossConfig, stages: int = 1) -> Objective:
    """Build the objective that a recipe describes.

    Args:
        config: the `loss` section of a recipe; terms of weight 0 are left out and need no files.
        stages: images that the network returns, see `ModelSpec.stages`.

    Returns:
        The objective; `.names` are the values it gives, `.notes` say which terms are off and how stages are logged.

    Raises:
        MindRestoreError: a term asks for a file (VGG weights) that is not there, or `stage_weights` do not fit.
    """
    stage_weights = config.stage_weights or (1.0,) * stages
    if len(stage_weights) != stages:
        raise MindRestoreError(
            f"loss.stage_weights {list(stage_weights)} has {len(stage_weights)} numbers, but the network returns "
            f"{stages} image{'s' if stages > 1 else ''}; use one number per image, that of the final one first"
        )
    if stages > 1 and "adversarial" in config.terms and config.terms["adversarial"].weight > 0:
        raise MindRestoreError(
            f"loss term adversarial judges one image, but the network returns {stages}; switch the term off with "
            "loss.terms.adversarial.weight=0"
        )
    terms, notes = {}, []
    for name, settings in config.terms.items():
        if settings.weight > 0:
            terms[name] = (settings.weight, build_term(name, settings))
            notes += [note] if (note := getattr(terms[name][1], "note", None)) else []
        else:
            notes.append(LOSS_TERMS[name].off or f"loss term {name} is off (weight 0)")
    return Objective(terms, tuple(notes), stage_weights)


def build_term(name: str, settings: Any) -> nn.Cell:
    """Build one loss term.

    Args:
        name: of the term, in `LOSS_TERMS`.
        settings: an instance of its class of settings.

    Returns:
        The cell that measures it.

    Raises:
        MindRestoreError: it asks for a file (VGG weights) that is not there.
    """
    row = LOSS_TERMS[name]
    module, _, builder = row.builder.partition(".")
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    if not row.weighed:
        del values["weight"]
    # Imported when it is asked for: some terms pull in VGG, which most recipes do without.
    return getattr(import_module(f"mindrestore.losses.{module}"), builder)(**values)
