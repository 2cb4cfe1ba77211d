"""Find the pairs to train on; of several data sets that are mixed, draw from each as its share says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mindrestore.data.catalog import find_pairs
from mindrestore.data.lists import read_list
from mindrestore.data.pairing import Pair

if TYPE_CHECKING:
    from mindrestore.recipes.schema import DataConfig, SourceConfig

# The last word of a seed; it keeps these draws apart from those of order, crop, augmentation, mixup and loss terms.
_MIX_DRAWS = 7


def training_pairs(data: DataConfig) -> list[Pair]:
    """Find the pairs to train on: those of the list or the mix, where the recipe names one, else those of the data set.

    Args:
        data: The `data` section of a recipe, with a root.

    Returns:
        The pairs in the order of the list or of the files.

    Raises:
        DatasetError: The list or the folder cannot be used; the message names file and row.
    """
    if data.mix:
        return mixed_pairs(data)
    if data.train_list is None:
        return find_pairs(data.dataset, data.root, data.train_split)
    path = Path(data.train_list)
    if not path.is_file():
        path = Path(data.root) / data.train_list
    return read_list(path, data.root, data.noise_range, data.noise_levels)


def mixed_pairs(data: DataConfig) -> list[Pair]:
    """Find the pairs of all data sets of a mix.

    Args:
        data: The `data` section of a recipe, with a root and a mix.

    Returns:
        The pairs of the first data set, then those of the second and so on; `source` counts the data sets.

    Raises:
        DatasetError: A data set is not below the root.
        PairingError: A degraded image has no clear partner.
    """
    return [
        replace(pair, source=number, gamma=source.gamma or None)
        for number, source in enumerate(data.mix)
        for pair in find_pairs(source.dataset, Path(data.root) / source.root, source.split)
    ]


def source_shares(mix: Sequence[SourceConfig]) -> tuple[float, ...]:
    """Return the shares of a mix, or none where every data set counts by its number of pairs."""
    shares = [source.share for source in mix if source.share is not None]
    return tuple(share / sum(shares) for share in shares)


def mixed_order(sources: np.ndarray, shares: Sequence[float], length: int, seed: tuple[int, ...]) -> np.ndarray:
    """Draw the pairs of one epoch.

    The numbers of samples are exact, not drawn. A data set with more pairs than samples shows others in every epoch,
    one with fewer starts over in another order.

    Args:
        sources: Data set of every pair, (pairs,) from 0.
        shares: Share of every data set; they sum to 1.
        length: Samples in the epoch.
        seed: Seed and epoch.

    Returns:
        Positions of pairs in order, (length,).
    """
    chosen = []
    for number, count in enumerate(_whole_numbers(shares, length)):
        own = np.flatnonzero(sources == number)
        turns = -(-count // len(own))
        draws = [np.random.default_rng((*seed, turn, number, 0, _MIX_DRAWS)).permutation(own) for turn in range(turns)]
        chosen.append(np.concatenate([*draws, own[:0]])[:count])
    return np.random.default_rng((*seed, 0, 0, 1, _MIX_DRAWS)).permutation(np.concatenate(chosen))


def _whole_numbers(shares: Sequence[float], length: int) -> list[int]:
    """Divide a number by shares; what rounding down leaves goes to the largest fractions."""
    exact = np.array(shares) * length
    counts = np.floor(exact).astype(int)
    for number in np.argsort(counts - exact, kind="stable")[: length - counts.sum()]:
        counts[number] += 1
    return counts.tolist()
