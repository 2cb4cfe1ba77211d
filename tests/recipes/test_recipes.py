"""Recipes: official values, inheritance, overrides, and a clear error for every way to get one wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mindrestore.evaluation.protocol import list_protocols
from mindrestore.recipes.build import build
from mindrestore.recipes.load import list_recipes, load_recipe, recipe_keys, recipe_to_yaml, to_dict
from mindrestore.recipes.schema import Recipe, RecipeError
from mindrestore.recipes.terms import CharbonnierTerm, EdgeTerm, PixelTerm


@pytest.mark.parametrize("name", list_recipes())
def test_recipe_survives_being_written_and_read(name, tmp_path):
    recipe = load_recipe(name)
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe_to_yaml(recipe))
    assert recipe.name == name
    assert load_recipe(path) == recipe
    assert load_recipe(tmp_path) == recipe
    assert build(Recipe, to_dict(recipe)) == recipe


@pytest.mark.parametrize("name", ["aecrnet/its", "aecrnet/dense_haze", "aecrnet/nh_haze"])
def test_official_aecrnet_settings(name):
    recipe = load_recipe(name)
    assert recipe.loss.terms["l1"] == PixelTerm(weight=1.0)
    contrastive = recipe.loss.terms["contrastive"]
    assert (contrastive.weight, contrastive.vgg, contrastive.form) == (0.1, "vgg19", "own")
    assert contrastive.vgg_weights is None
    assert (recipe.optim.lr, recipe.optim.betas, recipe.optim.eps) == (1e-4, (0.9, 0.999), 1e-8)
    assert (recipe.train.max_steps, recipe.train.epochs, recipe.train.seed) == (500_000, None, 666)
    assert (recipe.train.batch_size, recipe.data.patch_size, recipe.data.augment) == (16, 240, ("hflip", "rot90"))
    assert (recipe.schedule.name, recipe.schedule.unit, recipe.validation.protocol) == ("cosine", "step", "aecr")
    assert (recipe.train.val_every, recipe.train.val_unit) == (5000, "step")


def test_zoo_settings_in_unit_range():
    recipe = load_recipe("aecrnet/zoo_its")
    contrastive = recipe.loss.terms["contrastive"]
    assert contrastive.weight == pytest.approx(20 / 255, rel=1e-15)
    assert (contrastive.negatives, contrastive.form) == (4, "batch_sum")
    assert (recipe.train.epochs, recipe.train.max_steps, recipe.train.batch_size) == (300, None, 16)
    assert (recipe.loss_scale.kind, recipe.loss_scale.value) == ("fixed", 1024.0)
    assert (recipe.optim.lr, recipe.schedule.unit, recipe.data.patch_size) == (1e-4, "epoch", 240)
    assert recipe.data.augment == ("hflip", "vflip", "transpose")


MPRNET = {
    # task: dataset, patch, validation crop, epochs, validation, augmentation, protocol of the tests
    "deblurring": ("gopro", 256, 256, 3000, (20, "epoch"), ("dihedral9", "saturation"), "mpr-gopro"),
    "denoising": ("sidd", 128, 256, 80, (2000, "step"), ("dihedral9",), "mpr-sidd"),
    "deraining": ("synthetic_rain", 256, 128, 250, (5, "epoch"), ("dihedral9",), "mpr-derain"),
}


@pytest.mark.parametrize("task", MPRNET)
def test_official_mprnet_settings(task):
    recipe = load_recipe(f"mprnet/{task}")
    data, train, optim = recipe.data, recipe.train, recipe.optim
    validated = (train.val_every, train.val_unit)
    facts = (data.dataset, data.patch_size, data.val_crop, train.epochs, validated, data.augment)
    assert (*facts, recipe.validation.final_protocol) == MPRNET[task]
    assert (recipe.validation.protocol, recipe.validation.best_metric) == ("rgb", "psnr")  # as the training log has it
    assert recipe.model.name == f"mprnet_{task}"
    assert recipe.model.hyper == {}
    assert (train.batch_size, train.seed, optim.name, optim.lr, optim.eps) == (16, 1234, "adam", 2e-4, 1e-8)
    assert (recipe.schedule.name, recipe.schedule.unit) == ("cosine", "epoch")
    assert (recipe.schedule.warmup, recipe.schedule.min_lr) == (3, 1e-6)
    denoising = task == "denoising"
    assert optim.weight_decay == (1e-8 if denoising else 0.0)
    assert (data.mixup is not None) == denoising
    charbonnier = recipe.loss.terms["charbonnier"]
    assert charbonnier == CharbonnierTerm(weight=1.0, eps=1e-3, clamp=denoising, reduction="mean")
    edge = None if denoising else EdgeTerm(weight=0.05, eps=1e-3, reduction="mean")
    assert recipe.loss.terms.get("edge") == edge


def test_mixup_of_denoising():
    mixup = load_recipe("mprnet/denoising").data.mixup
    assert (mixup.alpha, mixup.from_epoch) == (0.6, 6)


PADDLEGAN = {
    # task: dataset, learning rate, periods, log, protocols of validation and tests
    "deblurring": ("gopro", 1e-4, (400_000,), 100, ("paddlegan-rgb", "paddlegan-gopro")),
    "denoising": ("sidd", 2e-4, (25_000,) * 4, 10, ("paddlegan-y", "paddlegan-y")),
    "deraining": ("synthetic_rain", 2e-4, (25_000,) * 4, 10, ("paddlegan-y", "paddlegan-y")),
}


@pytest.mark.parametrize("task", PADDLEGAN)
def test_paddlegan_settings(task):
    recipe = load_recipe(f"mprnet/{task}_paddlegan")
    data, train, schedule = recipe.data, recipe.train, recipe.schedule
    protocols = (recipe.validation.protocol, recipe.validation.final_protocol)
    assert (data.dataset, recipe.optim.lr, schedule.periods, train.log_every, protocols) == PADDLEGAN[task]
    assert recipe.model.name == f"mprnet_{task}"
    assert recipe.model.hyper == {"init_std": 0.02}
    assert (schedule.name, schedule.unit, schedule.warmup, schedule.min_lr) == ("cosine_restarts", "step", 0, 1e-6)
    assert (train.max_steps, train.epochs, train.batch_size) == (sum(schedule.periods), None, 16)
    assert (train.val_every, train.val_unit, train.checkpoint_every, train.checkpoint_unit) == (5000, "step") * 2
    assert (data.patch_size, data.val_crop, data.mixup, recipe.optim.weight_decay) == (256, 256, None, 0.0)
    for name, weight in (("charbonnier", 1.0), ("edge", 0.05)):
        term = recipe.loss.terms[name]
        assert (term.weight, term.eps, term.reduction) == (weight, 1e-6, "sum")
        assert getattr(term, "clamp", False) is False


def test_light_deblurring_is_narrower_and_nothing_else():
    light, full = load_recipe("mprnet/deblurring_light"), load_recipe("mprnet/deblurring")
    assert light.model.hyper == {"n_feat": 40, "scale_unetfeats": 40, "scale_orsnetfeats": 32}
    assert replace(light, name=full.name, model=full.model) == full


def test_overrides_take_yaml_values():
    recipe = load_recipe(
        "aecrnet/its",
        ["data.patch_size=64", "loss.terms.l1.weight=2", "optim.lr=2e-4", "data.augment=[hflip]", "model.hyper.ngf=32"],
    )
    assert recipe.data.patch_size == 64
    assert recipe.loss.terms["l1"].weight == 2.0
    assert recipe.optim.lr == 2e-4
    assert recipe.data.augment == ("hflip",)
    assert recipe.model.hyper == {"ngf": 32}


def test_contrastive_term_can_be_switched_off():
    assert load_recipe("aecrnet/its", ["loss.terms.contrastive.weight=0"]).loss.terms["contrastive"].weight == 0.0
    assert load_recipe("aecrnet/its", ["loss.terms.contrastive=null"]).loss.terms["contrastive"].weight == 0.0


def test_a_length_override_replaces_the_other_length():
    assert load_recipe("aecrnet/its", ["train.epochs=3"]).train.max_steps is None
    assert load_recipe("aecrnet/zoo_its", ["train.max_steps=7"]).train.epochs is None
    with pytest.raises(RecipeError, match="exactly one"):
        load_recipe("aecrnet/its", ["train.epochs=3", "train.max_steps=7"])


def test_inheritance_merges_deeply_and_finds_files_beside_the_heir(tmp_path):
    (tmp_path / "base.yaml").write_text("inherit: aecrnet/its\noptim: {lr: 3e-4}\n")
    (tmp_path / "heir.yaml").write_text("inherit: base.yaml\noptim: {eps: 1e-6}\n")
    recipe = load_recipe(tmp_path / "heir.yaml")
    assert (recipe.name, recipe.optim.lr, recipe.optim.eps, recipe.train.seed) == ("heir", 3e-4, 1e-6, 666)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.pach_size=64", "unknown recipe key 'data.pach_size'; did you mean 'data.patch_size'"),
        ("loss.terms.l1.wieght=2", "did you mean 'loss.terms.l1.weight'"),
        ("loss.terms.contrastiv.weight=2", "did you mean 'loss.terms.contrastive.weight'"),
        ("data.patch_size=big", "data.patch_size: 'big' is text, expected a whole number"),
        ("data.patch_size=1.5", "data.patch_size: 1.5 is a number, expected a whole number"),
        ("train.tensorboard=1", "train.tensorboard: 1 is a whole number, expected true or false"),
        ("data.patch_size=0", "data.patch_size: 0 is out of range; use a number of at least 1 and at most 8192"),
        ("optim.lr=0", "optim.lr: 0 is out of range; use a number above 0 and at most 10"),
        ("optim.lr=.nan", "optim.lr: nan is out of range; use a number above 0 and at most 10"),
        ("optim.name=sgd", "optim.name: 'sgd' is not one of adam, adamw"),
        ("data.augment=[hflp]", "data.augment[0]: 'hflp' is not one of hflip"),
        ("data.augment=hflip", "expected a list of texts"),
        ("optim.betas=[0.9]", "must hold two numbers"),
        ("ema.decay=1", "ema.decay: 1 is out of range; use a number of at least 0 and below 1"),
        ("optim=3", "optim: 3 is not a mapping"),
        ("data.patch_size", "not of the form key=value"),
        ("data.patch_size=[1", "not valid YAML"),
        ("schedule.name=step", "milestones is empty"),
        ("schedule.name=cosine_restarts", "periods is empty"),
        ("schedule.restart_weights=[1]", "use one per period"),
        ("loss.terms.edge.reduction=median", "loss.terms.edge.reduction: 'median' is not one of mean, sum"),
        ("loss.stage_weights=[1, -1]", "loss.stage_weights[1]: -1 is out of range"),
    ],
)
def test_wrong_overrides_name_key_value_and_fix(override, message):
    with pytest.raises(RecipeError) as caught:
        load_recipe("aecrnet/its", [override])
    assert message in str(caught.value)


def test_nothing_to_train_is_an_error():
    with pytest.raises(RecipeError, match="nothing to train"):
        load_recipe("aecrnet/its", ["loss.terms.contrastive=null", "loss.terms.l1.weight=0"])


def test_unknown_recipe_names_the_closest():
    with pytest.raises(RecipeError, match="did you mean 'aecrnet/its'"):
        load_recipe("aecrnet/itz")
    with pytest.raises(RecipeError, match=r"nowhere\.yaml does not exist"):
        load_recipe("nowhere.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "cannot be read"), ("- 1", "expected keys and values"), ("optimiser: {lr: 1}", "did you mean 'optim'")],
)
def test_broken_files_are_named(tmp_path, text, message):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message):
        load_recipe(path)


def test_circular_inheritance_is_reported(tmp_path):
    (tmp_path / "a.yaml").write_text("inherit: b.yaml\n")
    (tmp_path / "b.yaml").write_text("inherit: a.yaml\n")
    with pytest.raises(RecipeError, match="circle"):
        load_recipe(tmp_path / "a.yaml")


def test_a_group_that_is_off_can_be_switched_on_by_one_key():
    assert load_recipe("quickstart").data.mixup is None
    mixup = load_recipe("quickstart", ["data.mixup.from_epoch=2"]).data.mixup
    assert (mixup.alpha, mixup.from_epoch) == (0.6, 2)
    assert load_recipe("quickstart", ["data.mixup={alpha: 0.3}"]).data.mixup.alpha == 0.3
    assert load_recipe("quickstart", ["data.mixup={alpha: 0.3}", "data.mixup=null"]).data.mixup is None
    for override, message in (("data.mixup.alpha=0", "above 0"), ("data.mixup.alfa=1", "'data.mixup.alpha'")):
        with pytest.raises(RecipeError, match=message):
            load_recipe("quickstart", [override])


def test_every_key_is_listed_once():
    keys = recipe_keys()
    assert len(keys) == len(set(keys))
    assert {"optim.lr", "loss.terms.contrastive.vgg_weights", "output.root"} <= set(keys)


def test_every_packaged_recipe_names_protocols_that_exist():
    known = {None, *list_protocols()}
    asked = {}
    for name in list_recipes():
        validation = load_recipe(name).validation
        asked[name] = {validation.protocol, validation.test_protocol, *(one.protocol for one in validation.sets)}
    assert {name: sorted(names - known) for name, names in asked.items() if names - known} == {}
