"""PReNet (Ren et al., CVPR 2019): six passes of one network with a convolutional LSTM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mindspore import Tensor, ops

from peers.layers import Arrays, to_image, to_tensor

PASSES, FEATURES, BLOCKS = 6, 32, 5


class PReNet:
    """Remove rain with PReNet.

    Args:
        path: .npz file with `conv0`, `conv_i`, `conv_f`, `conv_g`, `conv_o`, `res_conv1` to `res_conv5`, `conv`.

    Example:
        >>> clear = PReNet("prenet_rain100l.npz")(rainy)     # (H, W, 3) in [0, 1]
    """

    def __init__(self, path: Path) -> None:
        self.net = Arrays.of_file(path)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        rainy = clear = to_tensor(image)
        hidden = cell = ops.zeros((1, FEATURES, *image.shape[:2]), rainy.dtype)
        for _ in range(PASSES):
            features = ops.relu(self.net.conv("conv0.0", ops.concat((rainy, clear), 1)))
            hidden, cell = self._remember(features, hidden, cell)
            features = hidden
            for number in range(1, BLOCKS + 1):
                inner = ops.relu(self.net.conv(f"res_conv{number}.0", features))
                inner = ops.relu(self.net.conv(f"res_conv{number}.2", inner))
                features = ops.relu(inner + features)
            clear = self.net.conv("conv.0", features) + rainy
        return to_image(clear)

    def _remember(self, features: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        joined = ops.concat((features, hidden), 1)  # (1, 64, H, W)
        take, keep, show = (ops.sigmoid(self.net.conv(f"conv_{gate}.0", joined)) for gate in "ifo")
        cell = keep * cell + take * ops.tanh(self.net.conv("conv_g.0", joined))
        return show * ops.tanh(cell), cell
