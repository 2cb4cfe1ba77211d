"""Included weights: their cards, which of them is the default, and building networks with them."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
import yaml

import mindrestore as mr
from mindrestore.models.registry import list_models, model_spec
from mindrestore.weights import shipped
from mindrestore.weights.errors import WeightError, WeightFileError
from mindrestore.weights.files import read_weights
from mindrestore.weights.shipped import default_of, find_shipped, list_shipped, read_card, requested, write_card

NETWORK = "mprnet_deraining"


def test_what_ships_is_complete():
    """Every file has a card and every card its file, small, unaltered, float32, with data and scores."""
    names = [path.stem for path in shipped.FOLDER.glob("*.safetensors")]
    cards = list_shipped()
    assert sorted(names) == [card.name for card in cards]
    for card in cards:
        assert card.path.stat().st_size <= shipped.LARGEST == 12_000_000
        assert {array.dtype.name for array in read_weights(card.checked_path()).values()} <= {"float32", "int32"}
        assert card.network in list_models()
        assert set(card.tasks) <= {task for name in list_models() for task in model_spec(name).tasks}
        assert card.data
        assert all(entry["name"] and entry["licence"] for entry in card.data)
        assert {"recipe", "steps", "seed", "command", "cpu_hours"} <= set(card.training)
        mr.create_model(card.network, weights="default" if card.variant == "free" else card.name)


def test_every_task_with_free_weights_has_one_default():
    for task in {task for card in list_shipped() if card.variant == "free" for task in card.tasks}:
        assert default_of(task=task).variant == "free"


def test_nothing_but_weights_and_cards_lies_there():
    assert {path.suffix for path in shipped.FOLDER.glob("*")} <= {".safetensors", ".yaml"}


def test_a_card_comes_back_as_it_was_written(ship):
    scores = (
        {"set": "rain100l", "images": 18, "protocol": "rgb", "psnr": 31.2, "ssim": 0.95, "input": {"psnr": 25.3}},
    )
    card = ship("derain_free", NETWORK, data=({"name": "scenes", "licence": "Apache-2.0"},), scores=scores)
    assert read_card(card.folder / "derain_free.yaml") == find_shipped("derain_free") == card
    assert card.score == "rain100l 31.20 dB (rgb)"
    assert card.note == f"weights: derain_free ({NETWORK}, {card.path.stat().st_size / 1e6:.1f} MB, Apache-2.0)"


def test_the_default_network_is_the_stored_one(ship):
    ms.set_seed(3)
    card = ship("derain_free", NETWORK)
    net = mr.create_model(NETWORK, weights="default")
    stored = read_weights(card.path)
    for name, parameter in net.parameters_and_names():
        np.testing.assert_array_equal(parameter.asnumpy(), stored[name])
    named = mr.create_model(NETWORK, weights="derain_free")
    assert sum(p.size for p in named.get_parameters()) == sum(p.size for p in net.get_parameters())


def test_networks_without_weights_get_fresh_ones(weights_folder):
    assert mr.create_model("aecrnet", channels=16, blocks=1, deform_layers=1).training is False
    with pytest.raises(mr.MindRestoreError, match="unknown model 'aecrnot'; did you mean 'aecrnet'"):
        mr.create_model("aecrnot", weights="default")


def test_a_missing_default_names_those_that_exist(ship):
    ship("derain_free", NETWORK)
    with pytest.raises(WeightError, match=f"no weights for aecrnet come .*; networks that have some: {NETWORK}; use a"):
        mr.create_model("aecrnet", weights="default")
    with pytest.raises(WeightError, match=r"no weights for deblur come .*; tasks that have some: derain; use a weight"):
        default_of(task="deblur")


def test_the_free_weights_are_the_default(ship):
    free, research = ship("z_free", NETWORK), ship("a_research", NETWORK, "research", terms="no commerce")
    assert default_of(NETWORK) == default_of(task="derain") == free
    assert requested("a_research", NETWORK) == research
    with pytest.warns(UserWarning, match=r"a_research \(mprnet_deraining, .*\); terms: no commerce"):
        mr.create_model(NETWORK, weights="a_research")


def test_research_weights_alone_are_no_default(ship):
    ship("derain_research", NETWORK, "research", terms="no commerce")
    with pytest.raises(WeightError, match=r"no free weights for derain come .*; to use others, name derain_research"):
        default_of(task="derain")
    assert not shipped.has_default("derain")


def test_of_several_free_weights_the_preferred_are_the_default(ship):
    ship("derain_a", NETWORK)
    ship("derain_b", NETWORK)
    with pytest.raises(WeightError, match=r"several weights for derain come .*; name one of derain_a, derain_b"):
        default_of(task="derain")
    chosen = ship("derain_c", NETWORK, preferred=True)
    assert default_of(task="derain") == chosen


def test_what_is_asked_for(ship, tmp_path, monkeypatch):
    card = ship("derain_free", NETWORK)
    monkeypatch.chdir(tmp_path)
    assert requested("derain_free") == requested("default", task="derain") == card
    assert [requested(weights) for weights in (None, "best.ckpt", "w", {"a": 1}, "derain/free")] == [None] * 5
    with pytest.raises(WeightError, match="weights derain_free are for mprnet_deraining, not dsrir; name that network"):
        requested("derain_free", "dsrir")
    with pytest.raises(WeightError, match="weights derain_free do derain, not dehaze"):
        requested("derain_free", task="dehaze")
    with pytest.raises(WeightError, match=r"no weights called 'derain_fre' .*; did you mean 'derain_free'\?"):
        requested("derain_fre")


def test_altered_and_missing_files_are_refused(ship):
    card = ship("derain_free", NETWORK)
    data = bytearray(card.path.read_bytes())
    data[-1] ^= 1
    card.path.write_bytes(bytes(data))
    with pytest.raises(WeightFileError, match=r"derain_free\.safetensors: not the file that its card describes; insta"):
        mr.create_model(NETWORK, weights="default")
    card.path.unlink()
    assert card.size == "file missing"
    with pytest.raises(WeightFileError, match=r"no such file, though its card is there"):
        card.checked_path()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"variant": "paid"}, "variant 'paid' is none of free, research"),
        ({"variant": "research"}, "research weights need terms"),
        ({"tasks": []}, "tasks or licence are missing"),
        ({"name": "other"}, "name 'other' is not the file's"),
        ({"sha256": 12}, "sha256 is 12 instead of text"),
        ({"colour": "red"}, "unexpected keyword argument 'colour'"),
    ],
)
def test_cards_that_lack_something_are_named(ship, change, reason):
    card = ship("derain_free", NETWORK)
    path = card.folder / "derain_free.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **change}))
    with pytest.raises(
        WeightFileError, match=rf"derain_free\.yaml: no card of weights \(.*{reason}.*\); write it with"
    ):
        read_card(path)


def test_a_card_is_checked_before_it_is_written(ship):
    card = ship("derain_free", NETWORK)
    with pytest.raises(WeightFileError, match="not made of letters"):
        write_card(shipped.Card(**{**vars(card), "name": "der ain"}))
    assert [path.name for path in card.folder.glob("*.yaml")] == ["derain_free.yaml"]
