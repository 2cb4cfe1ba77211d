"""`mindrestore recipes`: list the training recipes, or print one with every key."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mindrestore.recipes.schema import Recipe


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("recipes", help="list the recipes, or print one", description=__doc__)
    parser.add_argument("name", nargs="?", help="recipe to print, as `train` would see it")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="overrides to apply before printing")
    parser.add_argument(
        "--keys", action="store_true", help="print a table of all keys instead: type, default, what is allowed"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print."""
    from mindrestore.recipes.load import list_recipes, load_recipe, recipe_to_yaml

    if args.keys:
        _print_keys()
        return 0
    if args.name:
        print(recipe_to_yaml(load_recipe(args.name, args.overrides)), end="")
        return 0
    names = list_recipes()
    width = max(map(len, names))
    for name in names:
        print(f"{name:{width}}  {_summary(load_recipe(name))}")
    return 0


def _print_keys() -> None:
    """Print tables of all keys, and of the hyper-parameters of every network."""
    from mindrestore.models.hyper import allowed
    from mindrestore.models.registry import hyper_parameters, list_models
    from mindrestore.recipes.describe import as_code, markdown_table, recipe_keys

    rows = [(as_code(key.name), *key[1:]) for key in recipe_keys()]
    print(markdown_table([("key", "type", "default", "allowed", "meaning"), *rows]), end="\n\n")
    rows = [
        (as_code(model), as_code(key), as_code(usual), allowed(key, usual))
        for model in list_models()
        for key, usual in hyper_parameters(model).items()
    ]
    print(markdown_table([("network", "key of `model.hyper`", "published", "allowed"), *rows]))


def _summary(recipe: Recipe) -> str:
    length = f"{recipe.train.epochs} epochs" if recipe.train.epochs else f"{recipe.train.max_steps} steps"
    terms = " + ".join(
        name if term.weight == 1 else f"{term.weight:.3g} {name}"
        for name, term in recipe.loss.terms.items()
        if term.weight
    )
    batch, patch = str(recipe.train.batch_size), str(recipe.data.patch_size)
    stages = recipe.train.progressive
    if stages:  # grows from stage to stage; the plain keys count no more
        batch, patch = ("/".join(map(str, sizes)) for sizes in (stages.batch_sizes, stages.patch_sizes))
    then = ", then a second stage" if recipe.then else ""
    task = f" to {recipe.model.task}" if recipe.model.task else ""
    return f"{recipe.model.name}{task} on {_data(recipe)}, {length}, batch {batch}, patch {patch}, {terms}{then}"


def _data(recipe: Recipe) -> str:
    """Name what is trained on: the list, the mix, or the data set."""
    data = recipe.data
    if data.train_list:
        return data.train_list
    names = dict.fromkeys(str(part.dataset) for part in data.mix) or {data.dataset: None}
    return " + ".join("pairs of your own" if name == "auto" else name for name in names)
