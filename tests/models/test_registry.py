"""The table of networks, and the contract between a network and its callers."""

from __future__ import annotations

import subprocess
import sys

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindrestore.engine import context
from mindrestore.models.aecrnet import AECRNet
from mindrestore.models.registry import ModelError, create_model, list_models, model_spec
from mindrestore.models.release import ReleaseError, require_release
from mindrestore.models.spec import ModelSpec
from mindrestore.models.wrapper import ImageModel

X = np.random.default_rng(0).random((2, 3, 4, 4)).astype(np.float32)


class Affine(nn.Cell):
    """Provide (input, 3 * input, input)."""

    def construct(self, x):
        return x, 3 * x, x


def spec(**changes) -> ModelSpec:
    plain = {"name": "toy", "tasks": ("dehaze",), "size_multiple": 1, "min_size": 1, "parameters": 0}
    return ModelSpec(**{**plain, "paper": "", "licence": "", **changes})


def test_every_model_is_listed_in_order():
    assert list_models() == sorted(list_models())
    assert "aecrnet" in list_models()


def test_a_misspelt_model_is_answered_with_the_closest():
    for function in (create_model, model_spec):
        with pytest.raises(ModelError, match=r"unknown model 'aecr-net'; did you mean 'aecrnet'\?"):
            function("aecr-net")


def test_a_misspelt_hyper_parameter_is_answered_with_the_closest():
    with pytest.raises(
        ModelError, match=r"unknown hyper-parameter 'chanels'; did you mean 'channels'\? known: channels"
    ):
        create_model("aecrnet", chanels=8)


def test_hyper_parameters_reach_the_network():
    net = create_model("aecrnet", channels=8, blocks=3, deform_layers=1)
    assert isinstance(net, AECRNet)
    assert (net.blocks, net.deform_layers, net.down1[1].weight.shape) == (3, 1, (8, 3, 7, 7))
    assert net.training is False


def test_looking_at_the_table_does_not_load_the_framework():
    code = "import sys; import mindrestore.models.registry as r; r.list_models(); print('mindspore' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"output_index": 0}, X),
        ({"output_index": 1}, np.clip(3 * X, 0, 1)),
        ({"output_index": 1, "value_range": (-1.0, 1.0)}, np.clip((3 * (2 * X - 1) + 1) / 2, 0, 1)),
        ({"output_index": 1, "value_range": (0.0, 255.0)}, np.clip(3 * X, 0, 1)),
    ],
)
@pytest.mark.parametrize("graph", [False, True], ids=["pynative", "graph"])
def test_range_and_output_index(changes, expected, graph):
    model = ImageModel(Affine(), spec(**changes))
    out = (ms.jit(model) if graph else model)(Tensor(X)).asnumpy()
    np.testing.assert_allclose(out, expected, atol=1e-6)


def test_the_wrapper_keeps_parameter_names():
    net = create_model("aecrnet", channels=4)
    names = [name for name, _ in net.parameters_and_names()]
    assert [p.name for p in ImageModel(net, model_spec("aecrnet")).get_parameters()] == names


def test_one_rule_says_which_sides_fit():
    spec = model_spec("mprnet_deraining")
    multiple, least = spec.size_multiple, spec.min_size
    for side in range(1, 3 * multiple + least):
        fits = [n for n in range(side, side + multiple + least) if n % multiple == 0 and n >= least]
        assert spec.fitting_side(side) == fits[0]
    assert spec.fitting_side() == spec.fitting_side(1)


@pytest.mark.parametrize("version", ["2.8.0", "2.9.0", "2.9.1rc1", "2.10.0"])
def test_accepted_releases(version):
    require_release(version)


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("2.7.2", r"MindSpore 2\.7\.2 does not read the \.ckpt of a run that 2\.8 wrote, and fails on export; "),
        ("1.10.1", r"MindSpore 1\.10\.1 does not read"),
        ("2.11.0", r"MindSpore 2\.11\.0 was not tried; MindSpore 2\.8 to 2\.10 is accepted: pip install mindspore=="),
    ],
)
def test_other_releases_are_refused_in_one_line(version, why, monkeypatch):
    import mindspore

    monkeypatch.setattr(mindspore, "__version__", version)
    for use in (lambda: create_model("aecrnet"), lambda: context.setup("CPU")):
        with pytest.raises(ReleaseError, match=f"^{why}") as caught:
            use()
        assert "\n" not in str(caught.value)
