"""Find pairs in published folders that are not one folder of degraded images beside one of clear images."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Callable, NamedTuple, Optional

from mindrestore.data.ordered import pair_in_order
from mindrestore.data.pairing import Pair, Pairing, PairingError, pair_folders
from mindrestore.files import natural_key
from mindrestore.images.kinds import readable_suffixes
from mindrestore.images.matlab import MatlabError, block_paths

_NOISY_WORD, _CLEAR_WORD = "NOISY_SRGB", "GT_SRGB"
_SCENES = "[0-9][0-9][0-9][0-9]_[0-9][0-9][0-9]_*"
_BLOCKS = ("ValidationNoisyBlocksSrgb.mat", "ValidationGtBlocksSrgb.mat")

Places = Optional[tuple[Path, Path]]


class FolderForm(NamedTuple):
    """How one such form is recognised and read.

    Attributes:
        locate: Takes a folder and a split; gives where degraded and clear images are, or None for another form.
        pair: Takes these two places and gives the pairing; None where there are no clear images.
        expected: What a message says is missing, with {split}; empty where the folder's name says it.
    """

    locate: Callable[[Path, str], Places]
    pair: Optional[Callable[[Path, Path], Pairing]]  # noqa: UP045 - evaluated on Python 3.9
    expected: str = ""


def _locate_sequences(base: Path, split: str) -> Places:
    return (base, base) if _sequences(base) else None


def _sequences(base: Path) -> list[Path]:
    found = [folder for folder in base.glob("GOPR*") if (folder / "blur").is_dir() and (folder / "sharp").is_dir()]
    return sorted(found, key=lambda folder: natural_key(folder.name))


def _pair_sequences(base: Path, _: Path) -> Pairing:
    whole = Pairing()
    for folder in _sequences(base):
        part = pair_folders(folder / "blur", folder / "sharp", "same")
        whole.pairs.extend(replace(pair, key=f"{folder.name}-{pair.key}") for pair in part.pairs)
        whole.missing_targets.extend(part.missing_targets)
        whole.unused_targets.extend(part.unused_targets)
    return whole


def _locate_scenes(base: Path, split: str) -> Places:
    return (base, base) if next(base.glob(f"{_SCENES}/*{_NOISY_WORD}*"), None) else None


def _pair_scenes(base: Path, _: Path) -> Pairing:
    whole, inputs = Pairing(), {}
    for folder in sorted(base.glob(_SCENES)):
        images = [path for path in folder.iterdir() if path.suffix.lower() in readable_suffixes()]
        targets = {path.stem: path for path in images if _CLEAR_WORD in path.stem}
        for path in sorted(path for path in images if _NOISY_WORD in path.stem):
            # 0001_NOISY_SRGB_010 in the folder 0001_001_S6_...: scene 0001, shot 010
            key = f"{folder.name[:4]}_{path.stem.partition(_NOISY_WORD)[2].strip('_')}"
            if key in inputs:
                raise PairingError(f"{inputs[key]} and {path} are both the shot {key!r}; remove one of them")
            inputs[key] = path
            target = targets.pop(path.stem.replace(_NOISY_WORD, _CLEAR_WORD), None)
            if target:
                whole.pairs.append(Pair(key, path, target))
            else:
                whole.missing_targets.append(path)
        whole.unused_targets.extend(targets.values())
    return whole


def _locate_blocks(base: Path, split: str) -> Places:
    if split == "train":  # the blocks are the benchmark's validation images
        return None
    for folder in (base, base / "test"):
        files = tuple(folder / name for name in _BLOCKS)
        present = [path for path in files if path.is_file()]
        if len(present) == 1:
            absent = files[1 - files.index(present[0])]
            raise MatlabError(f"{absent}: no such file beside {present[0].name}; the benchmark needs both")
        if present:
            return files
    return None


def _pair_blocks(noisy: Path, clear: Path) -> Pairing:
    inputs, targets = block_paths(noisy), block_paths(clear)
    if [path.name for path in inputs] != [path.name for path in targets]:
        raise MatlabError(
            f"{noisy} holds {len(inputs)} blocks up to {inputs[-1].name}, but {clear} holds {len(targets)} up to "
            f"{targets[-1].name}; download both again"
        )
    return Pairing([Pair(path.name, path, target) for path, target in zip(inputs, targets)])


def _locate_photographs(base: Path, split: str) -> Places:
    info, images = base / "info.mat", base / "images_srgb"
    return (images, info) if info.is_file() and images.is_dir() else None


def _locate_ordered(base: Path, split: str) -> Places:
    folders = base / f"{split}A", base / f"{split}B"
    present = [folder for folder in folders if folder.is_dir()]
    if len(present) == 1:
        absent = folders[1 - folders.index(present[0])]
        raise PairingError(f"{absent}: no such folder beside {present[0].name}; A holds degraded images, B clear ones")
    return folders if present else None


_AB = "{split}A (degraded images) beside {split}B (clear ones)"

FORMS: dict[str, FolderForm] = {
    # GoPro as published: GOPR0384_11_00/{blur,blur_gamma,sharp}/000001.png
    "sequences": FolderForm(_locate_sequences, _pair_sequences),
    # SIDD-Medium as published: 0001_001_S6_00100_00060_3200_L/0001_{NOISY,GT}_SRGB_010.PNG
    "scenes": FolderForm(_locate_scenes, _pair_scenes),
    # SIDD's validation blocks: two .mat files
    "blocks": FolderForm(_locate_blocks, _pair_blocks),
    # DND: info.mat beside images_srgb/0001.mat
    "photographs": FolderForm(_locate_photographs, None),
    # MPILNet: {train,test}{A,B}, paired by order; HazeCityscapes has three degraded images of each clear one
    "ordered": FolderForm(_locate_ordered, pair_in_order, _AB),
    "ordered_threes": FolderForm(_locate_ordered, partial(pair_in_order, versions=3), _AB),
}
