"""PyTorch itself writes what is read here and reads what is written here; skipped where it is not installed."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest

from mindrestore.models.registry import create_model, list_models
from mindrestore.weights.convert import load_weights, save_weights
from mindrestore.weights.errors import WeightFileError
from mindrestore.weights.exchange import convert_file
from mindrestore.weights.names import official_names, published_names
from mindrestore.weights.torch_file import read_torch_file
from mindrestore.weights.torch_writer import write_torch_file
from small import SMALL

torch = pytest.importorskip("torch", reason="compares with PyTorch: pip install 'mindrestore[torch]'")


def random_state(net):
    """Make a state dict in official names; tensors that the network shares are shared."""
    generator = torch.Generator().manual_seed(0)
    shapes = {name: tuple(parameter.shape) for name, parameter in net.parameters_and_names()}
    tensors = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return OrderedDict((name, tensors[own]) for name, own in official_names(net).items())


@pytest.mark.parametrize("name", list_models())
@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["flat", "nested"])
def test_a_state_dict_comes_back_bit_for_bit(tmp_path, name, new_format, wrapped):
    net = create_model(name, **SMALL[name])
    state = random_state(net)
    content = state
    if wrapped:
        content = {"epoch": 7, "state_dict": {f"module.{key}": value for key, value in state.items()}, "optimizer": {}}
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=new_format)
    load_weights(net, tmp_path / "w.pth")
    parameters = dict(net.parameters_and_names())
    for key, own in official_names(net).items():
        np.testing.assert_array_equal(parameters[own].asnumpy(), state[key].numpy(), err_msg=key)


@pytest.mark.parametrize("name", ["aecrnet", "mprnet_deraining"])
def test_pytorch_loads_what_is_converted_to_it(tmp_path, name):
    net = create_model(name, **SMALL[name])
    save_weights(net, tmp_path / "w.npz")
    convert_file(tmp_path / "w.npz", tmp_path / "w.pth", model=name, hyper=SMALL[name])
    for mapped in (False, True):
        state = torch.load(tmp_path / "w.pth", weights_only=True, mmap=mapped)
        assert isinstance(state, OrderedDict)
        assert list(state) == list(official_names(net))
        parameters = dict(net.parameters_and_names())
        for key, own in published_names(net).items():
            np.testing.assert_array_equal(state[key].numpy(), parameters[own].asnumpy(), err_msg=key)
    slopes = {value.data_ptr() for key, value in state.items() if key.endswith("body.1.weight") and value.numel() == 1}
    assert len(slopes) == (1 if "mprnet" in name else 0)  # one shared tensor


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bool", "int64", "int32", "int16", "int8", "uint8"])
def test_every_type_arrives_in_pytorch(tmp_path, dtype):
    array = np.asfortranarray((np.random.default_rng(0).standard_normal((3, 1, 5)) * 9).astype(dtype))
    arrays = {
        "a": array,
        "scalar": array[0, 0, 0].reshape(()),
        "empty": array[:0],
        "swapped": array.astype(array.dtype.newbyteorder(">")),
    }
    write_torch_file(tmp_path / "w.pt", arrays)
    state = torch.load(tmp_path / "w.pt", weights_only=True)
    back = read_torch_file(tmp_path / "w.pt")
    for name, expected in arrays.items():
        assert state[name].is_contiguous()
        for found in (state[name].numpy(), back[name]):
            assert (found.dtype.name, found.shape) == (dtype, expected.shape)
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("new_format", [True, False])
def test_types_and_views_of_pytorch_arrive_here(tmp_path, new_format):
    base = torch.randn(7, 6, generator=torch.Generator().manual_seed(1))
    tensors = {
        **{
            str(kind): base.to(kind) for kind in (torch.float16, torch.bfloat16, torch.float64, torch.int32, torch.bool)
        },
        **{
            "view": base[2:6:3, 1::2],
            "transposed": base.T,
            "expanded": base[:1].expand(7, 6),
            "parameter": torch.nn.Parameter(base),
        },
    }
    torch.save(tensors, tmp_path / "w.pth", _use_new_zipfile_serialization=new_format)
    for name, array in read_torch_file(tmp_path / "w.pth").items():
        expected = tensors[name].detach()
        expected = expected.float() if expected.dtype is torch.bfloat16 else expected
        assert array.dtype == expected.numpy().dtype
        np.testing.assert_array_equal(array, expected.numpy(), err_msg=name)


def test_files_without_checksums_are_read(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": torch.arange(9.0)}, tmp_path / "w.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    np.testing.assert_array_equal(read_torch_file(tmp_path / "w.pth")["a"], np.arange(9.0))


def test_a_whole_module_is_refused_by_name(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pth")
    with pytest.raises(
        WeightFileError, match=r"w\.pth: asks for torch\.nn\.modules\.linear\.Linear, .* state_dict alone"
    ):
        read_torch_file(tmp_path / "w.pth")
