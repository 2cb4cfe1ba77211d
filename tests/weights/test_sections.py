"""Checkpoints as training programs leave them: sections and prefixes are found by content, taken off and named."""

from __future__ import annotations

import numpy as np
import pytest

from mindrestore.models.registry import create_model
from mindrestore.weights.convert import load_weights
from mindrestore.weights.errors import MisfitError, WeightError
from mindrestore.weights.files import read_weights
from mindrestore.weights.guess import guess
from mindrestore.weights.names import match_weights
from mindrestore.weights.sections import sections_of, unwrapped, weights_of
from mindrestore.weights.torch_writer import write_torch_file

LIGHT = {"widths": [12, 24, 48], "depths": [1, 1, 1, 1, 1]}


@pytest.fixture(scope="module")
def net():
    return create_model("dehazeformer_t", **LIGHT)


@pytest.fixture(scope="module")
def arrays(net):
    rng = np.random.default_rng(0)
    return {name: rng.random(p.shape, np.float32) for name, p in net.parameters_and_names()}


def put_before(arrays, prefix):
    return {f"{prefix}{name}": value for name, value in arrays.items()}


def inside(arrays, word):
    """Put a word behind the first part of every name, as compiling a part of a network does."""
    return {name.replace(".", f".{word}.", 1): value for name, value in arrays.items()}


def counters(arrays):
    """Return what thop leaves in every module."""
    modules = {"", *(name.rpartition(".")[0] + "." for name in arrays)}
    return {module + word: np.zeros(1) for module in modules for word in ("total_ops", "total_params")}


