"""The recipes of MPILNet hold the settings of its published training program."""

from __future__ import annotations

import pytest

from mindrestore.recipes.load import list_recipes, load_recipe
from mindrestore.recipes.schema import PasteConfig, RecipeError

NAMES = {
    "reside6k": "RESIDE-6K",
    "hazecityscapes": "HazeCityscapes",
    "dense_haze": "Dense-Haze",
    "nh_haze": "NH-HAZE",
    "ntire21": "NTIRE21",
}


@pytest.mark.parametrize("name", NAMES)
def test_published_settings(name):
    recipe = load_recipe(f"mpilnet/{name}")
    assert (recipe.model.name, recipe.model.hyper, recipe.model.encoder_weights) == ("mpilnet", {}, None)
    assert recipe.data.dataset == ("hazecityscapes" if name == "hazecityscapes" else "auto")
    assert (recipe.data.patch_size, recipe.data.augment, recipe.data.mixup) == (256, ("hflip",), None)
    assert recipe.data.paste == PasteConfig(probability=0.5, max_ratio=0.5)
    weights = {term: settings.weight for term, settings in recipe.loss.terms.items()}
    assert weights == {"smooth_l1": 1.0, "ms_ssim": 0.5, "adversarial": 0.0005}
    assert recipe.loss.terms["adversarial"].lr_factor == 1.0
    optim = recipe.optim
    assert (optim.name, optim.lr, optim.betas, optim.eps, optim.weight_decay) == ("adam", 1e-4, (0.9, 0.999), 1e-8, 0.0)
    assert (optim.clip_norm, optim.accumulate, optim.lr_factors) == (None, 1, {})
    assert (recipe.train.batch_size, recipe.train.epochs, recipe.train.amp) == (8, 200, "O0")
    assert (recipe.train.val_every, recipe.train.val_unit, recipe.ema.decay) == (1, "epoch", 0.0)
    assert (recipe.validation.protocol, recipe.validation.best_metric) == ("rgb", "psnr")
    best = recipe.output.best_name.format(epoch=0, psnr=19.9)
    assert best == f"{NAMES[name]}_epoch_0_PSNR_19.9000.ckpt"


def test_these_are_all():
    assert [name for name in list_recipes() if name.startswith("mpilnet/")] == sorted(f"mpilnet/{n}" for n in NAMES)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "data.paste.probability=1.5",
            "data.paste.probability: 1.5 is out of range; use a number above 0 and at most 1",
        ),
        ("data.paste.max_ratio=0", "data.paste.max_ratio: 0 is out of range; use a number above 0 and at most 1"),
        (
            "schedule.milestone_shares=[1.5]",
            "schedule.milestone_shares[0]: 1.5 is out of range; use a number above 0 and below 1",
        ),
        ("schedule.milestones=[100]", r"schedule.milestones [100] and milestone_shares [0.5, 0.7, 0.8] both say"),
        ("output.best_name=best_{ssim}.ckpt", "the fields are {epoch}, {step}, {psnr}"),
        ("output.best_name=best_{psnr:d}.ckpt", "cannot be filled in"),
        ("output.best_name=last.ckpt", "choose the name of a new .ckpt file"),
        ("output.best_name=best_{epoch}.pth", "choose the name of a new .ckpt file"),
        (
            "loss.terms.adversarial.weight=1",
            "loss.terms.adversarial.weight: 1 is out of range; use a number of at least 0 and below 1",
        ),
    ],
)
def test_values_that_cannot_be_used_are_named(override, message):
    with pytest.raises(RecipeError) as caught:
        load_recipe("mpilnet/reside6k", [override])
    assert message in str(caught.value)


def test_parts_can_be_switched_off():
    recipe = load_recipe("mpilnet/nh_haze", ["data.paste=null", "loss.terms.adversarial=null", "output.best_name=null"])
    assert (recipe.data.paste, recipe.output.best_name) == (None, None)
    assert recipe.loss.terms["adversarial"].weight == 0
