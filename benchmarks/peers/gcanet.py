"""GCANet (Chen et al., WACV 2019): smoothed dilated convolutions, and a gated sum of three levels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mindspore import Tensor, ops

from peers.layers import Arrays, to_image, to_tensor

DILATIONS = (2, 2, 2, 4, 4, 4, 1)
LEVELS = (0, 4, 7)  # residual blocks before the features that the gates weigh


class GCANet:
    """Remove haze with GCANet.

    Args:
        path: .npz file with `conv1` to `conv3`, `res1` to `res7`, `gate`, `deconv1` to `deconv3` and norms.

    Example:
        >>> clear = GCANet("gcanet_dehaze.npz")(hazy)     # (H, W, 3) in [0, 1]; H and W even
    """

    def __init__(self, path: Path) -> None:
        self.net = Arrays.of_file(path)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        levels = np.asarray(image, np.float32) * 255
        x = to_tensor(np.concatenate((levels, edges(levels)), 2) - 128)  # (1, 4, H, W)
        for number, stride in ((1, 1), (2, 1), (3, 2)):
            x = ops.relu(self._norm(f"norm{number}", self.net.conv(f"conv{number}", x, stride=stride)))
        features = [x]  # (1, 64, H/2, W/2), and after every block
        for number, dilation in enumerate(DILATIONS, 1):
            features.append(self._block(f"res{number}", features[-1], dilation))
        chosen = [features[level] for level in LEVELS]
        gates = ops.split(self.net.conv("gate", ops.concat(chosen, 1)), 1, axis=1)
        x = sum(gate * level for gate, level in zip(gates, chosen))
        x = ops.relu(self._norm("norm4", self.net.doubled("deconv3", x)))
        x = ops.relu(self._norm("norm5", self.net.conv("deconv2", x)))
        residual = self.net.conv("deconv1", x)  # on the scale from 0 to 255
        return to_image((residual + to_tensor(levels)) / 255)

    def _block(self, name: str, x: Tensor, dilation: int) -> Tensor:
        y = ops.relu(self._dilated(name, 1, x, dilation))
        return ops.relu(x + self._dilated(name, 2, y, dilation))

    def _dilated(self, name: str, number: int, x: Tensor, dilation: int) -> Tensor:
        """Let neighbours exchange before a dilated convolution, which sees only every second or fourth pixel."""
        if dilation > 1:
            x = self.net.shared_conv(f"{name}.pre_conv{number}", x)
        return self._norm(f"{name}.norm{number}", self.net.conv(f"{name}.conv{number}", x, dilation=dilation))

    def _norm(self, name: str, x: Tensor) -> Tensor:
        return self.net.instance_norm(name, x)


def edges(levels: np.ndarray) -> np.ndarray:
    """Return the mean absolute difference of every pixel to its four neighbours (H, W, 1), over three colours."""
    across, down = np.abs(np.diff(levels, axis=1)), np.abs(np.diff(levels, axis=0))
    total = np.zeros_like(levels)
    total[:, 1:] += across
    total[:, :-1] += across
    total[1:] += down
    total[:-1] += down
    return total.mean(2, keepdims=True) / 4
