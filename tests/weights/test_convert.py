"""Loading and saving weights: renaming, strictness, damaged files, other people's checkpoints."""

from __future__ import annotations

import stat
from types import SimpleNamespace

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from mindrestore.weights import convert, names
from mindrestore.weights.convert import LoadReport, WeightError, load_weights, read_weights, save_weights


class Toy(nn.Cell):
    """Two convolutions, a norm of each family, a PReLU and a scalar parameter."""

    def __init__(self, width=4):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, pad_mode="pad", padding=1, has_bias=True)
        self.norm = nn.BatchNorm2d(width)
        self.act = nn.PReLU(width)
        self.layer = nn.LayerNorm((width,))
        self.mix1 = Mix()

    def construct(self, x):
        return self.act(self.norm(self.conv1(x)))


class Mix(nn.Cell):
    def __init__(self):
        super().__init__()
        self.w = ms.Parameter(ms.Tensor(np.array([-1.0], np.float32)))


OFFICIAL = {
    "conv1.weight": (4, 3, 3, 3),
    "conv1.bias": (4,),
    "norm.weight": (4,),
    "norm.bias": (4,),
    "norm.running_mean": (4,),
    "norm.running_var": (4,),
    "act.weight": (4,),
    "layer.weight": (4,),
    "layer.bias": (4,),
    "mix1.w": (1,),
}
OURS = {
    "norm.weight": "norm.gamma",
    "norm.bias": "norm.beta",
    "norm.running_mean": "norm.moving_mean",
    "norm.running_var": "norm.moving_variance",
    "act.weight": "act.w",
    "layer.weight": "layer.gamma",
    "layer.bias": "layer.beta",
}


@pytest.fixture(autouse=True)
def one_registered_model(monkeypatch):
    spec = SimpleNamespace(aliases={"mix4.w": "mix1.w"}, parameters=777)
    for module in (convert, names):
        monkeypatch.setattr(module, "list_models", lambda: ["other"])
        monkeypatch.setattr(module, "model_spec", lambda name: spec)


@pytest.fixture
def official():
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in OFFICIAL.items()}


def values_of(net):
    return {name: parameter.asnumpy().copy() for name, parameter in net.parameters_and_names()}


def assert_loaded(net, official):
    values = values_of(net)
    for name, array in official.items():
        np.testing.assert_array_equal(values[OURS.get(name, name)], array, err_msg=name)


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors", ".npz"])
def test_saved_weights_come_back_exactly(tmp_path, official, suffix):
    first, second = Toy(), Toy()
    load_weights(first, official)
    path = tmp_path / f"sub/toy{suffix}"
    save_weights(first, path)
    save_weights(first, path)  # over the existing file
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # no temporary file stays
    report = load_weights(second, path)
    assert len(report.loaded) == 10
    assert report[1:] == ((), ())
    assert_loaded(second, official)


@pytest.mark.parametrize("wrap", ["plain", "module", "nested", "alias", "scalar", "float64"])
def test_published_forms_are_understood(official, wrap):
    source = dict(official)
    if wrap == "module":
        source = {f"module.{name}": array for name, array in official.items()}
        source["module.norm.num_batches_tracked"] = np.array(7)
    elif wrap == "nested":
        source = {"epoch": 3, "psnrs": [1.0], "model": {f"module.{name}": array for name, array in official.items()}}
    elif wrap == "alias":
        source["mix4.w"] = source.pop("mix1.w")
    elif wrap == "scalar":
        source["mix1.w"] = source["mix1.w"].reshape(())
    elif wrap == "float64":
        source = {name: array.astype(np.float64) for name, array in official.items()}
    net = Toy()
    load_weights(net, source)
    assert_loaded(net, official)
    assert net.mix1.w.dtype == ms.float32
    assert net.mix1.w.shape == (1,)


def test_training_state_gives_its_network(tmp_path, official):
    trained = Toy()
    load_weights(trained, official)
    optimizer = nn.Adam(trained.trainable_params())
    entries = [{"name": name, "data": value.value()} for name, value in trained.parameters_and_names()]
    entries += [
        {"name": p.name, "data": p.value()} for p in optimizer.get_parameters() if p.name not in values_of(trained)
    ]
    path = tmp_path / "last.ckpt"
    ms.save_checkpoint(entries, str(path), append_dict={"epoch_num": 3, "step": 12})
    net = Toy()
    assert load_weights(net, path).extra == ()
    assert_loaded(net, official)


