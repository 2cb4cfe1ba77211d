"""AOD-Net (Li et al., ICCV 2017): five small convolutions give K, and K(x) x - K(x) + 1 is the clear image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mindspore import ops

from peers.layers import Arrays, to_image, to_tensor


class AODNet:
    """Remove haze with AOD-Net.

    Args:
        path: .npz file with `e_conv1` to `e_conv5`.

    Example:
        >>> clear = AODNet("aodnet_dehaze.npz")(hazy)     # (H, W, 3) in [0, 1]
    """

    def __init__(self, path: Path) -> None:
        self.net = Arrays.of_file(path)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        x, relu, conv = to_tensor(image), ops.relu, self.net.conv
        first = relu(conv("e_conv1", x))
        second = relu(conv("e_conv2", first))
        third = relu(conv("e_conv3", ops.concat((first, second), 1)))
        fourth = relu(conv("e_conv4", ops.concat((second, third), 1)))
        k = relu(conv("e_conv5", ops.concat((first, second, third, fourth), 1)))  # (1, 3, H, W)
        return to_image(relu(k * x - k + 1))
