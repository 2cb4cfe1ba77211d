"""One tensor under many published names: read from any of them, written under all; and PaddlePaddle's names."""

from __future__ import annotations

from collections import Counter

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from mindrestore.models.layers import ScalarPReLU
from mindrestore.models.network import RestorationNetwork
from mindrestore.models.registry import create_model, list_models, model_spec
from mindrestore.weights.convert import SUFFIXES, WeightError, load_weights, read_weights, save_weights
from mindrestore.weights.names import published_names
from small import small

SLOPE = "0.act.weight"
TIED = ("1.act.weight", "2.act.weight")


class Block(nn.Cell):
    """A scale and an activation that belongs to the whole network."""

    def __init__(self, act):
        super().__init__()
        self.scale = ms.Parameter(ms.Tensor(np.ones(2, np.float32)))
        self.act = act

    def construct(self, x):
        return self.act(x * self.scale)


class Chain(nn.SequentialCell, RestorationNetwork):
    """Three blocks that share one slope."""

    def __init__(self):
        act = ScalarPReLU(0.25)
        super().__init__(Block(act), Block(act), Block(act))

    def tied_names(self):
        return dict.fromkeys(TIED, SLOPE)


@pytest.fixture
def official():
    arrays = {f"{k}.scale": np.array([k + 0.5, -k], np.float32) for k in range(3)}
    return {**arrays, **{name: np.array([0.125], np.float32) for name in (SLOPE, *TIED)}}


def values_of(net):
    return {name: parameter.asnumpy().copy() for name, parameter in net.parameters_and_names()}


def assert_loaded(net, official):
    values = values_of(net)
    assert list(values) == ["0.scale", SLOPE, "1.scale", "2.scale"]
    for name, array in values.items():
        np.testing.assert_array_equal(array, official[name], err_msg=name)


@pytest.mark.parametrize("kept", [(SLOPE,), (TIED[0],), (TIED[1],), TIED, (SLOPE, TIED[1])], ids="+".join)
def test_any_of_the_names_will_do(official, kept):
    source = {name: array for name, array in official.items() if "act" not in name or name in kept}
    net = Chain()
    report = load_weights(net, source)
    assert_loaded(net, official)
    assert set(report.loaded) == set(source)
    assert report[1:] == ((), ())


def test_the_loaded_slope_is_the_one_every_block_uses(official):
    net = Chain()
    load_weights(net, {**official, **{f"{k}.scale": np.ones(2, np.float32) for k in range(3)}})
    x = ms.Tensor(np.array([[-1.0, 3.0]], np.float32))
    np.testing.assert_array_equal(net(x).asnumpy(), [[-(0.125**3), 3.0]])


def test_names_that_disagree_are_refused(official):
    net = Chain()
    before = values_of(net)
    official[TIED[1]] = np.array([0.25], np.float32)
    for strict in (True, False):
        with pytest.raises(
            WeightError, match=r"0\.act\.weight and 2\.act\.weight are one tensor .* \(0\.125 and 0\.25"
        ):
            load_weights(net, official, strict=strict)
    for name, array in values_of(net).items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_hold_every_name(tmp_path, official, suffix):
    first, second = Chain(), Chain()
    load_weights(first, official)
    path = tmp_path / f"chain{suffix}"
    save_weights(first, path)
    stored = read_weights(path)
    assert set(stored) == set(official)
    for name, array in official.items():
        np.testing.assert_array_equal(stored[name], array, err_msg=name)
    assert len(load_weights(second, path).loaded) == 6
    assert_loaded(second, official)


def test_a_misfit_counts_published_names(official):
    lacking = {name: array for name, array in official.items() if "act" not in name}
    with pytest.raises(WeightError) as caught:
        load_weights(Chain(), {**lacking, "head": np.zeros(3)})
    message = str(caught.value)
    assert "does not fit Chain: 3 of its 6 names match" in message
    assert "missing (1): 0.act.weight (or any of its 2 other names)" in message
    assert "extra (1): head" in message
    del official["1.scale"]
    with pytest.raises(WeightError, match=r"5 of its 6 names match\n  missing \(1\): 1\.scale\n"):
        load_weights(Chain(), official)
    official["1.scale"], official[TIED[0]] = np.zeros(2), np.zeros(3)
    with pytest.raises(WeightError, match=r"wrong shape \(1\): 1\.act\.weight \(3,\) instead of \(1,\)"):
        load_weights(Chain(), official)


