"""Name a trained network: the one of a run folder, of a weight file, of included weights, or of a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Union

from mindrestore.errors import MindRestoreError
from mindrestore.exporting.reload import onnx_properties
from mindrestore.inference.pixels import RestoreError
from mindrestore.inference.tasks import TaskError, known_tasks, networks_for, source_for
from mindrestore.models.registry import list_models, model_spec
from mindrestore.recipes.load import list_recipes, load_recipe
from mindrestore.recipes.schema import Recipe
from mindrestore.weights.create import shipped_source
from mindrestore.weights.exchange import recognised_network, recorded_settings
from mindrestore.weights.files import READABLE
from mindrestore.weights.folder import RESULTS, weight_file
from mindrestore.weights.shipped import DEFAULT, Card, requested

PathLike = Union[str, Path]


@dataclass(frozen=True)
class Trained:
    """Name a trained network: which one, its weights, and the run that made it.

    Attributes:
        model: Registered name.
        weights: Weight file.
        hyper: Hyper-parameters that differ from the defaults.
        folder: Its run folder; `None` for a lone weight file.
        recipe: The run's recipe; `None` for a lone weight file.
        card: What is known about weights that come with MindRestore; `None` for others.
        task: What it was asked or trained to remove, in the word of the model specs; `None`: nobody said.
    """

    model: str
    weights: PathLike | Mapping[str, Any] | None
    hyper: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    recipe: Recipe | None = None
    card: Card | None = None
    task: str | None = None

    @property
    def made_for(self) -> tuple[str, ...]:
        """What it removes: the task asked for, else what its weights were made for; empty: what the network is for."""
        return (self.task,) if self.task else self.card.tasks if self.card else ()

    @property
    def title(self) -> str:
        """What people call the network, such as DehazeFormer-T."""
        return model_spec(self.model).title

    @classmethod
    def of_run(cls, folder: PathLike) -> Trained:
        """Take the best weights of a run folder, else the averaged ones, else the last.

        Raises:
            MindRestoreError: The folder is missing, is not a run folder, or holds no weights yet.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise MindRestoreError(f"{folder}: no such folder; name a run folder of `mindrestore train`")
        if not (folder / "recipe.yaml").is_file():
            raise MindRestoreError(
                f"{folder}: no recipe.yaml in it, so this is not a run folder of `mindrestore train`"
            )
        weights = next((folder / name for name in RESULTS if (folder / name).is_file()), None)
        if weights is None:
            raise MindRestoreError(f"{folder}: holds none of {', '.join(RESULTS)}; train for at least one checkpoint")
        recipe = load_recipe(folder)
        return cls(recipe.model.name, weights, recipe.model.hyper, folder, recipe, task=recipe.model.task)

    @classmethod
    def of_weights(cls, weights: PathLike, hyper: Mapping[str, Any] | None = None) -> Trained:
        """Take weights that say themselves what they are for: a run folder, a file in one, a converted or shipped one.

        Raises:
            MindRestoreError: Nothing beside them names the network.
        """
        if (Path(weights) / "recipe.yaml").is_file() and not hyper:
            return cls.of_run(weights)
        return resolve(weights=weights, hyper=hyper)

    @classmethod
    def of_file(cls, model: str, weights: PathLike, hyper: Mapping[str, Any] | None = None) -> Trained:
        """Take a weight file; one of a run folder, converted or shipped brings the network's hyper-parameters.

        Args:
            model: Registered name.
            weights: Weight file, or a folder that stands for one (`weights/folder.py`); or `default`, or a name of
                `mindrestore weights list`, for included weights.
            hyper: Hyper-parameters to lay over these.

        Raises:
            MindRestoreError: There are no such shipped weights for the network, or what is recorded cannot be read.
        """
        return resolve(model=model, weights=weights, hyper=hyper)

    @classmethod
    def of_task(
        cls,
        task: str,
        weights: PathLike | None = None,
        *,
        model: str | None = None,
        hyper: Mapping[str, Any] | None = None,
    ) -> Trained:
        """Take the network for a task.

        Args:
            task: `derain` or `Deraining`, `deblur` or `Deblurring`, `denoise` or `Denoising`, `dehaze`, in any case.
            weights: Weight file, or a name of included weights; by default those that come with MindRestore, but after
                a published word such as `Deraining` the file where its program keeps it, if it is there.
            model: Registered name; by default that of the shipped weights or the one recorded beside a file, else the
                network that specialises in the task.
            hyper: Hyper-parameters that differ from the published ones.

        Raises:
            MindRestoreError: The task is unknown, the model does another one, or no weights were found.
        """
        return resolve(task=task, model=model, weights=weights, hyper=hyper)

    def usual_protocol(self) -> str:
        """Return the test protocol of the run, else of the first packaged recipe for this network, else `rgb`."""
        packaged = (load_recipe(name) for name in list_recipes())
        recipes = [self.recipe] if self.recipe else (recipe for recipe in packaged if recipe.model.name == self.model)
        return next((recipe.validation.final_protocol for recipe in recipes), "rgb")


