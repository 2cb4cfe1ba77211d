"""Small good files of every format, and damage done to them at random with fixed seeds."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from pathlib import Path

import numpy as np

FILES = Path(__file__).parent / "files"
HUGE = [struct.pack("<I", 2**31 - 1), struct.pack("<I", 2**32 - 1), struct.pack("<Q", 2**63 - 1), b"\xff" * 8]
NUMBERS = [b"0", b"-1", b"7", b"99999999999", b"9" * 30, b"1e9"]


def varint(number):
    low, rest = number & 127, number >> 7
    return bytes([low]) if not rest else bytes([low | 128]) + varint(rest)


def message(number, content):
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def ckpt_entry(name, kind, shape, raw):
    dims = b"".join(b"\x08" + varint(side) for side in shape)
    return message(1, message(1, name) + message(2, dims + message(2, kind) + message(3, raw)))


def arrays():
    rng = np.random.default_rng(0)
    return {"conv.weight": rng.random((2, 3, 3, 3), np.float32), "conv.bias": np.arange(2.0), "steps": np.array(7)}


def npz(save=np.savez):
    stream = io.BytesIO()
    save(stream, **arrays())
    return stream.getvalue()


def ckpt():
    kinds = {"float32": b"Float32", "float64": b"Float64", "int64": b"Int64"}
    entries = [ckpt_entry(n.encode(), kinds[a.dtype.name], a.shape or (0,), a.tobytes()) for n, a in arrays().items()]
    return b"".join([*entries, ckpt_entry(b"facts", b"str", (4,), "text".encode("utf-32-le"))])


def safetensors():
    import safetensors.numpy as library

    return library.save(arrays())


def onnx():
    import onnx as library

    helper = library.helper
    image = [helper.make_tensor_value_info(name, 1, [1, 3, "h", "w"]) for name in ("image", "restored")]
    weight = library.numpy_helper.from_array(np.ones((3, 3, 1, 1), np.float32), "weight")
    nodes = [helper.make_node("Conv", ["image", "weight"], ["deep"]), helper.make_node("Relu", ["deep"], ["restored"])]
    graph = helper.make_graph(nodes, "net", image[:1], image[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model.SerializeToString()


def mindir():
    """Return a graph of one operator, as MindSpore writes one."""
    from mindspore.train.mind_ir_pb2 import AttributeProto, ModelProto

    model = ModelProto(ir_version="0.1.1", producer_name="MindSpore")
    graph = model.graph
    for entry, name in ((graph.input.add(), "x"), (graph.output.add(), "y")):
        entry.name = name
        entry.tensor.add(data_type=1, dims=[1, 3, -1, -1])
    graph.parameter.add(name="p:weight", data_type=1, dims=[3, 1], raw_data=np.ones(3, np.float32).tobytes())
    primitive = model.primitives.add(name="Mul_1", op_type="Mul")
    primitive.attribute.add(name="axis", type=AttributeProto.INT64, i=3)
    primitive.attribute.add(name="mode", type=AttributeProto.STRING, s=b"same")
    constant = graph.node.add(op_type="Constant", output=["c"])
    value = constant.attribute.add(name="value", type=AttributeProto.TUPLE)
    value.values.add(type=AttributeProto.INT64, i=2)
    node = graph.node.add(op_type="REF::Mul_1", input=["x", "p:weight"], output=["y"])
    shape = node.attribute.add(name="shape", type=AttributeProto.TENSORS)
    shape.tensors.add(data_type=1, dims=[1, 3, -1, -1])
    return model.SerializeToString()


SAMPLES = {
    "npz": (".npz", npz),
    "npz, compressed": (".npz", lambda: npz(np.savez_compressed)),
    "pth, zip": (".pth", lambda: (FILES / "zip.pth").read_bytes()),
    "pth, legacy": (".pth", lambda: (FILES / "legacy.pth").read_bytes()),
    "pdparams": (".pdparams", lambda: (FILES / "nested.pdparams").read_bytes()),
    "ckpt": (".ckpt", ckpt),
    "safetensors": (".safetensors", safetensors),
    "mindir": (".mindir", mindir),
    "onnx": (".onnx", onnx),
}


def damaged(data, rng):
    """Damage bytes in one to four places; of a zip archive, half of the time a member, whose checksum is made anew."""
    if data[:2] == b"PK" and rng.random() < 0.6:
        return _rezipped(data, rng)
    for _ in range(rng.integers(1, 5)):
        data = _DAMAGE[rng.integers(len(_DAMAGE))](data, int(rng.integers(max(1, len(data)))), rng)
    return data


def _rezipped(data, rng):
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
        chosen = rng.integers(len(old.infolist()))
        for number, info in enumerate(old.infolist()):
            content = old.read(info)
            if number == chosen:
                for _ in range(rng.integers(1, 4)):
                    place = int(rng.integers(max(1, min(len(content), 400))))
                    content = _DAMAGE[rng.integers(len(_DAMAGE))](content, place, rng)
            new.writestr(info, content)
    return stream.getvalue()


def _another_number(data, place, rng):
    """Replace digits of a text."""
    found = [match.span() for match in re.finditer(rb"[0-9]+", data)]
    start, end = found[rng.integers(len(found))] if found else (place, place)
    return data[:start] + NUMBERS[rng.integers(len(NUMBERS))] + data[end:]


def _over(data, place, new):
    return data[:place] + new + data[place + len(new) :]


_DAMAGE = (
    lambda d, p, rng: _over(d, p, bytes([d[p] ^ 1 << int(rng.integers(8))])) if d else d,
    lambda d, p, rng: _over(d, p, rng.bytes(1)),
    lambda d, p, rng: _over(d, p, bytes([int(rng.choice([0, 1, 127, 128, 255]))])),
    lambda d, p, rng: _over(d, p, HUGE[rng.integers(len(HUGE))]),
    lambda d, p, rng: d[:p] + d[p + int(rng.integers(1, 20)) :],
    lambda d, p, rng: d[:p] + rng.bytes(int(rng.integers(1, 20))) + d[p:],
    lambda d, p, rng: d[:p] + d[p // 2 : p] + d[p:],
    lambda d, p, rng: d[:p],
    _another_number,
)