OPTIMIZER = {"state": {0: {"exp_avg": np.zeros(3)}}, "param_groups": [{"lr": 1e-4}]}
FORMS = {
    "_orig_mod.": (lambda a: put_before(a, "_orig_mod."), "prefix _orig_mod. taken off"),
    "module._orig_mod.": (lambda a: put_before(a, "module._orig_mod."), "prefix module._orig_mod. taken off"),
    "module.module.": (lambda a: put_before(a, "module.module."), "prefix module.module. taken off"),
    "model.net.": (lambda a: put_before(a, "model.net."), "prefix model.net. taken off"),
    "anything.": (lambda a: put_before(a, "my_own.wrapper."), "prefix my_own.wrapper. taken off"),
    "compiled parts": (lambda a: inside(a, "_orig_mod"), ""),
    "sharded parts": (lambda a: inside(a, "_fsdp_wrapped_module"), ""),
    "model_ema": (lambda a: {"epoch": 3, "model_ema": a}, "section model_ema"),
    "ema before the last step": (
        lambda a: {"state_dict": {name: value + 1 for name, value in a.items()}, "model_ema": a},
        "section model_ema",
    ),
    "params_ema": (lambda a: {"params": {n: v + 1 for n, v in a.items()}, "params_ema": a}, "section params_ema"),
    "an unknown section": (lambda a: {"my_net": a, "optimizer": OPTIMIZER}, "section my_net"),
    "sections in each other": (lambda a: {"checkpoint": {"net": {"ema": a}}}, "section checkpoint.net.ema"),
    "a discriminator beside it": (
        lambda a: {"netG": a, "netD": {"main.0.weight": np.zeros((900, 900), np.float32)}},
        "section netG",
    ),
    "lightning": (
        lambda a: {
            "state_dict": {**put_before(a, "model.net."), "model.steps.num_batches_tracked": np.zeros(())},
            "optimizer_states": [OPTIMIZER],
            "pytorch-lightning_version": "2.1",
            "hyper_parameters": {"lr": 1e-4},
        },
        "section state_dict, prefix model.net. taken off",
    ),
    "two copies": (
        lambda a: {
            **put_before({n: v + 1 for n, v in a.items()}, "online_model."),
            **put_before(a, "ema_model."),
            "step": np.zeros(1),
        },
        "prefix ema_model. taken off",
    ),
    "thop": (lambda a: {**a, **counters(a)}, ""),
    "thop in a wrapper": (lambda a: put_before({**a, **counters(a)}, "module."), "prefix module. taken off"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_network_is_found_in_whatever_wrapped_it(net, arrays, form):
    wrap, origin = FORMS[form]
    report = load_weights(net, wrap(arrays))
    assert (report.missing, report.extra) == ((), ())
    assert match_weights(wrap(arrays), net).origin == origin
    for name, parameter in net.parameters_and_names():
        np.testing.assert_array_equal(parameter.asnumpy(), arrays[name], err_msg=name)
    shapes = [
        {name: value.shape for name, value in section.entries.items() if hasattr(value, "shape")}
        for section in sections_of(wrap(arrays))
    ]
    assert guess(shapes[0]).network.name.startswith("dehazeformer")


@pytest.mark.parametrize("suffix", [".ckpt", ".pth.tar", ".bin", ".pth", ".safetensors"])
def test_the_content_decides_what_kind_of_file_it_is(net, arrays, tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    write_torch_file(path, put_before(arrays, "module."))
    assert load_weights(net, path).extra == ()


def test_what_does_not_fit_is_told_with_section_and_prefix(net, arrays):
    short = {name: value for name, value in arrays.items() if not name.startswith("layer1")}
    with pytest.raises(
        MisfitError, match=r"this set of weights \(section model_ema, prefix a\.b\. taken off\) does not"
    ):
        load_weights(net, {"model_ema": put_before(short, "a.b.")})


def test_a_network_is_never_said_to_be_the_checkpoint_of_itself():
    net = create_model("dehazeformer_t")
    other = {f"w{number}": np.zeros(p.shape, np.float32) for number, p in enumerate(net.trainable_params())}
    with pytest.raises(MisfitError) as caught:
        load_weights(net, other)
    first = str(caught.value).splitlines()[0]
    assert "does not fit DehazeFormer ('dehazeformer_t'): 0 of its" in first
    assert first.endswith("though its tensors have the sizes of this network: their names are others; rename them")


def test_a_loss_network_beside_it_is_named_and_can_be_left_out(net, arrays):
    beside = {**put_before(arrays, "model."), "criterion.vgg.features.0.weight": np.zeros((64, 3, 3, 3), np.float32)}
    with pytest.raises(MisfitError, match=r"criterion\.vgg\.features\.0\.weight\n.*--drop-extra"):
        load_weights(net, beside)
    assert load_weights(net, beside, strict=False).extra == ("criterion.vgg.features.0.weight",)


def test_sections_that_hold_themselves_end():
    loop: dict = {"a": 1}
    loop.update({f"state_dict{number}": loop for number in range(1000)}, model={"b": loop})
    assert weights_of(loop).keys() == loop.keys()


def test_prefixes_come_from_the_names():
    assert list(unwrapped(["a.b.c", "a.b.d"])) == [
        {"a.b.c": "a.b.c", "a.b.d": "a.b.d"},
        {"b.c": "a.b.c", "b.d": "a.b.d"},
        {"c": "a.b.c", "d": "a.b.d"},
    ]


@pytest.mark.parametrize(
    ("value", "words"),
    [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf"), (np.float64(1e300), r"1e\+300")],
)
def test_values_that_are_not_finite_are_refused(net, arrays, tmp_path, value, words):
    name = next(name for name in arrays if arrays[name].ndim == 4)
    bad = arrays[name].astype(np.float64)
    bad[1, 0, 0, 1] = value
    path = tmp_path / "w.npz"
    np.savez(path, **{**arrays, name: bad})
    before = {key: p.asnumpy().copy() for key, p in net.parameters_and_names()}
    message = rf"w\.npz: 1 of the {bad.size} values of {name} are not finite \({words} at \(1, 0, 0, 1\)\); .*earlier"
    with pytest.raises(WeightError, match=message):
        load_weights(net, path)
    for key, parameter in net.parameters_and_names():
        np.testing.assert_array_equal(parameter.asnumpy(), before[key])


def test_what_a_match_says_is_what_the_file_holds(net, arrays):
    match = match_weights({"state_dict": put_before(arrays, "module.")}, net)
    assert (match.section, match.prefix) == ("state_dict", "module.")
    assert list(match.targets.values()) == list(arrays)


def test_arrays_of_text_are_no_weights(net, arrays, tmp_path):
    np.savez(tmp_path / "w.npz", **arrays, kind=np.array("haze"), words=np.array(["a", "b"]))
    assert read_weights(tmp_path / "w.npz")["kind"] == "haze"
    assert load_weights(net, tmp_path / "w.npz").extra == ()
