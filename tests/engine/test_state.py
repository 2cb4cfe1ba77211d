"""The state file: exact, checked, and never lost to a bad disk, a bad file or the wrong network."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from mindrestore.engine import state as state_module
from mindrestore.engine.state import (
    CheckpointError,
    check_network,
    has_state,
    load_state,
    read_state,
    restore,
    save_state,
    set_aside,
)

EXACT = 0.1 + 0.2  # not representable in float32


def params(seed=0, names=("net.a", "net.b", "optim.m.a")):
    rng = np.random.default_rng(seed)
    return {name: Parameter(Tensor(rng.standard_normal((3, 5)).astype(np.float32)), name=name) for name in names}


def save(folder, step, seed=0):
    return save_state(folder, params(seed), {"step": step, "model": "aecrnet", "exact": EXACT, "progress": {"x": [1]}})


def warnings_of(folder):
    lines = []
    return load_state(folder, lines.append), lines


def test_everything_comes_back_exactly(tmp_path):
    save(tmp_path, 7, seed=1)
    state, warned = warnings_of(tmp_path)
    assert (state.facts["step"], state.facts["exact"], state.facts["progress"]) == (7, EXACT, {"x": [1]})
    assert warned == []
    fresh = params(2)
    restore(state, fresh, "aecrnet")
    for name, param in params(1).items():
        assert np.array_equal(fresh[name].asnumpy(), param.asnumpy())
    assert sorted(os.listdir(tmp_path)) == ["last.ckpt"]


def test_the_former_state_is_kept_once(tmp_path):
    for step in (1, 2, 3):
        save(tmp_path, step)
    assert sorted(os.listdir(tmp_path)) == ["last.ckpt", "last.prev.ckpt"]
    assert read_state(tmp_path / "last.prev.ckpt").facts["step"] == 2


def damage(path, how):
    raw = path.read_bytes()
    path.unlink()
    middle = len(raw) // 2
    flipped = raw[:middle] + bytes([raw[middle] ^ 4]) + raw[middle + 1 :]
    path.write_bytes({"empty": b"", "truncated": raw[:-30], "flipped": flipped, "text": b"not a checkpoint"}[how])


@pytest.mark.parametrize("how", ["empty", "truncated", "flipped", "text"])
def test_a_damaged_state_falls_back_with_a_warning(tmp_path, how):
    save(tmp_path, 1)
    save(tmp_path, 2)
    damage(tmp_path / "last.ckpt", how)
    state, warned = warnings_of(tmp_path)
    assert state.facts["step"] == 1
    assert len(warned) == 1
    assert "last.ckpt" in warned[0]
    assert "continuing from last.prev.ckpt of step 1" in warned[0]


def test_a_kill_between_the_two_renames_costs_one_interval(tmp_path):
    save(tmp_path, 1)
    os.replace(tmp_path / "last.ckpt", tmp_path / "last.prev.ckpt")
    assert has_state(tmp_path)
    assert warnings_of(tmp_path)[0].facts["step"] == 1


def test_no_usable_state_is_an_error_that_names_the_files(tmp_path):
    with pytest.raises(CheckpointError, match="holds no training state"):
        load_state(tmp_path, print)
    save(tmp_path, 1)
    save(tmp_path, 2)
    damage(tmp_path / "last.ckpt", "empty")
    damage(tmp_path / "last.prev.ckpt", "flipped")
    with pytest.raises(CheckpointError, match=r"last\.ckpt is empty; .*last\.prev\.ckpt is damaged"):
        load_state(tmp_path, print)


def test_plain_weights_are_not_a_state(tmp_path):
    ms.save_checkpoint([{"name": "a", "data": params()["net.a"].value()}], str(tmp_path / "last.ckpt"), crc_check=True)
    with pytest.raises(CheckpointError, match="not a training state"):
        read_state(tmp_path / "last.ckpt")


def test_another_network_is_refused_by_name(tmp_path):
    save(tmp_path, 1)
    state, _ = warnings_of(tmp_path)
    with pytest.raises(CheckpointError, match="'aecrnet', but the recipe trains 'mprnet_deraining'"):
        check_network(state, "mprnet_deraining")
    other = {
        "net.a": Parameter(Tensor(np.zeros((2, 5), np.float32)), name="a"),
        "net.c": Parameter(Tensor(np.zeros(3, np.float32)), name="c"),
    }
    with pytest.raises(CheckpointError) as caught:
        restore(state, other, "aecrnet")
    for part in ("net.c is missing", "net.b is unknown", "net.a has shape (3, 5) in the file, (2, 5) in the network"):
        assert part in str(caught.value)


def test_a_full_disk_leaves_the_former_state(tmp_path):
    save(tmp_path, 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing past the limit fails as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
    try:
        with pytest.raises(CheckpointError, match=r"cannot be saved .*last\.ckpt of an earlier step is intact"):
            save(tmp_path, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    state, warned = warnings_of(tmp_path)
    assert (state.facts["step"], warned, sorted(os.listdir(tmp_path))) == (1, [], ["last.ckpt"])
    save(tmp_path, 3)
    assert warnings_of(tmp_path)[0].facts["step"] == 3


def test_a_disk_that_keeps_half_is_noticed(tmp_path, monkeypatch):
    save(tmp_path, 1)
    real = ms.save_checkpoint

    def half(entries, path, **options):
        real(entries, path, **options)
        damage(Path(path), "truncated")

    monkeypatch.setattr(state_module.ms, "save_checkpoint", half)
    with pytest.raises(CheckpointError, match="cannot be saved"):
        save(tmp_path, 2)
    assert warnings_of(tmp_path)[0].facts["step"] == 1


def test_a_folder_that_is_a_file_is_reported(tmp_path):
    (tmp_path / "run").write_text("in the way")
    with pytest.raises(CheckpointError, match="there is no earlier state"):
        save(tmp_path / "run", 1)


def test_a_new_start_sets_the_former_run_aside(tmp_path):
    save(tmp_path, 1)
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    (tmp_path / "mine.txt").write_text("stays")
    set_aside(tmp_path)
    save(tmp_path, 2)
    set_aside(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["former-1", "former-2", "mine.txt"]
    assert sorted(os.listdir(tmp_path / "former-1")) == ["last.ckpt", "metrics.jsonl"]
    assert read_state(tmp_path / "former-2" / "last.ckpt").facts["step"] == 2
