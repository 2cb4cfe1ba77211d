"""The benchmark of convolutions counts those of a network by size."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor

from mindrestore.models.registry import create_model

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "conv_rate.py"


@pytest.fixture(scope="module")
def conv_rate():
    spec = importlib.util.spec_from_file_location("conv_rate", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_multiplications_of_mpilnet(conv_rate):
    """101.2 thousand millions at 256x256, 60.1 of them in the encoder; a sixteenth at 64x64."""
    counts = conv_rate.convolutions(create_model("mpilnet"), Tensor(np.zeros((1, 3, 64, 64), np.float32)))
    assert sum(counts.values()) == 174
    assert 16 * sum(count * size.gmac for size, count in counts.items()) == pytest.approx(101.2, abs=0.1)
    encoder = [size for size in counts if size.kernel == 3 and size.channels_in in (3, 64, 128, 256, 512)]
    largest = conv_rate.Convolution(1, 64, 64, 64, 64, 3, 1, 1, 1, 64 * 64)
    assert largest in encoder
    assert largest.gmac == pytest.approx(64 * 64 * 9 * 64**2 / 1e9)
    tail = [size for size in counts if size.kernel == 7]
    assert [(size.h, size.places, size.padding) for size in tail] == [(70, 64 * 64, 0)]


def test_strides_groups_and_padding(conv_rate):
    counts = conv_rate.convolutions(create_model("aecrnet"), Tensor(np.zeros((1, 3, 32, 32), np.float32)))
    halving = [size for size in counts if size.stride == 2]
    assert {(size.channels_in, size.channels_out, size.h, size.places) for size in halving} == {
        (64, 128, 32, 256),
        (128, 256, 16, 64),
    }
    one = conv_rate.Convolution(2, 8, 10, 10, 8, 5, 1, 2, 8, 100)  # a kernel per channel
    assert one.gmac == pytest.approx(2 * 100 * 8 * 25 / 1e9)
