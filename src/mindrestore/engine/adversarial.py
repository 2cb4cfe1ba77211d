"""One adversarial training step: a network against a discriminator, both updated at once.

Both gradients are taken at the same parameters, then both optimizers step: the network never meets the discriminator
that this step makes.
"""

from __future__ import annotations

from mindspore import Tensor, nn

from mindrestore.engine.optim import Adam
from mindrestore.engine.step import Step, buffers_of
from mindrestore.engine.update import Backward, StepOptions
from mindrestore.models.layers import together

NAME = "discriminator"  # of its loss in the log, and the beginning of its parameters' names


class AdversarialStep(Step):
    """Train a network on (input, target) batches against a discriminator D.

    The network minimises the objective, one term of which is weight * mean(1 - D(output)), with D constant. D minimises
    1 - mean(D(target)) + (1 - weight) * mean(D(output)), with the output constant. It sees clear and restored images in
    two calls, so that its batch-norm statistics do not mix them. One loss scale serves both. When anything is not
    finite, neither is updated, and D's statistics are put back as well.

    Args:
        net: the network in training mode.
        objective: as for `SupervisedStep`, and has `adversary`, the term that holds the discriminator, and `image`,
            which picks the final image of the output. D's parameters are named by `name_apart`.
        optimizer: holds the network's parameters; averages follow these alone.
        opponent: holds D's parameters.
        options: scaling, clipping (each by the norm of its own gradients), accumulation, averaging, mode.
    """

    def __init__(
        self, net: nn.Cell, objective: nn.Cell, optimizer: Adam, *, opponent: Adam, options: StepOptions | None = None
    ) -> None:
        adversary = objective.adversary
        loss = adversary.discriminator_loss()
        gradients = _BothGradients(
            Backward(_NetworkLoss(net, objective), optimizer.params),
            Backward(_DiscriminatorLoss(loss), opponent.params),
        )
        names = (*objective.names, NAME, *loss.names)
        buffers = [*buffers_of(net), *buffers_of(adversary.discriminator)]
        super().__init__(
            names, gradients, [optimizer, opponent], [1.0, adversary.lr_factor], buffers, options or StepOptions()
        )


def name_apart(discriminator: nn.Cell) -> None:
    """Name the parameters of a discriminator `discriminator.*`, apart from the network's in one graph and one file.

    Args:
        discriminator: any cell; it is changed.
    """
    for name, param in discriminator.parameters_and_names():
        param.name = f"{NAME}.{name}"


class _NetworkLoss(nn.Cell):
    """(scale, input, target, *extra) -> (scaled total, unscaled values (1 + terms,), final image)."""

    def __init__(self, net: nn.Cell, objective: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.net, self.objective = net, objective

    def construct(
        self, scale: Tensor, batch_input: Tensor, target: Tensor, *extra: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        output = self.net(batch_input)
        values = self.objective(output, batch_input, target, *extra)
        return values[0] * scale, together(values), self.objective.image(output, 0)


class _DiscriminatorLoss(nn.Cell):
    """(scale, restored image, target) -> (scaled loss, unscaled values (3,): loss, mean score of real, of fake)."""

    def __init__(self, loss: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.loss = loss

    def construct(self, scale: Tensor, image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        values = self.loss(image, target)
        return values[0] * scale, together(values)


class _BothGradients(nn.Cell):
    """(scale, input, target, *extra) -> (values, gradients) of the network and of the discriminator."""

    def __init__(self, backward: Backward, opposing: Backward) -> None:
        super().__init__(auto_prefix=False)
        self.backward, self.opposing = backward, opposing

    def construct(
        self, scale: Tensor, batch_input: Tensor, target: Tensor, *extra: Tensor
    ) -> tuple[tuple[Tensor, tuple[Tensor, ...]], ...]:
        (values, image), gradients = self.backward(scale, batch_input, target, *extra)
        (opposing_values,), opposing = self.opposing(scale, image, target)
        return (values, gradients), (opposing_values, opposing)
