"""`mindrestore recipes`: list the training recipes, or print one with every key."""

from __future__ import annotations

import argparse
from typing import Any

from mindrestore.recipes.load import list_recipes, load_recipe, recipe_to_yaml
from mindrestore.recipes.schema import Recipe


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("recipes", help="list the recipes, or print one", description=__doc__)
    parser.add_argument("name", nargs="?", help="recipe to print, as `train` would see it")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="overrides to apply before printing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print."""
    if args.name:
        print(recipe_to_yaml(load_recipe(args.name, args.overrides)), end="")
        return 0
    names = list_recipes()
    width = max(map(len, names))
    for name in names:
        print(f"{name:{width}}  {_summary(load_recipe(name))}")
    return 0


def _summary(recipe: Recipe) -> str:
    length = f"{recipe.train.epochs} epochs" if recipe.train.epochs else f"{recipe.train.max_steps} steps"
    terms = " + ".join(
        name if term.weight == 1 else f"{term.weight:.3g} {name}"
        for name, term in recipe.loss.terms.items()
        if term.weight
    )
    return (
        f"{recipe.model.name} on {recipe.data.dataset}, {length}, batch {recipe.train.batch_size}, "
        f"patch {recipe.data.patch_size}, {terms}"
    )