def resolve(
    *,
    task: str | None = None,
    model: str | None = None,
    weights: PathLike | Mapping[str, Any] | None = None,
    hyper: Mapping[str, Any] | None = None,
) -> Trained:
    """Find the network and the weights that somebody means; this is asked once, and its answer passed on.

    Args:
        task: As for `Trained.of_task`; None: the model says enough.
        model: Registered name; None: the one that is recorded beside the weights, else the one whose names and shapes
            they have, else the network for the task.
        weights: Weight file, values by name, `default`, or a name of `mindrestore weights list`; None: initial ones
            or, with a task, those that are there for it.
        hyper: Hyper-parameters to lay over those that come with the weights.

    Returns:
        The network, its weights, and what is known of them.

    Raises:
        MindRestoreError: Nothing says which network, a name is unknown, or weights were not found.
    """
    known = _recorded(weights)
    if not (model or known.model):
        known = _recognised(weights, task)
    model = model or known.model
    if task is not None:
        model, weights, card, task = source_for(task, weights, model, made_for=known.task)
        if known.task not in (None, task):
            raise TaskError(f"weights {weights} do {known.task}, not {task}; name others, or that task")
    else:
        if model is not None:
            model_spec(model)  # an unknown network is the first thing to say
        card = requested(weights, network=model) if model or str(weights) != DEFAULT else None
        if model is None and card is None:
            raise RestoreError(_unsaid(weights))
    if card:
        return Trained(card.network, *shipped_source(card, hyper), card=card, task=task)
    if not isinstance(weights, (str, Path)):
        return Trained(model, weights, dict(hyper or {}), task=task)
    if known.model != model:
        known = _Record()
    return Trained(model, weight_file(weights), {**known.hyper, **(hyper or {})}, task=task or known.task)


class _Record(NamedTuple):
    """What stands beside weights: their network, its hyper-parameters, and what a run was trained to remove."""

    model: str | None = None
    hyper: Mapping[str, Any] = {}
    task: str | None = None


def _recorded(weights: PathLike | Mapping[str, Any] | None) -> _Record:
    """Read the recipe of the run or the record of a conversion, beside a weight file or in its folder, or what an ONNX
    file says of itself.
    """
    if not isinstance(weights, (str, Path)) or not Path(weights).exists():
        return _Record()
    file = weight_file(weights)
    if file.suffix == ".onnx":
        said = onnx_properties(file)
        model, task = said.get("model"), said.get("task", "")
        return _Record(model if model in list_models() else None, {}, task if task in known_tasks() else None)
    if (file.parent / "recipe.yaml").is_file():
        made = load_recipe(file.parent).model
        return _Record(made.name, made.hyper, made.task)
    return _Record(*recorded_settings(file))


def _recognised(weights: PathLike | Mapping[str, Any] | None, task: str | None) -> _Record:
    """Take what a weight file is by its names and shapes, among the networks for the task."""
    if not isinstance(weights, (str, Path)) or not Path(weights).exists():
        return _Record()
    file = weight_file(weights)
    if file.suffix.lower() not in READABLE:
        return _Record()
    return _Record(recognised_network(file, networks_for(task) if task else ()))


def _unsaid(weights: PathLike | Mapping[str, Any] | None) -> str:
    if isinstance(weights, (str, Path)) and str(weights) != DEFAULT:
        if not Path(weights).exists():
            return f"{weights}: no such file or folder, and not a name of `mindrestore weights list`; check the path"
        return f"{weights}: nothing in it or beside it says which network it is for; name the network, or a task"
    return 'no network given; name one, or a task such as task="dehaze"'
