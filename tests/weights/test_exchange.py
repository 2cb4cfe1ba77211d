"""Conversion: the right network is recognised, every value arrives, and what does not fit is named."""

from __future__ import annotations

import json
import pickle
import shutil

import mindspore as ms
import numpy as np
import pytest

from mindrestore.models.registry import create_model, hyper_parameters, list_models, model_spec
from mindrestore.models.vgg import VGGFeatures
from mindrestore.recipes.load import load_recipe, recipe_to_yaml
from mindrestore.weights import exchange
from mindrestore.weights.comparison import ComparisonError
from mindrestore.weights.convert import load_weights, read_weights, save_weights
from mindrestore.weights.errors import WeightError
from mindrestore.weights.exchange import convert_file
from mindrestore.weights.files import sha256_of
from mindrestore.weights.guess import get_network, guess, list_networks
from mindrestore.weights.names import official_names, published_names
from mindrestore.weights.torch_writer import write_torch_file
from small import NETWORKS, SMALL, overrides_of, small

RECOGNISED = [name for name in list_models() if model_spec(name).recognise]
ONE_PER_ARCHITECTURE = sorted({model_spec(name).recognise: name for name in RECOGNISED}.values())


def arrays_of(net):
    parameters = dict(net.parameters_and_names())
    return {name: parameters[own].asnumpy() for name, own in published_names(net).items()}


def shapes_of(net):
    return {name: array.shape for name, array in arrays_of(net).items()}


@pytest.mark.parametrize("name", RECOGNISED)
def test_a_network_of_any_size_is_recognised(name):
    shapes = shapes_of(small(name))
    found = guess(shapes, hint=f"{name}.pth")
    prefixed = guess({f"module.{key}": shape for key, shape in shapes.items()}, hint=f"{name}.pth")
    assert (prefixed.network.name, prefixed.hyper) == (found.network.name, found.hyper) == (name, found.hyper)
    traceless = {*model_spec(name).training_only, *({"blocks", "deform_layers"} if name == "aecrnet" else ())}
    published = hyper_parameters(name)
    expected = {key: value for key, value in SMALL[name].items() if value != published[key] and key not in traceless}
    assert found.hyper == expected


@pytest.mark.parametrize(
    "name",
    [
        name if name in NETWORKS else pytest.param(name, marks=pytest.mark.slow)
        for name in RECOGNISED
        if model_spec(name).parameters < 5e6
    ],
)
def test_the_published_size_has_nothing_to_say(name):
    found = guess(shapes_of(create_model(name)))
    assert (found.network.name, dict(found.hyper), found.alternatives) == (name, {}, ())


def test_the_name_of_the_file_decides_among_equals():
    light = shapes_of(small("mprnet_deblurring", n_feat=40, scale_unetfeats=40, scale_orsnetfeats=32, reduction=4))
    assert guess(light, "Denoising/model.pth").network.name == "mprnet_denoising"
    found = guess(light, "weights/MPR_Deblurring.pdparams")
    assert found.network.name == "mprnet_deblurring"
    assert set(found.alternatives) == {"mprnet_denoising", "mprnet_deraining"}
    assert dict(found.hyper) == {"n_feat": 40, "scale_unetfeats": 40, "num_cab": 1}
    assert guess(light, name="mprnet_deraining").network.name == "mprnet_deraining"


@pytest.mark.parametrize(
    ("layout", "tap", "depth"), [("vgg16", "relu5_3", 28), ("vgg19", "relu5_4", 34), ("vgg19", "relu4_1", 19)]
)
def test_vgg_is_recognised_with_its_depth(layout, tap, depth):
    shapes = {f"features.{i}.{p}": s for i, p, s in vgg_entries(layout) if i <= depth}
    found = guess({**shapes, "classifier.0.weight": (4096, 25088)})
    assert found.network.name == layout
    built = found.network.build(**found.hyper)
    assert shapes_of(built) == shapes
    assert {**found.network.published, **found.hyper}["taps"] == (tap,)


def vgg_entries(layout):
    index, channels = 0, 3
    for stage, count in enumerate((2, 2, 3, 3, 3) if layout == "vgg16" else (2, 2, 4, 4, 4)):
        for _ in range(count):
            width = (64, 128, 256, 512, 512)[stage]
            yield index, "weight", (width, channels, 3, 3)
            yield index, "bias", (width,)
            index, channels = index + 2, width
        index += 1


