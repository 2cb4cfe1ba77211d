"""Restore single images of any size and type with a trained network."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import mindspore as ms
import numpy as np

from mindrestore.data.images import PathLike, to_float
from mindrestore.engine import context
from mindrestore.errors import MindRestoreError
from mindrestore.inference.tiles import Tiling, run_tiled
from mindrestore.models.layers import on_cpu
from mindrestore.models.registry import create_model, model_spec
from mindrestore.models.spec import ModelSpec
from mindrestore.models.wrapper import ImageModel
from mindrestore.weights.convert import load_weights

if TYPE_CHECKING:
    from mindspore import nn

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601, for photographs that came in grey


class RestoreError(MindRestoreError):
    """Report an image that cannot be restored or a result that cannot be kept."""


class Restorer:
    """Hold a trained network, ready for photographs of any size.

    Args:
        model: Registered name; or the `ModelSpec` of `net`.
        weights: Weight file or dict for a network made here; None keeps its initial weights.
        device: "auto", "CPU", "GPU" or "Ascend"; only for a network made here.
        tile: Side of overlapping tiles in pixels, for images too large for the memory; None takes them whole.
        hyper: Hyper-parameters that differ from the defaults.
        net: A network to use as it is; it is put into inference mode while it restores.
        compiled: Compile the network once for all sizes (seconds at the first image, several times faster after it)
            or run operator by operator; None compiles on CPU.

    Raises:
        MindRestoreError: The model, the weights, the device or the tile size cannot be used.

    Example:
        >>> restore = Restorer("aecrnet", weights="best.ckpt")
        >>> restore(photo).shape == photo.shape
        True
    """

    def __init__(
        self,
        model: str | ModelSpec,
        *,
        weights: PathLike | Mapping[str, Any] | None = None,
        device: str = "auto",
        tile: int | None = None,
        hyper: Mapping[str, Any] | None = None,
        net: nn.Cell | None = None,
        compiled: bool | None = None,
    ) -> None:
        self.spec = model_spec(model) if isinstance(model, str) else model
        self.tiling = None if tile is None else Tiling.of(tile, self.spec.size_multiple, self.spec.min_size)
        if tile is not None and self.spec.tiling == "statistics":
            warnings.warn(
                f"{self.spec.name} averages over the whole image: results in tiles differ from those of whole images",
                stacklevel=2,
            )
        if net is None:
            context.setup(device, mode="pynative")
            net = create_model(self.spec.name, **dict(hyper or {}))
        if weights is not None:
            load_weights(net, weights)
        self.net = net
        self._model = ImageModel(net, self.spec)
        self._forward = _compiled(self._model) if (on_cpu() if compiled is None else compiled) else self._model

    def __call__(self, photo: np.ndarray) -> np.ndarray:
        """Restore an image and give it back in its own type and size.

        Args:
            photo: (H, W), (H, W, 3) RGB or (H, W, 4) RGBA; uint8, uint16, or floating point in [0,1]. Grey images
                run as RGB and come back grey; alpha is kept as it is.

        Returns:
            Array of the same shape and type.

        Raises:
            RestoreError: The array is no image, or holds NaN or infinite values.

        Example:
            >>> restore(np.zeros((17, 23, 3), np.uint8)).shape
            (17, 23, 3)
        """
        photo = np.asarray(photo)
        _check_photo(photo)
        rgb = np.repeat(photo[..., None], 3, axis=2) if photo.ndim == 2 else photo[..., :3]
        restored = self.restore_float(to_float(rgb))
        if photo.ndim == 2:
            restored = restored @ _LUMA
        restored = _to_type(restored, photo.dtype)
        if photo.ndim == 3 and photo.shape[2] == 4:
            restored = np.concatenate((restored, photo[..., 3:]), axis=2)
        return restored

    restore = __call__

    def restore_float(self, image: np.ndarray) -> np.ndarray:
        """Restore a floating-point RGB image.

        Args:
            image: (H, W, 3), float32 in [0,1].

        Returns:
            (H, W, 3), float32 in [0,1].

        Raises:
            RestoreError: The network's output has another shape.

        Example:
            >>> restore.restore_float(np.zeros((1, 1, 3), np.float32)).dtype
            dtype('float32')
        """
        height, width = image.shape[:2]
        padded = pad_to(image, *(self.fitting(side) for side in (height, width)))
        training = self.net.training
        self._model.set_train(False)
        try:
            restored = run_tiled(self._run, padded, self.tiling) if self.tiling else self._run(padded)
        finally:
            self.net.set_train(training)
        return restored[:height, :width]

    def fitting(self, side: int) -> int:
        """Give the next side, in pixels, that the network takes."""
        multiple = self.spec.size_multiple
        return -(-max(side, self.spec.min_size) // multiple) * multiple

    def _run(self, image: np.ndarray) -> np.ndarray:
        batch = np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)  # (1, 3, H, W)
        output = self._forward(ms.Tensor(batch)).asnumpy()
        if output.shape != batch.shape:
            raise RestoreError(f"{self.spec.name} made {output.shape} of {batch.shape}; its spec gives a wrong output")
        return output[0].transpose(1, 2, 0).copy()  # MindSpore's memory is reused


def _compiled(model: nn.Cell) -> Callable[[ms.Tensor], ms.Tensor]:
    """Compile a network once for images of every size: several times faster on CPU than operator by operator."""
    model.set_inputs(ms.Tensor(shape=(1, 3, None, None), dtype=ms.float32))
    return ms.jit(model)


def pad_to(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Extend an image at the bottom and right: by reflection as far as it reaches, then by the last line.

    Args:
        image: Array (H, W, C).
        height: Rows of the result, at least H.
        width: Columns of the result, at least W.

    Returns:
        Array (height, width, C); the image itself when nothing is lacking.

    Example:
        >>> pad_to(np.arange(3.0).reshape(1, 3, 1), 1, 7)[0, :, 0]
        array([0., 1., 2., 1., 0., 0., 0.])
    """
    lacking = (height - image.shape[0], width - image.shape[1])
    if not any(lacking):
        return image
    mirrored = [min(lack, side - 1) for lack, side in zip(lacking, image.shape)]
    image = np.pad(image, [(0, mirrored[0]), (0, mirrored[1]), (0, 0)], mode="reflect")
    return np.pad(image, [(0, lacking[0] - mirrored[0]), (0, lacking[1] - mirrored[1]), (0, 0)], mode="edge")


def _check_photo(photo: np.ndarray) -> None:
    if photo.size == 0 or not (photo.ndim == 2 or (photo.ndim == 3 and photo.shape[2] in (3, 4))):
        raise RestoreError(f"an array of shape {photo.shape} is no image; give (H, W), (H, W, 3) or (H, W, 4)")
    floating = np.issubdtype(photo.dtype, np.floating)
    if not floating and photo.dtype not in (np.uint8, np.uint16):
        raise RestoreError(f"pixels of type {photo.dtype} are not supported; give uint8, uint16 or float in [0,1]")
    if floating and not np.isfinite(photo).all():
        raise RestoreError("the image holds NaN or infinite values; replace them first")


def _to_type(image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if np.issubdtype(dtype, np.floating):
        return image.astype(dtype)
    return np.rint(np.clip(image, 0, 1) * np.iinfo(dtype).max).astype(dtype)
