"""Modulated deformable convolution (DCNv2).

On cards MindSpore's DeformableOffsets samples the map. The form in elementary operators is several times faster on CPU,
has the same gradients, and is what files hold: DeformableOffsets cannot be compiled for images of any size.
Positions are computed in float32 whatever the type of the map: in half precision their error grows with the map.
"""

from __future__ import annotations

from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import initializer
from mindspore.ops import auto_generate

from mindrestore.models.layers.convolve import Conv2d
from mindrestore.models.layers.form import Layer, chosen, is_free, like
from mindrestore.models.layers.initial import new_kernel
from mindrestore.models.layers.parts import Parts


@dataclass(frozen=True)
class Window:
    """The sampling window of a convolution, each value as (vertical, horizontal) in pixels."""

    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)

    @property
    def taps(self) -> int:
        """Positions that the kernel reads for one output pixel."""
        return self.kernel[0] * self.kernel[1]

    def tap_offsets(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the (taps,) vertical and horizontal position of every tap, row by row, from the first output pixel."""
        ky, kx = np.divmod(np.arange(self.taps), self.kernel[1])
        return (
            (ky * self.dilation[0] - self.padding[0]).astype(np.float32),
            (kx * self.dilation[1] - self.padding[1]).astype(np.float32),
        )


class DeformSample(Layer):
    """Convolve at displaced positions: the DCNv2 sum for given offsets, mask and weights.

    For output (r, q): sum over channels c and taps t of weight[o, c, t] * mask[t, r, q] * B(x[c], position + offset),
    with B the bilinear value, zero outside (-1, H) x (-1, W) (Zhu et al., Deformable ConvNets v2, equation 1).

    Args:
        window: kernel, stride, padding and dilation.

    Inputs:
        x: (N, C, H, W).
        dy, dx: (N, taps, Ho, Wo) vertical and horizontal offsets (pixels), taps in row-major kernel order.
        mask: (N, taps, Ho, Wo) modulation, used as it is.
        weight: (O, C, kernel, kernel).

    Returns:
        (N, O, Ho, Wo), without bias.
    """

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.window = window
        self.tap_y, self.tap_x = (Tensor(v.reshape(1, -1, 1, 1)) for v in window.tap_offsets())
        (kh, kw), (sh, sw) = window.kernel, window.stride
        (ph, pw), (dh, dw) = window.padding, window.dilation
        self.sample = ops.operations.nn_ops.DeformableOffsets(
            (1, 1, sh, sw), (ph, ph, pw, pw), (kh, kw), (1, 1, dh, dw), "NCHW", 1, True
        )
        self.through_aclnn = auto_generate.Conv2DExt()
        self.taps, self.stride = window.taps, window.stride
        self.sampled_matmul = SampledMatMul(taps_at_once=window.kernel[1])

    def construct(self, x: Tensor, dy: Tensor, dx: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
        weight = like(weight, x)
        dy, dx = dy.astype(ms.float32), dx.astype(ms.float32)
        form = chosen(self.form)
        if form in ("gpu", "ascend") and not is_free(x):
            offsets = ops.concat((dx, dy, mask.astype(ms.float32)), 1)
            columns = self.sample(x.astype(ms.float32), offsets)  # (N, C, Ho*kh, Wo*kw)
            columns = columns.astype(x.dtype)
            if form == "ascend":
                return self.through_aclnn(columns, weight, None, self.window.kernel, (0, 0), (1, 1), 1)
            return ops.conv2d(columns, weight, stride=self.window.kernel, pad_mode="valid")
        n, c = x.shape[:2]
        outputs = weight.shape[0]
        index, fy, fx = self.positions(x, dy, dx)
        corners = like(_corner_weights(fy, fx, mask.astype(ms.float32)), x).reshape(-1, self.taps, 4)
        rows = ops.transpose(weight.reshape(outputs, c, -1), (2, 1, 0)).reshape(-1, outputs)
        out = self.sampled_matmul(_corner_table(x), index.reshape(-1, self.taps), corners, rows)  # (N*Ho*Wo, O)
        out = ops.transpose(out.reshape(n, -1, outputs), (0, 2, 1))
        return out.reshape(n, outputs, *dy.shape[2:])

    def positions(self, x: Tensor, dy: Tensor, dx: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the row of the upper left corner in the table and the distances to it, each (N, Ho, Wo, taps)."""
        n, _, h, w = x.shape
        one = ops.ones_like(dy[:1, :1])  # counting with a sum keeps the size free in an exported graph
        row = (ops.cumsum(one, 2) - 1) * self.stride[0]
        col = (ops.cumsum(one, 3) - 1) * self.stride[1]
        y = ops.clip_by_value(dy + (row + self.tap_y), -1.0, float(h))  # both ends read only zeros
        x = ops.clip_by_value(dx + (col + self.tap_x), -1.0, float(w))
        y0 = ops.stop_gradient(ops.minimum(ops.floor(y), float(h - 1)))
        x0 = ops.stop_gradient(ops.minimum(ops.floor(x), float(w - 1)))
        index = (y0 + 1) * (w + 2) + (x0 + 1)  # exact in float32 up to 16 million positions
        if n > 1:
            index = index + ops.arange(n).astype(index.dtype).reshape(n, 1, 1, 1) * ((h + 2) * (w + 2))
        return _taps_last(index.astype(ms.int32)), _taps_last(y - y0), _taps_last(x - x0)


class SampledMatMul(nn.Cell):
    """Sample rows of a table, each a weighted sum of four corners, and multiply them by a matrix.

    out[m] = sum over taps t of (sum over corners k of weights[m, t, k] * table[index[m, t], k]) @ rows[t]. The gathered
    corners are 36 times as large as the feature map; a few taps are taken at a time, one group after the other, and the
    backward pass gathers again instead of keeping them.

    Args:
        taps_at_once: taps per group; fewer take less memory, more are faster.

    Inputs:
        table: (R, 4C) the four corners of every position.
        index: (M, taps) int32 rows of the table.
        weights: (M, taps, 4) of the corners.
        rows: (taps * C, O).

    Returns:
        (M, O).
    """

    def __init__(self, taps_at_once: int) -> None:
        super().__init__()
        self.group = taps_at_once

    def construct(self, table: Tensor, index: Tensor, weights: Tensor, rows: Tensor) -> Tensor:
        c = table.shape[1] // 4
        out = ops.zeros((), table.dtype)
        for t in range(0, index.shape[1], self.group):
            _, columns = self.sample(table, index[:, t : t + self.group], weights[:, t : t + self.group], out)
            out = out + ops.matmul(columns, rows[t * c : (t + self.group) * c])
        return out

    def sample(self, table: Tensor, index: Tensor, weights: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
        """Return the corners (M * group, 4, C) and the sampled rows (M, group * C), once `after` has been computed."""
        c = table.shape[1] // 4
        corners = ops.gather(table, ops.depend(index.reshape(-1), after), 0).reshape(-1, 4, c)
        columns = ops.matmul(weights.reshape(-1, 1, 4), corners)
        return corners, columns.reshape(-1, index.shape[1] * c)

    def bprop(
        self, table: Tensor, index: Tensor, weights: Tensor, rows: Tensor, out: Tensor, dout: Tensor
    ) -> tuple[Tensor, ...]:
        c = table.shape[1] // 4
        d_table = ops.zeros((), table.dtype)
        d_weights, d_rows = (), ()
        for t in range(0, index.shape[1], self.group):
            picked, shares = index[:, t : t + self.group], weights[:, t : t + self.group]
            corners, columns = self.sample(table, picked, shares, d_table)
            d_rows = (*d_rows, ops.matmul(columns.T, dout))
            d_columns = ops.matmul(dout, rows[t * c : (t + self.group) * c].T).reshape(-1, c, 1)
            d_weights = (*d_weights, ops.matmul(corners, d_columns).reshape(-1, picked.shape[1], 4))
            d_corners = ops.matmul(shares.reshape(-1, 4, 1), d_columns.reshape(-1, 1, c)).reshape(-1, 4 * c)
            d_table = d_table + ops.unsorted_segment_sum(d_corners, picked.reshape(-1), table.shape[0])
        return d_table, ops.zeros_like(index), ops.concat(d_weights, 1), ops.concat(d_rows, 0)


class DeformConv2d(Layer):
    """Convolve at positions that the input itself displaces: the DCNv2 layer.

    A 3x3 convolution predicts, per output pixel, nine (dy, dx) pairs and nine mask values (after a sigmoid). Both it
    and the bias start at zero, so that the fresh layer is half an ordinary convolution (DCNv2, section 4.2).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.

    Inputs:
        x: (N, in_channels, H, W).

    Returns:
        (N, out_channels, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = new_kernel(out_channels, in_channels, 3)
        self.bias = Parameter(initializer("zeros", (out_channels,)), name="bias")
        self.conv_offset_mask = Conv2d(in_channels, 27, 3, padding=1)
        for parameter in self.conv_offset_mask.get_parameters():
            parameter.set_data(initializer("zeros", parameter.shape, parameter.dtype))
        self.parts, self.directions = Parts((18, 9)), Parts((1, 1))
        self.sample = DeformSample(Window())

    def construct(self, x: Tensor) -> Tensor:
        om = self.conv_offset_mask(x)  # (N, 27, H, W)
        n, _, h, w = om.shape
        if chosen(self.form) == "ascend":
            offsets, mask = self.parts(om)
            dy, dx = self.directions(_by_direction(offsets))
        else:
            pairs, mask = _by_direction(om[:, :18]), om[:, 18:]
            dy, dx = pairs[:, 0], pairs[:, 1]
        y = self.sample(x, dy.reshape(n, 9, h, w), dx.reshape(n, 9, h, w), ops.sigmoid(mask), self.weight)
        return y + like(self.bias, y).reshape(1, -1, 1, 1)


def _by_direction(offsets: Tensor) -> Tensor:
    """Part the published order dy0, dx0, dy1, ...: (N, 18, H, W) -> (N, 2, 9, H W)."""
    n = offsets.shape[0]
    return ops.transpose(offsets.reshape(n, 9, 2, -1), (0, 2, 1, 3))


def _taps_last(x: Tensor) -> Tensor:
    return ops.transpose(x, (0, 2, 3, 1))


def _corner_table(x: Tensor) -> Tensor:
    """Lay the four neighbours of every position side by side: (N, C, H, W) -> (rows, 4C).

    Around the image stands one ring of zeros; then the neighbour to the right is the next row, the one below lies W + 2
    rows on. One gather of 4C values in a row replaces four gathers, and needs no tests at the border.
    """
    n, c, h, w = x.shape
    x = ops.transpose(x, (0, 2, 3, 1))  # (N, H, W, C)
    zeros = ops.zeros_like(x[:, :1])
    x = ops.concat((zeros, x, zeros), 1)
    zeros = ops.zeros_like(x[:, :, :1])
    x = ops.concat((zeros, x, zeros), 2).reshape(-1, c)
    wide = w + 2
    rows = n * (h + 2) * wide - wide - 1
    corners = [ops.slice(x, (first, 0), (rows, c)) for first in (0, 1, wide, wide + 1)]  # `x[a:b]` is 20 times slower
    return ops.concat(corners, 1)


def _corner_weights(fy: Tensor, fx: Tensor, mask: Tensor) -> Tensor:
    """Return the bilinear weights of the four corners times the mask: (N, Ho, Wo, taps, 4)."""
    mask = _taps_last(mask)
    lower = mask * fy
    upper = mask - lower
    right = upper * fx
    lower_right = lower * fx
    return ops.stack((upper - right, right, lower - lower_right, lower_right), -1)
