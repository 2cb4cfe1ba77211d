"""Both sides of adversarial training, linear in the discriminator's scores, as published with Two-branch dehazing."""

from __future__ import annotations

from mindspore import Tensor, nn, ops

from mindrestore.models.discriminator import discriminator
from mindrestore.models.layers import mean


class AdversarialLoss(nn.Cell):
    """What the restoration network pays for images that do not look clear: 1 - mean(D(output)).

    The discriminator is part of the term, and trained beside the network on `discriminator_loss()`.

    Args:
        discriminator: maps (N, 3, H, W) to (N,) scores in (0, 1), 1 for clear; in training mode.
        weight: of this term in the objective; `discriminator_loss` depends on it.
        lr_factor: the discriminator's learning rate, as a multiple of the network's; for the trainer.

    Inputs:
        output: (N, 3, H, W) what the network returned.
        batch_input, target: not used.

    Returns:
        0-d float32 tensor in (0, 1).
    """

    def __init__(self, discriminator: nn.Cell, weight: float, lr_factor: float = 1.0) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.weight, self.lr_factor = weight, lr_factor

    def construct(self, output: Tensor, batch_input: Tensor, target: Tensor) -> Tensor:
        return 1.0 - mean(self.discriminator(output))

    def discriminator_loss(self) -> DiscriminatorLoss:
        """Make the objective of the discriminator."""
        return DiscriminatorLoss(self.discriminator, self.weight)


class DiscriminatorLoss(nn.Cell):
    """What the discriminator pays: 1 - mean(D(target)) + (1 - weight) * mean(D(output)).

    The published program leaves the gradient of the restoration network's own term, weight * (1 - mean(D(output))), in
    the discriminator; the factor 1 - weight says so. Clear and restored images go through the discriminator apart,
    since its batch normalisation would mix their statistics.

    Args:
        discriminator: maps (N, 3, H, W) to (N,) scores in (0, 1).
        weight: of the adversarial term in the restoration network's objective.

    Inputs:
        output: (N, 3, H, W) restored images; no gradient reaches what made them.
        target: (N, 3, H, W) clear images in [0, 1].

    Returns:
        total, mean score of the clear images, mean score of the restored ones: 0-d float32 tensors.
    """

    names = ("real", "fake")

    def __init__(self, discriminator: nn.Cell, weight: float) -> None:
        super().__init__(auto_prefix=False)  # the term owns the parameters, and their names stay
        self.discriminator = discriminator
        self.share = 1.0 - weight

    def construct(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        real = mean(self.discriminator(target))
        fake = mean(self.discriminator(ops.stop_gradient(output)))
        return 1.0 - real + self.share * fake, real, fake


def build_adversarial(*, weight: float, lr_factor: float = 1.0) -> AdversarialLoss:
    """Build the term that a recipe asks for, with a fresh discriminator.

    Args:
        weight, lr_factor: as for `AdversarialLoss`.

    Returns:
        The loss term; its `note` says what else is trained.
    """
    term = AdversarialLoss(discriminator(), weight, lr_factor)
    size = sum(parameter.size for parameter in term.discriminator.trainable_params())
    term.note = f"adversarial: a discriminator of {size:,} parameters is trained beside the network"
    return term
