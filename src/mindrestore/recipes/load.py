"""Find, inherit, override and write recipes.

A recipe file may name another one under `inherit`; its own keys are laid over that one. `key=value` overrides come
last. The run folder keeps the result as one complete file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml

from mindrestore.errors import did_you_mean
from mindrestore.recipes.build import build, join, unknown_key
from mindrestore.recipes.schema import (
    DataConfig,
    ProgressiveConfig,
    Recipe,
    RecipeError,
    ScheduleConfig,
)
from mindrestore.recipes.terms import LOSS_TERMS
from mindrestore.recipes.yaml_text import LONGEST, YamlTextError, read_yaml

_FOLDER = Path(__file__).parent
RUN_FILES = ("recipe.yaml", "env.json")  # what every run folder holds
_FREE = ("model.hyper", "optim.lr_factors")  # keys below these belong to the network, which checks them itself


def list_recipes() -> list[str]:
    """List the names of the recipes that come with the package.

    Returns:
        Sorted names such as "aecrnet/its".

    Examples:
        >>> "quickstart" in list_recipes()
        True
    """
    return sorted(path.relative_to(_FOLDER).with_suffix("").as_posix() for path in _FOLDER.rglob("*.yaml"))


def load_recipe(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Load a recipe by name, from a YAML file, or from a run folder.

    Args:
        name_or_path: "aecrnet/its", "my/recipe.yaml" or "runs/first".
        overrides: "dotted.key=value" strings; the value is YAML. `null` switches a loss term off.

    Returns:
        The complete, checked recipe.

    Raises:
        RecipeError: unknown recipe or key (the closest is named), unreadable file, wrong type or range.

    Examples:
        >>> load_recipe("aecrnet/its", ["data.patch_size=64", "loss.terms.contrastive=null"]).data.patch_size
        64
    """
    path = _find(str(name_or_path), Path())
    values = _read_inherited(path, ())
    layer: dict[str, Any] = {}
    for text in overrides:
        _set(layer, text)
    values = _merge(values, layer)
    values.setdefault("name", _name_of(path))
    return _checked(build(Recipe, values))