@pytest.mark.parametrize(
    "shapes",
    [
        {"features.0.weight": (64, 3, 11, 11)},  # AlexNet
        {"features.0.weight": (64, 3, 3, 3), "features.3.weight": (64, 64, 3, 3)},  # VGG with batch normalisation
        {"conv.weight": (3, 3, 3, 3)},
        {"ebd.weight": ()},
        {"dcn_block.dcn.weight": (2**30, 1, 1, 1)},
        {},
    ],
)
def test_other_networks_are_not_taken_for_ours(shapes):
    with pytest.raises(WeightError, match=r"fit any network known here .* Known: aecrnet, "):
        guess(shapes)


def test_an_unknown_name_is_met_with_the_closest():
    with pytest.raises(WeightError, match=r"unknown network 'vgg91'; did you mean 'vgg19'\?"):
        get_network("vgg91")
    assert set(list_networks()) == {*list_models(), "vgg16", "vgg19"}


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors", ".npz"])
def test_a_pytorch_file_becomes_ours(tmp_path, suffix):
    net = small("aecrnet")
    arrays = arrays_of(net)
    arrays["mix4.w"], arrays["mix5.w"] = arrays.pop("mix1.w").reshape(()), arrays.pop("mix2.w")
    arrays["down1.1.bias"] = arrays["down1.1.bias"].astype(np.float16)
    source, out = tmp_path / "NH_train.pk", tmp_path / f"sub/nh{suffix}"
    write_torch_file(source, {f"module.{name}": array for name, array in arrays.items()})
    done = convert_file(source, out, hyper={"blocks": 1, "deform_layers": 1})

    fresh = small("aecrnet", seed=1)
    load_weights(fresh, out)
    for name, array in arrays_of(net).items():
        expected = array.astype(np.float16).astype(np.float32) if name == "down1.1.bias" else array
        np.testing.assert_array_equal(dict(fresh.parameters_and_names())[name].asnumpy(), expected, err_msg=name)
    lines = done.table().splitlines()
    assert lines[1] == "network aecrnet with channels=8, blocks=1, deform_layers=1"
    assert any(
        line.split() == ["mapped", "34", f"{sum(a.size for a in arrays.values()):,}", "values"] for line in lines
    )
    assert any("renamed" in line and "module.mix4.w -> mix1.w, module.mix5.w -> mix2.w" in line for line in lines)
    assert any("reshaped" in line and "mix1.w () -> (1,)" in line for line in lines)
    assert any("retyped" in line and "down1.1.bias float16 -> float32" in line for line in lines)
    assert "checked: forward pass of 1x3x4x4, 1 output(s), all values finite" in lines
    assert f"checked: nh{suffix} read back, 34 tensors equal bit for bit" in lines
    assert len(done.table(every=True).splitlines()) == len(lines) + 34

    facts = json.loads(done.sidecar.read_text())
    assert done.sidecar.name == f"nh{suffix}.json"
    assert facts["source"] == {"file": "NH_train.pk", "bytes": source.stat().st_size, "sha256": sha256_of(source)}
    assert (facts["network"], facts["licence"]) == ("aecrnet", model_spec("aecrnet").licence)
    assert facts["hyper"] == {"channels": 8, "blocks": 1, "deform_layers": 1, "init_gain": 1.0}


@pytest.mark.parametrize("name", ONE_PER_ARCHITECTURE)
def test_there_and_back_nothing_changes(tmp_path, name):
    net = small(name)
    ours, theirs, again = tmp_path / "a.safetensors", tmp_path / "a.pth", tmp_path / "b.npz"
    save_weights(net, ours)
    hyper = SMALL[name]
    convert_file(ours, theirs, model=name, hyper=hyper)
    assert set(read_weights(theirs)) == set(official_names(net))
    convert_file(theirs, again)  # the first conversion recorded the hyper-parameters
    back = read_weights(again)
    for key, array in arrays_of(net).items():
        np.testing.assert_array_equal(back[key], array, err_msg=key)


