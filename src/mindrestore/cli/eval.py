"""`mindrestore eval`: measure a trained network on image pairs, the input's own scores beside the restored ones."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindrestore.cli.arguments import nonempty_path, positive, seed
from mindrestore.cli.progress import announce
from mindrestore.cli.restore import add_engine
from mindrestore.cli.source import add_source, read_source
from mindrestore.errors import MindRestoreError

if TYPE_CHECKING:
    from mindrestore.evaluation.sets import NamedSet, TestSet
    from mindrestore.recipes.schema import Recipe

_COLUMNS = "dsrir-y-columns"
_EXAMPLES = """examples:
  eval.py runs/quickstart                               the recipe's own test pairs and protocol
  eval.py --model aecrnet --weights x.ckpt --data /data/Dense-Haze --dataset dense_haze --protocol aecr
  eval.py runs/derain --data Synthetic_Rain_Datasets/test --protocol mpr-derain
                                                        five test sets, one line each, and their average
  eval.py --recipe aecrnet/zoo_its --weights x.ckpt --data /data
                                                        network, test set and protocol of a recipe
  eval.py runs/all --recipe dsrir/all_in_one --root denoise=BSD68 --root derain=Rain100L/test --root dehaze=SOTS/outdoor
                                                        its test sets: noise at sigma 15, 25 and 50, rain, haze

The flags of the published test programs work, too: docs/published.md, `mindrestore explain "python test.py ..."`.
"""


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser(
        "eval", help="evaluate a run folder or a weight file", description=__doc__, epilog=_EXAMPLES
    )
    add_source(parser)
    _add_what_is_measured(parser)
    parser.add_argument("--split", metavar="NAME", help="part of the data set (default: test)")
    parser.add_argument(
        "--protocol", metavar="NAME", help="how scores are measured (default: that of the run, else that of the paper)"
    )
    parser.add_argument(
        "--out",
        type=nonempty_path,
        metavar="DIR",
        help="folder of the report (default: RUN_FOLDER/report, else report)",
    )
    parser.add_argument("--max-images", type=positive, metavar="N", help="stop after N pairs of every set")
    parser.add_argument("--tile", type=int, metavar="N", help="restore in tiles of NxN pixels, for large images")
    parser.add_argument(
        "--working-size",
        action="store_true",
        help="dehazing: downscale large images for the network, as `restore` does; +working-size is added to the "
        "name of the protocol",
    )
    add_engine(parser)
    parser.add_argument(
        "--noise-seed", type=seed, metavar="N", help="seed of the noise that tests add to clear images (default: 1234)"
    )
    parser.add_argument(
        "--reference-ssim",
        action="store_true",
        help="with --root: measure rain with the SSIM of DSRIR's published table, which runs along image columns only",
    )
    parser.set_defaults(run=run)


def _add_what_is_measured(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--recipe",
        metavar="NAME",
        help="recipe that supplies network, test sets and protocol unless other options do",
    )
    parser.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="TASK=DIR",
        help="with a --recipe that lists test sets: the folder of a task's set, such as denoise=BSD68; repeatable",
    )
    parser.add_argument(
        "--data",
        type=nonempty_path,
        metavar="DIR",
        help="folder of the test pairs, or of several test sets (default: that of the run)",
    )
    parser.add_argument(
        "--dataset", metavar="NAME", help="data set, see docs/datasets.md (default: that of the run, else detected)"
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate and print the table.

    Returns:
        0 when every pair was measured, 1 when some were left out; the table names them.
    """
    from mindrestore.recipes.load import load_recipe

    recipe = load_recipe(args.recipe) if args.recipe else None
    if recipe and not args.run_folder:
        args.model = args.model or recipe.model.name
        if not args.root:
            args.protocol = args.protocol or recipe.validation.final_protocol
    if args.run_folder or args.weights:
        announce(f"evaluating {args.run_folder or args.weights}")
    source = read_source(args)
    from mindrestore import api
    from mindrestore.exporting.form import read_key

    report = api.evaluate(
        source,
        test_set(args, recipe),
        protocol=args.protocol,
        out=args.out,
        limit=args.max_images,
        device=args.device,
        tile=args.tile,
        full_size=not args.working_size,
        engine=args.engine,
        key=read_key(args.key_file),
    )
    print(report.table)
    print(f"report and pictures: {report.folder}")
    print(f"in a browser: {report.folder / 'index.html'}")
    return int(bool(report.evaluation.failures))


def test_set(args: argparse.Namespace, recipe: Recipe | None) -> TestSet | Sequence[NamedSet]:
    """Find what is measured: the sets of a recipe, or the pairs of one data set.

    Args:
        args: Parsed arguments of `eval`.
        recipe: That of `--recipe`.

    Raises:
        MindRestoreError: A folder is not given, or holds no such pairs.
    """
    from mindrestore.evaluation.sets import TestSet, found_in

    if args.root or (recipe and recipe.validation.sets and not args.data):
        if not (recipe and recipe.validation.sets):
            raise MindRestoreError("--root goes with a --recipe that lists test sets, such as dsrir/all_in_one")
        return _recipe_sets(args, recipe)
    given = TestSet(args.data, args.dataset, args.split, args.noise_seed)
    if recipe and args.data and not args.dataset:
        data = recipe.data
        return (
            found_in(replace(given, dataset=data.val_dataset or data.dataset, split=args.split or data.val_split))
            or given
        )
    return given


def _recipe_sets(args: argparse.Namespace, recipe: Recipe) -> list[NamedSet]:
    from mindrestore.evaluation.sets import recipe_sets

    roots = dict(text.partition("=")[::2] for text in args.root)
    wanted = list(dict.fromkeys(str(entry.task) for entry in recipe.validation.sets))
    absent = [task for task in wanted if not roots.get(task)]
    if absent:
        words = " and ".join(f"--root {task}=DIR" for task in absent)
        raise MindRestoreError(f"recipe {args.recipe} measures {', '.join(wanted)}; use {words}")
    entries = [
        replace(
            entry,
            name=entry.name if entry.sigma is None else f"{Path(roots[entry.task]).name}-{entry.sigma}",
            root=str(Path(roots[entry.task]).resolve()),
            protocol=_COLUMNS if args.reference_ssim and entry.task == "derain" else entry.protocol,
        )
        for entry in recipe.validation.sets
        if entry.task
    ]
    recipe = replace(recipe, validation=replace(recipe.validation, sets=tuple(entries)))
    return recipe_sets(recipe, noise_seed=args.noise_seed)
