"""Make included weights of a run folder: one small file, and the card that says where it comes from."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np

from mindrestore.errors import MindRestoreError, first_line
from mindrestore.files import read_text
from mindrestore.inference.cell_engine import filled
from mindrestore.inference.options import PUBLISHED
from mindrestore.inference.restorer import Restorer
from mindrestore.inference.tasks import task_of
from mindrestore.inference.trained import Trained
from mindrestore.models.registry import create_model
from mindrestore.recipes.load import list_recipes, load_recipe, to_dict
from mindrestore.recipes.schema import Recipe
from mindrestore.weights import shipped
from mindrestore.weights.convert import save_weights
from mindrestore.weights.errors import WeightError
from mindrestore.weights.files import sha256_of
from mindrestore.weights.shipped import LARGEST, Card, list_shipped, write_card

OURS = "MindRestore"  # the method whose rows of quality.json are the scores of a card
_PLACE_KEYS = ("name", "output")  # of a recipe: they say where things lie, not what is learnt


@dataclass(frozen=True)
class Particulars:
    """What a run folder does not know.

    Attributes:
        name: Name of the weights: letters, digits and underscores.
        tasks: What they remove, in either spelling.
        variant: `free` or `research`.
        licence: Licence of the weights.
        terms: What has to be known before use; research weights need it.
        data: Name and licence of each training set.
        preferred: The default where several free weights do the same.
        command: How to repeat the training; None: made of the recipe and what differs from the packaged one.
        cpu_hours: Core hours; None: hours of the run times the cores of its machine.
    """

    name: str
    tasks: Sequence[str]
    variant: str = "free"
    licence: str = "Apache-2.0"
    terms: str = ""
    data: Sequence[tuple[str, str]] = ()
    preferred: bool = False
    command: str | None = None
    cpu_hours: float | None = None


def pack_weights(
    run: Path,
    particulars: Particulars,
    *,
    file: str | None = None,
    quality: Path | None = None,
    folder: Path | None = None,
) -> Card:
    """Write the weights of a run as float32 `.safetensors`, and their card.

    Args:
        run: Run folder of `mindrestore train`.
        particulars: What the folder does not know.
        file: Weight file of the folder; None: the best, else the averaged, else the last ones.
        quality: quality.json of benchmarks/quality.py with the scores; None: those of a card of this name stay.
        folder: Where both go; None: into the package.

    Returns:
        The card.

    Raises:
        MindRestoreError: The folder, the weights or the particulars cannot be used, or the file would be too large.
    """
    trained = Trained.of_run(run)
    if file:
        trained = replace(trained, weights=Path(run) / file)
    tasks = tuple(task_of(word) for word in particulars.tasks)
    folder = Path(folder or shipped.FOLDER)
    former = [card.scores for card in list_shipped(folder) if card.name == particulars.name]
    card = Card(
        **{key: getattr(particulars, key) for key in ("name", "variant", "licence", "terms", "preferred")},
        tasks=tasks,
        network=trained.model,
        sha256="",
        hyper=dict(trained.hyper),
        data=tuple({"name": name, "licence": licence} for name, licence in particulars.data),
        training=_facts_of(trained, particulars),
        scores=tuple(scores_of(quality, tasks)) if quality else next(iter(former), ()),
        folder=folder,
    )
    _write_file(trained, card.path)
    card = replace(card, sha256=sha256_of(card.path))
    write_card(card)
    return card


def _facts_of(trained: Trained, particulars: Particulars) -> dict[str, Any]:
    try:
        return training_facts(trained, particulars)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MindRestoreError(
            f"{trained.folder}: metrics.jsonl or env.json is not what `mindrestore train` writes "
            f"({first_line(error)}); name the whole run folder"
        ) from error


def training_facts(trained: Trained, particulars: Particulars) -> dict[str, Any]:
    """Collect how weights were trained from recipe.yaml, metrics.jsonl and env.json of the run folder."""
    records = [json.loads(line) for line in _read(trained.folder / "metrics.jsonl").splitlines()]
    environment = json.loads(_read(trained.folder / "env.json"))
    steps = max((record["step"] for record in records if record["kind"] == "train"), default=0)
    best = [record["step"] for record in records if record["kind"] == "validation" and record["best"]]
    # Records of epochs count the time of their intervals once more.
    hours = sum(record["seconds"] for record in records if record["kind"] in ("train", "validation")) / 3600
    cpu_hours = particulars.cpu_hours if particulars.cpu_hours is not None else hours * environment["cores"]
    return {
        "recipe": trained.recipe.name,
        "steps": steps,
        "taken_at_step": best[-1] if best and Path(trained.weights).name == "best.ckpt" else steps,
        "seed": trained.recipe.train.seed,
        "command": particulars.command or command_of(trained.recipe),
        "hours": round(hours, 2),
        "cpu_hours": round(cpu_hours, 2),
        "started": environment["started"],
        "device": environment["device"],
        "versions": {name: text for name, text in environment["packages"].items() if text},
    }


def command_of(recipe: Recipe) -> str:
    """Write the command that repeats a training: the recipe's name and what differs from the packaged recipe.

    Of files and folders the last part of the path remains.
    """
    words = ["mindrestore", "train", "--recipe", recipe.name]
    if recipe.name in list_recipes():
        packaged = _flat(to_dict(load_recipe(recipe.name)))
        for key, value in _flat(to_dict(recipe)).items():
            if key.split(".")[0] not in _PLACE_KEYS and packaged.get(key) != value:
                shown = Path(value).name if isinstance(value, str) and "/" in value else value
                words.append(f"{key}={json.dumps(shown) if not isinstance(shown, str) else shown}")
    return shlex.join(words)


def scores_of(quality: Path, tasks: Sequence[str]) -> list[dict[str, Any]]:
    """Take the scores of these tasks from a quality.json.

    Raises:
        MindRestoreError: It cannot be read, or has none.
    """
    try:
        rows = json.loads(_read(quality))["rows"]
        scores = [
            {key: row[key] for key in ("set", "images", "protocol", "psnr", "ssim", "input")}
            for row in rows
            if row["method"] == OURS and row["task"] in tasks
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise MindRestoreError(
            f"{quality}: not written by benchmarks/quality.py ({error!r}); run that again"
        ) from error
    if not scores:
        raise MindRestoreError(f"{quality}: no scores of {OURS} for {', '.join(tasks)}; measure these first")
    return scores


def _write_file(trained: Trained, path: Path) -> None:
    """Write the network's own values, in float32, and prove that the file restores a picture as the run does."""
    net = filled(create_model(trained.model, **trained.hyper), trained.weights)
    wrong = [name for name, value in net.parameters_and_names() if value.dtype not in (ms.float32, ms.int32)]
    if wrong:
        raise WeightError(f"{trained.weights}: {wrong[0]} is not float32; train without mixed-precision parameters")
    size = sum(value.size * 4 for value in net.get_parameters())
    if size > LARGEST:
        raise WeightError(
            f"{trained.weights}: {size / 1e6:.1f} MB in float32; at most {LARGEST / 1e6:g} MB ship, so"
            " take a smaller network"
        )
    save_weights(net, path)
    again = filled(create_model(trained.model, **trained.hyper), path)
    picture = np.random.default_rng(0).random((32, 32, 3), np.float32)
    options = PUBLISHED.with_(compiled=False)
    expected, given = (Restorer(trained.model, net=one, options=options).restore_float(picture) for one in (net, again))
    if not np.array_equal(given, expected):
        raise WeightError(f"{path}: restores another picture than {trained.weights}; try another disk")


def _read(path: Path) -> str:
    try:
        return read_text(path)
    except OSError as error:
        raise MindRestoreError(
            f"{path}: cannot be read ({error.strerror}); name the folder or file it belongs to"
        ) from error


def _flat(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in values.items():
        name = f"{path}{key}"
        flat.update(_flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value})
    return flat
