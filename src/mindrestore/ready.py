"""What a recipe asks for that cannot be: found before MindSpore, which takes seconds to import."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mindrestore.errors import MindRestoreError, shown
from mindrestore.evaluation.protocol import Protocol, get_protocol
from mindrestore.models.registry import full_hyper, model_spec
from mindrestore.recipes.schema import Recipe
from mindrestore.recipes.terms import MAP_TERMS, POCL_SIDE
from mindrestore.recipes.values import is_address

EQUAL_PSNR = 100.0  # dB of an image that was restored exactly, in validations


def check_recipe(recipe: Recipe) -> None:
    """Refuse a network, folder, patch size or protocol that is not there or does not fit.

    Args:
        recipe: The recipe; folders in object storage are not looked at.

    Raises:
        MindRestoreError: The message names key, value and what could be given.
    """
    full_hyper(recipe.model.name, recipe.model.hyper)  # refuses what the network does not take
    data = recipe.data
    if data.root is None:
        raise MindRestoreError(f"recipe {recipe.name}: data.root is not set; name the folder, as in data.root=FOLDER")
    roots = {"data.root": data.root, **({"data.val_root": data.val_root} if recipe.train.val_every else {})}
    for key, root in roots.items():
        if root and not is_address(root) and not Path(root).is_dir():
            where = f"{key}={shown(root)}"
            raise MindRestoreError(f"{where}: no such folder; name the folder that holds the images' folders")
    _check_patches(recipe)
    _check_terms(recipe)
    if recipe.train.val_every:
        for name in {recipe.validation.protocol, *(entry.protocol for entry in recipe.validation.sets)} - {None}:
            watched(name, recipe)


def watched(name: str | Protocol, recipe: Recipe) -> Protocol:
    """Limit a protocol to what validation needs: CIEDE2000 and MS-SSIM take long and decide nothing there.

    A network may return a clear image exactly. One infinite PSNR would make the mean infinite at every validation, and
    the first weights would stay the best ones, so such an image counts 100 dB.

    Raises:
        MindRestoreError: There is no such protocol, or it has no such score as chooses the best checkpoint.
    """
    protocol, best = get_protocol(name), recipe.validation.best_metric
    if best not in protocol.names:
        known = ", ".join(protocol.names)
        raise MindRestoreError(
            f"validation.best_metric={best}: protocol {protocol.name} has no such score, only {known}"
        )
    names = tuple(metric for metric in protocol.names if metric in ("psnr", "ssim", best))
    crop = recipe.data.val_crop or protocol.centre_crop
    return replace(protocol, names=names, centre_crop=crop, equal_psnr=min(protocol.equal_psnr, EQUAL_PSNR))


def _check_terms(recipe: Recipe) -> None:
    """Refuse loss terms on stages and uncertainty maps for a network that does not return both."""
    if isinstance(model_spec(recipe.model.name).output_index, tuple):  # a tuple leads to the images beside the maps
        return
    for name, term in recipe.loss.terms.items():
        if name in MAP_TERMS and term is not None and term.weight > 0:
            raise MindRestoreError(
                f"loss.terms.{name}: {recipe.model.name} does not return three images and three uncertainty maps, as "
                f"dsrir does; take l1, mse or charbonnier, and loss.terms.{name}=null"
            )


def _check_patches(recipe: Recipe) -> None:
    """Refuse patch sizes that the network or a loss term cannot take."""
    spec, stages = model_spec(recipe.model.name), recipe.train.progressive
    key, sizes = ("train.progressive.patch_sizes", stages.patch_sizes) if stages else ("data.patch_size", ())
    pocl = recipe.loss.terms.get("pocl")
    least = max(spec.min_size, POCL_SIDE if pocl and pocl.weight > 0 else 0)
    for size in sizes or (recipe.data.patch_size,):
        if size < least:
            who = "loss term pocl" if least > spec.min_size else spec.name
            raise MindRestoreError(f"patches of {size} pixels: {who} needs at least {least} a side; enlarge {key}")
        if size % spec.size_multiple:
            below = size - size % spec.size_multiple
            raise MindRestoreError(
                f"{key}: {spec.name} takes patches whose side is a multiple of {spec.size_multiple}, not {size}; "
                f"choose {below} or {below + spec.size_multiple}"
            )
