"""Convolutions and norms on named arrays in PyTorch's layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from mindspore import Tensor, ops


class Arrays:
    """The arrays of a network, and apply its layers by name.

    Args:
        arrays: Name -> array; convolutions as (out, in, height, width).

    Example:
        >>> net = Arrays.of_file("aodnet_dehaze.npz")
        >>> net.conv("e_conv1", x).shape
        (1, 3, 460, 620)
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.arrays = {name: Tensor(np.asarray(array, np.float32)) for name, array in arrays.items()}

    @classmethod
    def of_file(cls, path: Path) -> Arrays:
        """Read a .npz file."""
        with np.load(path) as file:
            return cls({name: file[name] for name in file.files})

    def conv(self, name: str, x: Tensor, *, stride: int = 1, dilation: int = 1) -> Tensor:
        """Convolve with zeros around, so that stride 1 keeps the size; the bias is added where there is one."""
        weight = self.arrays[f"{name}.weight"]
        out, _, side, _ = weight.shape
        convolve = ops.Conv2D(out, side, pad_mode="pad", pad=side // 2 * dilation, stride=stride, dilation=dilation)
        return self._with_bias(name, convolve(x, weight))

    def shared_conv(self, name: str, x: Tensor) -> Tensor:
        """Convolve every channel with one kernel that all of them share; OpenCV is quicker at that."""
        kernel = self.arrays[f"{name}.weight"].asnumpy()[0, 0]
        planes = [cv2.filter2D(plane, -1, kernel, borderType=cv2.BORDER_CONSTANT) for plane in x.asnumpy()[0]]
        return Tensor(np.stack(planes)[None])

    def doubled(self, name: str, x: Tensor) -> Tensor:
        """Double height and width by a transposed convolution with kernel 4 and stride 2."""
        weight = self.arrays[f"{name}.weight"]
        n, c, h, w = x.shape
        deconvolve = ops.Conv2DTranspose(c, 4, pad_mode="pad", pad=1, stride=2)
        return self._with_bias(name, deconvolve(x, weight, (n, weight.shape[1], 2 * h, 2 * w)))

    def instance_norm(self, name: str, x: Tensor) -> Tensor:
        """Bring every channel of (1, C, H, W) to mean 0 and variance 1, then scale and shift it."""
        weight, bias = (self.arrays[f"{name}.{kind}"].asnumpy() for kind in ("weight", "bias"))
        planes = x.asnumpy()[0]
        normed = np.empty_like(planes)
        for plane, out, scale, shift in zip(planes, normed, weight, bias):  # one by one, since a plane fits the cache
            mean, deviation = (value.item() for value in cv2.meanStdDev(plane))
            scale = scale / np.sqrt(deviation**2 + 1e-5)
            np.multiply(plane, np.float32(scale), out=out)
            out += np.float32(shift - mean * scale)
        return Tensor(normed[None])

    def _with_bias(self, name: str, x: Tensor) -> Tensor:
        bias = self.arrays.get(f"{name}.bias")
        return x if bias is None else ops.bias_add(x, bias)


def to_tensor(image: np.ndarray) -> Tensor:
    """Bring an image (H, W, C) to (1, C, H, W)."""
    return Tensor(np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32))


def to_image(tensor: Tensor) -> np.ndarray:
    """Bring (1, 3, H, W) back to (H, W, 3), clipped to [0, 1]."""
    return np.clip(tensor.asnumpy()[0].transpose(1, 2, 0), 0, 1)
