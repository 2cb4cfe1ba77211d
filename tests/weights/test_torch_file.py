"""Files of PyTorch and PaddlePaddle: values, forms, damage, and files that are out to do harm."""

from __future__ import annotations

import io
import os
import pickle
import struct
import time
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from mindrestore.weights.errors import WeightError, WeightFileError
from mindrestore.weights.files import read_weights
from mindrestore.weights.pickles import ForbiddenGlobal, Machine
from mindrestore.weights.torch_file import read_torch_file
from mindrestore.weights.torch_writer import write_torch_file

FILES = Path(__file__).parent / "files"  # make_files.py makes them
MAGIC = 0x1950A86A20F9469CFC6C
FLOAT = b"ctorch\nFloatStorage\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
TYPED = b"ctorch._tensor\n_rebuild_from_type_v2\n"
ORDERED = b"ccollections\nOrderedDict\n"


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value):
    return b"J" + struct.pack("<i", value)


def numbers(*values):
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(key="0", count=4, kind=FLOAT, view=b""):
    return b"(" + text("storage") + kind + text(key) + text("cpu") + number(count) + view + b"tQ"


def tensor(offset=0, size=(4,), stride=(1,), stored=None):
    inner = storage() if stored is None else stored
    return REBUILD + b"(" + inner + number(offset) + numbers(*size) + numbers(*stride) + b"\x89" + ORDERED + b")RtR"


def pickled(body):
    return b"\x80\x02" + body + b"."


def state_dict(**values):
    return pickled(ORDERED + b")R(" + b"".join(text(name) + value for name, value in values.items()) + b"u")


