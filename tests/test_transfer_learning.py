"""What training of a network with an encoder starts from, through the public function."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mindrestore import api
from mindrestore.engine.optim import build_optimizer
from mindrestore.engine.state import read_state
from mindrestore.errors import MindRestoreError
from mindrestore.images.write import write_image
from mindrestore.models.registry import create_model
from mindrestore.models.specs.vgg import last_tap
from mindrestore.models.vgg import VGGFeatures
from mindrestore.recipes.load import load_recipe
from mindrestore.training import load_start
from mindrestore.weights.convert import load_weights, save_weights
from small import small


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory):
    """Return a file of VGG-16 with random weights, an eighth as wide."""
    path = tmp_path_factory.mktemp("vgg") / "vgg16.npz"
    save_weights(VGGFeatures("vgg16", (last_tap("vgg16"),), width=8), path)
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return trainA, trainB, testA, testB with images of 64 to 72 pixels."""
    root, rng = tmp_path_factory.mktemp("ab"), np.random.default_rng(0)
    for split, count in (("train", 3), ("test", 1)):
        for i in range(count):
            clear = np.kron(rng.random((9, 8, 3)), np.ones((8, 8, 1))).astype(np.float32)  # (72, 64, 3)
            write_image(root / f"{split}B" / f"{i}.png", clear)
            write_image(root / f"{split}A" / f"{i}.png", 0.5 * clear + 0.4)
    return root


def test_the_log_says_whether_there_is_transfer_learning(vgg_file):
    net = small("mpilnet")
    (line,) = load_start(net, load_recipe("mpilnet/nh_haze").model)
    assert line.startswith("warning: NO TRANSFER LEARNING")
    assert "model.encoder_weights=FILE" in line
    (line,) = load_start(net, load_recipe("mpilnet/nh_haze", [f"model.encoder_weights={vgg_file}"]).model)
    assert line == f"encoder: vgg16 from {vgg_file}, 26 tensors"
    expected = np.load(vgg_file)
    parameters = dict(net.encoder_cells()[0].parameters_and_names())
    assert all(np.array_equal(parameters[name].asnumpy(), expected[name]) for name in expected.files)
    assert load_start(create_model("aecrnet"), load_recipe("aecrnet/its").model) == []


def test_contradictions_are_named(vgg_file):
    model = load_recipe("mpilnet/nh_haze", [f"model.encoder_weights={vgg_file}", "model.weights=x.ckpt"]).model
    with pytest.raises(MindRestoreError, match=r"model\.weights=x\.ckpt holds the encoder as well"):
        load_start(None, model)
    with pytest.raises(MindRestoreError, match="AECRNet has no VGG encoder"):
        load_start(create_model("aecrnet"), load_recipe("aecrnet/its", [f"model.encoder_weights={vgg_file}"]).model)
    frozen = load_recipe("mpilnet/nh_haze", ["model.hyper.freeze_encoder=true"])
    with pytest.raises(MindRestoreError, match="frozen and has random weights"):
        load_start(small("mpilnet", **frozen.model.hyper), frozen.model)


def test_the_encoder_is_a_group_of_its_own():
    params = small("mpilnet").trainable_params()
    optimizer = build_optimizer(load_recipe("mpilnet/nh_haze", ["optim.lr_factors.encoders=0.1"]).optim, params)
    sizes = {factor: last - first for factor, (first, last) in zip(optimizer.factors, optimizer.spans)}
    assert sizes == {0.1: 26, 1.0: 296 - 26}


@pytest.mark.slow
def test_a_frozen_encoder_stays_bit_for_bit_while_the_rest_learns(vgg_file, folders, tmp_path):
    overrides = [
        "model.hyper.width=8", "model.hyper.freeze_encoder=true", f"model.encoder_weights={vgg_file}",
        f"data.root={folders}", "data.patch_size=64", "train.batch_size=2", "train.max_steps=2", "train.log_every=1",
        "train.device=CPU", "data.workers=1",
    ]  # fmt: skip
    folder = api.train(load_recipe("mpilnet/nh_haze", overrides), run_dir=tmp_path / "run").run_dir
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    terms = next(record["terms"] for record in records if record["kind"] == "train")
    assert list(terms) == ["smooth_l1", "ms_ssim", "adversarial", "discriminator", "real", "fake"]
    assert "encoder: vgg16 from" in (folder / "log.txt").read_text()
    state, start = read_state(folder / "last.ckpt"), np.load(vgg_file)
    assert all(np.array_equal(state.arrays[f"net.encoders.0.vgg.{name}"], start[name]) for name in start.files)
    moments = [name for name in state.arrays if name.startswith("optim.m.")]
    assert len([name for name in moments if name.startswith("optim.m.discriminator.")]) == 34
    assert len(moments) == 296 - 26 + 34
    assert all(np.abs(state.arrays[name]).max() > 0 for name in moments)
    published = sorted(folder.glob("NH-HAZE_epoch_*_PSNR_*.ckpt"))
    assert published[0].name.startswith("NH-HAZE_epoch_0_PSNR_")
    load_weights(small("mpilnet"), published[-1])  # strict: the generator alone