def test_a_paddle_file_becomes_ours(tmp_path):
    net = small("mprnet_denoising")
    paddle = {
        name.replace("body.1.weight", "body.1._weight") if "body.1.weight" in name and array.size == 1 else name: array
        for name, array in arrays_of(net).items()
    }
    source = tmp_path / "MPR_Denoising.pdparams"
    source.write_bytes(pickle.dumps({**paddle, "StructuredToParameterName@@": dict.fromkeys(paddle, "x")}, 4))
    done = convert_file(source, tmp_path / "noise.ckpt")
    assert (done.network, done.comparison.extra) == ("mprnet_denoising", ())
    assert done.comparison.ignored == ("StructuredToParameterName@@",)
    fresh = small("mprnet_denoising", seed=1)
    load_weights(fresh, tmp_path / "noise.ckpt")
    for name, array in arrays_of(net).items():
        np.testing.assert_array_equal(arrays_of(fresh)[name], array, err_msg=name)


def test_vgg_loses_its_classifier_and_serves_the_loss(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        f"features.{i}.{p}": rng.standard_normal(s, np.float32) * 0.01 for i, p, s in vgg_entries("vgg16") if i < 8
    }
    source = tmp_path / "vgg.pth"
    write_torch_file(source, {**arrays, "classifier.0.weight": np.zeros((4, 4), np.float32)})
    done = convert_file(source, tmp_path / "vgg.safetensors")
    assert (done.network, done.comparison.ignored) == ("vgg16", ("classifier.0.weight",))
    net = VGGFeatures("vgg16", ("relu2_2",))
    assert load_weights(net, tmp_path / "vgg.safetensors").missing == ()
    np.testing.assert_array_equal(net.features[7].weight.asnumpy(), arrays["features.7.weight"])


