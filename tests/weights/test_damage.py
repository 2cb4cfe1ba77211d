"""Damaged files of every format: data or one of the project's own errors comes out, soon; nothing else ever does."""

from __future__ import annotations

import time
import zlib

import numpy as np
import pytest
from mutations import SAMPLES, damaged

from mindrestore.errors import MindRestoreError
from mindrestore.weights.files import read_weights
from mindrestore.weights.sections import weights_of

QUICK, THOROUGH = 150, 10_000
LONGEST = 10  # seconds for one file


def open_file(path):
    if path.suffix == ".onnx":
        from mindrestore.exporting.reload import OnnxEngine

        return OnnxEngine(path)
    if path.suffix == ".mindir":
        from mindrestore.exporting.mindir import input_kind

        return input_kind(path.read_bytes())
    return weights_of(read_weights(path))


def try_damage(path, sample, seed):
    """Open a damaged file; return whether it was refused."""
    content = damaged(sample, np.random.default_rng(seed))
    path.write_bytes(content or b"\0")
    start = time.process_time()
    try:
        open_file(path)
        told = ""
    except MindRestoreError as error:
        told = str(error)
    except Exception as error:
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
    assert time.process_time() - start < LONGEST, f"seed {seed}"
    assert "\n" not in told
    return bool(told)


def check(tmp_path, kind, cases):
    if kind == "onnx":
        pytest.importorskip("onnx")
    suffix, make = SAMPLES[kind]
    path, sample = tmp_path / f"w{suffix}", make()
    path.write_bytes(sample)
    open_file(path)  # the undamaged one is read
    base = zlib.crc32(kind.encode())
    refused = sum(try_damage(path, sample, (base, number)) for number in range(cases))
    assert refused > cases / 4


@pytest.mark.parametrize("kind", SAMPLES)
def test_some_damage(tmp_path, kind):
    check(tmp_path, kind, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SAMPLES)
def test_much_damage(tmp_path, kind):
    check(tmp_path, kind, THOROUGH)
