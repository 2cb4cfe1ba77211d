"""MindSpore's checkpoints: the reader here gives what MindSpore's own gives, and damage ends in one line."""

from __future__ import annotations

import zlib

import mindspore as ms
import numpy as np
import pytest

from mindrestore.weights.ckpt_file import read_ckpt_file
from mindrestore.weights.errors import WeightFileError
from mindrestore.weights.files import read_weights

hypothesis = pytest.importorskip("hypothesis", reason="fuzzing needs hypothesis: pip install 'mindrestore[test]'")
st = hypothesis.strategies

settings = hypothesis.settings(max_examples=200, deadline=5000, derandomize=True)
KINDS = ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")


def entries_of(shape, seed=0):
    values = 100 * np.random.default_rng(seed).standard_normal(shape)
    tensors = {kind: ms.Tensor((values > 0) if kind == "bool" else values.astype(kind)) for kind in KINDS}
    return [{"name": f"some.{kind}", "data": tensor} for kind, tensor in tensors.items()]


def save(path, entries, **options):
    ms.save_checkpoint(entries, str(path), **options)
    path.chmod(0o644)
    return path


@pytest.mark.parametrize("crc", [True, False])
@pytest.mark.parametrize("shape", [(5, 3, 2), (1,), (), (4097,)])
def test_it_reads_what_mindspore_reads(tmp_path, shape, crc):
    text = "step 3, 5 µm"
    facts = {"facts": text, "number": 3, "rate": 0.5, "yes": True}
    path = save(tmp_path / "x.ckpt", entries_of(shape), crc_check=crc, append_dict=facts)
    ours, theirs = read_ckpt_file(path), ms.load_checkpoint(str(path))
    assert ours["facts"] == theirs.pop("facts") == text
    assert ours.keys() == {*theirs, "facts"}
    for name, parameter in theirs.items():
        expected = parameter.asnumpy()
        assert (ours[name].dtype, ours[name].shape) == (expected.dtype, expected.shape), name
        np.testing.assert_array_equal(ours[name], expected, err_msg=name)


def test_a_tensor_of_several_messages_is_joined(tmp_path, monkeypatch):
    monkeypatch.setattr("mindspore.train.serialization.SLICE_SIZE", 1)  # KB
    path = save(tmp_path / "x.ckpt", entries_of((33, 31)), crc_check=True)
    assert path.read_bytes().count(b"some.float64") == 8  # 8184 bytes
    for name, parameter in ms.load_checkpoint(str(path)).items():
        np.testing.assert_array_equal(read_ckpt_file(path)[name], parameter.asnumpy(), err_msg=name)


def test_bfloat16_is_widened(tmp_path):
    values = ms.Tensor([1.0, -0.15625, 3e38], ms.bfloat16)
    path = save(tmp_path / "x.ckpt", [{"name": "w", "data": values}])
    read = read_ckpt_file(path)["w"]
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, values.astype(ms.float32).asnumpy())


def test_arrays_are_views_of_the_file(tmp_path):
    path = save(tmp_path / "x.ckpt", entries_of((5, 3)), crc_check=True)
    for array in read_ckpt_file(path).values():
        assert not array.flags.owndata
        assert not array.flags.writeable


def message(number, content):
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(number):
    low, rest = number & 127, number >> 7
    return bytes([low]) if not rest else bytes([low | 128]) + varint(rest)


def tensor(kind=b"Float32", dims=(2,), content=bytes(8), name=b"w"):
    inner = b"".join(b"\x08" + varint(number) for number in dims) + message(2, kind) + message(3, content)
    return message(1, message(1, name) + message(2, inner))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tensor(dims=(3,)), r"'w' has 8 bytes, which do not make \(3,\) of Float32"),
        (tensor(dims=(2**63, 2**63)), "a tensor of impossible shape"),
        (tensor(dims=(0, 2**63), content=b""), "a tensor of impossible shape"),
        (tensor(dims=(1,) * 70, content=bytes(4)), "a tensor of 70 axes, more than 16"),
        (tensor(kind=b"Int4"), "'w' is of type 'Int4'"),
        (tensor(name=b"\xff"), "codec can't decode"),
        (message(1, message(1, b"w") + message(3, b"")), "'w' is not a tensor"),
        (message(1, message(1, b"w") + message(2, message(2, b"Float32"))), "'w' has no values"),
        (message(1, message(2, message(2, b"Float32") + message(3, b""))), "a tensor without name"),
        (message(1, b"\x08\x01\x10\x01"), "a tensor without name"),
        (b"\x08\x01", "a number instead of a message"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "the file was cut"),
        (b"\xff" * 40, "a number that does not end"),
        (tensor()[:-1], "the file was cut"),
        (tensor() + b"crc_num" + bytes(10), "its checksum is wrong"),
        (tensor(kind=b"str", content=b"\xff" * 8), "codec can't decode"),
    ],
)
def test_damage_is_named(tmp_path, content, reason):
    path = tmp_path / "x.ckpt"
    path.write_bytes(content)
    with pytest.raises(WeightFileError, match=rf"x\.ckpt: damaged or not a \.ckpt file \(.*{reason}"):
        read_weights(path)


def test_files_made_by_hand_are_read(tmp_path):
    content = tensor(dims=(), content=bytes(4)) + tensor(name=b"v")
    (tmp_path / "x.ckpt").write_bytes(content + b"crc_num" + zlib.crc32(content).to_bytes(10, "big"))
    read = read_weights(tmp_path / "x.ckpt")
    assert {name: array.shape for name, array in read.items()} == {"w": (), "v": (2,)}
    packed = message(
        1, message(1, b"p") + message(2, message(1, b"\x02\x03") + message(2, b"Int8") + message(3, bytes(6)))
    )
    (tmp_path / "y.ckpt").write_bytes(packed)
    assert read_weights(tmp_path / "y.ckpt")["p"].shape == (2, 3)


@settings
@hypothesis.given(st.data())
def test_cut_and_altered_files_give_arrays_or_one_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "altered.ckpt"
    raw = bytearray(tensor() + tensor(dims=(2, 1), name=b"second") + tensor(kind=b"Bool", name=b"third"))
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw[: data.draw(st.integers(1, len(raw)))])
    assert_arrays_or_error(path)


@settings
@hypothesis.given(st.binary(min_size=1, max_size=200))
@hypothesis.example(tensor() * 3)
def test_any_bytes_give_arrays_or_one_error(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "any.ckpt"
    path.write_bytes(raw)
    assert_arrays_or_error(path)


def assert_arrays_or_error(path):
    try:
        read = read_weights(path)
    except WeightFileError as error:
        named = str(error).startswith(f"{path}: ")
    else:
        named = all(isinstance(value, (np.ndarray, str)) for value in read.values())
    assert named


def test_bytes_that_hold_no_tensor_are_not_weights(tmp_path):
    (tmp_path / "a.ckpt").write_bytes(b"x\n")  # a message of protobuf, whose one field is none of a checkpoint
    with pytest.raises(WeightFileError, match=r"a\.ckpt: damaged or not a \.ckpt file \(it holds no tensor\); get it"):
        read_weights(tmp_path / "a.ckpt")
