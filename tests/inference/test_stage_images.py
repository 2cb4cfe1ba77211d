"""Images of every stage, and maps of uncertainty as the published program shows them."""

from __future__ import annotations

import numpy as np
import pytest

from mindrestore.cli.main import main
from mindrestore.images.read import read_rgb
from mindrestore.images.write import write_image
from mindrestore.inference.restorer import RestoreError, Restorer
from mindrestore.inference.stages import restore_stages, uncertainty_grey, uncertainty_picture
from mindrestore.models.registry import create_model, model_spec
from mindrestore.weights.convert import save_weights

TINY = {"width": 8, "blocks": 1, "groups": 1}


def test_the_published_maps_and_colours(golden_dir):
    with np.load(golden_dir / "dsrir.npz") as golden:
        stages = [stage for stage in (3, 2, 1) if f"A.var{stage}" in golden]  # the small copy holds the last one
        assert stages[0] == 3
        for stage in stages:
            grey = uncertainty_grey(golden[f"A.var{stage}"][0].transpose(1, 2, 0))
            # a value that rounding moves across a whole number may fall into the next level
            assert np.abs(grey.astype(int) - golden[f"infer.vargray{stage}"]).max() <= 1
        table = golden["infer.jet_rgb"]
    ramp = np.repeat(np.arange(256.0).reshape(16, 16, 1), 3, axis=2)
    grey = uncertainty_grey(ramp)
    assert np.array_equal(uncertainty_picture(ramp), table.reshape(-1, 3)[grey])


def test_every_stage_has_the_size_of_the_photograph():
    net = create_model("dsrir", **TINY)
    restorer = Restorer(model_spec("dsrir"), net=net, compiled=False)
    image = np.random.default_rng(0).random((13, 22, 3), np.float32)
    stages = restore_stages(restorer, image)
    assert [picture.shape for picture in (*stages.images, *stages.maps)] == [(13, 22, 3)] * 6
    np.testing.assert_allclose(stages.images[0], restorer.restore_float(image), atol=1e-5)
    assert not np.allclose(stages.images[1], stages.images[2])
    with pytest.raises(RestoreError, match="aecrnet has one stage"):
        restore_stages(Restorer(model_spec("aecrnet"), net=create_model("aecrnet", channels=8, blocks=1)), image)


def test_the_command_writes_a_folder_per_photograph(tmp_path, uncompiled):
    save_weights(create_model("dsrir", **TINY), tmp_path / "w.npz")
    photo = np.random.default_rng(0).integers(0, 256, (9, 16, 3), dtype=np.uint8)
    for name in ("a.png", "sub/b.png"):
        write_image(tmp_path / "photos" / name, photo)
    words = ["--model", "dsrir", "--weights", str(tmp_path / "w.npz"), "--hyper", "width=8", "--hyper", "blocks=1"]
    words += ["--hyper", "groups=1", "--device", "CPU", "--out", str(tmp_path / "out")]
    assert main(["restore", str(tmp_path / "photos"), *words, "--stages"]) == 0
    names = [f"{kind}_{number}.png" for kind in ("restored", "vars") for number in range(3)]
    for folder in ("a", "sub/b"):
        assert sorted(path.name for path in (tmp_path / "out" / folder).iterdir()) == names
        assert [read_rgb(tmp_path / "out" / folder / name).shape for name in names] == [(9, 16, 3)] * 6
    assert main(["restore", str(tmp_path / "photos"), *words]) == 0
    assert np.array_equal(read_rgb(tmp_path / "out/a/restored_0.png"), read_rgb(tmp_path / "out/a.png"))