def zipped(data_pkl, storages=None, compression=zipfile.ZIP_STORED, **members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("w/data.pkl", data_pkl)
        for key, raw in (storages or {"0": np.arange(4, dtype="<f4").tobytes()}).items():
            archive.writestr(f"w/data/{key}", raw)
        for name, content in members.items():
            archive.writestr(f"w/{name}", content)
    return buffer.getvalue()


def streamed(data_pkl, storages, version=1001):
    parts = [pickle.dumps(value, 2) for value in (MAGIC, version, {"little_endian": True})]
    parts += [data_pkl, pickle.dumps(list(storages), 2)]
    for values in storages.values():
        parts += [struct.pack("<q", len(values)), values.tobytes()]
    return b"".join(parts)


@pytest.fixture
def place(tmp_path):
    """Return a function that writes bytes to a file and reads it as weights."""

    def read(content, suffix=".pth"):
        path = tmp_path / f"w{suffix}"
        path.write_bytes(content)
        return read_weights(path)

    return read


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
def test_every_kind_of_tensor_comes_back(name):
    content = read_torch_file(FILES / name)
    state = content["state_dict"]
    with np.load(FILES / "expected.npz") as expected:
        assert {f"module.{name}" for name in expected.files} == state.keys()
        for key in expected.files:
            array = state[f"module.{key}"]
            assert (array.dtype, array.shape) == (expected[key].dtype, expected[key].shape), key
            np.testing.assert_array_equal(array, expected[key], err_msg=key)
    assert content["epoch"] == 3
    assert content["psnrs"] == [31.5, 2.0]
    assert content["milestones"] == {80: 2, 160: 1}
    assert content["size"] == (2, 3)
    assert content["optimizer"]["param_groups"][0]["betas"] == (0.9, 0.999)
    assert content["optimizer"]["state"][0]["exp_avg"].shape == (2, 2)


def test_tensors_are_views_of_the_file():
    state = read_torch_file(FILES / "zip.pth")["state_dict"]
    assert np.shares_memory(state["module.float32"], state["module.transposed"])
    assert np.shares_memory(state["module.float32"], state["module.strided"])
    assert not state["module.float32"].flags.writeable
    assert not state["module.float32"].flags.owndata


@pytest.mark.parametrize("name", ["flat2.pdparams", "flat4.pdparams", "nested.pdparams"])
def test_paddle_files_come_back(name):
    content = read_weights(FILES / name)
    content = content.get("generator", content)
    with np.load(FILES / "expected.npz") as expected:
        for key in ("float32", "float16", "transposed", "scalar"):
            assert content[key].dtype == expected[key].dtype
            np.testing.assert_array_equal(content[key], expected[key], err_msg=key)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickled_dicts_of_arrays_come_back(place, protocol):
    arrays = {
        "a": np.arange(400.0).reshape(20, 20),
        "f": np.asfortranarray(np.eye(3)),
        "big": np.arange(3, dtype=">i4"),
    }
    content = place(pickle.dumps({**arrays, "list": [1, -2, 2**70], "none": None, "set": {1}}, protocol), ".pkl")
    for name, array in arrays.items():
        np.testing.assert_array_equal(content[name], array, err_msg=name)
    assert content["list"] == [1, -2, 2**70]
    assert content["none"] is None


def test_arrays_pickled_by_python_2_come_back(place):
    raw = np.array([1.5, -2.0], "<f4").tobytes()
    dtype = b"cnumpy\ndtype\n(U\x02f4K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR(K\x01(K\x02t" + dtype + b"\x89"
    array += b"U\x08" + raw + b"tb"
    pairs = ORDERED + b"(](](U\x06weight" + array + b"eetR"
    np.testing.assert_array_equal(place(pickled(pairs), ".pkl")["weight"], np.array([1.5, -2.0], np.float32))


def test_parts_of_old_storages_are_found(place):
    values = np.arange(10, dtype="<f4")
    part = storage("root", 10, view=b"(" + text("view") + number(4) + number(3) + b"t")
    stored = {"a": tensor(1, (2,), (1,), part), "b": tensor(0, (2, 5), (5, 1), storage("root", 10))}
    content = place(streamed(state_dict(**stored), {"root": values}))
    np.testing.assert_array_equal(content["a"], [5.0, 6.0])
    np.testing.assert_array_equal(content["b"], values.reshape(2, 5))


def test_big_endian_archives_come_back(place):
    raw = np.arange(4, dtype=">f4").tobytes()
    np.testing.assert_array_equal(place(zipped(state_dict(a=tensor()), {"0": raw}, byteorder="big"))["a"], np.arange(4))


def test_unsigned_types_come_back(place):
    kind = b"ctorch.storage\nUntypedStorage\n"
    body = b"ctorch._utils\n_rebuild_tensor_v3\n(" + storage("0", 8, kind) + number(1) + numbers(3) + numbers(1)
    body += b"\x89" + ORDERED + b")Rctorch\nuint16\ntR"
    content = place(zipped(state_dict(a=body), {"0": np.arange(4, dtype="<u2").tobytes()}))
    np.testing.assert_array_equal(content["a"], np.array([1, 2, 3], np.uint16))


def test_checksums_may_be_absent_but_not_wrong(tmp_path):
    path = tmp_path / "w.pth"
    write_torch_file(path, {"a": np.arange(64, dtype=np.float32)})
    data = bytearray(path.read_bytes())
    data[data.index(np.float32(63).tobytes())] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightFileError, match=r"w\.pth: damaged .* checksum of 'w/data/0' is wrong"):
        read_torch_file(path)


