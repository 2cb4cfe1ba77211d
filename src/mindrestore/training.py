"""From a recipe to a training that is ready to begin: the checks, the pairs, the network and its validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mindrestore.data.mixing import training_pairs
from mindrestore.data.pipeline import ProgressiveLoader, TrainLoader
from mindrestore.engine import context
from mindrestore.engine.signals import break_off
from mindrestore.engine.state import has_state
from mindrestore.engine.trainer import Trainer
from mindrestore.errors import MindRestoreError
from mindrestore.evaluation.evaluator import evaluate_sets
from mindrestore.evaluation.sets import NamedSet, TestSet, recipe_sets
from mindrestore.inference.options import PUBLISHED
from mindrestore.inference.restorer import Restorer
from mindrestore.losses.objective import build_objective
from mindrestore.models.network import RestorationNetwork
from mindrestore.models.registry import create_model, model_spec
from mindrestore.ready import check_recipe, watched
from mindrestore.recipes.schema import ModelConfig, Recipe
from mindrestore.weights.convert import load_weights
from mindrestore.weights.create import weights_for
from mindrestore.weights.encoder import load_encoder, untrained_encoder

if TYPE_CHECKING:
    import numpy as np
    from mindspore import nn


def make_trainer(recipe: Recipe, folder: Path, resume: bool | str) -> Trainer:
    """Build what one stage of a recipe trains; nothing is written yet.

    Args:
        recipe: The recipe; its `then` is left to the caller.
        folder: Run folder.
        resume: As for `Trainer.fit`: a run that goes on needs no weights to start from.

    Returns:
        The trainer, whose `fit` does the work.

    Raises:
        MindRestoreError: Anything that the data or the device lacks, by name.
    """
    weights, hyper = weights_for(recipe.model.name, recipe.model.weights, recipe.model.hyper)  # shipped ones bring both
    recipe = replace(recipe, model=replace(recipe.model, hyper=hyper))
    pairs = training_pairs(recipe.data)
    validate = validation(recipe)
    context.setup(recipe.train.device, mode=recipe.train.mode, seed=recipe.train.seed)
    rank, world = context.rank_and_world()
    shared = {"config": recipe.data, "seed": recipe.train.seed, "rank": rank, "world": world}
    if recipe.train.progressive:
        loader = ProgressiveLoader(pairs, stages=recipe.train.progressive.stages, **shared)
    else:
        loader = TrainLoader(pairs, batch_size=recipe.train.batch_size, **shared)
    net = create_model(recipe.model.name, **recipe.model.hyper)
    goes_on = bool(resume) and has_state(folder)  # then the weights it began with may be gone
    notes = [] if goes_on else load_start(net, replace(recipe.model, weights=weights))
    objective = build_objective(recipe.loss, stages=model_spec(recipe.model.name).stages)
    batches = {"loader": loader, "validate": validate}
    return Trainer(recipe, net=net, objective=objective, run_dir=folder, notes=notes, **batches)


def load_start(net: nn.Cell, model: ModelConfig) -> list[str]:
    """Load the weights that training starts from, those of a whole network or of its encoder; say so for the log."""
    if model.weights and model.encoder_weights:
        raise MindRestoreError(
            f"model.weights={model.weights} holds the encoder as well; set model.encoder_weights to null"
        )
    if model.weights:
        load_weights(net, model.weights)
        return []
    if model.encoder_weights:
        return [load_encoder(net, model.encoder_weights)]
    has_encoder = isinstance(net, RestorationNetwork) and net.encoder_cells()
    return [f"warning: {untrained_encoder(net)}"] if has_encoder else []


def check_start(recipe: Recipe) -> None:
    """Refuse what cannot be trained, before any image is read."""
    check_recipe(recipe)
    model, first = recipe.model, recipe.model.follows
    if first and not model.weights and context.rank_and_world()[0] == 0:
        example = f"{recipe.output.root}/{first.replace('/', '_')}/best.ckpt"
        raise MindRestoreError(
            f"recipe {recipe.name} starts from the weights of {first}, and there are none; train {first} and give its "
            f"weights, as in model.weights={example}, or take a recipe that trains both stages"
        )


def validation(recipe: Recipe) -> Callable[[nn.Cell], dict[str, float]] | None:
    """Make the function that measures the network during training, on whole images or on the middle of each.

    Args:
        recipe: Names the pairs, the protocol, the largest side (`data.val_crop`) and the number of images.

    Returns:
        A function of the network that gives metric -> mean over the images; `None` when `train.val_every` is 0.

    Raises:
        MindRestoreError: The pairs or the protocol cannot be found: now, not after hours of training.
    """
    if recipe.train.val_every == 0:
        return None
    sets = recipe_sets(recipe) or [NamedSet("test", TestSet().pairs(recipe), recipe.validation.protocol)]
    sets = [replace(entry, protocol=watched(entry.protocol, recipe)) for entry in sets]
    restorers: dict[nn.Cell, Restorer] = {}  # one per network: it compiles the network once

    def validate(net: nn.Cell) -> dict[str, float]:
        if net not in restorers:
            restorers[net] = Restorer(recipe.model.name, net=net, options=PUBLISHED)

        def restore(image: np.ndarray) -> np.ndarray:
            break_off()  # between two images, where no graph is at work
            return restorers[net].restore_float(image)

        result = evaluate_sets(restore, sets, limit=recipe.validation.max_images)
        if result.unmeasured:  # an average over other sets than before would choose the wrong weights
            raise MindRestoreError("; ".join(f"{lost.name}: {lost.reason}" for lost in result.unmeasured))
        if len(sets) == 1:
            return result.mean
        each = {f"{metric} {name}": mean for name, entry in result.sets.items() for metric, mean in entry.mean.items()}
        return {**result.mean, **each}

    return validate
