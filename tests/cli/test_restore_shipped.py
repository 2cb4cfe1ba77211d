"""`mindrestore restore` with the included weights: no file, no network has to be named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mindrestore import Restorer, api
from mindrestore.cli.main import main
from mindrestore.images.read import read_image
from mindrestore.images.write import write_image
from mindrestore.inference.pixels import RestoreError


@pytest.fixture
def photo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = np.random.default_rng(0).integers(0, 256, (20, 28, 3), np.uint8)
    write_image("photo.png", image)
    return image


def run(words):
    return main(["restore", *words.split(), "--device", "CPU"])


def test_a_task_is_enough(ship, photo, capsys):
    card = ship("dehaze_free", "dehazeformer_t", tasks=("dehaze",))
    assert run("photo.png --task dehaze") == 0
    out = capsys.readouterr().out
    assert out.splitlines().count(card.note) == 1
    assert "restored 1 of 1 images into restored" in out
    expected = Restorer(task="Dehazing", device="CPU")(photo)
    np.testing.assert_array_equal(read_image("restored/photo.png"), expected)
    assert not np.array_equal(expected, photo)


def test_several_tasks_use_the_weights_of_each(ship, photo, capsys):
    notes = [
        ship(f"{word}_free", f"mprnet_{word}ing" if word == "derain" else "mprnet_denoising").note
        for word in ("derain", "denoise")
    ]
    assert run("photo.png --task derain,denoise --out both") == 0
    assert capsys.readouterr().out.splitlines()[:2] == notes
    assert read_image("both/photo.png").shape == photo.shape
    assert run("photo.png --task derain,denoise --weights default,derain_free --out o") == 2
    assert "weights derain_free do derain, not denoise" in capsys.readouterr().err


def test_research_weights_are_named_and_print_their_terms(ship, photo, capsys):
    ship("dehaze_free", "dehazeformer_t", tasks=("dehaze",))
    ship("dehaze_research", "dehazeformer_t", "research", tasks=("dehaze",), terms="RESIDE: academic use only")
    assert run("photo.png --task dehaze") == 0
    assert "terms" not in capsys.readouterr().out
    assert run("photo.png --task dehaze --weights dehaze_research --overwrite") == 0
    assert capsys.readouterr().out.splitlines()[0].endswith("; terms: RESIDE: academic use only")


def test_a_network_can_be_named_instead(ship, photo, capsys):
    ship("dehaze_free", "dehazeformer_t", tasks=("dehaze",))
    assert run("photo.png --model dehazeformer_t --weights default") == 0
    assert "weights: dehaze_free (dehazeformer_t" in capsys.readouterr().out
    assert run("photo.png --task dehaze --model aecrnet") == 2
    assert "no weights for aecrnet and dehaze come with MindRestore; networks that have" in capsys.readouterr().err


def test_published_words_and_places_come_first(ship, photo, capsys):
    """A published word takes the weights that its program keeps, else the included ones; `derain` takes those only."""
    card = ship("derain_free", "mprnet_deraining")
    assert run("photo.png --task Deraining") == 0
    said = "no weights of the published program found; --task Deraining uses the included ones"
    assert capsys.readouterr().out.splitlines()[:2] == [said, card.note]
    Path("Deraining/pretrained_models").mkdir(parents=True)
    Path("Deraining/pretrained_models/model_deraining.npz").write_bytes(b"")
    assert run("photo.png --task Deraining") == 2
    assert "model_deraining.npz: the file is empty" in capsys.readouterr().err
    for words in ("--task derain", "--task derain --weights default", "--task Deraining --weights default"):
        assert run(f"photo.png {words} --overwrite") == 0
        assert capsys.readouterr().out.splitlines()[0] == card.note
    assert run("--task derain --input_image photo.png") == 2  # PaddleGAN's flags
    assert "model_deraining.npz: the file is empty" in capsys.readouterr().err


def test_a_restorer_needs_a_network_or_a_task(ship):
    ship("derain_free", "mprnet_deraining")
    with pytest.raises(RestoreError, match="no network given; name one, or a task such as"):
        Restorer()
    assert Restorer(task="derain", device="CPU").spec.name == "mprnet_deraining"
    with pytest.raises(ValueError, match="model aecrnet does dehaze, not derain"):
        Restorer("aecrnet", task="derain")


def test_export_writes_beside_the_user_not_into_the_package(ship, monkeypatch):
    card = ship("derain_free", "mprnet_deraining")
    asked = []
    monkeypatch.setattr(
        "mindrestore.exporting.exporter.export_model", lambda *words, **options: asked.append((words, options))
    )
    api.export(api.Trained.of_file("mprnet_deraining", "default"), device="CPU")
    ((words, options),) = asked
    assert words == ("mprnet_deraining", card.path, Path("derain_free.mindir"))
    assert options["hyper"] == card.hyper
