"""Every registered network, made small, restores images of awkward sizes and exports."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest

from mindrestore.inference.exporter import ExportError, export_model
from mindrestore.inference.restorer import Restorer
from mindrestore.weights.convert import save_weights

SMALL = [("aecrnet", {"channels": 4, "blocks": 1, "deform_layers": 1})]


@pytest.fixture(autouse=True)
def same_weights_every_time():
    ms.set_seed(0)


@pytest.mark.parametrize(("name", "hyper"), SMALL)
@pytest.mark.parametrize("shape", [(1, 1), (17, 23)])
def test_awkward_sizes(name, hyper, shape):
    restore = Restorer(name, device="CPU", hyper=hyper)
    photo = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    restored = restore(photo)
    assert (restored.shape, restored.dtype) == (photo.shape, np.uint8)
    exact = restore.restore_float(photo.astype(np.float32) / 255)
    assert 0 <= exact.min() <= exact.max() <= 1
    assert np.abs(restored / 255 - exact).max() <= 0.51 / 255


@pytest.mark.parametrize(("name", "hyper"), SMALL)
def test_export_with_free_size(name, hyper, tmp_path):
    weights = tmp_path / "w.safetensors"
    save_weights(Restorer(name, device="CPU", hyper=hyper).net, weights)
    report = export_model(name, weights, tmp_path / "m.mindir", hyper=hyper)
    assert len(report.differences) == 2
    assert report.difference < 1e-5


def test_sizes_off_the_networks_grid_are_refused(tmp_path):
    with pytest.raises(ExportError, match=r"width 50 .* aecrnet takes multiples of 4"):
        export_model("aecrnet", None, tmp_path / "m.mindir", size=(48, 50))