def test_a_run_tells_what_leaves_no_trace_in_a_file(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    overrides = [*overrides_of("aecrnet"), "model.hyper.init_gain=2.45"]
    (run / "recipe.yaml").write_text(recipe_to_yaml(load_recipe("quickstart", overrides)))
    save_weights(small("aecrnet"), run / "best.ckpt")
    done = convert_file(run / "best.ckpt", tmp_path / "mine.pth")
    assert done.hyper == {"channels": 8, "blocks": 1, "deform_layers": 1, "init_gain": 2.45}
    shutil.copy(tmp_path / "mine.pth", tmp_path / "lost.pth")  # without its record
    assert convert_file(tmp_path / "lost.pth", tmp_path / "lost.npz").hyper["blocks"] == 6


def misfit_of(source, out, **options):
    with pytest.raises(ComparisonError) as caught:
        convert_file(source, out, **options)
    assert "\n" not in str(caught.value)
    assert not out.exists()
    return str(caught.value), caught.value.comparison


def test_what_does_not_fit_is_compared_in_full(tmp_path):
    arrays = arrays_of(small("aecrnet"))
    source, out = tmp_path / "x.pth", tmp_path / "x.npz"
    write_torch_file(source, {**arrays, "vgg.weight": np.zeros(3, np.float32)})
    message, comparison = misfit_of(source, out)
    assert message == f"{source} does not fit aecrnet: 1 extra; --drop-extra leaves out what is extra"
    assert (len(comparison.tensors), comparison.extra, comparison.missing) == (len(arrays), ("vgg.weight",), ())
    done = convert_file(source, out, drop_extra=True)
    assert done.comparison.extra == ("vgg.weight",)
    assert ["extra", "1", "vgg.weight"] in [line.split() for line in done.table().splitlines()]
    out.unlink()

    del arrays["block.conv1.bias"]
    arrays["up3.1.bias"] = np.zeros(4, np.float32)
    arrays["mix4.w"] = arrays.pop("mix1.w").reshape(())
    write_torch_file(source, {f"module.{name}": array for name, array in {**arrays, "a.w": np.zeros(2)}.items()})
    message, comparison = misfit_of(source, out)
    assert message.startswith(f"{source} does not fit aecrnet: 1 missing, 1 extra, 1 of another shape; use --model ")
    assert len(comparison.tensors) == len(arrays) - 1
    assert [line.split() for line in comparison.table().splitlines()[3:]] == [
        ["renamed", "1", "module.mix4.w", "->", "mix1.w"],
        ["reshaped", "1", "mix1.w", "()", "->", "(1,)"],
        ["missing", "1", "block.conv1.bias"],
        ["extra", "1", "module.a.w"],
        ["misshapen", "1", "up3.1.bias", "(4,)", "instead", "of", "(3,)"],
    ]
    message, _ = misfit_of(source, out, drop_extra=True)
    assert "1 missing, 1 of another shape;" in message


def test_a_file_of_another_network_is_compared_in_full(tmp_path):
    source, out = tmp_path / "x.pth", tmp_path / "x.npz"
    write_torch_file(source, arrays_of(small("aecrnet")))
    message, comparison = misfit_of(source, out, model="dsrir")
    assert "; this is probably a checkpoint of another network; use --model NAME" in message
    assert comparison.tensors == ()
    assert (len(comparison.extra), len(comparison.missing)) == (34, 316)
    lines = comparison.table().splitlines()
    assert any(line.split()[:2] == ["extra", "34"] and line.endswith("and 28 more") for line in lines)
    assert "mix1.w" in comparison.table(every=True)
    assert " more" not in comparison.table(every=True)
    write_torch_file(source, {"conv.weight": np.zeros((3, 3, 3, 3), np.float32)})
    with pytest.raises(WeightError, match=r"x\.pth: names and shapes do not fit any network known here"):
        convert_file(source, out)
    assert not out.exists()


def test_a_converted_checkpoint_loads_in_mindspore(tmp_path):
    net = small("dsrir")
    write_torch_file(tmp_path / "x.pth", arrays_of(net))
    convert_file(tmp_path / "x.pth", tmp_path / "x.ckpt", model="dsrir", hyper=SMALL["dsrir"])
    loaded = ms.load_checkpoint(str(tmp_path / "x.ckpt"), crc_check=True)
    assert loaded.keys() == arrays_of(net).keys()
    for name, array in arrays_of(net).items():
        np.testing.assert_array_equal(loaded[name].asnumpy(), array, err_msg=name)


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors", ".npz", ".pth"])
@pytest.mark.parametrize("harm", ["value", "shape", "extra", "lost"])
def test_a_file_that_does_not_hold_what_was_written_is_refused(tmp_path, monkeypatch, suffix, harm):
    net = small("aecrnet")
    write_torch_file(tmp_path / "x.pth", arrays_of(net))
    real, written = exchange.each_weight, tmp_path / f"y{suffix}"

    def harmed(path):
        for name, array in real(path):
            if name != "up3.1.bias":
                yield name, array
            elif harm == "value":
                yield name, np.nextafter(array, np.float32(9))
            elif harm == "shape":
                yield name, array.reshape(1, 3)
            elif harm == "extra":
                yield from ((name, array), ("b", array))

    monkeypatch.setattr(exchange, "each_weight", harmed)
    named = {"extra": "b came back", "lost": "only 33 of 34 tensors came back"}.get(
        harm, r"up3\.1\.bias came back with"
    )
    with pytest.raises(WeightError, match=rf"y\{suffix}: {named}"):
        convert_file(tmp_path / "x.pth", written, hyper={"blocks": 1, "deform_layers": 1})


def test_diverged_weights_are_refused(tmp_path):
    arrays = arrays_of(small("aecrnet"))
    arrays["up3.1.bias"] = np.array([0.0, np.nan, 0.0], np.float32)
    write_torch_file(tmp_path / "x.pth", arrays)
    with pytest.raises(WeightError, match=r"x\.pth.*: 1 of the 3 values of up3\.1\.bias are not finite"):
        convert_file(tmp_path / "x.pth", tmp_path / "x.npz")


def test_the_destination_is_checked_first(tmp_path):
    with pytest.raises(WeightError, match=r"x\.pk: cannot convert to \.pk; use \.ckpt, "):
        convert_file(tmp_path / "absent.pth", tmp_path / "x.pk")
    save_weights(small("aecrnet"), tmp_path / "x.npz")
    with pytest.raises(WeightError, match=r"x\.npz: is the file to convert"):
        convert_file(tmp_path / "x.npz", tmp_path / "x.npz")
    (tmp_path / "x.npz.json").write_text("[]")
    with pytest.raises(WeightError, match=r"x\.npz\.json: no record of a conversion"):
        convert_file(tmp_path / "x.npz", tmp_path / "x.ckpt")
