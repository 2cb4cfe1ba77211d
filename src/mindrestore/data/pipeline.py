"""Feed training batches from a few threads; a batch depends on seed, epoch and step alone."""

from __future__ import annotations

import bisect
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mindrestore.data.cache import open_cache
from mindrestore.data.catalog import DatasetError
from mindrestore.data.mixing import mixed_order, source_shares
from mindrestore.data.pairing import Pair
from mindrestore.data.source import PatchSettings, PatchSource, Reader, Slot
from mindrestore.data.transforms import check_augmentations
from mindrestore.data.workers import Workers

if TYPE_CHECKING:
    from mindrestore.recipes.schema import DataConfig

MOST_WORKERS = 8
AHEAD = 3  # batches that are being made or wait
_MOST_ARRAYS = 2 * (AHEAD + 2)  # of those, of the one in use, and of one that a mixed batch was made of
_UNUSED = 3  # references to an array that only `_Arrays` knows: list, variable, argument
# The fifth word of a seed; it keeps these draws apart from those of order, crop and augmentation.
_MOST_SAMPLES = 5_000_000  # of an epoch, whose order is kept: some 500 MB
_MIXUP_DRAWS = 5


class Batch(NamedTuple):
    """One training batch.

    Attributes:
        input: Degraded patches (N, 3, P, P), float32 in [0, 1].
        target: Clear patches, likewise.
        index: Positions of the pairs in the loader's list, (N,) int64.
    """

    input: np.ndarray
    target: np.ndarray
    index: np.ndarray


