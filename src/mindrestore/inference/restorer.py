"""Restore single images of any size and type with a trained network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from mindrestore.files import PathLike
from mindrestore.images.pixels import to_float
from mindrestore.inference.budget import Budget
from mindrestore.inference.engines import Engine, EngineError, ExportedEngine, Size, open_engine
from mindrestore.inference.pixels import RestoreError, check_photo, pad_to, restore_as_given, to_type
from mindrestore.inference.tasks import source_for
from mindrestore.inference.tiles import Place, Tiling, run_tiled
from mindrestore.models.registry import list_models, model_spec
from mindrestore.models.spec import ModelSpec
from mindrestore.weights.create import weights_for

if TYPE_CHECKING:
    from mindspore import nn

Tile = Union[int, str, None]


class Restorer:
    """A trained network, ready for photographs of any size.

    Args:
        model: Registered name; or the `ModelSpec` of `net`; None: the network for `task`.
        weights: Weight file or dict for a network made here; "default" or a name of `mindrestore weights list` for
            those that come with MindRestore; None keeps the initial weights, and with `task` means the default ones.
            Or a file of `export`.
        task: What to remove: "dehaze", "derain", "denoise" or "deblur"; chooses network and weights.
        device: "auto", "CPU", "GPU" or "Ascend"; only for a network made here.
        tile: Side of overlapping tiles in pixels; None takes images whole; "auto" takes those whole that fit into
            `memory` and cuts others into tiles of one size that does.
        hyper: Hyper-parameters that differ from the defaults.
        net: A network to use as it is; it is put into inference mode while it restores.
        compiled: Compile `net` once for all sizes (seconds at the first image, faster after it) or run it operator by
            operator; None: compile on CPU.
        memory: Gigabytes that the network may take for an image or a batch of tiles; None: half of what is free now. A
            given number makes the same tiles on every machine.
        batch: Images of one size, or tiles, that go through the network together.
        ensemble: Restore the eight flips and turns of an image and average them: eight times as long.
        engine: "onnx" runs on onnxruntime, "mindspore" and "mindir" (a file of `export`) with MindSpore. None:
            MindSpore where there is a card, else onnxruntime. A file of one size is filled up to it, or run in tiles.
        key: Of an encrypted MINDIR.

    Attributes:
        progress: Set it to a function that takes the share of an image that is done, from 0 to 1; it is called after
            every batch of tiles.

    Raises:
        MindRestoreError: The model, the weights, the device, the tile size or an option cannot be used.

    Examples:
        >>> restore = Restorer(task="dehaze")
        >>> restore = Restorer("aecrnet", weights="runs/its/best.ckpt", tile="auto")
        >>> restore(photo).shape == photo.shape
        True
    """

    def __init__(
        self,
        model: str | ModelSpec | None = None,
        *,
        task: str | None = None,
        weights: PathLike | Mapping[str, Any] | None = None,
        device: str = "auto",
        tile: Tile = None,
        hyper: Mapping[str, Any] | None = None,
        net: nn.Cell | None = None,
        compiled: bool | None = None,
        memory: float | None = None,
        batch: int = 1,
        ensemble: bool = False,
        engine: str | None = None,
        key: bytes | None = None,
    ) -> None:
        if task is not None:
            model, weights = source_for(task, weights, getattr(model, "name", model))
        elif model is None:
            raise RestoreError('nothing says which network to use; give a model, or a task such as task="dehaze"')
        self.spec = model_spec(model) if isinstance(model, str) else model
        if weights is not None and self.spec.name in list_models():
            weights, hyper = weights_for(self.spec.name, weights, hyper)
        self.batch, self.ensemble = _checked_batch(batch), ensemble
        self.fixed: Size | None = None
        if net is not None:
            from mindrestore.inference.cell_engine import CellEngine, filled

            self.engine: Engine = CellEngine(filled(net, weights), self.spec, compiled)
        else:
            self.engine = open_engine(self.spec, weights, hyper=hyper, engine=engine, device=device, key=key)
        self.net: nn.Cell | None = getattr(self.engine, "net", None)
        if isinstance(self.engine, ExportedEngine):
            tile = self._fitting_file(tile)
        self.budget = Budget.of(self.engine.pixel_bytes, memory)
        self.by_memory = tile == "auto"
        self.tiling = None if tile is None else self._tiling(tile)
        self.progress: Callable[[float], None] | None = None

    def __call__(self, photo: np.ndarray) -> np.ndarray:
        """Restore an image and give it back in its own type and size.

        Args:
            photo: (H, W), (H, W, 3) RGB or (H, W, 4) RGBA; uint8, uint16, or floating point in [0,1]. Grey images
                run as RGB and come back grey; alpha is kept as it is.

        Returns:
            Array of the same shape and type.

        Raises:
            RestoreError: The array is not an image, or holds NaN or infinite values.

        Examples:
            >>> restore(np.zeros((17, 23, 3), np.uint8)).shape
            (17, 23, 3)
        """
        return restore_as_given(self._restore_rgb, photo)

    restore = __call__

    def restore_batch(self, photos: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Restore images of one shape together, as many at a time as `batch` says.

        Args:
            photos: Images as for a call; those of one shape, three channels and a size that needs no tiles are joined.

        Returns:
            Arrays of the same shapes and types.

        Raises:
            RestoreError: One of them is not an image.

        Examples:
            >>> [image.shape for image in restore.restore_batch([photo, photo])]
            [(40, 48, 3), (40, 48, 3)]
        """
        shape = np.shape(photos[0])
        joined = len(shape) == 3 and shape[2] == 3 and all(np.shape(photo) == shape for photo in photos)
        if not joined or self.ensemble or not self._fits_together(*self._padded(shape)):
            return [self(photo) for photo in photos]
        for photo in photos:
            check_photo(np.asarray(photo))
        padded = [pad_to(np.asarray(photo), *self._padded(shape)) for photo in photos]
        restored = []
        for first in range(0, len(padded), self.batch):
            restored += self._run(padded[first : first + self.batch])
        return [
            to_type(image[: shape[0], : shape[1]], np.asarray(photo).dtype) for image, photo in zip(restored, photos)
        ]

    def restore_float(self, image: np.ndarray) -> np.ndarray:
        """Restore a floating-point RGB image.

        Args:
            image: (H, W, 3), float32 in [0,1].

        Returns:
            (H, W, 3), float32 in [0,1].

        Raises:
            RestoreError: The network's output has another shape.

        Examples:
            >>> restore.restore_float(np.zeros((1, 1, 3), np.float32)).dtype
            dtype('float32')
        """
        return self._restore_rgb(image, np.dtype(np.float32))

    def fitting(self, side: int) -> int:
        """Return the next side, in pixels, that the network takes."""
        multiple = self.spec.size_multiple
        return -(-max(side, self.spec.min_size) // multiple) * multiple

    def _fitting_file(self, tile: Tile) -> Tile:
        """Return the tiles that an exported file of fixed size is run in."""
        self.fixed = self.engine.size
        if self.fixed is None:
            return tile
        height, width = self.fixed
        if height != width:
            return None
        if tile not in (None, "auto", height):
            raise EngineError(f"the file takes {height}x{width} pixels; tiles of {tile} are not possible")
        self.spec = replace(self.spec, min_size=height)
        return height

    def _restore_rgb(self, image: np.ndarray, dtype: np.dtype) -> np.ndarray:
        if not self.ensemble:
            return self._pass(image, dtype)
        total = np.zeros(image.shape, np.float32)
        for turns in range(4):
            for mirrored, way in enumerate((1, -1)):
                turned = np.rot90(image, turns)[:, ::way]
                part = (2 * turns + mirrored) / 8, 1 / 8
                total += np.rot90(self._pass(turned, np.dtype(np.float32), part)[:, ::way], -turns)
        return to_type(total / 8, dtype)

    def _pass(self, image: np.ndarray, dtype: np.dtype, part: tuple[float, float] = (0.0, 1.0)) -> np.ndarray:
        """Run the network once over an image of any size; part: where this begins in the whole work, and its share."""
        height, width = image.shape[:2]
        padded = pad_to(image, *self._padded(image.shape))
        tiling = self._tiling_for(*padded.shape[:2])
        return self._whole_or_tiled(padded, tiling, dtype, part)[:height, :width]

    def _whole_or_tiled(
        self, padded: np.ndarray, tiling: Tiling | None, dtype: np.dtype, part: tuple[float, float]
    ) -> np.ndarray:
        if tiling is None:
            result = to_type(self._run([padded])[0], dtype)
            self._tell(sum(part))
            return result
        done, count = 0, tiling.count(*padded.shape[:2])

        def run(tiles: Sequence[np.ndarray], places: Sequence[Place]) -> list[np.ndarray]:
            nonlocal done
            restored = self._run(tiles)
            done += len(tiles)
            self._tell(part[0] + part[1] * done / count)
            return restored

        return run_tiled(run, padded, tiling, batch=self.batch, finish=partial(to_type, dtype=dtype))

    def _tell(self, share: float) -> None:
        if self.progress:
            self.progress(share)

    def _run(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run the network on images (h, w, 3) of one size: all together when they fill a batch, else one by one."""
        if len(images) not in (1, self.batch):
            return [self._run([image])[0] for image in images]
        return list(self.engine(_batched(images)).transpose(0, 2, 3, 1))

    def _padded(self, shape: tuple[int, ...]) -> tuple[int, int]:
        if self.fixed is None or self.fixed[0] == self.fixed[1]:
            return self.fitting(shape[0]), self.fitting(shape[1])
        if shape[0] > self.fixed[0] or shape[1] > self.fixed[1]:
            raise EngineError(
                f"the file takes {self.fixed[0]}x{self.fixed[1]} pixels, the image has {shape[0]}x{shape[1]}; "
                "export it for free sizes, or for a square to be used as a tile"
            )
        return self.fixed

    def _tiling(self, tile: int | str) -> Tiling:
        grid = self.spec.size_multiple, self.spec.min_size
        if tile == "auto":
            return Tiling.within(self.budget.pixels / self.batch, *grid)
        if not isinstance(tile, int):
            raise RestoreError(f"tile {tile!r}: give a side in pixels, such as 512, or auto")
        return Tiling.of(tile, *grid)

    def _tiling_for(self, height: int, width: int) -> Tiling | None:
        """Leave tiles out where the whole image fits into the memory, or into one tile."""
        if self.by_memory and self.budget.fits(height * width):
            return None
        if self.tiling is None or max(height, width) <= self.tiling.size:
            return None
        return self.tiling

    def _fits_together(self, height: int, width: int) -> bool:
        if self.by_memory:
            return self.budget.fits(height * width * self.batch)
        return self._tiling_for(height, width) is None


class InTurn:
    """Restore with several networks, one after the other, without rounding between them.

    Args:
        restorers: Networks in the order of their work.
    """

    def __init__(self, restorers: Sequence[Restorer]) -> None:
        self.restorers = tuple(restorers)

    def __call__(self, photo: np.ndarray) -> np.ndarray:
        """Restore an image as `Restorer` does."""
        return restore_as_given(lambda rgb, dtype: to_type(self.restore_float(to_float(rgb)), dtype), photo)

    def restore_float(self, image: np.ndarray) -> np.ndarray:
        """Restore a floating-point RGB image (H, W, 3) in [0,1]."""
        for restorer in self.restorers:
            image = restorer.restore_float(image)
        return image


def _batched(images: Sequence[np.ndarray]) -> np.ndarray:
    return np.ascontiguousarray(np.stack([to_float(image) for image in images]).transpose(0, 3, 1, 2))  # (N, 3, h, w)


def _checked_batch(batch: int) -> int:
    if batch < 1:
        raise RestoreError(f"batch {batch}: give the number of images that go through together, 1 or more")
    return batch
