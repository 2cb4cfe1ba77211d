"""The functions behind the commands: how networks are validated during training, and which protocol is whose."""

from __future__ import annotations

import numpy as np
import pytest

from mindrestore import api
from mindrestore.api import Trained, validation
from mindrestore.data.catalog import find_pairs
from mindrestore.data.images import read_rgb
from mindrestore.errors import MindRestoreError
from mindrestore.evaluation.evaluator import Evaluation
from mindrestore.evaluation.protocol import get_protocol
from mindrestore.inference.restorer import Restorer
from mindrestore.models.registry import create_model
from mindrestore.recipes.load import load_recipe


@pytest.mark.parametrize(("crop", "side"), [("data.val_crop=32", 32), ("", 48)])
def test_validation_measures_the_middle_of_each_image(tiny_data, crop, side):
    overrides = [f"data.root={tiny_data}", "validation.protocol=rgb", *([crop] if crop else [])]
    recipe = load_recipe("quickstart", overrides)
    net = create_model(recipe.model.name, **recipe.model.hyper)
    scores = validation(recipe)(net)
    restore = Restorer(recipe.model.name, net=net).restore_float
    first = (48 - side) // 2
    middle = (slice(first, first + side),) * 2
    expected = []
    for pair in find_pairs("auto", tiny_data, "test"):
        restored = restore(np.ascontiguousarray(read_rgb(pair.input)[middle]))
        expected.append(get_protocol("rgb").measure(restored, read_rgb(pair.target)[middle])["psnr"])
    assert len(expected) == 2
    assert scores["psnr"] == pytest.approx(np.mean(expected), abs=1e-4)
    assert set(scores) == {"psnr", "ssim"}


def test_validation_watches_what_decides(tiny_data, monkeypatch):
    measured = []

    def evaluate_pairs(restore, pairs, protocol, *, limit):
        measured.append((len(pairs), protocol.names, protocol.centre_crop, limit))
        return Evaluation(protocol, ())

    monkeypatch.setattr(api, "evaluate_pairs", evaluate_pairs)
    overrides = [f"data.root={tiny_data}", "validation.protocol=rgb", "data.val_crop=24"]
    for more in ([], ["validation.best_metric=mae", "validation.max_images=1", "validation.protocol=rgb8"]):
        validation(load_recipe("quickstart", [*overrides, *more]))(create_model("aecrnet", channels=8, blocks=1))
    assert measured == [(2, ("psnr", "ssim"), 24, None), (2, ("psnr", "ssim", "mae"), 24, 1)]
    with pytest.raises(MindRestoreError, match=r"best_metric=mse.* only psnr, ssim, ms_ssim, mae, ciede2000"):
        validation(load_recipe("quickstart", [*overrides, "validation.best_metric=mse"]))


def test_evaluation_takes_the_test_protocol_of_a_recipe():
    recipe = load_recipe("quickstart", ["validation.protocol=rgb", "validation.test_protocol=mpr-derain"])
    assert Trained("aecrnet", "x.ckpt", recipe=recipe).usual_protocol() == "mpr-derain"
    assert Trained("aecrnet", "x.ckpt", recipe=load_recipe("quickstart")).usual_protocol() == "aecr"
    assert Trained("aecrnet", "x.ckpt").usual_protocol() == "aecr"
    assert Trained("mprnet_deraining", "x.ckpt").usual_protocol() == "mpr-derain"
    assert Trained("mprnet_denoising", "x.ckpt").usual_protocol() == "mpr-sidd"
    assert Trained("mprnet_deblurring", "x.ckpt").usual_protocol() == "mpr-gopro"
