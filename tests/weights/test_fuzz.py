"""Any bytes at all: the reader gives data or refuses with the file's name, soon, and runs nothing."""

from __future__ import annotations

import pickle
from pathlib import Path

import hypothesis
import pytest
from test_torch_file import FILES, FLOAT, ORDERED, REBUILD, number, numbers, pickled, storage, text, zipped

from mindrestore.weights.errors import WeightFileError
from mindrestore.weights.pickles import _OPERATIONS
from mindrestore.weights.torch_file import read_torch_file

st = hypothesis.strategies

settings = hypothesis.settings(
    max_examples=150,
    deadline=5000,  # milliseconds
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
SAMPLES = [path.read_bytes() for path in sorted(FILES.glob("*.p*"))]
# Pieces that make sense now and then, with what runs a program in Python's own unpickler among them
PIECES = [bytes([code]) for code in (*_OPERATIONS, ord("."), ord("i"), ord("o"), 0x81, 0x92, 0x82)]
PIECES += [text("weight"), text("state_dict"), number(2), numbers(2, 2), storage(), FLOAT, REBUILD, ORDERED, b"K\x07"]
PIECES += [b"cos\nsystem\n" + text("touch harmed") + b"\x85R", b"cbuiltins\nexec\n", b"cnumpy\nndarray\n"]
PIECES += [b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy\ndtype\n", b"cbuiltins\ntuple\n", b"ctorch\nSize\n"]
PIECES += [pickle.dumps({"a": 1.5})[2:-1], b"q\x00", b"h\x00", b"U\x02f4"]


@pytest.fixture
def harmless(tmp_path, monkeypatch):
    """Return a function that reads bytes and checks what comes of it."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "w.pth"

    def read(content):
        path.write_bytes(content or b"\0")
        try:
            outcome = read_torch_file(path)
        except WeightFileError as error:
            outcome = str(error)
        assert isinstance(outcome, dict) or outcome.startswith(f"{path}: ")
        assert not Path("harmed").exists()

    return read


@settings
@hypothesis.given(content=st.binary(max_size=400))
def test_noise(harmless, content):
    harmless(content)
    harmless(b"\x80\x02" + content)
    harmless(b"PK\x03\x04" + content)


@settings
@hypothesis.given(
    sample=st.sampled_from(SAMPLES),
    edits=st.lists(st.tuples(st.floats(0, 0.999), st.binary(max_size=3), st.integers(0, 3)), min_size=1, max_size=6),
)
def test_damaged_files(harmless, sample, edits):
    """Replace bytes here and there by fewer or more."""
    content = bytearray(sample)
    for place, new, count in edits:
        start = int(place * len(content))
        content[start : start + count] = new
    harmless(bytes(content))


@settings
@hypothesis.given(pieces=st.lists(st.sampled_from(PIECES), max_size=40))
def test_programs(harmless, pieces):
    """Put opcodes in any order."""
    body = b"".join(pieces)
    harmless(pickled(body))
    harmless(zipped(pickled(body)))
    harmless(zipped(pickled(b"}" + text("a") + body + b"s")))
