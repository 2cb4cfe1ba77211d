"""The settings of the DehazeFormer and CrossDehaze repositories, and what the two stages share."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mindrestore.recipes.load import list_recipes, load_recipe, next_stage
from mindrestore.recipes.terms import PixelTerm
from mindrestore.weights.shipped import find_shipped

# experiment: data set, {variant: (batch, rate)}, epochs, validated on the middle, flips only, validation rhythm
LARGE, SMALL = {"t": (32, 4e-4), "s": (16, 2e-4), "b": (16, 2e-4), "m": (16, 2e-4)}, dict.fromkeys("dwl", (8, 1e-4))
HALF = {variant: (batch, rate / 2) for variant, (batch, rate) in LARGE.items()}
PUBLISHED = {
    "indoor": ("reside_in", {**LARGE, **SMALL}, 300, False, False, 1),
    "outdoor": ("reside_out", LARGE, 30, True, True, 1),
    "reside6k": ("reside_6k", HALF, 1000, True, True, 10),
    "rshaze": ("rs_haze", LARGE, 150, False, False, 1),
}
CASES = [(name, variant) for name, facts in PUBLISHED.items() for variant in facts[1]]


@pytest.mark.parametrize(("experiment", "variant"), CASES)
def test_published_settings(experiment, variant):
    dataset, variants, epochs, middle, only_flip, rhythm = PUBLISHED[experiment]
    recipe = load_recipe(f"dehazeformer/{experiment}_{variant}")
    batch, rate = variants[variant]
    assert (recipe.model.name, recipe.data.dataset) == (f"dehazeformer_{variant}", dataset)
    assert (recipe.train.batch_size, recipe.optim.lr, recipe.train.epochs) == (batch, rate, epochs + 1)
    assert recipe.schedule.min_lr == pytest.approx(rate / 100, rel=1e-12)
    assert recipe.data.val_crop == (256 if middle else None)
    assert recipe.data.augment == (("hflip",) if only_flip else ("hflip", "rot90"))
    assert recipe.data.edge_decay == (0.1 if variant in SMALL else 0.0)
    assert (recipe.train.val_every, recipe.train.val_unit) == (rhythm, "epoch")
    assert_shared(recipe)


def assert_shared(recipe):
    """Check what all published settings have in common."""
    optim, schedule, scale = recipe.optim, recipe.schedule, recipe.loss_scale
    assert (optim.name, optim.betas, optim.eps, optim.weight_decay) == ("adamw", (0.9, 0.999), 1e-8, 0.01)
    assert (optim.clip_norm, optim.accumulate) == (None, 1)
    assert (schedule.name, schedule.unit, schedule.warmup, schedule.cosine_extra) == ("cosine", "epoch", 0, -1)
    assert (scale.kind, scale.value, scale.factor, scale.window) == ("dynamic", 65536.0, 2, 2000)
    assert (recipe.train.amp, recipe.data.patch_size) == ("float16", 256)
    assert recipe.loss.terms["l1"] == PixelTerm(weight=2.0)
    assert (recipe.validation.protocol, recipe.validation.best_metric) == ("dehazeformer", "psnr")


def test_there_is_no_recipe_beyond_the_published_ones_and_a_light_one():
    names = {name for name in list_recipes() if name.startswith("dehazeformer/")}
    assert names - {"dehazeformer/cross_light"} == {f"dehazeformer/{name}_{variant}" for name, variant in CASES}


def test_the_light_recipe_mixes_by_shares_and_chooses_nothing_on_test_images():
    recipe = load_recipe("dehazeformer/cross_light")
    assert [(source.root, source.share) for source in recipe.data.mix] == [
        ("synthetic", 6),
        ("ihaze_small", 3),
        ("ntire26_night_half", 1),
    ]
    assert recipe.train.val_every == 0


@pytest.mark.parametrize("name", ["nid", "rsid"])
def test_crossdehaze(name):
    first, second, both = (load_recipe(f"crossdehaze/{name}{end}") for end in ("_stage1", "_stage2", ""))
    assert_shared(first)
    assert (first.model.name, first.data.dataset, first.data.mix[0].dataset) == ("crossdehaze", name, name)
    assert (first.train.batch_size, first.optim.lr, first.train.epochs, first.train.val_every) == (8, 1e-4, 1001, 10)
    assert (first.data.val_crop, first.data.augment, first.data.edge_decay) == (256, ("hflip",), 0.0)
    assert list(first.loss.terms) == ["l1"]
    assert replace(both, name=first.name, then=None) == first
    term = second.loss.terms["consistency"]
    assert (term.weight, term.size, term.crop) == (0.4, 16, "centre")
    assert (term.sigma, term.horizon) == ((0.1, 5.0), None)
    chained = next_stage(both, "best.ckpt")
    assert chained.name == second.name
    assert chained.loss == second.loss
    assert replace(chained, model=second.model) == second
    assert (second.model.weights, second.model.follows) == (None, f"crossdehaze/{name}_stage1")


def test_remote_sensing_images_get_the_published_tone():
    sources = load_recipe("crossdehaze/nid").data.mix
    assert [(source.dataset, source.gamma, source.share) for source in sources] == [
        ("nid", (), None),
        ("rsid", (1.90, 1.91, 1.91), None),
    ]
    back = load_recipe("crossdehaze/rsid").data.mix[1].gamma
    assert [a * b for a, b in zip(back, sources[1].gamma)] == pytest.approx([1, 1, 1], abs=2e-3)


def test_the_quickstart_trains_both_stages_in_small():
    recipe = load_recipe("quickstart_cross")
    second = next_stage(recipe, "best.ckpt")
    assert (recipe.model.name, recipe.train.amp, recipe.data.patch_size) == ("dehazeformer_t", "O0", 64)
    assert recipe.train.max_steps > 2 * second.train.max_steps
    assert list(second.loss.terms) == ["l1", "consistency"]


@pytest.mark.parametrize(
    ("recipe", "weights", "steps"),
    [
        ("dehaze_photos", "dehaze_free", [2400]),
        ("dehaze_shade", "dehaze_free", [3900]),
        ("derain_sheets", "derain_free", [3000]),
        ("derain_steep", "derain_free", [3000, 1800]),
        ("derain_uneven", "derain_free", [4000, 1000]),
        ("derain_hazy", "derain_free", [2600, 2000]),
        ("derain_long", "derain_free", [4200, 1100]),
        ("denoise_camera", "denoise_free", [1600, 4600]),
        ("deblur", "denoise_free", [16000]),
    ],
)
def test_later_generations_go_on_from_included_weights(recipe, weights, steps):
    later, card = load_recipe(f"release/{recipe}"), find_shipped(weights)
    assert (later.model.name, later.model.weights) == (card.network, weights)
    stages = [stage for stage in (later, next_stage(later, "best.ckpt")) if stage]
    assert [stage.train.max_steps for stage in stages] == steps
    # The second stage inherits from the recipe of the first generation, whose patches and batches are others.
    assert {(stage.data.patch_size, stage.train.batch_size) for stage in stages} == {
        (later.data.patch_size, later.train.batch_size)
    }
    assert {stage.ema.decay for stage in stages} == {0.998}


@pytest.mark.parametrize(
    ("recipe", "lists"),
    [
        ("derain_steep", [None, "train.csv"]),
        ("derain_uneven", ["train.csv", None]),
        ("derain_hazy", ["dry_hazy.csv", "hazy.csv"]),
        ("derain_long", ["dry_hazy.csv", "hazy.csv"]),
    ],
)
def test_listed_dry_photographs_stay_free_of_noise(recipe, lists):
    first = load_recipe(f"release/{recipe}")
    data = [first.data, next_stage(first, "best.ckpt").data]
    assert [part.train_list for part in data] == lists
    listed = [part for part in data if part.train_list]
    assert {(part.noise_range, part.augment) for part in listed} == {((0, 0), ("hflip",))}
