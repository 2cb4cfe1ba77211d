"""Pair images by their order, for data sets that are published so; names that tell another story stop it."""

from __future__ import annotations

from pathlib import Path

from mindrestore.data.pairing import Pair, Pairing, PairingError, pair_folders
from mindrestore.files import PathLike
from mindrestore.images.read import list_images


def pair_in_order(input_dir: PathLike, target_dir: PathLike, versions: int = 1) -> Pairing:
    """Pair the degraded image i with the clear image i // versions, both folders sorted by file name.

    Sorting cannot tell when an image is missing: every pair behind the gap is wrong then. So the numbers have to fit,
    and where the names of most images say which belong together, they have to agree.

    Args:
        input_dir: Folder of degraded images.
        target_dir: Folder of clear images.
        versions: Degraded images of each clear one.

    Returns:
        The pairs, in the order of the degraded images.

    Raises:
        PairingError: The numbers of images do not fit, or names contradict the order; the message names the first image
            that has no partner.
        ImageError: A folder does not exist.
    """
    inputs, targets = (
        sorted(list_images(Path(folder)), key=lambda path: path.name) for folder in (input_dir, target_dir)
    )
    named = pair_folders(input_dir, target_dir)
    by_name = {pair.input: pair.target for pair in named.pairs}
    telling = 2 * len(by_name) > len(inputs)
    if len(inputs) != versions * len(targets):
        orphan = _orphan_by_name(inputs, targets, by_name, versions) if telling else None
        raise PairingError(_misfit(inputs, targets, versions, orphan or _orphan_by_order(inputs, targets, versions)))
    pairs = [Pair(path.stem, path, targets[i // versions]) for i, path in enumerate(inputs)]
    wrong = next((pair for pair in pairs if telling and by_name.get(pair.input) != pair.target), None)
    if wrong:
        other = by_name.get(wrong.input)
        own = f"belongs to {other.name}" if other else "has no partner of its name"
        raise PairingError(
            f"{wrong.input}: by its place it belongs to {wrong.target}, but it {own}; add what is missing or remove "
            "what is left over, so that both folders sort alike"
        )
    rule = "order" if versions == 1 else f"order, {versions} to 1"
    return Pairing(pairs, rule=rule)


def _orphan_by_name(inputs: list[Path], targets: list[Path], by_name: dict[Path, Path], versions: int) -> Path | None:
    """Find the first degraded image without clear partner, or clear image with too few or too many degraded ones."""
    lone = next((path for path in inputs if path not in by_name), None)
    partners = list(by_name.values())
    return lone or next((path for path in targets if partners.count(path) != versions), None)


def _orphan_by_order(inputs: list[Path], targets: list[Path], versions: int) -> Path:
    """Find the first image behind the end of the other folder."""
    whole = versions * len(targets)
    return inputs[whole] if len(inputs) > whole else targets[len(inputs) // versions]


def _misfit(inputs: list[Path], targets: list[Path], versions: int, orphan: Path) -> str:
    folders = [paths[0].parent if paths else "the other folder" for paths in (inputs, targets)]
    wanted = "as many" if versions == 1 else f"{versions} times as many"
    hint = ""
    if versions == 1 and len(inputs) == 3 * len(targets):
        hint = "; for three degraded images of each clear one take data.dataset=hazecityscapes"
    return (
        f"{folders[0]} holds {len(inputs)} images and {folders[1]} {len(targets)}; pairs go by order, so there "
        f"have to be {wanted} degraded as clear ones. The first without its partner is {orphan}{hint}"
    )
