"""MPILNet, dehazing from patches of several sizes with a VGG encoder: a reconstruction of a network never published.

The abstract, the training program and the data class are known; every layer behind the encoder is filled in from the
closest public relatives (Two-branch dehazing, KTDN, DMPHN). docs/mpilnet.md says what is known and what is chosen here.
"""

from __future__ import annotations

from mindspore import Tensor, nn

from mindrestore.errors import MindRestoreError
from mindrestore.models.layers import Halves, is_free
from mindrestore.models.mpilnet_blocks import (
    TAPS,
    Decoder,
    Encoder,
    Output,
    decoder_channels,
    zero_head,
)
from mindrestore.models.network import RestorationNetwork
from mindrestore.models.specs.mpilnet import MULTIPLE
from mindrestore.models.vgg import VGGFeatures


class MPILNet(RestorationNetwork):
    """Dehaze quarters, then halves, then the whole image; each level starts from what the one before found.

    Every level has a VGG encoder and a decoder that joins deep and shallow features of the same patch, and from the
    second on the features that the level before decoded. The first two levels add a residual image to the next input.

    Args:
        vgg_depth: layers of the encoder, 16 or 19.
        share_encoder: one encoder for all levels; False gives each its own.
        freeze_encoder: keep the encoder's weights as they are loaded.
        width: channels of the encoder's first stage, a multiple of 8; weights of ImageNet need VGG's 64.

    Inputs:
        hazy: (N, 3, H, W) RGB in [0, 1]; H and W multiples of 32, at least 64.

    Returns:
        (N, 3, H, W) in (-1, 1), trained towards images in [0, 1]; clip it to show it.

    Raises:
        MindRestoreError: an impossible depth or width, or a switch that is neither true nor false.
        ValueError: a side of an image is not a multiple of 32.
    """

    def __init__(
        self, *, vgg_depth: int = 16, share_encoder: bool = True, freeze_encoder: bool = False, width: int = 64
    ) -> None:
        super().__init__()
        if vgg_depth not in TAPS:
            raise MindRestoreError(f"mpilnet: vgg_depth {vgg_depth!r} is not possible; the encoder has 16 or 19 layers")
        for name, value in {"share_encoder": share_encoder, "freeze_encoder": freeze_encoder}.items():
            if not isinstance(value, bool):
                raise MindRestoreError(f"mpilnet: {name} {value!r} is neither true nor false")
        self.encoders = nn.CellList([Encoder(vgg_depth, width) for _ in range(1 if share_encoder else 3)])
        self.rows, self.columns = Halves(2), Halves(3)
        self.places = (0, 0, 0) if share_encoder else (0, 1, 2)  # of each level's encoder
        for parameter in self.encoders.get_parameters():
            parameter.requires_grad = not freeze_encoder
        channels = decoder_channels(width)[0]
        self.decoders = nn.CellList([Decoder(crossing, width) for crossing in (False, True, True)])
        self.heads = nn.CellList([zero_head(channels), zero_head(channels)])
        self.output = Output(channels)

    def construct(self, hazy: Tensor) -> Tensor:
        h, w = hazy.shape[2:]
        if not is_free(hazy) and (h % MULTIPLE != 0 or w % MULTIPLE != 0):
            raise ValueError(
                f"mpilnet takes heights and widths that are multiples of {MULTIPLE}, not {h}x{w}: pad the image at "
                "the bottom and right and cut the result, as mindrestore.Restorer does"
            )
        first, second, third = self.places
        halves = self.rows.cut(hazy)  # (2N, 3, H/2, W)
        decoded = self.decoders[0](self.encoders[first](self.columns.cut(halves)), ())  # of quarters: 4N, H/2, W/2
        halves = halves + self.columns.join(self.heads[0](decoded[0]))
        decoded = self.decoders[1](self.encoders[second](halves), self.columns.join_each(decoded))
        whole = hazy + self.rows.join(self.heads[1](decoded[0]))  # (N, 3, H, W)
        decoded = self.decoders[2](self.encoders[third](whole), self.rows.join_each(decoded))
        return self.output(decoded[0])

    def encoder_cells(self) -> tuple[VGGFeatures, ...]:
        """Return the VGG of every encoder, for weights trained beforehand.

        Returns:
            One cell when the levels share it, else that of each level.
        """
        return tuple(encoder.vgg for encoder in self.encoders)