def test_last_checkpoint_of_a_run_gives_its_network(tmp_path, official):
    trained = Toy()
    load_weights(trained, official)
    entries = []
    for name, value in trained.parameters_and_names():
        entries += [{"name": f"{section}.{name}", "data": value.value()} for section in ("net", "optim.m", "ema")]
    path = tmp_path / "last.ckpt"
    ms.save_checkpoint(entries, str(path), crc_check=True, append_dict={"facts": '{"step": 12}'})
    net = Toy()
    assert load_weights(net, path).extra == ()
    assert_loaded(net, official)


def test_every_misfit_is_listed_and_nothing_changes(official):
    net = Toy()
    before = values_of(net)
    official["conv1.bias"] = np.zeros(5, np.float32)
    official["stranger.weight"] = official.pop("norm.running_mean")
    with pytest.raises(WeightError) as caught:
        load_weights(net, official)
    message = str(caught.value)
    assert "this set of weights does not fit Toy: 9 of its 10 names match" in message
    assert "missing (1): norm.moving_mean" in message
    assert "extra (1): stranger.weight" in message
    assert "wrong shape (1): conv1.bias (5,) instead of (4,)" in message
    for name, array in values_of(net).items():
        np.testing.assert_array_equal(array, before[name])


def test_long_lists_are_cut():
    source = {f"layer{k}.weight": np.zeros(3) for k in range(20)}
    with pytest.raises(WeightError, match=r"extra \(20\): .*layer7\.weight and 12 more") as caught:
        load_weights(Toy(), source)
    assert "probably a checkpoint of another network" in str(caught.value)


def test_the_owner_of_a_foreign_checkpoint_is_named(tmp_path):
    path = tmp_path / "foreign.npz"
    np.savez(path, **{"a.weight": np.zeros((7, 100)), "a.bias": np.zeros(77), "a.running_mean": np.zeros(9)})
    with pytest.raises(WeightError, match=r"foreign\.npz does not fit Toy: 0 of .* a checkpoint of 'other'"):
        load_weights(Toy(), path)


def test_partial_loading_reports(official):
    del official["conv1.bias"]
    official["head.weight"] = np.zeros(3)
    net = Toy()
    report = load_weights(net, official, strict=False)
    assert isinstance(report, LoadReport)
    assert report.missing == ("conv1.bias",)
    assert report.extra == ("head.weight",)
    assert len(report.loaded) == 9
    np.testing.assert_array_equal(net.conv1.weight.asnumpy(), official["conv1.weight"])
    with pytest.raises(WeightError, match="wrong shape"):
        load_weights(net, {**official, "mix1.w": np.zeros(2)}, strict=False)
    with pytest.raises(WeightError, match="0 of its 10"):
        load_weights(net, {"head.weight": np.zeros(3)}, strict=False)


def damage(path, how):
    data = path.read_bytes()
    if how == "flipped":
        middle = len(data) // 2
        data = data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]
    path.write_bytes({"empty": b"", "text": b"no weights here", "cut": data[: len(data) // 2]}.get(how, data))


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors", ".npz"])
@pytest.mark.parametrize("how", ["empty", "text", "cut"])
def test_damaged_files_are_named(tmp_path, suffix, how):
    path = tmp_path / f"w{suffix}"
    save_weights(Toy(), path)
    path.chmod(0o644)
    damage(path, how)
    with pytest.raises(WeightError, match=rf"w\{suffix}: (the file is empty|damaged or not a \{suffix} file)"):
        load_weights(Toy(), path)


def test_a_flipped_byte_is_found(tmp_path):
    path = tmp_path / "w.ckpt"
    save_weights(Toy(), path)
    damage(path, "flipped")
    with pytest.raises(WeightError, match="damaged"):
        read_weights(path)


def test_wrong_paths_are_named(tmp_path):
    with pytest.raises(WeightError, match=r"absent\.ckpt: no such file"):
        load_weights(Toy(), tmp_path / "absent.ckpt")
    (tmp_path / "virus.exe").touch()
    with pytest.raises(WeightError, match=r"not as \.exe"):
        load_weights(Toy(), tmp_path / "virus.exe")
    with pytest.raises(WeightError, match=r"cannot save weights as \.pth"):
        save_weights(Toy(), tmp_path / "w.pth")
    (tmp_path / "file").write_text("")
    for suffix in convert.SUFFIXES:
        with pytest.raises(WeightError, match="file"):
            save_weights(Toy(), tmp_path / f"file/w{suffix}")


def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.ckpt"
    save_weights(Toy(), path)
    old = path.read_bytes()

    def full_disk(entries, name, **options):
        with open(name, "wb") as stream:
            stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ms, "save_checkpoint", full_disk)
    with pytest.raises(WeightError, match="No space left"):
        save_weights(Toy(), path)
    assert path.read_bytes() == old
    assert len(list(tmp_path.iterdir())) == 1
