"""Restore single images of any size and type with a trained network."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mindrestore.errors import Notice
from mindrestore.files import PathLike
from mindrestore.inference.coarse_to_fine import coarse_to_fine, small_forms
from mindrestore.inference.engines import Engine, open_engine
from mindrestore.inference.ensemble import ensemble
from mindrestore.inference.layout import ImageLayout, run_batch, tiled
from mindrestore.inference.options import Options
from mindrestore.inference.pixels import RestoreError, as_given, as_photo, pad_to, to_float, to_type
from mindrestore.inference.progress import ImageProgress
from mindrestore.inference.trained import Trained, resolve
from mindrestore.inference.working_size import at_working_size, restored_whole
from mindrestore.models.registry import model_spec
from mindrestore.models.spec import ModelSpec

if TYPE_CHECKING:
    from mindspore import nn


class Restorer:
    """A trained network, ready for photographs of any size.

    Args:
        model: Registered name; a `Trained`; or the `ModelSpec` of `net` or of an exported file; None: the network for
            `task`.
        task: What to remove: "dehaze", "derain", "denoise" or "deblur"; chooses network and weights.
        weights: Weight file or dict; "default" or a name of `mindrestore weights list` for those that come with
            MindRestore; None keeps the initial weights, and with `task` means the default ones. Or a file of `export`.
        hyper: Hyper-parameters that differ from the defaults.
        net: Your own network, with its weights; it is not changed.
        options: How images go through the network.
        **changes: Fields of `Options` by name, such as `tile=512` or `ensemble=True`.

    Attributes:
        trained: Network, weights and task.
        spec: What the network takes.
        options: How images go through it.
        engine: What computes.

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
        model: str | Trained | ModelSpec | None = None,
        *,
        task: str | None = None,
        weights: PathLike | Mapping[str, Any] | None = None,
        hyper: Mapping[str, Any] | None = None,
        net: nn.Cell | None = None,
        options: Options | None = None,
        **changes: Any,
    ) -> None:
        self.options = (options or Options()).with_(**changes)
        if isinstance(model, ModelSpec):
            self.spec, self.trained = model, Trained(model.name, weights, dict(hyper or {}), task=task)
        else:
            given = {"task": task, "model": model, "weights": weights, "hyper": hyper}
            self.trained = model if isinstance(model, Trained) else resolve(**given)
            if self.trained is not model and self.trained.card and self.trained.card.terms:
                warnings.warn(self.trained.card.note, Notice, stacklevel=2)
            self.spec = model_spec(self.trained.model)
        self.engine = self._opened(net)
        self.layout = ImageLayout.of(self.spec, self.engine, self.options)
        self._progress = ImageProgress()
        restore = tiled(self.engine, self.layout, self._progress)
        if self.at_working_size:
            restore = at_working_size(restore, self.layout.working)
        if self.coarse_to_fine:
            restore = coarse_to_fine(restore, self._progress)
        if self.options.ensemble:
            restore = ensemble(restore, self._progress)
        self._restore, self._restore_as_given = restore, as_given(restore)

    def __call__(self, photo: np.ndarray) -> np.ndarray:
        """Restore an image and return it in its own type and size.

        Args:
            photo: (H, W), (H, W, 3) RGB or (H, W, 4) RGBA; uint8, uint16, or floating point in [0,1]. Grey images
                run as RGB and come back grey; alpha is kept as it is.

        Returns:
            Array of the same shape and type.

        Raises:
            RestoreError: The array is not an image, or has NaN or infinite values.
            EngineError: The network makes NaN or infinite values of it.

        Examples:
            >>> restore(np.zeros((17, 23, 3), np.uint8)).shape
            (17, 23, 3)
        """
        return self._restore_as_given(photo)

    restore = __call__

    def restore_batch(self, photos: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Restore images of one shape together, as many at a time as `batch` says.

        Args:
            photos: Images as for a call; those of one shape, three channels and a size that goes through whole are
                joined.

        Returns:
            Arrays of the same shapes and types.

        Raises:
            RestoreError: One of them is not an image.

        Examples:
            >>> [image.shape for image in restore.restore_batch([photo, photo])]
            [(40, 48, 3), (40, 48, 3)]
        """
        photos = [as_photo(photo) for photo in photos]
        if not photos or not self._goes_together(photos):
            return [self(photo) for photo in photos]
        (height, width), count = photos[0].shape[:2], self.options.batch
        padded = [pad_to(photo, *self.layout.padded(height, width)) for photo in photos]
        restored: list[np.ndarray] = []
        for first in range(0, len(padded) - len(padded) % count, count):
            restored += list(run_batch(self.engine, padded[first : first + count]))
        for image in padded[len(restored) :]:  # a batch of another size would be compiled for it alone
            restored += list(run_batch(self.engine, [image]))
        return [to_type(image[:height, :width], photo.dtype) for image, photo in zip(restored, photos)]

    def restore_float(self, image: np.ndarray) -> np.ndarray:
        """Restore a floating-point RGB image.

        Args:
            image: (H, W, 3), float32 in [0,1].

        Returns:
            (H, W, 3), float32 in [0,1].

        Raises:
            RestoreError: The array is not an image, or has NaN or infinite values.
            EngineError: The network makes NaN or infinite values of it.

        Examples:
            >>> restore.restore_float(np.zeros((1, 1, 3), np.float32)).dtype
            dtype('float32')
        """
        image = as_photo(np.asarray(image, np.float32))
        if image.ndim != 3 or image.shape[2] != 3:
            raise RestoreError(f"an array of shape {image.shape} is not RGB; use (H, W, 3)")
        return self._restore(image)

    @property
    def progress(self) -> Callable[[float], None] | None:
        """Function that takes the share of an image that is done, from 0 to 1, after every batch of tiles."""
        return self._progress.listener

    @progress.setter
    def progress(self, listener: Callable[[float], None] | None) -> None:
        self._progress.listener = listener

    @property
    def net(self) -> nn.Cell | None:
        """The network, where MindSpore runs it; None: another engine does."""
        return getattr(self.engine, "net", None)

    @property
    def batch(self) -> int:
        """How many images of one size `restore_batch` joins."""
        return self.options.batch

    @property
    def tasks(self) -> tuple[str, ...]:
        """What it removes, in the words of the model specs."""
        return self.trained.made_for or self.spec.tasks

    @property
    def at_working_size(self) -> bool:
        """Whether the network sees large images at a working size: for haze, unless the full size is asked for."""
        return self.tasks == ("dehaze",) and not self.options.full_size

    @property
    def coarse_to_fine(self) -> bool:
        """Whether it sees small forms of large images, too: for rain, unless the full size alone is asked for."""
        return self.tasks == ("derain",) and not self.options.full_size and not self.layout.fixed

    def _opened(self, net: nn.Cell | None) -> Engine:
        weights, options = self.trained.weights, self.options
        if net is None:
            ways = {"engine": options.engine, "device": options.device, "key": options.key}
            return open_engine(self.spec, weights, hyper=self.trained.hyper, **ways)
        if weights is not None:
            raise RestoreError("a net is used with the weights it has; pass it without weights, or load them into it")
        from mindrestore.inference.cell_engine import CellEngine

        return CellEngine(net, self.spec, options.compiled)

    def _goes_together(self, photos: Sequence[np.ndarray]) -> bool:
        shape = photos[0].shape
        if len(shape) != 3 or shape[2] != 3 or any(photo.shape != shape for photo in photos) or self.options.ensemble:
            return False
        size = shape[:2]
        small = self.at_working_size and not restored_whole(size, self.layout.working(*size))
        if small or (self.coarse_to_fine and small_forms(*size)):
            return False
        return self.layout.goes_together(*self.layout.padded(*size))


class InTurn:
    """Restore with several networks, one after the other, without rounding between them.

    Args:
        restorers: Networks in the order of their work.

    Attributes:
        progress: Function that takes the share of an image that is done by all of them, from 0 to 1; None: nobody asks.
    """

    def __init__(self, restorers: Sequence[Restorer]) -> None:
        self.restorers = tuple(restorers)
        self.progress: Callable[[float], None] | None = None
        self._restore_as_given = as_given(self._in_own_type)

    def __call__(self, photo: np.ndarray) -> np.ndarray:
        """Restore an image as `Restorer` does."""
        return self._restore_as_given(photo)

    def restore_float(self, image: np.ndarray) -> np.ndarray:
        """Restore a floating-point RGB image (H, W, 3) in [0,1]."""
        for number, restorer in enumerate(self.restorers):
            restorer.progress = self.progress and partial(self._tell, number)
            image = restorer.restore_float(image)
        return image

    def _tell(self, number: int, share: float) -> None:
        self.progress((number + share) / len(self.restorers))

    def _in_own_type(self, image: np.ndarray) -> np.ndarray:
        return to_type(self.restore_float(to_float(image)), image.dtype)
