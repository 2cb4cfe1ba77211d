"""What a network may tell about itself beyond its `ModelSpec`: the base class of all networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindspore import nn

if TYPE_CHECKING:
    from mindrestore.models.vgg import VGGFeatures


class RestorationNetwork(nn.Cell):
    """A network that restores images. What a subclass does not override says that there is nothing to tell."""

    def tied_names(self) -> dict[str, str]:
        """Return further names under which published files list a parameter that several layers share.

        Returns:
            Name in the file -> name of the parameter here.
        """
        return {}

    def unused_names(self) -> tuple[str, ...]:
        """Return the parameters that stand in the published files although no output depends on them."""
        return ()

    def encoder_cells(self) -> tuple[VGGFeatures, ...]:
        """Return every VGG inside the network whose weights may come from ImageNet."""
        return ()
