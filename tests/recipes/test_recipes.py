"""Recipes: official values, inheritance, overrides, and a clear error for every way to get one wrong."""

from __future__ import annotations

import pytest

from mindrestore.recipes.load import list_recipes, load_recipe, recipe_keys, recipe_to_yaml, to_dict
from mindrestore.recipes.schema import Recipe, RecipeError, build


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
    assert recipe.loss.terms["l1"] == {"weight": 1.0}
    contrastive = recipe.loss.terms["contrastive"]
    assert (contrastive["weight"], contrastive["vgg"], contrastive["form"]) == (0.1, "vgg19", "own")
    assert contrastive["vgg_weights"] is None
    assert (recipe.optim.lr, recipe.optim.betas, recipe.optim.eps) == (1e-4, (0.9, 0.999), 1e-8)
    assert (recipe.train.max_steps, recipe.train.epochs, recipe.train.seed) == (500_000, None, 666)
    assert (recipe.train.batch_size, recipe.data.patch_size, recipe.data.augment) == (16, 240, ("hflip", "rot90"))
    assert (recipe.schedule.name, recipe.schedule.unit, recipe.validation.protocol) == ("cosine", "step", "aecr")
    assert (recipe.train.val_every, recipe.train.val_unit) == (5000, "step")


def test_zoo_settings_in_unit_range():
    recipe = load_recipe("aecrnet/zoo_its")
    contrastive = recipe.loss.terms["contrastive"]
    assert contrastive["weight"] == pytest.approx(20 / 255, rel=1e-15)
    assert (contrastive["negatives"], contrastive["form"]) == (4, "batch_sum")
    assert (recipe.train.epochs, recipe.train.max_steps, recipe.train.batch_size) == (300, None, 16)
    assert (recipe.loss_scale.kind, recipe.loss_scale.value) == ("fixed", 1024.0)
    assert (recipe.optim.lr, recipe.schedule.unit, recipe.data.patch_size) == (1e-4, "epoch", 240)
    assert recipe.data.augment == ("hflip", "vflip", "transpose")


def test_overrides_take_yaml_values():
    recipe = load_recipe(
        "aecrnet/its",
        ["data.patch_size=64", "loss.terms.l1.weight=2", "optim.lr=2e-4", "data.augment=[hflip]", "model.hyper.ngf=32"],
    )
    assert recipe.data.patch_size == 64
    assert recipe.loss.terms["l1"]["weight"] == 2.0
    assert recipe.optim.lr == 2e-4
    assert recipe.data.augment == ("hflip",)
    assert recipe.model.hyper == {"ngf": 32}


def test_contrastive_term_can_be_switched_off():
    assert load_recipe("aecrnet/its", ["loss.terms.contrastive.weight=0"]).loss.terms["contrastive"]["weight"] == 0.0
    assert load_recipe("aecrnet/its", ["loss.terms.contrastive=null"]).loss.terms["contrastive"]["weight"] == 0.0


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
        ("data.patch_size=big", "data.patch_size: 'big' is str, expected int"),
        ("data.patch_size=1.5", "data.patch_size: 1.5 is float, expected int"),
        ("train.tensorboard=1", "train.tensorboard: 1 is int, expected bool"),
        ("data.patch_size=0", "data.patch_size: 0 is too small, the least is 1"),
        ("optim.lr=0", "optim.lr: 0.0 must be greater than 0"),
        ("optim.lr=.nan", "optim.lr: nan must be greater than 0"),
        ("optim.name=sgd", "optim.name: 'sgd' is not one of adam, adamw"),
        ("data.augment=[hflp]", "data.augment: 'hflp' is not one of hflip"),
        ("data.augment=hflip", "expected a list of str"),
        ("optim.betas=[0.9]", "must hold two numbers"),
        ("ema.decay=1", "ema.decay: 1.0 must be less than 1"),
        ("optim=3", "optim: 3 is not a mapping"),
        ("data.patch_size", "not of the form key=value"),
        ("data.patch_size=[1", "not valid YAML"),
        ("schedule.name=step", "milestones is empty"),
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
    for override, message in (("data.mixup.alpha=0", "greater than 0"), ("data.mixup.alfa=1", "'data.mixup.alpha'")):
        with pytest.raises(RecipeError, match=message):
            load_recipe("quickstart", [override])


def test_every_key_is_listed_once():
    keys = recipe_keys()
    assert len(keys) == len(set(keys))
    assert {"optim.lr", "loss.terms.contrastive.vgg_weights", "output.root"} <= set(keys)
