"""Cut feature maps into windows, let the pixels of each window attend to each other, and put the windows back."""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, nn, ops

from mindrestore.models.layers import like


def window_places(h: int, w: int, side: int, shift: int) -> tuple[Tensor, Tensor]:
    """Return where the pixels of all windows come from, and where the pixels of the map are among them.

    The windows cover the map from `shift` rows and columns before its corner on; what lies outside mirrors the map
    without repeating its edge.

    Args:
        h, w: height and width of the map (pixels).
        side: side of the square windows (pixels).
        shift: rows and columns before the map, less than `side`.

    Returns:
        Places of the windows' pixels in the flat map, row by row within and among windows; and places of the map's
        pixels in that list. Integers.
    """
    rows, columns = (h + shift + side - 1) // side, (w + shift + side - 1) // side
    y = mirrored(h, rows * side, shift).reshape(rows, 1, side, 1)
    x = mirrored(w, columns * side, shift).reshape(1, columns, 1, side)
    there = (y * w + x).reshape(-1)
    y, x = ops.arange(shift, shift + h).reshape(h, 1), ops.arange(shift, shift + w).reshape(1, w)
    window = (y // side) * columns + x // side
    return there, (window * (side * side) + (y % side) * side + x % side).reshape(-1)


def mirrored(length: int, wanted: int, before: int = 0) -> Tensor:
    """Return the places along one axis that a map has after reflection: 2 1 0 1 2 ... n-2 n-1 n-2.

    Args:
        length: rows (or columns) of the map, at least 2; if more are added on a side, they swing back and forth.
        wanted: rows afterwards.
        before: how many of the added ones come before the first.

    Returns:
        (wanted,) integers from 0 to length - 1.
    """
    last = length - 1
    return ops.abs(ops.arange(last - before, last - before + wanted) % (2 * last) - last)


def to_windows(x: Tensor, there: Tensor, side: int) -> Tensor:
    """Cut maps into windows: (N, C, H, W) -> (windows * N, C, side, side); the images of one window follow each other.

    As rows of channels per pixel, so that one gather pads, shifts and cuts.
    """
    n, c, h, w = x.shape
    pixels = ops.gather(ops.transpose(x.reshape(n * c, h * w), (1, 0)), there, 0)  # (windows * side^2, N C)
    windows = ops.transpose(pixels.reshape(-1, side * side, n * c), (0, 2, 1))
    return windows.reshape(-1, c, side, side)


def from_windows(windows: Tensor, back: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
    """Put windows back into maps of a given shape (N, C, H, W), without what the reflection added."""
    n, c, h, w = shape
    area = windows.shape[2] * windows.shape[3]
    pixels = ops.transpose(windows.reshape(-1, n * c, area), (0, 2, 1)).reshape(-1, n * c)
    return ops.transpose(ops.gather(pixels, back, 0), (1, 0)).reshape(n, c, h, w)


class WindowAttention(nn.Cell):
    """Mix values by softmax(Q^T K + bias), all pixels of a window with each other.

    The backward pass is spelled out: those of softmax and of the sum that broadcasts take most of the time otherwise.

    Inputs:
        q, k, v: (B, heads, D, P) channels first; P pixels per window.
        bias: (heads, P, P) for query and key, of the same type.

    Returns:
        (B, heads, D, P) the mixed values, and (B, heads, P, P) the weights, which the backward pass reads.
    """

    def __init__(self) -> None:
        super().__init__()
        self.plain = ops.BatchMatMul()
        self.left = ops.BatchMatMul(transpose_a=True)
        self.right = ops.BatchMatMul(transpose_b=True)
        self.softmax = ops.Softmax(-1)
        self.add = ops.BiasAdd()  # a sum that broadcasts keeps lists of positions, larger than the scores, on CPU

    def construct(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        b, heads, _, p = q.shape
        scores = self.left(q, k).astype(ms.float32).reshape(b, heads * p * p)
        scores = self.add(scores, bias.astype(ms.float32).reshape(-1)).reshape(b, heads, p, p)
        weights = self.softmax(scores).astype(v.dtype)  # (B, heads, P of the query, P of the key)
        return self.right(v, weights), weights

    def bprop(
        self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, out: tuple[Tensor, Tensor], dout: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        mixed, weights = out
        dmixed = dout[0]
        q, k, v, weights = like(q, dmixed), like(k, dmixed), like(v, dmixed), like(weights, dmixed)
        # dscores = weights * (dweights - sum over keys of weights * dweights), and that sum is one of mixed * dmixed:
        # as one more channel it is subtracted inside the product.
        total = (mixed * dmixed).sum(2, keepdims=True)  # (B, heads, 1, P)
        ones = total * 0 + 1
        dscores = weights * self.left(ops.concat((dmixed, -total), 2), ops.concat((v, ones), 2))
        b, heads, p, _ = dscores.shape
        flat = dscores.reshape(b, heads * p * p).astype(ms.float32)
        dbias = ops.matmul(ops.ones((1, b), ms.float32), flat).reshape(heads, p, p)  # far faster than a sum
        return self.right(k, dscores), self.plain(q, dscores), self.plain(dmixed, weights), like(dbias, dmixed)
