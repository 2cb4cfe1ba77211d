"""The forms of layers: equal numbers in every form, chosen late, and put back after an export."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import ParameterTuple, Tensor, nn, ops

from golden import error
from mindrestore.errors import MindRestoreError
from mindrestore.models.layers import ChannelScale, Conv3x3, ReflectPad, chosen, in_form, layers_of, set_form
from mindrestore.models.network import RestorationNetwork
from mindrestore.models.registry import builder_name, list_models, model_spec
from mindrestore.models.wrapper import ImageModel
from small import NETWORKS, small

# The form that a card computes: aecrnet samples by one operator there. The mixer of dehazeformer_m is of another kind.
CARD_FORMS = {**dict.fromkeys((*NETWORKS, "dehazeformer_m"), "plain"), "aecrnet": "gpu"}


def prepared(name: str) -> nn.Cell:
    """Build a small network in which no kernel is zero, so that every layer has a gradient."""
    net, rng = small(name), np.random.default_rng(0)
    for parameter in net.trainable_params():
        if not parameter.asnumpy().any():
            parameter.set_data(Tensor(0.05 * rng.standard_normal(parameter.shape), ms.float32))
    return net.set_train(False)


def output_and_gradients(net: nn.Cell, x: Tensor, probe: Tensor) -> list[np.ndarray]:
    """Return the image, and the gradients of sum(image * probe) in the input and in all weights as one list."""
    model = ImageModel(net, model_spec(net.registered))

    def loss(x: Tensor) -> tuple[Tensor, Tensor]:
        y = model(x)
        return (y * probe).sum(), y

    (_, y), (dx, dweights) = ops.value_and_grad(loss, 0, ParameterTuple(net.trainable_params()), has_aux=True)(x)
    return [y.asnumpy(), dx.asnumpy(), np.concatenate([gradient.asnumpy().ravel() for gradient in dweights])]


@pytest.mark.parametrize("name", CARD_FORMS)
def test_the_form_of_cards_computes_what_the_form_of_the_cpu_does(name):
    net = prepared(name)
    net.registered = name
    side = max(32, -(-model_spec(name).min_size // 32) * 32)
    # The same images whatever ran before: one ReLU on the other side of zero moves gradients by 1e-3
    rng = np.random.default_rng(0)
    x, probe = (Tensor(rng.random((2, 3, side, side), np.float32)) for _ in range(2))
    found = {}
    for form in ("cpu", CARD_FORMS[name]):
        with in_form(net, form):
            found[form] = output_and_gradients(net, x, probe)
    errors = [error(a, b) for a, b in zip(*found.values())]
    assert np.abs(found["cpu"][2]).max() > 0
    assert errors[0] < 1e-5
    assert max(errors[1:]) < 1e-4


class Asks(nn.Cell):
    """A network of one layer that has forms and one number that tells which form is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = ChannelScale()

    def construct(self, x: Tensor) -> Tensor:
        return x * (2 if chosen(self.scale.form) == "cpu" else 3)


def test_the_form_is_chosen_when_a_network_is_compiled(monkeypatch):
    net, x = Asks(), Tensor(np.ones((1, 1, 2, 2), np.float32))
    assert (net(x).asnumpy() == 2).all()  # auto: this device
    monkeypatch.setattr(ms, "get_context", lambda key: "GPU")
    assert (net(x).asnumpy() == 3).all()
    monkeypatch.undo()
    set_form(net, "plain")
    assert (net(x).asnumpy() == 3).all()
    assert (ms.jit(ImageModel(net, model_spec("aecrnet")))(x / 4).asnumpy() == 0.75).all()
    set_form(net, "auto")
    assert (ms.jit(ImageModel(net, model_spec("aecrnet")))(x / 4).asnumpy() == 0.5).all()


def test_every_layer_has_its_own_form_again_behind_a_block():
    net = nn.SequentialCell(Conv3x3(3, 3), ReflectPad(1))
    set_form(net[1], "plain")
    before = [layer.form for layer in layers_of(net)]
    assert {"auto", "plain"} == set(before)
    with in_form(net, "ascend"):
        assert {layer.form for layer in layers_of(net)} == {"ascend"}
    assert [layer.form for layer in layers_of(net)] == before
    with pytest.raises(RuntimeError, match="Conv2D"), in_form(net, "plain"):
        net(Tensor(np.ones((1, 4, 3, 3), np.float32)))  # 4 channels where 3 are expected
    assert [layer.form for layer in layers_of(net)] == before


def test_an_unknown_form_is_refused():
    with pytest.raises(MindRestoreError, match="layers have no form 'fast'; there are auto, plain, cpu, gpu, ascend"):
        set_form(Conv3x3(3, 3), "fast")


def test_every_network_tells_what_it_has_by_one_base_class():
    networks = [small(name) for name in {builder_name(name): name for name in list_models()}.values()]
    assert all(isinstance(net, RestorationNetwork) for net in networks)
    assert {type(net).__name__ for net in networks if net.encoder_cells()} == {"MPILNet"}
    assert {type(net).__name__ for net in networks if net.tied_names()} == {"MPRNet"}
    assert {type(net).__name__ for net in networks if net.unused_names()} == {"DSRIR"}
