"""The published MindSpore command line keeps working, through a table."""

from __future__ import annotations

import shlex

import pytest

from mindrestore.cli.main import build_parser, parse
from mindrestore.cli.train import choose_recipe
from mindrestore.published.flags import PublishedError
from mindrestore.published.tables import systems
from mindrestore.published.translate import published_flags, translate
from mindrestore.recipes.load import load_recipe
from mindrestore.recipes.schema import RecipeError

PUBLISHED = shlex.split("""
    --rgb_range --patch_size --batch_size --epochs --dir_data --data_test --filename --ckpt_path --ckpt_save_path --lr
    --loss_scale --contra_lambda --neg_num --modelArts_mode --data_url --train_url --device_target --data_train
    --n_colors --betas --epsilon --weight_decay --no_augment --seed --vgg_ckpt_path
    --vgg_ckpt --ext --test_every --decay --init_loss_scale
    --ckpt_save_interval --ckpt_save_max
""")
DSRIR = shlex.split("""
    --mode --session --train-dir --save-dir --epochs --patch-size --batch-size --epoch-chg --learning-rate --min-lr
    --val-epochs --denoise_path --derain_path --dehaze_path
""")
DEHAZEFORMER = shlex.split("""
    --model --dataset --exp --data_dir --save_dir --result_dir --log_dir --num_workers --no_autocast --gpu
""")

MPILNET = shlex.split("""
    --data_path --data_name --cropSize --batch_size --nEpochs --model_path -learning_rate -name -root
""")


CLOUD = ("--modelarts_mode", "--modelArts_mode", "--data_url", "--train_url")


@pytest.fixture(autouse=True)
def no_chosen_cards(monkeypatch):
    """Card numbers on a command line go to the environment; no test leaves them there."""
    for name in ("CUDA_VISIBLE_DEVICES", "ASCEND_RT_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "")  # so that the environment is as before when the test ends
        monkeypatch.delenv(name)


def train_recipe(*words):
    """Return the recipe that `train.py WORDS` would run."""
    return load_recipe(*choose_recipe(parse(build_parser(), ["train", *words])))


def test_every_published_flag_is_in_the_table():
    assert {*PUBLISHED, "--modelarts_mode"} == set(systems()[0].flags)


def test_the_published_readme_command_gives_its_settings():
    command = """
        --dir_data /data --data_test Dense --filename first --ckpt_save_path out --device_target CPU --rgb_range 255
        --patch_size 128 --batch_size 8 --epochs 30 --lr 2e-4 --loss_scale 512 --contra_lambda 20 --neg_num 5
        --ckpt_path start.ckpt --modelArts_mode False
    """
    recipe = train_recipe(*shlex.split(command))
    assert recipe.name == "aecrnet/zoo_its"
    assert (recipe.data.root, recipe.data.val_dataset, recipe.data.patch_size) == ("/data", "dense_haze", 128)
    assert (recipe.output.root, recipe.output.name, recipe.model.weights) == ("out", "first", "start.ckpt")
    assert (recipe.train.batch_size, recipe.train.epochs, recipe.train.max_steps) == (8, 30, None)
    assert (recipe.optim.lr, recipe.loss_scale.kind, recipe.loss_scale.value) == (2e-4, "fixed", 512)
    contrastive = recipe.loss.terms["contrastive"]
    assert contrastive.weight == pytest.approx(20 / 255)
    assert (contrastive.negatives, contrastive.form) == (5, "batch_sum")
    assert recipe.train.device == "CPU"


def test_the_published_command_of_dsrir_gives_its_settings():
    command = """
        --device 0,1 --mode noise --session mine --batch-size 4 3 2 --patch-size 32 48 64 --epoch-chg 5 8 9 --epochs 9
        --learning-rate 1e-4 --min-lr 2e-6 --val-epochs 3 --train-dir /data --save-dir out
    """
    recipe = train_recipe(*shlex.split(command))
    assert (recipe.name, recipe.data.train_list, recipe.data.root) == ("dsrir/noise", "train_noise.csv", "/data")
    assert recipe.train.progressive.stages == [(5, 32, 4), (8, 48, 3), (9, 64, 2)]
    assert (recipe.train.epochs, recipe.optim.lr, recipe.schedule.min_lr) == (9, 1e-4, 2e-6)
    assert (recipe.train.val_every, recipe.train.val_unit) == (3, "epoch")
    assert (recipe.output.root, recipe.output.name, recipe.train.device) == ("out", "mine", "auto")
    assert train_recipe("--train-dir", "/data").name == "dsrir/all_in_one"
    assert train_recipe("--mode", "rain").name == "dsrir/rain"
    with pytest.raises(PublishedError, match="--mode snow: use one of all_in_one, noise, rain, haze"):
        train_recipe("--mode", "snow")
    with pytest.raises(PublishedError, match="--batch-size many: use a whole number"):
        train_recipe("--mode", "rain", "--batch-size", "16", "many")
    with pytest.raises(RecipeError, match=r"epoch_chg \[5, 8\], patch_sizes \[128, 160, 192, 256\]"):
        train_recipe("--mode", "rain", "--epoch-chg", "5", "8")


def test_the_published_command_of_mpilnet_gives_its_settings(capsys):
    command = """
        --data_path /data/NH --data_name NTIRE20 --cropSize 128 --batch_size 4 --nEpochs 100 --model_path best_models
        -learning_rate 2e-4
    """
    recipe = train_recipe(*shlex.split(command))
    assert (recipe.name, recipe.model.name, recipe.data.root) == ("mpilnet/nh_haze", "mpilnet", "/data/NH")
    assert (recipe.data.patch_size, recipe.train.batch_size, recipe.train.epochs) == (128, 4, 100)
    assert (recipe.output.root, recipe.optim.lr) == ("best_models", 2e-4)
    assert recipe.schedule.milestone_shares == (0.5, 0.7, 0.8)  # of 100 epochs now
    name = recipe.output.best_name.format(epoch=7, psnr=20.12346)
    assert name == "NH-HAZE_epoch_7_PSNR_20.1235.ckpt"
    assert "note: -learning_rate: the published program reads this rate and trains with 1e-4" in capsys.readouterr().err
    own = set(next(system for system in systems() if system.name == "mpilnet").flags)
    assert own == {*MPILNET, *CLOUD}


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("RESIDE-6K", "reside6k"),
        ("HazeCityscapes", "hazecityscapes"),
        ("NTIRE19", "dense_haze"),
        ("NH-HAZE", "nh_haze"),
        ("NTIRE21", "ntire21"),
    ],
)
def test_both_spellings_of_mpilnet_name_the_data_set(name, recipe, capsys):
    readme = train_recipe("-name", name, "-root", "/data")
    script = train_recipe("--data_name", name, "--data_path", "/data")
    assert readme == script
    assert (readme.name, readme.data.root) == (f"mpilnet/{recipe}", "/data")
    assert capsys.readouterr().err == ""
    assert train_recipe("--data_path", "/data").name == "mpilnet/reside6k"  # the published default


