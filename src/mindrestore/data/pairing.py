"""Match degraded images with their clear partners by key, never by sort order."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from mindrestore.errors import MindRestoreError
from mindrestore.files import PathLike
from mindrestore.images.read import list_images

_INPUT_WORDS = "hazy|haze|foggy|input|rain|rainy|blur|blurry|noisy|lq"
_TARGET_WORDS = "gt|clear|clean|target|norain|sharp|hq"
_NAMES_SHOWN = 5


class PairingError(MindRestoreError):
    """Report images without a partner, or with more than one, by name."""

    several_lines = False


@dataclass(frozen=True)
class Pair:
    """One degraded image and its clear partner.

    Attributes:
        key: What the two names have in common; several pairs share it when one clear image has many hazy ones.
        input: Degraded image.
        target: Clear image.
        depth: Depth map of the scene, when the data set has one.
        crop_target: Whether the clear image may be larger and is then centre-cropped to the size of the input.
        noise: Standard deviations, in whole grey levels of 255, one of which is drawn for the noise that is added to
            the input when it is used; the input is then the clear image itself.
        gamma: Exponents of red, green and blue that bring the input to the tone of another data set when it is used.
        source: Position of its data set in a mix.
    """

    key: str
    input: Path
    target: Path
    depth: Path | None = None
    crop_target: bool = False
    noise: tuple[int, ...] | None = None
    gamma: tuple[float, ...] | None = None
    source: int = 0


@dataclass(frozen=True)
class PairRule:
    """How a file name (without suffix) gives the key: group 1 of a pattern that matches all of it.

    Attributes:
        input: Pattern of the degraded images.
        target: Pattern of the clear images.
    """

    input: str
    target: str


RULES: dict[str, PairRule] = {
    # 0001.png <-> 0001.jpg
    "same": PairRule(r"(.+)", r"(.+)"),
    # 46_hazy.png <-> 46_GT.png, 01_outdoor_hazy.jpg <-> 01_outdoor_GT.jpg, rain-1.png <-> norain-1.png
    "role": PairRule(
        rf"(?:(?:{_INPUT_WORDS})[-_])?(.+?)(?:[-_](?:{_INPUT_WORDS}))?",
        rf"(?:(?:{_TARGET_WORDS})[-_])?(.+?)(?:[-_](?:{_TARGET_WORDS}))?",
    ),
    # scene_01_3.png -> scene_01.png: a version number after the last underscore, many to one
    "version": PairRule(r"(.+)_[0-9]+", r"(.+)"),
    # 1_1_0.90179.png, 1_2_0.97842.png -> 1.png: the text before the first underscore, many to one
    "prefix": PairRule(r"([^_]+)(?:_.*)?", r"(.+)"),
    # aachen_000000_000019_leftImg8bit_foggy_beta_0.02.png -> aachen_000000_000019_leftImg8bit.png: Foggy Cityscapes
    "density": PairRule(r"(.+)_foggy_beta_[0-9.]+", r"(.+)"),
}


@dataclass(frozen=True)
class Pairing:
    """The outcome of matching two folders.

    Attributes:
        pairs: Matched images, in natural order of the inputs.
        missing_targets: Inputs that have no clear partner.
        unused_targets: Clear images that no input asks for.
        rule: Name of the rule that was used.
    """

    pairs: list[Pair] = field(default_factory=list)
    missing_targets: list[Path] = field(default_factory=list)
    unused_targets: list[Path] = field(default_factory=list)
    rule: str = "same"


def pair_folders(
    input_dir: PathLike,
    target_dir: PathLike,
    rule: str = "auto",
    *,
    recursive: bool = False,
    crop_target: bool = False,
) -> Pairing:
    """Match the images of two folders, or of one folder that holds both kinds.

    Args:
        input_dir: Folder of degraded images.
        target_dir: Folder of clear images. The same folder is allowed when the names say `_hazy` and `_GT`.
        rule: A name of `RULES`, several joined by `|` to try in that order, or "auto" for all of them. Of several,
            the first that finds a partner for at least half of the inputs is used for all of them.
        recursive: Also look into sub-folders, whose names do not count. Otherwise sub-folders of one name in both
            folders, such as one per scene, are matched with each other.
        crop_target: Mark the pairs so that a larger clear image is centre-cropped to its input.

    Returns:
        The pairs, and by name what has no partner.

    Raises:
        PairingError: If the rule is unknown or two clear images claim one key.
        ImageError: If a folder does not exist.
    """
    names = list(RULES) if rule == "auto" else rule.split("|")
    unknown = [name for name in names if name not in RULES]
    if unknown:
        raise PairingError(f"pairing rule {unknown[0]!r} is unknown; use one of {', '.join(RULES)}, or auto")
    input_dir, target_dir = Path(input_dir), Path(target_dir)
    scenes = not recursive and bool(_scenes(input_dir) & _scenes(target_dir)) and input_dir != target_dir
    inputs, targets = _list_both(input_dir, target_dir, recursive or scenes)
    bases = (input_dir, target_dir) if scenes else None
    best: Pairing | None = None
    for name in names:
        found = _match(inputs, targets, RULES[name], bases)
        found = replace(found, rule=name, pairs=[replace(pair, crop_target=crop_target) for pair in found.pairs])
        if best is None or len(found.pairs) > len(best.pairs):
            best = found
        if 2 * len(found.pairs) >= max(len(inputs), 1):
            return found
    return best


def require_partners(pairing: Pairing, one_to_one: bool = False) -> list[Pair]:
    """Return the pairs of a complete pairing.

    Args:
        pairing: Outcome of `pair_folders`.
        one_to_one: Refuse clear images that no input asks for; otherwise they are accepted.

    Returns:
        Its pairs.

    Raises:
        PairingError: If an image has no partner; the message names the first of them.
    """
    unused = pairing.unused_targets if one_to_one else []
    if not pairing.missing_targets and unused:
        raise PairingError(
            f"{unused[0].parent}: {len(unused)} of {len(pairing.pairs) + len(unused)} clear images have no degraded "
            f"partner of the same name: {name_some(unused)}; add these or remove the clear images"
        )
    if not pairing.missing_targets:
        return pairing.pairs
    total = len(pairing.pairs) + len(pairing.missing_targets)
    raise PairingError(
        f"{pairing.missing_targets[0].parent}: {len(pairing.missing_targets)} of {total} images have no clear partner "
        f"under the rule {pairing.rule!r}: {name_some(pairing.missing_targets)}; "
        "add the clear images or remove these, `mindrestore data check FOLDER` lists them all"
    )


def name_some(paths: list[Path]) -> str:
    """Join the first few file names for a message."""
    names = ", ".join(path.name for path in paths[:_NAMES_SHOWN])
    return names if len(paths) <= _NAMES_SHOWN else f"{names} and {len(paths) - _NAMES_SHOWN} more"


def why_empty(input_dir: Path, target_dir: Path) -> str:
    """Return why two folders make no pair, and what to do."""
    below = sorted({path.relative_to(input_dir).parts[0] for path in list_images(input_dir, recursive=True)})
    if not below:
        return "the folder holds no images; copy or unpack the data set again"
    some = ", ".join(below[:_NAMES_SHOWN]) + (", ..." if len(below) > _NAMES_SHOWN else "")
    return (
        f"the images lie in sub-folders ({some}), and {target_dir} has no sub-folders of these names; name them alike, "
        "move the images up or write a CSV list"
    )


def _scenes(folder: Path) -> set[str]:
    """Name the sub-folders of a folder, hidden ones left out."""
    if not folder.is_dir():
        return set()
    with os.scandir(folder) as entries:  # which knows folders without asking the disk for each of 70,000 images
        return {entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")}


def _list_both(input_dir: Path, target_dir: Path, recursive: bool) -> tuple[list[Path], list[Path]]:
    inputs = list_images(input_dir, recursive=recursive)
    if input_dir != target_dir:
        return inputs, list_images(target_dir, recursive=recursive)
    return (
        [path for path in inputs if _carries(path, _INPUT_WORDS)],
        [path for path in inputs if _carries(path, _TARGET_WORDS)],
    )


def _carries(path: Path, words: str) -> bool:
    return re.search(rf"(^|[-_])({words})([-_]|$)", path.stem, re.IGNORECASE) is not None


def _key(path: Path, pattern: str, base: Path | None) -> str | None:
    """Return the key of an image; with a base, the sub-folder below it is part of the key."""
    match = re.fullmatch(pattern, path.stem, re.IGNORECASE | re.DOTALL)  # a name may hold a line break
    if match is None or base is None:
        return match.group(1) if match else None
    return (path.parent.relative_to(base) / match.group(1)).as_posix()


def _match(inputs: list[Path], targets: list[Path], rule: PairRule, bases: tuple[Path, Path] | None) -> Pairing:
    base, target_base = bases or (None, None)
    by_key: dict[str, Path] = {}
    for path in targets:
        key = _key(path, rule.target, target_base)
        if key is None:
            continue
        if key in by_key:
            raise PairingError(
                f"{path.parent}: {by_key[key].name} and {path.name} both claim the key {key!r}; remove one of them"
            )
        by_key[key] = path
    pairs, missing = [], []
    for path in inputs:
        key = _key(path, rule.input, base)
        if key in by_key:
            pairs.append(Pair(key, path, by_key[key]))
        else:
            missing.append(path)
    used = {pair.target for pair in pairs}
    return Pairing(pairs, missing, [path for path in targets if path not in used])
