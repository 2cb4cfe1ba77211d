"""Cut feature maps into windows, let the pixels of each window attend to each other, and put the windows back."""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, ops

from mindrestore.models.layers.form import Layer, chosen, like
from mindrestore.models.layers.mirror import MirrorExtend, mirrored


class Windows(Layer):
    """Cut maps into square windows and put them together again.

    The windows cover the map from `shift` rows and columns before its corner on; what lies outside mirrors the map
    without repeating its edge. On CPU one gather pads, shifts and cuts, with rows of channels per pixel; its places are
    computed once for all layers that see maps of one size.

    Args:
        side: side of the windows (pixels).
        shift: rows and columns before the map, less than `side`.
    """

    def __init__(self, side: int, shift: int) -> None:
        super().__init__()
        self.side, self.shift = side, shift
        self.extend = MirrorExtend(side, shift)

    def places(self, h: int, w: int) -> tuple[Tensor, ...]:
        """Return what `cut` and `join` of a map of this height and width take (pixels).

        Returns:
            Where the windows' pixels lie in the flat map, row by row within and among windows; and where the map's
            pixels lie in that list. Integers; nothing in forms that need no places.
        """
        if chosen(self.form) != "cpu":
            return ()
        side, shift = self.side, self.shift
        rows, columns = (h + shift + side - 1) // side, (w + shift + side - 1) // side
        y = mirrored(h, rows * side, shift).reshape(rows, 1, side, 1)
        x = mirrored(w, columns * side, shift).reshape(1, columns, 1, side)
        there = (y * w + x).reshape(-1)
        y, x = ops.arange(shift, shift + h).reshape(h, 1), ops.arange(shift, shift + w).reshape(1, w)
        window = (y // side) * columns + x // side
        return there, (window * (side * side) + (y % side) * side + x % side).reshape(-1)

    def cut(self, x: Tensor, places: tuple[Tensor, ...]) -> Tensor:
        """Cut maps: (N, C, H, W) -> (windows * N, C, side, side); the images of one window follow each other."""
        n, c, h, w = x.shape
        side = self.side
        if chosen(self.form) == "cpu":
            pixels = ops.gather(ops.transpose(x.reshape(n * c, h * w), (1, 0)), places[0], 0)  # (windows side^2, N C)
            windows = ops.transpose(pixels.reshape(-1, side * side, n * c), (0, 2, 1))
            return windows.reshape(-1, c, side, side)
        x = self.extend(x)
        rows, columns = x.shape[2] // side, x.shape[3] // side
        x = ops.transpose(x.reshape(n, c, rows, side, columns, side), (2, 4, 0, 1, 3, 5))
        return x.reshape(rows * columns * n, c, side, side)

    def join(self, windows: Tensor, places: tuple[Tensor, ...], shape: tuple[int, int, int, int]) -> Tensor:
        """Put windows back into maps of a given shape (N, C, H, W), without what the reflection added."""
        n, c, h, w = shape
        side, shift = self.side, self.shift
        if chosen(self.form) == "cpu":
            pixels = ops.transpose(windows.reshape(-1, n * c, side * side), (0, 2, 1)).reshape(-1, n * c)
            return ops.transpose(ops.gather(pixels, places[1], 0), (1, 0)).reshape(n, c, h, w)
        rows, columns = (h + shift + side - 1) // side, (w + shift + side - 1) // side
        x = ops.transpose(windows.reshape(rows, columns, n, c, side, side), (2, 3, 0, 4, 1, 5))
        return ops.slice(x.reshape(n, c, rows * side, columns * side), (0, 0, shift, shift), (n, c, h, w))


class WindowAttention(Layer):
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
        scores = self.left(q, k).astype(ms.float32)
        if chosen(self.form) == "cpu":
            scores = self.add(scores.reshape(b, heads * p * p), bias.astype(ms.float32).reshape(-1))
            scores = scores.reshape(b, heads, p, p)
        else:
            scores = scores + bias.astype(ms.float32)
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
