"""The network that adversarial training sets against a restoration network: that of Two-branch dehazing."""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, nn, ops

from mindrestore.models.cpu import prepare_cpu
from mindrestore.models.layers import ChannelMean, Conv2d, LeakyReLU, batch_norm, conv_3x3

_CHANNELS = (64, 64, 128, 128, 256, 256, 512, 512)  # every second layer halves the map


class Discriminator(nn.Cell):
    """Clear photographs from restored ones.

    Eight convolutions 3x3, of which every second halves the map, the last seven with batch normalisation; then a mean
    over the map and two layers. 5,215,425 parameters in 34 tensors. The body is that of SRGAN.

    Inputs:
        x: (N, 3, H, W) about [0, 1], any size.

    Returns:
        (N,) scores in (0, 1), float32, 1 for clear.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.CellList(
            [
                Conv2d(before, after, 3, stride=2, padding=1) if number % 2 else conv_3x3(before, after)
                for number, (before, after) in enumerate(zip((3, *_CHANNELS), _CHANNELS))
            ]
        )
        self.norms = nn.CellList([batch_norm(channels) for channels in _CHANNELS[1:]])
        self.leaky, self.pool = LeakyReLU(0.2), ChannelMean()
        self.head = nn.SequentialCell(Conv2d(_CHANNELS[-1], 1024, 1), self.leaky, Conv2d(1024, 1, 1))

    def construct(self, x: Tensor) -> Tensor:
        x = self.leaky(self.convs[0](x))
        for i in range(1, len(_CHANNELS)):
            x = self.leaky(self.norms[i - 1](self.convs[i](x)))
        return ops.sigmoid(self.head(self.pool(x)).reshape(-1).astype(ms.float32))


def discriminator() -> Discriminator:
    """Build the discriminator with fresh weights, in training mode: its batch statistics are those of each call.

    Returns:
        The network.
    """
    prepare_cpu()
    return Discriminator().set_train(True)
