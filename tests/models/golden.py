"""Weights rebuilt by the rule of the golden files, and comparison within the tolerances stated there."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping

import numpy as np
from mindspore import Tensor, nn

from mindrestore.weights.convert import load_weights

FORWARD, GRADIENT, KINKED = 1e-4, 1e-3, 1e-2  # KINKED: gradients through abs, ReLU and max-pool of VGG

# Factors that keep the outputs of MPRNet with random weights near [0, 1].
DAMPING = {"tail.weight": 0.002, "sam12.conv2.weight": 0.05, "sam23.conv2.weight": 0.05}

LAST_OF_BRANCH = (".attn.proj.weight", ".attn.conv.2.weight", ".mlp.mlp.2.weight")  # of DehazeFormer's blocks

_UNCHANGED = {"mix1.w": -1.0, "mix2.w": -0.6}


def golden_array(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Draw the weight that the rule gives to a tensor of this name and shape."""
    if name in _UNCHANGED:
        return np.full(shape, _UNCHANGED[name], np.float32)
    z = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith(".bias"):
        z = 0.02 * z
    elif name == "deconv.running_mean":
        z = 0.5 + 0.1 * z
    else:
        z = z / np.sqrt(np.prod(shape[1:]))
    return z.astype(np.float32)


def load_golden(net: nn.Cell, prefix: str = "") -> nn.Cell:
    """Fill a network by the rule; `prefix` stands before its names when it is a part of a larger one."""
    load_weights(net, {n: golden_array(prefix + n, tuple(p.shape)) for n, p in net.parameters_and_names()})
    return net


def load_golden_mprnet(net: nn.Cell, damping: Mapping[str, float] | None = None) -> nn.Cell:
    """Fill MPRNet by the rule; its one PReLU slope keeps 0.25, and some tensors may be damped (`DAMPING`)."""
    weights = {}
    for name, parameter in net.parameters_and_names():
        drawn = np.full(1, 0.25, np.float32) if parameter.size == 1 else golden_array(name, tuple(parameter.shape))
        weights[name] = drawn * np.float32((damping or {}).get(name, 1.0))
    load_weights(net, weights)
    return net


def load_golden_dehazeformer(net: nn.Cell) -> nn.Cell:
    """Fill DehazeFormer by the rule, with some kernels damped as its golden files say."""
    weights = {}
    for name, parameter in net.parameters_and_names():
        drawn = golden_array(name, tuple(parameter.shape))
        if name.endswith(".norm1.weight"):
            drawn = np.float32(1 + 0.1 * np.random.RandomState(zlib.crc32(name.encode())).standard_normal(drawn.shape))
        elif name.endswith(LAST_OF_BRANCH):
            drawn = drawn * np.float32(0.25)
        elif name == "patch_unembed.proj.0.weight":
            drawn = drawn * np.float32(0.05)
        weights[name] = drawn if parameter.requires_grad else parameter
    load_weights(net, weights)
    return net


def section(golden: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Return the arrays below a prefix, without it."""
    return {key[len(prefix) :]: golden[key] for key in golden if key.startswith(prefix)}


def error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference relative to the largest reference value."""
    actual, expected = (np.asarray(v, np.float64) for v in (actual, expected))
    assert actual.shape == expected.shape, f"shape {actual.shape} instead of {expected.shape}"
    return float(np.abs(actual - expected).max() / max(np.abs(expected).max(), 1e-30))


def assert_close(actual: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], tolerance: float) -> None:
    """Compare every expected array, and name all that differ."""
    assert expected, "nothing to compare"
    missing = sorted(set(expected) - set(actual))
    assert not missing, f"not computed: {missing}"
    errors = {name: error(actual[name], expected[name]) for name in expected}
    wrong = {name: value for name, value in errors.items() if not value <= tolerance}
    assert not wrong, f"beyond {tolerance}: {wrong}"


def gradient_facts(names: Iterable[str], gradients: Iterable[Tensor]) -> dict[str, np.ndarray]:
    """Return norm, head and whole of every gradient under the keys of the golden files."""
    facts = {}
    for name, gradient in zip(names, gradients):
        value = gradient.asnumpy()
        facts[f"gradnorm/{name}"] = np.linalg.norm(value.astype(np.float64))
        facts[f"grad8/{name}"] = value.ravel()[:8]
        facts[f"grad/{name}"] = value
    return facts
