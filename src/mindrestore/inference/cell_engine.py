"""Run networks with MindSpore: on cards, for callers who have a network, and where it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from mindrestore.engine import context
from mindrestore.exporting.session import EngineError
from mindrestore.files import PathLike
from mindrestore.models.layers import on_cpu
from mindrestore.models.registry import create_model
from mindrestore.models.spec import ModelSpec
from mindrestore.models.wrapper import ImageModel
from mindrestore.weights.convert import load_weights


class CellEngine:
    """Run a network of this process; it is left as it is.

    Args:
        net: A network.
        spec: Its description.
        compiled: Compile it, once for all sizes: seconds at the first image, faster after it. None: on CPU only.
    """

    size: tuple[int, int] | None = None

    def __init__(self, net: nn.Cell, spec: ModelSpec, compiled: bool | None = None) -> None:
        self.net, self.spec, self.pixel_bytes = net, spec, spec.cell_bytes
        self.compiled = on_cpu() if compiled is None else compiled
        self._forwards: dict[int, Callable[[ms.Tensor], ms.Tensor]] = {}

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        training = self.net.training
        self.net.set_train(False)
        try:
            if len(images) not in self._forwards:
                self._forwards[len(images)] = self._forward(len(images))
            restored = self._forwards[len(images)](ms.Tensor(np.ascontiguousarray(images, np.float32)))
            restored = restored.asnumpy().copy()  # MindSpore's memory is reused
        finally:
            self.net.set_train(training)
        if restored.shape != images.shape:
            raise EngineError(
                f"{self.spec.name} makes {restored.shape} of {images.shape}; its spec gives a wrong output"
            )
        if not np.isfinite(restored).all():
            raise EngineError(
                f"{self.spec.name}: the result holds NaN or infinite values; the weights are damaged, or training had "
                "diverged"
            )
        return np.clip(restored, 0, 1)

    def _forward(self, count: int) -> Callable[[ms.Tensor], ms.Tensor]:
        model = ImageModel(self.net, self.spec, clips=False)
        if not self.compiled:
            return model
        model.set_inputs(ms.Tensor(shape=(count, 3, None, None), dtype=ms.float32))
        return ms.jit(model)


def network_engine(
    spec: ModelSpec,
    weights: PathLike | Mapping[str, Any] | None,
    hyper: Mapping[str, Any] | None = None,
    device: str = "auto",
) -> CellEngine:
    """Build a registered network on a device and load its weights.

    Raises:
        WeightError: The weights do not fit.
        DeviceError: The device is not there.
    """
    context.setup(device, mode="pynative")
    return CellEngine(filled(create_model(spec.name, **dict(hyper or {})), weights), spec)


def filled(net: nn.Cell, weights: PathLike | Mapping[str, Any] | None) -> nn.Cell:
    """Load weights into a network, unless there are none, and return it.

    Raises:
        WeightError: They do not fit.
    """
    if weights is not None:
        load_weights(net, weights)
    return net
