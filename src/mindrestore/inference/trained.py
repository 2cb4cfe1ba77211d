"""Name a trained network: the one of a run folder, of a weight file, of weights that ship, or of a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

from mindrestore.errors import MindRestoreError
from mindrestore.inference.restorer import Restorer
from mindrestore.inference.tasks import source_for
from mindrestore.recipes.load import list_recipes, load_recipe
from mindrestore.recipes.schema import Recipe
from mindrestore.weights.create import shipped_source
from mindrestore.weights.exchange import recorded_settings
from mindrestore.weights.folder import RESULTS, weight_file
from mindrestore.weights.shipped import Card, requested

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
    """

    model: str
    weights: PathLike
    hyper: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    recipe: Recipe | None = None
    card: Card | None = None

    @classmethod
    def of_run(cls, folder: PathLike) -> Trained:
        """Take the best weights of a run folder, else the averaged ones, else the last.

        Raises:
            MindRestoreError: The folder is missing, is not a run folder, or holds no weights yet.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise MindRestoreError(f"{folder}: no such folder; give a run folder of `mindrestore train`")
        if not (folder / "recipe.yaml").is_file():
            raise MindRestoreError(
                f"{folder}: no recipe.yaml in it, so this is not a run folder of `mindrestore train`"
            )
        weights = next((folder / name for name in RESULTS if (folder / name).is_file()), None)
        if weights is None:
            raise MindRestoreError(f"{folder}: holds none of {', '.join(RESULTS)}; train for at least one checkpoint")
        recipe = load_recipe(folder)
        return cls(recipe.model.name, weights, recipe.model.hyper, folder, recipe)

    @classmethod
    def of_file(cls, model: str, weights: PathLike, hyper: Mapping[str, Any] | None = None) -> Trained:
        """Take a weight file; one of a run folder, converted or shipped brings the network's hyper-parameters.

        Args:
            model: Registered name.
            weights: Weight file, or a folder that stands for one (`weights/folder.py`); or `default`, or a name of
                `mindrestore weights list`, for weights that ship.
            hyper: Hyper-parameters to lay over these.

        Raises:
            MindRestoreError: There are no such shipped weights for the network, or what is recorded cannot be read.
        """
        card = requested(weights, network=model)
        if card:
            return cls(model, *shipped_source(card, hyper), card=card)
        weights = weight_file(weights)
        network, recorded = recorded_settings(weights)
        return cls(model, weights, {**(recorded if network == model else {}), **(hyper or {})})

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
            weights: Weight file, or a name of weights that ship; by default those that come with MindRestore, but after
                a published word such as `Deraining` the file where its program keeps it, if it is there.
            model: Registered name; by default that of the shipped weights, else the network that specialises in the
                task.
            hyper: Hyper-parameters that differ from the published ones.

        Raises:
            MindRestoreError: The task is unknown, the model does another one, or no weights were found.
        """
        return cls.of_file(*source_for(task, weights, model), hyper)

    def usual_protocol(self) -> str:
        """Return the test protocol of the run, else of the first packaged recipe for this network, else `rgb`."""
        packaged = (load_recipe(name) for name in list_recipes())
        recipes = [self.recipe] if self.recipe else (recipe for recipe in packaged if recipe.model.name == self.model)
        return next((recipe.validation.final_protocol for recipe in recipes), "rgb")

    def restorer(self, device: str = "auto", tile: int | str | None = None, **options: Any) -> Restorer:
        """Load the network, ready for images of any size; options are those of `Restorer`."""
        own = {"weights": self.weights, "hyper": dict(self.hyper)}
        return Restorer(self.model, **own, device=device, tile=tile, **options)