def test_two_spellings_that_disagree_and_unknown_data_sets_are_refused():
    with pytest.raises(PublishedError, match="-name NTIRE21: --data_name says RESIDE-6K; use one of the two"):
        train_recipe("--data_name", "RESIDE-6K", "-name", "NTIRE21")
    assert train_recipe("--data_name", "NTIRE21", "-name", "NTIRE21").name == "mpilnet/ntire21"
    with pytest.raises(PublishedError, match="--data_name SOTS: use one of RESIDE-6K, HazeCityscapes, Dense-Haze"):
        train_recipe("--data_name", "SOTS")


def test_contra_lambda_is_read_in_the_unit_of_rgb_range():
    assert train_recipe("--contra_lambda", "51").loss.terms["contrastive"].weight == pytest.approx(0.2)
    one = train_recipe("--contra_lambda", "0.5", "--rgb_range", "1")
    assert one.loss.terms["contrastive"].weight == pytest.approx(0.5)


def test_published_flags_work_beside_another_recipe_and_lose_to_overrides():
    recipe = train_recipe("--recipe", "quickstart", "--batch_size", "2", "--epochs", "3", "train.batch_size=6")
    assert (recipe.name, recipe.train.batch_size, recipe.train.epochs, recipe.train.max_steps) == (
        "quickstart",
        6,
        3,
        None,
    )


def test_a_numeric_name_stays_text():
    assert train_recipe("--filename", "2021").output.name == "2021"


def test_an_empty_value_means_none_as_in_the_published_program():
    assert train_recipe("--ckpt_path", "", "--lr", "1e-4").model.weights is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rgb_range", "100"], "--rgb_range 100: use one of 1, 255"),
        (["--batch_size", "many"], "--batch_size many: use a whole number"),
        (["--dir_data", "obs://bucket/data"], "this needs a path on this machine; get it with `mindrestore copy"),
    ],
)
def test_values_that_cannot_be_used_are_named(words, message):
    with pytest.raises(PublishedError, match=message):
        train_recipe(*words)


@pytest.mark.parametrize("on", [["--modelArts_mode"], ["--modelArts_mode", "True"]])
def test_modelarts_with_local_paths_copies_nothing(on):
    recipe = train_recipe(*on, "--data_url", "/inputs/data", "--train_url", "/outputs/result")
    assert (recipe.data.root, recipe.output.root) == ("/inputs/data", "/outputs/result")


def test_eval_takes_the_published_flags_and_names_those_that_change_nothing(capsys):
    words = shlex.split("eval --dir_data /data --data_test NHHaze --ckpt_path x.ckpt --lr 1e-4 --device_target CPU")
    args = parse(build_parser(), words)
    assert (args.recipe, str(args.weights), str(args.data), args.dataset) == (
        "aecrnet/zoo_its",
        "x.ckpt",
        "/data",
        "nh_haze",
    )
    assert args.device == "CPU"
    assert "note: --lr changes nothing in `mindrestore eval`" in capsys.readouterr().err


def test_flags_of_two_programs_do_not_mix():
    with pytest.raises(PublishedError, match="--cropSize, --neg_num belong to different published programs"):
        train_recipe("--neg_num", "4", "--cropSize", "128")


def test_every_command_takes_its_own_programs_only():
    paddle = {"-c", "--config-file", "--load", "--evaluate-only", "--resume", "--amp", "-o", "--opt"}
    paddle |= {"--no-cuda", "--val-interval", "-p", "--profiler_options"}
    measured = {*PUBLISHED, *DSRIR, *DEHAZEFORMER, *MPILNET, *CLOUD, *paddle, "--config-json"}
    assert published_flags("eval") == published_flags("train") == measured
    demo = {"--input_dir", "--result_dir", "--dataset", "--gpus"}
    paddlegan = {"--input_image", "--output_path", "--weight_path", "--cpu", "--task"}
    assert published_flags("restore") == demo | paddlegan


def test_a_default_has_no_say_over_a_flag_that_sets_the_same_key():
    words = ["train", "--exp", "nid", "--modelarts_mode", "--data_url", "/d", "--train_url", "/o"]
    set_here = [word for word in translate(words, {}).argv if word.startswith(("data.root", "output.root"))]
    assert set_here == ["data.root=/d", "output.root=/o"]