class _Arrays:
    """Memory of batches, used again when nobody holds it any more: fresh pages are a sixth of a sample's time."""

    def __init__(self) -> None:
        self._made: list[np.ndarray] = []

    def take(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return a float32 array of any content, which belongs to nobody else."""
        for array in self._made:
            if array.shape == shape and sys.getrefcount(array) == _UNUSED:
                return array
        array = np.empty(shape, np.float32)
        self._made = [*self._made[-_MOST_ARRAYS + 1 :], array]
        return array


class TrainLoader:
    """Provide shuffled, cropped and augmented batches of image pairs, epoch by epoch.

    Every epoch shuffles all pairs anew (`config.repeat` times, one permutation after the other), deals them out to
    the ranks and drops what does not fill a batch. A rank with fewer images than one batch starts over with other
    crops. Resuming in the middle of an epoch gives exactly the batches that an uninterrupted run sees.

    Args:
        pairs: The training pairs, as `find_pairs` gives them.
        config: Uses `patch_size`, `augment`, `edge_decay`, `paste`, `mixup`, `repeat`, `workers`, `processes`, the keys
            of the cache, and the shares of `mix`, by which every epoch draws from the pairs' sources.
        batch_size: Pairs per batch and rank.
        seed: Decides order, crops and augmentations together with the epoch.
        rank: This process among `world`, from 0.
        world: Number of processes that train together.
        cache: Reader of image files, which several loaders may share; by default the one that `config` asks for.

    Raises:
        DatasetError: If there are no pairs.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        *,
        config: DataConfig,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        cache: Reader | None = None,
    ) -> None:
        if not pairs:
            raise DatasetError("there are no image pairs to train on; check data.root and data.train_split")
        self.pairs = tuple(pairs)
        self.batch_size = batch_size
        self.rank, self.world = rank, world
        self.repeat = config.repeat
        self._shares = source_shares(config.mix)
        self.mixup = config.mixup
        self.workers = worker_count(config.workers, world)
        augment = check_augmentations(config.augment)
        self._settings = PatchSettings(config.patch_size, augment, seed, config.edge_decay, config.paste)
        samples = len(self.pairs) * self.repeat
        if self.repeat > 1 and samples > _MOST_SAMPLES:
            raise DatasetError(
                f"data.repeat={self.repeat}: {len(self.pairs)} pairs would make {samples:,} samples an epoch; use at "
                f"most {max(1, _MOST_SAMPLES // len(self.pairs))}"
            )
        source = PatchSource(self.pairs, self._settings, cache or open_cache(config))
        self._workers, self._arrays = Workers(source, self.workers, config.processes), _Arrays()
        self._at_once = max(1, batch_size // (2 * self.workers))  # samples of a task: to hand one over takes time, too
        per_rank = -(-samples // world)
        self.steps_per_epoch = max(1, per_rank // batch_size)
        self.earlier_stages: tuple[tuple[int, int], ...] = ()  # one patch size from start to end

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """Return the batches of one epoch.

        Args:
            epoch: Number of the epoch, from 0.
            start_step: Step of this epoch to begin with; earlier batches are not even read.

        Yields:
            `steps_per_epoch - start_step` batches.

        Raises:
            ImageError: If an image cannot be read or a pair's sizes differ; the message names the file.
        """
        slots, size = self._plan(epoch), self.batch_size
        following = iter(range(start_step, self.steps_per_epoch))
        begun: deque[tuple[Batch, list[Future]]] = deque()
        with self._workers.pool() as pool:
            for step in range(start_step, self.steps_per_epoch):
                for later in islice(following, AHEAD - len(begun)):
                    begun.append(self._begin(pool, epoch, slots[later * size : (later + 1) * size]))
                batch, tasks = begun.popleft()
                for task in tasks:
                    task.result()  # raises what went wrong, the first sample first
                yield self._mix(batch, epoch, step)

    def _begin(self, pool: Executor, epoch: int, slots: Sequence[Slot]) -> tuple[Batch, list[Future]]:
        """Let the workers fill a batch, each sample at its place."""
        shape = (len(slots), 3, self._settings.size, self._settings.size)
        index = np.array([slot.pair for slot in slots], np.int64)
        batch = Batch(self._arrays.take(shape), self._arrays.take(shape), index)
        parts = [slice(i, i + self._at_once) for i in range(0, len(slots), self._at_once)]
        return batch, [
            pool.submit(self._workers.fill, epoch, slots[part], batch.input[part], batch.target[part]) for part in parts
        ]

    def names(self, index: np.ndarray) -> list[str]:
        """Name the degraded images of a batch.

        Args:
            index: `Batch.index`.

        Returns:
            File paths, for messages.
        """
        return [str(self.pairs[int(position)].input) for position in index]

    def _mix(self, batch: Batch, epoch: int, step: int) -> Batch:
        if self.mixup is None or epoch + 1 < self.mixup.from_epoch:
            return batch
        return mix(
            batch, self.mixup.alpha, np.random.default_rng((self._settings.seed, epoch, step, self.rank, _MIXUP_DRAWS))
        )

    def _plan(self, epoch: int) -> list[Slot]:
        """List this rank's samples of an epoch, a whole number of batches."""
        order = self._order(epoch)
        length = self.steps_per_epoch * self.batch_size
        # Strided shards: number n of rank r is r + n * world. Numbers past the end start over in the order but stay
        # distinct themselves, so a pair that comes twice is cropped differently.
        numbers = self.rank + self.world * np.arange(length)
        return [Slot(int(number), int(order[number % len(order)])) for number in numbers]

    def _order(self, epoch: int) -> np.ndarray:
        """Return the pairs of an epoch in order, the same on every rank."""
        count, seed = len(self.pairs), self._settings.seed
        if self._shares:
            sources = np.array([pair.source for pair in self.pairs])
            return mixed_order(sources, self._shares, count * self.repeat, (seed, epoch))
        turns = [np.random.default_rng((seed, epoch, turn, count)).permutation(count) for turn in range(self.repeat)]
        return np.concatenate(turns)


class ProgressiveLoader:
    """Provide batches whose patches grow and whose size shrinks as training goes on (progressive training).

    Args:
        pairs: The training pairs.
        config: As for `TrainLoader`; the patch size comes from the stages.
        stages: Last epoch (counted from 1), patch size and batch size of every stage; the last one goes on for good.
        seed: As for `TrainLoader`.
        rank: This process among `world`, from 0.
        world: Number of processes that train together.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        *,
        config: DataConfig,
        stages: Sequence[tuple[int, int, int]],
        seed: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        shared = {"seed": seed, "rank": rank, "world": world, "cache": open_cache(config)}
        self.ends = [last for last, _, _ in stages]
        self.loaders = [
            TrainLoader(pairs, config=replace(config, patch_size=patch), batch_size=batch, **shared)
            for _, patch, batch in stages
        ]
        lengths = np.diff([0, *self.ends]).tolist()
        steps = [loader.steps_per_epoch for loader in self.loaders]
        self.earlier_stages = tuple(zip(lengths[:-1], steps[:-1]))
        self.steps_per_epoch = steps[-1]  # of the last stage

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """Return the batches of one epoch (from 0), at the sizes of its stage; see `TrainLoader.epoch`."""
        stage = min(bisect.bisect_right(self.ends, epoch), len(self.loaders) - 1)
        return self.loaders[stage].epoch(epoch, start_step)

    def names(self, index: np.ndarray) -> list[str]:
        """Name the degraded images of a batch; see `TrainLoader.names`."""
        return self.loaders[0].names(index)


def worker_count(asked: int | None, world: int) -> int:
    """Return how many workers a process takes: those it is asked for, or its share of the cores, up to `MOST_WORKERS`.

    Args:
        asked: `data.workers`; `None` for the share.
        world: Number of processes that train together; NODE_NUM in the environment says on how many machines.

    Returns:
        1 or more, and not more than there are cores.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    here = -(-world // max(1, int(os.environ.get("NODE_NUM") or 1)))
    share = min(MOST_WORKERS, cores // here) if asked is None else asked
    return max(1, min(share, cores))


def mix(batch: Batch, alpha: float, rng: np.random.Generator) -> Batch:
    """Mix every sample of a batch with another one (mixup): own share * own + (1 - own share) * other.

    Args:
        batch: The batch.
        alpha: Own shares come from Beta(alpha, alpha), one per sample.
        rng: Source of the shares and of the permutation that names the others.

    Returns:
        Batch in which input and target are mixed alike; `index` still names each sample's own pair.
    """
    count = len(batch.index)
    other = rng.permutation(count)
    share = rng.beta(alpha, alpha, (count, 1, 1, 1)).astype(np.float32)
    images, targets = (share * array + (1 - share) * array[other] for array in (batch.input, batch.target))
    return Batch(images, targets, batch.index)
