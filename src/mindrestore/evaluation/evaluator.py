"""Restore and measure image pairs one by one, or set by set; what cannot be used is named and the others go on."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Callable

import numpy as np
from tqdm import tqdm

from mindrestore.data.noise import add_noise, noise_rng
from mindrestore.data.pairing import Pair
from mindrestore.data.source import read_pair
from mindrestore.errors import MindRestoreError
from mindrestore.evaluation.alignment import AlignmentError
from mindrestore.evaluation.pictures import Gallery
from mindrestore.evaluation.protocol import Protocol, get_protocol
from mindrestore.evaluation.results import Evaluation, Failure, Measurement, SetsEvaluation
from mindrestore.evaluation.sets import NamedSet
from mindrestore.files import PathLike
from mindrestore.images.pixels import to_float

Restore = Callable[[np.ndarray], np.ndarray]


class EvaluationError(MindRestoreError):
    """Report that there is nothing to measure, or that nothing could be measured."""


def evaluate_pairs(
    restore: Restore,
    pairs: Sequence[Pair],
    protocol: str | Protocol,
    *,
    save_dir: PathLike | None = None,
    pictures: int | None = None,
    limit: int | None = None,
    progress: bool | None = None,
) -> Evaluation:
    """Restore every input and score it, and the input itself, against the target.

    Args:
        restore: Maps an image (H, W, 3), float32 RGB in [0,1], to the restored one of the same shape.
        pairs: Pairs to measure; one target may serve several of them.
        protocol: A protocol or its name.
        save_dir: Folder for pictures: of every pair copies and an error map for pages in `parts`, and a drawing input |
            restored | target; None writes none.
        pictures: Stop drawing after this many pairs; None draws all.
        limit: Stop after this many pairs.
        progress: Show a bar; None shows it on a terminal only.

    Returns:
        Rows in the order of the pairs, and the pairs that could not be measured.

    Raises:
        EvaluationError: There are no pairs, or none of them could be measured.
        ProtocolError: The protocol is unknown.
    """
    protocol = get_protocol(protocol) if isinstance(protocol, str) else protocol
    pairs = list(pairs)[:limit]
    if not pairs:
        raise EvaluationError("there are no image pairs to evaluate; check the data folder, its layout and the split")
    gallery = None if save_dir is None else Gallery(save_dir, pictures)
    rows, failures = [], []
    for pair in tqdm(pairs, desc=f"evaluate ({protocol.name})", unit="image", disable=_hidden(progress)):
        try:
            row, panels, failure = _measure_pair(restore, pair, protocol)
        except MindRestoreError as error:
            failures.append(Failure(_name(pair), str(error)))
            continue
        if failure:
            failures.append(failure)
        rows.append(gallery.add(row, panels, protocol.name, Path(pair.input).suffix) if gallery else row)
    if not rows:
        reasons = "\n".join(f"  {failure.name}: {failure.reason}" for failure in failures[:5])
        raise EvaluationError(f"none of the {len(pairs)} pairs could be measured; the first reasons:\n{reasons}")
    sigmas = sorted({sigma for pair in pairs for sigma in pair.noise or ()})
    return Evaluation(protocol, tuple(rows), tuple(failures), tuple(sigmas))


def evaluate_sets(
    restore: Restore,
    sets: Sequence[NamedSet],
    *,
    save_dir: PathLike | None = None,
    pictures: int | None = 20,
    limit: int | None = None,
    progress: bool | None = None,
) -> SetsEvaluation:
    """Measure several test sets, each with its own protocol, for a table with one line per set and their average.

    Args:
        restore: As for `evaluate_pairs`.
        sets: The sets in the order of the table. One without pairs is reported as missing.
        save_dir: Folder for pictures, under SET/pictures; None writes none.
        pictures: Number of drawings per set; None draws all.
        limit: Stop after this many pairs of every set.
        progress: Show a bar; None shows it on a terminal only.

    Returns:
        One evaluation per set, and the names of the sets that are missing or could not be measured.

    Raises:
        EvaluationError: Two sets have one name, or none of them could be measured.
        ProtocolError: A protocol is unknown.
    """
    names = [entry.name for entry in sets]
    if len(set(names)) < len(names):
        raise EvaluationError(f"two test sets have one name: {', '.join(names)}; rename one of them")
    done, unmeasured = {}, []
    for entry in sets:
        if not entry.pairs:
            continue
        folder = None if save_dir is None else Path(save_dir) / entry.name / "pictures"
        try:
            done[entry.name] = evaluate_pairs(
                restore, entry.pairs, entry.protocol, save_dir=folder, pictures=pictures, limit=limit, progress=progress
            )
        except EvaluationError as error:
            unmeasured.append(Failure(entry.name, str(error)))
    if not done:
        reasons = "\n".join(f"{failure.name}: {failure.reason}" for failure in unmeasured)
        raise EvaluationError(f"none of the {len(names)} test sets could be measured\n{reasons}".rstrip())
    missing = tuple(entry.name for entry in sets if not entry.pairs)
    return SetsEvaluation(done, missing, tuple(unmeasured), {entry.name: entry.task for entry in sets if entry.task})


def _measure_pair(
    restore: Restore, pair: Pair, protocol: Protocol
) -> tuple[Measurement, tuple[np.ndarray, ...], Failure | None]:
    image, target = read_pair(pair)
    if pair.noise is not None:
        sigma = pair.noise[0]
        image = add_noise(image, sigma, noise_rng(protocol.noise_seed, sigma, Path(pair.input).name))
    degraded, target = protocol.prepare(to_float(image)), protocol.prepare(to_float(target))
    start = time.perf_counter()
    restored = restore(np.ascontiguousarray(degraded))
    seconds = time.perf_counter() - start
    name, scores, failure = _name(pair), protocol.measure(restored, target), None
    try:
        before = protocol.measure(degraded, target)
    except AlignmentError as error:  # the restored image was measured; only the comparison is lost
        before = dict.fromkeys(protocol.names, math.nan)
        failure = Failure(name, f"the scores of the degraded image are left out: {error}")
    row = Measurement(name, pair.key, *degraded.shape[:2], seconds, restored=scores, input=before)
    return row, (degraded, restored, target), failure


def _name(pair: Pair) -> str:
    """Name a pair so that 000047.png of one GoPro sequence and of another stay apart: there the keys tell more."""
    path = Path(pair.input)
    return pair.key + path.suffix if pair.key.endswith(path.stem) else path.name


def _hidden(progress: bool | None) -> bool | None:
    return None if progress is None else not progress  # None: tqdm looks whether stderr is a terminal