def paddle(official):
    return {name.replace("act.weight", "act._weight"): array for name, array in official.items()}


FORMS = {
    "paddle": paddle,
    "generator": lambda w: {"generator": paddle(w), "optimizer": {"moment": np.zeros(2)}, "epoch": 3},
    "generator prefix": lambda w: {f"generator.{name}": array for name, array in paddle(w).items()},
    "state_dict": lambda w: {"epoch": 7, "state_dict": {f"module.{n}": a for n, a in w.items()}, "optimizer": {}},
    "params_ema": lambda w: {"params": {name: array + 1 for name, array in w.items()}, "params_ema": w},
    "scalars": lambda w: {name: array.reshape(()) if array.size == 1 else array for name, array in w.items()},
}


@pytest.mark.parametrize("form", FORMS)
def test_published_forms(official, form):
    net = Chain()
    load_weights(net, FORMS[form](official))
    assert_loaded(net, official)


def test_both_spellings_of_one_name_are_not_merged(official):
    with pytest.raises(WeightError, match=r"extra \(1\): 0\.act\._weight"):
        load_weights(Chain(), {**official, "0.act._weight": official[SLOPE]})


def test_no_alias_means_two_things():
    pairs = {pair for model in list_models() for pair in model_spec(model).aliases.items()}
    assert [alias for alias, count in Counter(alias for alias, _ in pairs).items() if count > 1] == []


@pytest.fixture(scope="module")
def mprnet():
    return small("mprnet_deraining", num_cab=8)


def test_mprnet_has_316_names_for_262_tensors(mprnet, tmp_path):
    names = published_names(mprnet)
    assert (len(names), len(set(names.values()))) == (316, 262)
    assert sum(own == "shallow_feat1.1.body.1.weight" for own in names.values()) == 55
    for suffix in SUFFIXES:
        save_weights(mprnet, tmp_path / f"w{suffix}")
        assert read_weights(tmp_path / f"w{suffix}").keys() == names.keys()


def test_mprnet_takes_paddle_names_from_any_block(mprnet):
    arrays = {name: parameter.asnumpy() for name, parameter in mprnet.parameters_and_names()}
    del arrays["shallow_feat1.1.body.1.weight"]
    arrays["stage3_orsnet.orb3.body.7.body.1._weight"] = np.array([-0.5], np.float32)
    report = load_weights(mprnet, {"generator": arrays})
    assert (len(report.loaded), report.missing) == (262, ())
    assert mprnet.shallow_feat1[1].body[1].weight.asnumpy() == [-0.5]


def test_a_light_mprnet_loads_with_its_hyper_parameters():
    light = create_model("mprnet_deblurring", n_feat=40, scale_unetfeats=40, scale_orsnetfeats=32)
    arrays = {name: parameter.asnumpy() for name, parameter in light.parameters_and_names()}
    other = create_model("mprnet_deblurring", n_feat=40, scale_unetfeats=40, scale_orsnetfeats=32)
    load_weights(other, arrays)
    for name, parameter in other.parameters_and_names():
        np.testing.assert_array_equal(parameter.asnumpy(), arrays[name], err_msg=name)
    other = small("mprnet_deblurring", num_cab=8)
    with pytest.raises(WeightError, match="316 of its 316 names match; this is probably the same network with other"):
        load_weights(other, arrays)


def test_the_owner_is_named_although_it_lists_one_slope_many_times(mprnet, tmp_path):
    deraining = create_model("mprnet_deraining")
    save_weights(deraining, tmp_path / "rain.npz")
    with pytest.raises(
        WeightError, match="probably the same network with other hyper-parameters, those of 'mprnet_deraining'"
    ):
        load_weights(mprnet, tmp_path / "rain.npz")