class Harm:
    """Make a file when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("form", ["plain", "zip", "legacy", "inside"])
def test_calls_are_refused_by_name_and_not_made(tmp_path, monkeypatch, protocol, form):
    monkeypatch.chdir(tmp_path)
    harm = pickle.dumps({"weight": Harm(os.system, "touch harmed")}, protocol)
    content = {
        "plain": harm,
        "zip": zipped(harm),
        "legacy": streamed(harm, {}),
        "inside": pickle.dumps(
            {"state_dict": OrderedDict(a=np.ones(2), b=Harm(eval, "open('harmed', 'w')"))}, protocol
        ),
    }[form]
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(WeightFileError) as caught:
        read_weights(path)
    if protocol >= 2:  # the text protocols are not weight files at all
        name = {"inside": "builtins.eval" if protocol > 2 else "__builtin__.eval"}.get(
            form, f"{os.system.__module__}.system"
        )
        assert f"w.pth: asks for {name}, which no set of weights needs" in str(caught.value)
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    "name",
    ["builtins.exec", "builtins.getattr", "numpy.load", "torch.load", "torch.hub.load", "__main__.Net", "os.path.join"]
    + [
        "collections.OrderedDict.__init__",
        "numpy.core.multiarray.fromstring",
        "mindrestore.weights.files.read_weights",
    ],
)
def test_only_listed_names_are_known(place, name):
    module, _, word = name.rpartition(".")
    for form in (f"c{module}\n{word}\n".encode(), text(module) + text(word) + b"\x93"):
        with pytest.raises(WeightFileError, match=f"asks for {name}, which"):
            place(pickled(b"}" + text("a") + form + b"s"))


def test_names_cannot_write_to_the_terminal(place):
    with pytest.raises(WeightFileError, match=r"asks for evil\.\\x1b\[2Jname, which"):
        place(pickled(b"cevil\n\x1b[2Jname\n"))


HOSTILE = {
    "attributes of a function": pickled(REBUILD + b"}" + text("__code__") + text("x") + b"sb"),
    "attributes of a tuple": pickled(b")}" + text("a") + number(1) + b"sb"),
    "an object": pickled(ORDERED + b")\x81"),
    "a call of data": pickled(text("a") + b")R"),
    "a call of a type": pickled(FLOAT + b")R"),
    "a call without a tuple": pickled(ORDERED + b"]R"),
    "an extension": pickled(b"\x82\x01"),
    "a deep key": pickled(b"}" + b")" + 200_000 * b"\x85" + number(1) + b"s"),
    "a deep key in pairs": pickled(ORDERED + b"(]" + b")" + 200_000 * b"\x85" + number(1) + b"\x86atR"),
    "a deep call": pickled(TYPED + 5000 * (b"(" + TYPED + b"N") + b")" + 5000 * b"Nt" + b"R"),
    "a list as key": pickled(b"}]" + number(1) + b"s"),
    "an empty stack": pickled(b"0"),
    "a pop below the mark": pickled(number(1) + b"(0"),
    "no mark": pickled(b"t"),
    "unknown memory": pickled(b"h\x05"),
    "a long text": pickled(b"X\xff\xff\xff\xff"),
    "a longer text": pickled(b"\x8d" + b"\xff" * 8),
    "a name without end": pickled(b"c" + b"a" * 5000),
    "no end": b"\x80\x02",
    "a new protocol": b"\x80\x09N.",
    "a number": pickled(number(3)),
    "a tensor": zipped(pickled(tensor())),
    "a list of tensors": zipped(pickled(b"]" + tensor() + b"a")),
    "an outside tensor": state_dict(a=tensor()),
    "a tar file": b"storages".ljust(100, b"\0") + b"0" * 412,
    "an archive without a pickle": zipped(b"").replace(b"data.pkl", b"data.txt"),
    "a program": zipped(state_dict(a=tensor()), **{"constants.pkl": b""}),
    "a missing storage": zipped(state_dict(a=tensor(stored=storage("7")))),
    "a storage outside": zipped(state_dict(a=tensor(stored=storage("../data.pkl", 4)))),
    "a short storage": zipped(state_dict(a=tensor(stored=storage("0", 5)))),
    "a negative storage": zipped(state_dict(a=tensor(stored=storage("0", -1)))),
    "a tensor beyond": zipped(state_dict(a=tensor(1))),
    "a negative offset": zipped(state_dict(a=tensor(-1))),
    "a negative stride": zipped(state_dict(a=tensor(3, (4,), (-1,)))),
    "a negative size": zipped(state_dict(a=tensor(0, (-4,)))),
    "a long stride": zipped(state_dict(a=tensor(0, (2,), (2**30,)))),
    "a huge tensor": zipped(state_dict(a=tensor(0, (2**20, 2**20), (0, 0)))),
    "many axes": zipped(state_dict(a=tensor(0, (1,) * 60, (1,) * 60))),
    "sizes without strides": zipped(state_dict(a=tensor(0, (2, 2), (1,)))),
    "another old version": streamed(state_dict(), {}, version=1000),
    "a storage of two types": streamed(
        state_dict(a=tensor(), b=tensor(stored=storage(kind=b"ctorch\nIntStorage\n"))), {"0": np.zeros(4, "<f4")}
    ),
    "an old storage too short": streamed(state_dict(a=tensor()), {"0": np.zeros(3, "<f4")}),
    "an old storage missing": streamed(state_dict(a=tensor()), {}),
    "a part beyond": streamed(
        state_dict(a=tensor(stored=storage("0", 4, view=b"(" + text("v") + number(2) + number(3) + b"t"))),
        {"0": np.zeros(4, "<f4")},
    ),
    "a bomb": zipped(state_dict(a=tensor()), {"0": bytes(50_000_000)}, zipfile.ZIP_DEFLATED),
    "copies of copies": pickled(b"]q\x00(" + 100_000 * b"N" + b"e0" + 50_000 * (b"cbuiltins\nset\nh\x00\x85R0")),
    "objects as array": pickle.dumps({"a": np.array([None, "x"], object)}, 4),
    "a structured array": pickle.dumps({"a": np.zeros(2, [("x", "f4")])}, 4),
    "text as array": pickle.dumps({"a": np.array(["x"])}, 4),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_end_in_an_error_with_their_name(place, kind):
    start = time.process_time()
    with pytest.raises(WeightFileError, match=r"w\.pth: "):
        place(HOSTILE[kind])
    assert time.process_time() - start < 10


def test_overlapping_members_are_refused(place):
    """A central directory may name the same bytes a thousand times, each time as another storage."""
    data = zipped(state_dict(a=tensor()), {"0": bytes(100_000)})
    end = data.index(b"PK\x05\x06")
    start = data.index(b"PK\x01\x02")
    entry_start = data.index(b"PK\x01\x02", start + 1)
    entry = data[entry_start:end]
    copies = b"".join(entry.replace(b"w/data/0", b"w/data/%d" % number) for number in range(10))
    directory = data[start:entry_start] + copies
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 11, 11, len(directory), start, 0)
    with pytest.raises(WeightFileError, match="members that unpack to more than the file"):
        place(data[:start] + directory + tail)


def test_a_dict_that_holds_itself_ends(place):
    from mindrestore.weights.sections import weights_of

    content = place(pickled(b"}q\x00" + text("state_dict") + b"h\x00s"))
    assert list(weights_of(content)) == ["state_dict"]


def test_nothing_of_a_file_reaches_the_functions_of_the_reader():
    before = read_torch_file.__defaults__, dict(vars(read_torch_file))
    with pytest.raises(ValueError, match="attributes for Named"):
        Machine(pickled(ORDERED + b"}b"), {"collections.OrderedDict": dict}, None).run()
    assert (read_torch_file.__defaults__, dict(vars(read_torch_file))) == before
    with pytest.raises(ForbiddenGlobal, match=r"os\.system"):
        Machine(pickled(b"cos\nsystem\n"), {}, None).run()


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth", "flat2.pdparams", "nested.pdparams"])
def test_cut_files_are_refused_wherever_they_are_cut(tmp_path, name):
    data = (FILES / name).read_bytes()
    path = tmp_path / f"cut{Path(name).suffix}"
    for length in {*range(1, len(data), 37), len(data) - 1}:
        path.write_bytes(data[:length])
        with pytest.raises(WeightFileError, match=rf"cut{path.suffix}: "):
            read_weights(path)


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth", "flat4.pdparams"])
def test_flipped_bits_never_give_anything_but_data(tmp_path, name):
    data = (FILES / name).read_bytes()
    path = tmp_path / f"flipped{Path(name).suffix}"
    rng = np.random.default_rng(0)
    messages = []
    for _ in range(300):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            assert isinstance(read_weights(path), dict)
        except WeightFileError as error:
            messages.append(str(error))
    assert all(message.startswith(str(path)) for message in messages)
    assert len(messages) > 100


def test_any_suffix_of_pytorch_and_any_content_is_understood(tmp_path):
    for suffix in (".pth", ".pt", ".pk", ".pkl", ".PTH", ".pdparams"):
        for name in ("zip.pth", "legacy.pth"):
            path = tmp_path / f"w{suffix}"
            path.write_bytes((FILES / name).read_bytes())
            assert read_weights(path)["epoch"] == 3
    (tmp_path / "w.h5").touch()
    with pytest.raises(WeightError, match=r"not as \.h5"):
        read_weights(tmp_path / "w.h5")
    (tmp_path / "empty.pth").touch()
    with pytest.raises(WeightFileError, match=r"empty\.pth: the file is empty"):
        read_weights(tmp_path / "empty.pth")