def run_folder(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Path | None:
    """Return the run folder that a recipe was given as, or whose `recipe.yaml` it is: a run goes on where it lies.

    Args:
        name_or_path: as for `load_recipe`.
        overrides: as for `load_recipe`; another output.root or output.name asks for another folder.

    Returns:
        The folder; None for any other recipe.
    """
    path = Path(name_or_path)
    folder = path.parent if path.name == "recipe.yaml" and path.is_file() else path
    moved = any(text.split("=")[0] in ("output.root", "output.name", "output") for text in overrides)
    return folder if not moved and all((folder / name).is_file() for name in RUN_FILES) else None


def to_dict(recipe: Recipe) -> dict[str, Any]:
    """Turn a recipe into plain dictionaries and lists.

    Args:
        recipe: any recipe.

    Returns:
        Nested dictionaries that `recipes.schema.build(Recipe, ...)` accepts.
    """
    return _plain(dataclasses.asdict(recipe))


def recipe_to_yaml(recipe: Recipe) -> str:
    """Write a recipe as YAML that `load_recipe` reads back unchanged.

    Args:
        recipe: any recipe.

    Returns:
        YAML text with every key.
    """
    return yaml.safe_dump(to_dict(recipe), sort_keys=False, default_flow_style=None, allow_unicode=True)


def next_stage(recipe: Recipe, weights: str | None) -> Recipe | None:
    """Return the recipe of the training that follows: the same one with `then` laid over it.

    Args:
        recipe: a recipe.
        weights: weight file that the first training has left.

    Returns:
        The second recipe, whose name and output.name end in `_stage2`; None when the recipe has no `then`.

    Raises:
        RecipeError: `then` holds an unknown key or a value out of range.
    """
    if recipe.then is None:
        return None
    values = to_dict(recipe)
    own = f"{recipe.output.name}_stage2" if recipe.output.name else None
    values.update(name=f"{recipe.name}_stage2", then=None)
    values["output"]["name"] = own
    values["model"].update(weights=weights, follows=recipe.name)
    return _checked(build(Recipe, _merge(values, recipe.then)))


def _find(name: str, beside: Path) -> Path:
    """Locate a recipe: a packaged name first, then a file or run folder (relative to `beside`)."""
    if name in list_recipes():
        return _FOLDER / f"{name}.yaml"
    path = beside / name
    if path.is_dir() and (path / "recipe.yaml").is_file():
        return path / "recipe.yaml"
    if path.is_file():
        return path
    if path.suffix in (".yaml", ".yml"):
        raise RecipeError(f"recipe file {path} does not exist")
    raise RecipeError(f"unknown recipe {name!r}; {did_you_mean(name, list_recipes())}")


def _name_of(path: Path) -> str:
    return path.relative_to(_FOLDER).with_suffix("").as_posix() if _FOLDER in path.parents else path.stem


def _read_inherited(path: Path, chain: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in chain:
        names = " -> ".join(str(link) for link in (*chain, path.resolve()))
        raise RecipeError(f"recipes inherit from each other in a circle: {names}")
    values = _read(path)
    parent = values.pop("inherit", None)
    if parent is None:
        return values
    if not isinstance(parent, str):
        raise RecipeError(f"{path}: inherit: {parent!r} is not the name of a recipe")
    base = _read_inherited(_find(parent, path.parent), (*chain, path.resolve()))
    base.pop("name", None)  # the heir is not called after its parent
    return _merge(base, values)


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            values = read_yaml(stream.read(LONGEST + 1))
    except OSError as error:
        raise RecipeError(f"recipe {path} cannot be read: {error.strerror or error}; check its permissions") from error
    except YamlTextError as error:
        raise RecipeError(f"recipe {path} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise RecipeError(f"recipe {path}: expected keys and values, found {type(values).__name__}")
    return values


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, key by key; a layer that sets one training length replaces the other."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    lengths = [key for key in ("epochs", "max_steps") if over.get(key) is not None]
    if len(lengths) == 1:
        merged["max_steps" if lengths == ["epochs"] else "epochs"] = None
    return merged


def _set(layer: dict[str, Any], text: str) -> None:
    """Put one "dotted.key=value" override into a nested mapping."""
    key, sign, raw = text.partition("=")
    key = key.strip()
    if not sign or not key:
        raise RecipeError(f"override {text!r} is not of the form key=value, for example data.patch_size=64")
    known = recipe_keys()
    checked = key[len("then.") :] if key.startswith("then.") else key
    free = any(checked.startswith(f"{prefix}.") for prefix in _FREE)
    if not free and checked not in known:
        raise RecipeError(unknown_key(checked, known))
    try:
        value = read_yaml(raw)
    except YamlTextError as error:
        raise RecipeError(f"override {text[:80]!r}: the value is not valid YAML: {error}") from error
    *parents, leaf = key.split(".")
    for parent in parents:
        layer = layer.setdefault(parent, {})
        if not isinstance(layer, dict):
            raise RecipeError(f"override {text!r} contradicts an earlier override of {parent!r}")
    layer[leaf] = value


def recipe_keys() -> list[str]:
    """List every dotted key that a recipe or an override may set.

    Returns:
        Names such as "optim.lr" and "loss.terms.l1.weight", groups included.
    """
    return _keys_of(Recipe(), "") + _keys_of_terms()


def _keys_of(config: Any, path: str) -> list[str]:
    keys, hints = [], get_type_hints(type(config))
    for item in dataclasses.fields(config):
        name = join(path, item.name)
        keys.append(name)
        value = getattr(config, item.name)
        if value is None:  # a group that is off has keys all the same
            value = next((kind() for kind in get_args(hints[item.name]) if dataclasses.is_dataclass(kind)), None)
        if dataclasses.is_dataclass(value):
            keys += _keys_of(value, name)
    return keys


def _keys_of_terms() -> list[str]:
    keys = []
    for term, row in LOSS_TERMS.items():
        keys += [f"loss.terms.{term}", *_keys_of(row.settings(), f"loss.terms.{term}")]
    return keys


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _checked(recipe: Recipe) -> Recipe:
    """Check what no single field can say about itself."""
    train = recipe.train
    if (train.epochs is None) == (train.max_steps is None):
        raise RecipeError(
            f"train.epochs={train.epochs} and train.max_steps={train.max_steps}: set exactly one of the two"
        )
    if len(recipe.optim.betas) != 2:
        raise RecipeError(f"optim.betas: {list(recipe.optim.betas)} must hold two numbers, such as [0.9, 0.999]")
    if not any(term.weight > 0 for term in recipe.loss.terms.values()):
        raise RecipeError("loss.terms: no term has a weight above 0, so there is nothing to train; add l1.weight=1")
    if recipe.schedule.min_lr > recipe.optim.lr:
        raise RecipeError(f"schedule.min_lr {recipe.schedule.min_lr} is above optim.lr {recipe.optim.lr}")
    _check_best_name(recipe)
    _check_schedule(recipe.schedule)
    _check_progressive(recipe.train.progressive)
    names = [entry.name for entry in recipe.validation.sets]
    if len(set(names)) < len(names):
        raise RecipeError(f"validation.sets: two have one name in {names}; rename one of them")
    noise = recipe.data.noise_range
    if len(noise) != 2 or noise[0] > noise[1]:
        raise RecipeError(f"data.noise_range {list(noise)}: use the least and the greatest sigma, such as [0, 55]")
    _check_mix(recipe.data)
    next_stage(recipe, None)  # what is wrong with the second training is reported before the first one
    return recipe


def _check_best_name(recipe: Recipe) -> None:
    """Try the name on a made-up score: a mistake would show after the first epoch otherwise."""
    name = recipe.output.best_name
    if name is None:
        return
    scores = {"epoch": 0, "step": 0, recipe.validation.best_metric: 0.0}
    try:
        filled = name.format(**scores)
    except (LookupError, ValueError) as error:
        known = ", ".join(f"{{{key}}}" for key in scores)
        raise RecipeError(f"output.best_name {name!r} cannot be filled in ({error}); the fields are {known}") from error
    if "/" in filled or not filled.endswith(".ckpt") or filled in ("best.ckpt", "ema.ckpt", "last.ckpt"):
        raise RecipeError(
            f"output.best_name {name!r}: choose the name of a new .ckpt file, such as best_{{epoch}}.ckpt"
        )


def _check_mix(data: DataConfig) -> None:
    if data.mix and data.train_list:
        raise RecipeError("data.mix and data.train_list both say what to train on; set one of them to null")
    for number, source in enumerate(data.mix):
        if len(source.gamma) not in (0, 3):
            raise RecipeError(
                f"data.mix[{number}].gamma {list(source.gamma)}: use three numbers, of red, green and blue, or none"
            )
    if len({source.share is None for source in data.mix}) > 1:
        raise RecipeError("data.mix: some data sets have a share and some have none; all of them need one, or none")


def _check_progressive(progressive: ProgressiveConfig | None) -> None:
    if progressive is None:
        return
    lists = {name: list(getattr(progressive, name)) for name in ("epoch_chg", "patch_sizes", "batch_sizes")}
    if not lists["epoch_chg"] or len({len(values) for values in lists.values()}) > 1:
        told = ", ".join(f"{name} {values}" for name, values in lists.items())
        raise RecipeError(f"train.progressive: {told}; use as many switch epochs as patch sizes and batch sizes")
    if any(later <= earlier for earlier, later in zip(lists["epoch_chg"], lists["epoch_chg"][1:])):
        raise RecipeError(
            f"train.progressive.epoch_chg {lists['epoch_chg']}: every stage has to end later than the one before; "
            "`mindrestore data epoch-chg --images N` computes them"
        )


def _check_schedule(schedule: ScheduleConfig) -> None:
    if schedule.name == "step" and not schedule.milestones and not schedule.milestone_shares:
        raise RecipeError(
            "schedule.milestones is empty: a step schedule needs at least one, such as [100, 200], or milestone_shares "
            "such as [0.5, 0.8]"
        )
    if schedule.milestones and schedule.milestone_shares:
        raise RecipeError(
            f"schedule.milestones {list(schedule.milestones)} and milestone_shares {list(schedule.milestone_shares)} "
            "both say when the rate falls; leave one of them empty"
        )
    if schedule.name == "cosine_restarts" and not schedule.periods:
        raise RecipeError("schedule.periods is empty: cosine_restarts needs at least one, such as [25000, 25000]")
    if schedule.restart_weights and len(schedule.restart_weights) != len(schedule.periods):
        raise RecipeError(
            f"schedule.restart_weights {list(schedule.restart_weights)}: use one per period, "
            f"{list(schedule.periods)}, or none"
        )
