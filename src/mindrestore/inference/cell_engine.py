"""Run networks with MindSpore: on cards, for callers who have a network, and where it is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from mindrestore.engine import context
from mindrestore.exporting.graphs import to_stderr
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
        label: Where its values come from, for messages; None: the network's name says enough.
        tell: Takes a line with the seconds that a first image took; None: nobody is told.
    """

    size: tuple[int, int] | None = None

    def __init__(
        self,
        net: nn.Cell,
        spec: ModelSpec,
        compiled: bool | None = None,
        *,
        label: str | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.label, self.tell = label or spec.name, tell
        self.net, self.spec, self.pixel_bytes = net, spec, spec.cell_bytes
        self.compiled = on_cpu() if compiled is None else compiled
        self._forwards: dict[int, Callable[[ms.Tensor], ms.Tensor]] = {}

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        with inferring(self.net):
            first, start = len(images) not in self._forwards, time.perf_counter()
            if first:
                self._forwards[len(images)] = self._forward(len(images))
            restored = self._forwards[len(images)](ms.Tensor(np.ascontiguousarray(images, np.float32)))
            restored = restored.asnumpy().copy()  # MindSpore's memory is reused
        if first and self.compiled and self.tell:
            took = time.perf_counter() - start
            self.tell(f"{self.spec.name}: compiled once for images of any size, {took:.1f} s with the first image")
        if restored.shape != images.shape:
            raise EngineError(
                f"{self.spec.name} makes {restored.shape} of {images.shape}; its spec gives a wrong output"
            )
        if not np.isfinite(restored).all():
            raise EngineError(
                f"{self.label}: the result holds NaN or infinite values; the weights are damaged, or training had "
                "diverged"
            )
        return np.clip(restored, 0, 1)

    def _forward(self, count: int) -> Callable[[ms.Tensor], ms.Tensor]:
        model = ImageModel(self.net, self.spec, clips=False)
        if not self.compiled:
            return model
        model.set_inputs(ms.Tensor(shape=(count, 3, None, None), dtype=ms.float32))
        return ms.jit(model)


@contextmanager
def inferring(net: nn.Cell) -> Iterator[None]:
    """Put a network into inference mode inside a `with` block; then every cell in it has its own mode again."""
    before = [(cell, cell.training) for _, cell in net.cells_and_names()]  # parents first
    net.set_train(False)
    try:
        yield
    finally:
        for cell, training in before:
            if cell.training != training:
                cell.set_train(training)


def network_engine(
    spec: ModelSpec,
    weights: PathLike | Mapping[str, Any] | None,
    hyper: Mapping[str, Any] | None = None,
    device: str = "auto",
    tell: Callable[[str], None] | None = None,
) -> CellEngine:
    """Build a registered network on a device and load its weights.

    Raises:
        WeightError: The weights do not fit.
        DeviceError: The device is not there.
    """
    context.setup(device, mode="pynative")
    label = str(weights) if isinstance(weights, (str, Path)) else None
    net = filled(create_model(spec.name, **dict(hyper or {})), weights)
    return CellEngine(net, spec, label=label, tell=tell or to_stderr)


def filled(net: nn.Cell, weights: PathLike | Mapping[str, Any] | None) -> nn.Cell:
    """Load weights into a network, unless there are none, and return it.

    Raises:
        WeightError: They do not fit.
    """
    if weights is not None:
        load_weights(net, weights)
    return net
