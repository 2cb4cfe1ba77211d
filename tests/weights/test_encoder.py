"""Weights trained beforehand in the encoder of a network, and what is said when a file does not fit or is absent."""

from __future__ import annotations

import numpy as np
import pytest

from mindrestore.models.registry import create_model
from mindrestore.models.specs.vgg import last_tap
from mindrestore.models.vgg import VGGFeatures
from mindrestore.weights.convert import save_weights
from mindrestore.weights.encoder import load_encoder, untrained_encoder
from mindrestore.weights.errors import WeightError
from mindrestore.weights.torch_writer import write_torch_file
from small import small


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return files as torchvision would make them: VGG-16 with a classifier, VGG-19."""
    folder = tmp_path_factory.mktemp("vgg")
    for layout in ("vgg16", "vgg19"):
        net = VGGFeatures(layout, (last_tap(layout),), width=8)
        arrays = {name: parameter.asnumpy() for name, parameter in net.parameters_and_names()}
        np.savez(folder / f"{layout}.npz", **arrays, **{"classifier.0.weight": np.zeros((2, 3), np.float32)})
    return folder


@pytest.fixture(scope="module")
def net():
    return small("mpilnet")


def encoder_arrays(net, number=0):
    return {name: parameter.asnumpy() for name, parameter in net.encoder_cells()[number].parameters_and_names()}


def test_every_convolution_is_loaded_and_the_decoder_stays(files, net):
    before = {name: p.asnumpy().copy() for name, p in net.parameters_and_names() if not name.startswith("encoders")}
    line = load_encoder(net, files / "vgg16.npz")
    assert line == f"encoder: vgg16 from {files / 'vgg16.npz'}, 26 tensors"
    with np.load(files / "vgg16.npz") as file:
        found = encoder_arrays(net)
        assert len(found) == 26
        for name, value in found.items():
            np.testing.assert_array_equal(value, file[name])
    for name, parameter in net.parameters_and_names():
        if name in before:
            np.testing.assert_array_equal(parameter.asnumpy(), before[name])


def test_levels_with_encoders_of_their_own_all_get_the_weights(files):
    net = small("mpilnet", vgg_depth=19, share_encoder=False)
    assert "32 tensors in each of 3 encoders" in load_encoder(net, files / "vgg19.npz")
    with np.load(files / "vgg19.npz") as file:
        for number in range(3):
            for name, value in encoder_arrays(net, number).items():
                np.testing.assert_array_equal(value, file[name])


def test_converted_files_a_prefix_and_torchvisions_own_are_understood(files, net, tmp_path):
    vgg = VGGFeatures("vgg16", ("relu5_3",), width=8)
    save_weights(vgg, tmp_path / "vgg16.ckpt")
    load_encoder(net, tmp_path / "vgg16.ckpt")
    np.testing.assert_array_equal(encoder_arrays(net)["features.28.weight"], vgg.features[28].weight.asnumpy())
    with np.load(files / "vgg16.npz") as file:
        np.savez(tmp_path / "wrapped.npz", **{f"module.{name}": file[name] for name in file.files})
        load_encoder(net, tmp_path / "wrapped.npz")
        np.testing.assert_array_equal(encoder_arrays(net)["features.28.weight"], file["features.28.weight"])
        write_torch_file(tmp_path / "vgg16.pth", {name: 2 * file[name] for name in file.files})
        load_encoder(net, tmp_path / "vgg16.pth")
        np.testing.assert_array_equal(encoder_arrays(net)["features.28.weight"], 2 * file["features.28.weight"])


def test_a_file_without_biases_means_biases_of_zero(files, net, tmp_path):
    with np.load(files / "vgg16.npz") as file:
        np.savez(tmp_path / "plain.npz", **{name: file[name] for name in file.files if name.endswith("weight")})
    assert "biases zero since the file has none" in load_encoder(net, tmp_path / "plain.npz")
    assert all(not value.any() for name, value in encoder_arrays(net).items() if name.endswith("bias"))


def refused(net, path, *words):
    before = encoder_arrays(net)["features.0.weight"].copy()
    with pytest.raises(WeightError) as caught:
        load_encoder(net, path)
    assert all(word in str(caught.value) for word in (str(path), *words)), caught.value
    np.testing.assert_array_equal(encoder_arrays(net)["features.0.weight"], before)


def test_another_depth_names_both_and_the_fix(files, net):
    refused(net, files / "vgg19.npz", "holds the convolutions of vgg19", "the encoder is vgg16", "vgg_depth=19")


def test_files_that_are_no_vgg_or_not_all_of_it(files, net, tmp_path):
    with np.load(files / "vgg16.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "cut.npz", **{name: arrays[name] for name in list(arrays)[:14]})
    refused(net, tmp_path / "cut.npz", "12 of the 26 tensors of vgg16 are missing (features.17.weight", "whole file")
    np.savez(tmp_path / "other.npz", **{"conv1.weight": np.zeros((64, 3, 7, 7), np.float32)})
    refused(net, tmp_path / "other.npz", "holds no VGG (1 tensors: conv1.weight", "weights get vgg16")
    normalised = {"features.0.weight": arrays["features.0.weight"], "features.1.weight": np.zeros(64, np.float32)}
    np.savez(tmp_path / "bn.npz", **normalised, **{"features.3.weight": np.zeros((64, 64, 3, 3), np.float32)})
    refused(net, tmp_path / "bn.npz", "VGG with batch normalisation")
    refused(net, tmp_path / "absent.npz", "no such file")
    (tmp_path / "half.npz").write_bytes((files / "vgg16.npz").read_bytes()[:1000])
    refused(net, tmp_path / "half.npz", "damaged")


def test_a_network_without_encoder_says_so(files):
    with pytest.raises(WeightError, match=r"DSRIR has no VGG encoder.*given as model.weights"):
        load_encoder(small("dsrir"), files / "vgg16.npz")


def test_training_from_scratch_is_said_loudly_and_freezing_it_refused(net):
    assert untrained_encoder(net).startswith("NO TRANSFER LEARNING: the vgg16 encoder starts from random weights")
    assert "model.encoder_weights=FILE" in untrained_encoder(net)
    with pytest.raises(WeightError, match=r"frozen and has random weights.*freeze_encoder=false"):
        untrained_encoder(small("mpilnet", freeze_encoder=True))


def test_another_width_names_both_and_the_fix(files, tmp_path):
    wide = VGGFeatures("vgg16", (last_tap("vgg16"),), width=16)
    save_weights(wide, tmp_path / "wide.npz")
    refused(small("mpilnet"), tmp_path / "wide.npz", "has 16 channels, but the encoder's has 8", "model.hyper.width=16")


def test_genuine_imagenet_weights(shared):
    path = shared / "weights" / "vgg16_imagenet_conv.npz"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    net = create_model("mpilnet")
    load_encoder(net, path)
    first = encoder_arrays(net)["features.0.weight"][0, 0, 0]
    np.testing.assert_allclose(first, [-0.5537306, 0.1427047, 0.5289615], rtol=1e-6)
