"""Every row of docs/published.md: `explain` prints it, our parser takes it, and what is quick runs on tiny data."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from mindrestore.cli.main import build_parser, main, parse
from mindrestore.cli.train import choose_recipe
from mindrestore.errors import MindRestoreError
from mindrestore.images.read import read_image
from mindrestore.images.write import write_image
from mindrestore.published.explain import explain
from mindrestore.published.flags import PublishedError
from mindrestore.published.tables import systems
from mindrestore.recipes.load import load_recipe

PAGE = Path(__file__).resolve().parents[2] / "docs" / "published.md"
ROWS = re.findall(r"^\| `((?:python|bash) [^`]*)` \| `mindrestore ([^`]*)` \|$", PAGE.read_text(encoding="utf-8"), re.M)
OWN = build_parser().commands["explain"].get_default("flags")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Work in an empty folder: what lies there decides which weights are found."""
    monkeypatch.chdir(tmp_path)
    for name in ("CUDA_VISIBLE_DEVICES", "ASCEND_RT_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "")
    return tmp_path


@pytest.mark.parametrize(("published", "ours"), ROWS, ids=[row[0][:70] for row in ROWS])
def test_the_page_says_what_explain_prints_and_the_parser_takes_it(published, ours, capsys):
    assert main(["explain", published]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"mindrestore {ours}"
    words = shlex.split(ours)
    args = parse(build_parser(), words)  # or it raises
    if words[0] == "train":
        recipe = load_recipe(*choose_recipe(args))  # every override is a key of the recipe
        assert recipe.name == words[words.index("--recipe") + 1]


def test_every_program_has_a_row():
    named = {word for published, _ in ROWS for word in published.split() if word.endswith((".py", ".sh"))}
    scripts = {script.path: system.name for system in systems() for script in system.scripts}
    # two spellings of one program: the second is for those who have the older README
    absent = {path for path in scripts if not any(name.endswith(path) for name in named)} - {
        "trainct.py",
        "trainssl.py",
    }
    assert absent == set()


def test_every_flag_has_a_line(capsys):
    assert main(["explain", "python train_ct.py --model scaleupdehazing --dataset NID --exp nid"]) == 0
    lines = [line.split(maxsplit=3)[1:] for line in capsys.readouterr().out.splitlines()[2:]]
    assert lines[1:] == [
        ["--model", "scaleupdehazing", "model.name=crossdehaze"],
        ["--dataset", "NID", "data.dataset=NID"],
        ["--exp", "nid", "(in the words above)"],
    ]


def test_a_flag_nobody_knows_is_named_and_the_rest_is_translated(capsys):
    line = "CUDA_VISIBLE_DEVICES=0 python -u train_ct.py --model dehazeformer-t --exp nid --num_worker 4 optim.lr=2e-4"
    assert main(["explain", line]) == 1
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == (
        "CUDA_VISIBLE_DEVICES=0 mindrestore train --recipe crossdehaze/nid_stage1 'data.mix=[]' "
        "model.name=dehazeformer_t data.root=./data/ output.root=./saved_models/ optim.lr=2e-4"
    )
    assert "#   --model dehazeformer-t  model.name=dehazeformer_t" in rest
    assert "# unknown, left out: --num_worker 4; did you mean '--num_workers'?" in rest


CT = "train --recipe crossdehaze/nid_stage1 'data.mix=[]' model.name=crossdehaze data.root=./data/ "
CT += "output.root=./saved_models/"


@pytest.mark.parametrize(
    ("line", "ours", "notes"),
    [
        ("python3 -u train_ct.py \\\n  --exp nid", CT, []),
        ("python train_ct.py ^\n  --exp nid", CT, []),
        ("nohup python train_ct.py > log.txt 2>&1 &", CT, ["left to your shell: > log.txt 2>&1"]),
        ("python train_ct.py  # the first stage", CT, []),
        (
            "cd code && python train_ct.py",
            CT,
            ["relative paths start at code, where the line goes; run the command there"],
        ),
        (
            "python train_ct.py; python test.py",
            CT,
            ["1 more command(s) in this line; explain them one by one"],
        ),
        ("torchrun --nproc_per_node 4 train_ct.py", f"launch --device GPU --device-num 4 -- {CT}", []),
        (
            "python -m torch.distributed.launch --nproc_per_node=4 --nnodes 2 train_ct.py",
            f"launch --device GPU --device-num 4 -- {CT}",
            ["for several machines add --node-num, --node-rank and --master-addr"],
        ),
        ("mpirun -n 2 python train_ct.py", f"launch --device GPU --device-num 2 --mpi -- {CT}", []),
        (
            "python -m paddle.distributed.launch --gpus '0,1' tools/main.py -c configs/mprnet_deraining.yaml",
            "launch --device GPU --device-num 2 -- train --recipe mprnet/deraining_paddlegan "
            "data.root=data/Synthetic_Rain_Datasets",
            [],
        ),
        (
            "python tools/main.py -c configs/mprnet_denoising.yaml --no-cuda --val-interval 3 -p batch_range=[10,20]",
            "train --recipe mprnet/denoising_paddlegan data.root=data/SIDD --device CPU",
            [
                "--val-interval: the published program does not read it; its configuration's validate.interval "
                "decides, here train.val_every",
                "-p: there is no switch for a profiler here",
            ],
        ),
        (
            "bash scripts/run_distribute_train_ascend.sh 8 ./dataset first",
            "launch --device Ascend --log-dir runs/first/launch --device-num 8 -- train --recipe aecrnet/zoo_its "
            "--device Ascend data.root=./dataset output.name=first",
            [],
        ),
        (
            "bash run_standalone_train_gpu.sh 0 ./dataset first",
            "train --recipe aecrnet/zoo_its data.root=./dataset output.name=first --device 0",
            [],
        ),
        (
            "bash scripts/run_standalone_train_gpu.sh /data first -- train.batch_size=8 --lr 2e-4",
            "train optim.lr=0.0002 --recipe aecrnet/zoo_its --device GPU data.root=/data output.name=first "
            "train.batch_size=8",
            [],
        ),
        (
            "python train_ct.py --gpu 0,1",
            CT.replace("model.name", "--device 0,1 model.name"),
            [
                "this trains on card 0 alone; on all of them: mindrestore launch --device GPU --visible-devices 0,1 -- "
                "train ..., without this --device; train.batch_size counts per card"
            ],
        ),
        ("cd Deraining\npython train.py", "train --recipe mprnet/deraining", None),
        ("python DSRIR/train.py", "train --recipe dsrir/all_in_one", []),
    ],
)
def test_a_line_as_people_paste_it(line, ours, notes):
    found = explain(line, OWN)
    assert found.argv == shlex.split(ours)
    assert notes is None or list(found.notes) == notes


@pytest.mark.parametrize(
    "line",
    ["export CUDA_VISIBLE_DEVICES=0,1; python train_ct.py", "A=1 CUDA_VISIBLE_DEVICES=0 python train.py --exp nid"],
)
def test_the_environment_stands_in_front_of_the_command(line):
    first = explain(line, OWN).text().splitlines()[0]
    assert first.startswith(
        ("CUDA_VISIBLE_DEVICES=0,1 mindrestore train", "A=1 CUDA_VISIBLE_DEVICES=0 mindrestore train")
    )


def test_backslashes_of_windows_stay_in_paths():
    argv = explain(r"python train_ct.py --data_dir C:\sets", OWN).argv
    assert r'data.root="C:\\sets"' in argv


def test_a_name_that_several_programs_have_is_said():
    assert "train.py of dsrir, train.py of crossdehaze" in "".join(explain("python train.py", OWN).notes)


def test_the_betas_of_the_model_zoo():
    found = explain("python train.py --dir_data /data --betas 0.9 0.99", OWN)
    assert "optim.betas=[0.9, 0.99]" in found.argv


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "python tran_ct.py --exp nid",
            r"tran_ct\.py is not a program .*; did you mean 'train_ct\.py'\?",
        ),
        ("--exp nid", "names no program"),
        ('python train.py "--lr', "cannot be read as a command line"),
        ("python tools/main.py -c configs/mprnet_deraining.yaml -o", "-o needs KEY=VALUE, such as total_iters=1000"),
        (
            "python tools/main.py -c configs/mprnet_deraining.yaml -o total_iters=1.5",
            "^-o total_iters=1.5: use a whole number$",
        ),
        (
            "python tools/main.py -c configs/mprnet_deraining.yaml -o optimizer.name=SGD",
            "^-o optimizer.name=SGD: use one of Adam, AdamW$",
        ),
        ("mindrestore fly --high", "mindrestore fly: there is no such command"),
    ],
)
def test_what_cannot_be_explained(line, message):
    with pytest.raises(PublishedError, match=message):
        explain(line, OWN)


PADDLEGAN = "python -u tools/main.py -c configs/mprnet_deraining.yaml"
OPTIONS = [
    ("total_iters=10", "train.max_steps=10"),
    ("output_dir=out", "output.root=out"),
    ("model.generator.n_feat=16", "model.hyper.n_feat=16"),
    ("model.generator.scale_unetfeats=8", "model.hyper.scale_unetfeats=8"),
    ("model.generator.scale_orsnetfeats=8", "model.hyper.scale_orsnetfeats=8"),
    ("dataset.train.rgb_dir=rain/train", "data.root=rain/train"),
    ("dataset.train.num_workers=2", "data.workers=2"),
    ("dataset.train.batch_size=2", "train.batch_size=2"),
    ("dataset.train.img_options.patch_size=64", "data.patch_size=64"),
    ("dataset.test.rgb_dir=rain/test", "data.val_root=rain/test"),
    ("dataset.test.img_options.patch_size=128", "data.val_crop=128"),
    ("lr_scheduler.learning_rate=1e-3", "optim.lr=0.001"),
    ("lr_scheduler.periods=[1,2,3,4]", "schedule.periods=[1, 2, 3, 4]"),
    ("lr_scheduler.restart_weights=(1,0.5,1,0.5)", "schedule.restart_weights=[1.0, 0.5, 1.0, 0.5]"),
    ("lr_scheduler.eta_min=1e-7", "schedule.min_lr=1e-07"),
    ("validate.interval=7", "train.val_every=7"),
    ("optimizer.name=AdamW", "optim.name=adamw"),
    ("optimizer.epsilon=1e-6", "optim.eps=1e-06"),
    ("log_config.interval=3", "train.log_every=3"),
    ("snapshot_config.interval=9", "train.checkpoint_every=9"),
]


def test_options_of_paddlegan_become_keys_of_the_recipe():
    found = explain(f"{PADDLEGAN} -o {shlex.join(theirs for theirs, _ in OPTIONS)} --seed 3", OWN)
    ours = [word for _, word in OPTIONS]
    assert found.argv == ["train", "--recipe", "mprnet/deraining_paddlegan", *ours, "train.seed=3"]
    assert (found.notes, found.unknown) == ([], [])
    assert load_recipe(*choose_recipe(parse(build_parser(), found.argv))).schedule.periods == (1, 2, 3, 4)
    table = {name for system in systems() for name, flag in system.flags.items() if " " in name and not flag.inert}
    assert table == {f"-o {theirs.partition('=')[0]}=" for theirs, _ in OPTIONS}


def test_options_of_paddlegan_without_a_counterpart_are_named():
    inert = [name for system in systems() for name, flag in system.flags.items() if " " in name and flag.inert]
    found = explain(f"{PADDLEGAN} -o {' '.join(f'{name.split()[1]}1' for name in inert)}", OWN)
    assert [note.partition(":")[0].partition(" changes")[0] for note in found.notes] == [name[:-1] for name in inert]
    assert "-o optimizer.beta1: write both as optim.betas=[BETA1, BETA2]" in found.notes
    assert found.argv == ["train", "--recipe", "mprnet/deraining_paddlegan", "data.root=data/Synthetic_Rain_Datasets"]
    assert not [row for row in found.became if row[0].startswith("-o")]


def test_options_of_paddlegan_in_an_evaluation_and_unknown_ones(capsys):
    assert main(["explain", f"{PADDLEGAN} --evaluate-only --opt dataset.test.rgb_dir=/d total_iter=5 a.b=c"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "mindrestore eval --recipe mprnet/deraining_paddlegan --data /d"
    assert lines[-2:] == [
        "# unknown, left out: --opt total_iter=5; did you mean 'total_iters='?",
        "# unknown, left out: --opt a.b=c",
    ]
    with pytest.raises(
        PublishedError, match=r"^-o a\.b=c: no such key is known; use key=value of the recipe, without -o$"
    ):
        parse(build_parser(), ["train", "-c", "mprnet_deraining.yaml", "-o", "a.b=c"])


def run(line):
    """Run what a published line is here."""
    assert main(explain(line, OWN).argv) == 0


def image(path, side=24):
    rng = np.random.default_rng(len(str(path)))
    write_image(Path(path), rng.integers(0, 256, (side, side, 3), np.uint8))


def test_ct_brings_hazy_images_to_the_other_tone(elsewhere):
    image("data/RSID/train/hazy/1.png")
    run("python ct.py")
    levels = read_image("data/RSID/train/hazy/1.png")
    table = np.stack([(np.arange(256) / 255) ** (1 / gamma) * 255 for gamma in (1.90, 1.91, 1.91)], 1).astype(np.uint8)
    expected = np.stack([table[levels[..., channel], channel] for channel in range(3)], -1)
    np.testing.assert_array_equal(read_image("data/RSID_as_NID/train/hazy/1.png"), expected)


def test_the_lists_of_dsrir_are_made_and_then_found(elsewhere, capsys):
    for name in ("BSD400/a.jpg", "WED/gt/b.bmp", "Rain100L/train/gt/norain-1.png", "Rain100L/train/rainy/rain-1.png"):
        image(name)
    for name in ("Reside/train/gt/0025.jpg", "Reside/train/hazy/0025_0.8_0.1.jpg"):
        image(name)
    Path("datasets/train").mkdir(parents=True)
    words = explain("python utils/generate_dataset.py", OWN).argv
    assert main(["." if word == "DATA_ROOT" else word for word in words]) == 0
    rows = Path("datasets/train/train_all_in_one.csv").read_text().splitlines()
    assert len(rows) == 2 + 25 + 1  # noise, rain 25 times, haze
    recipe = load_recipe(*choose_recipe(parse(build_parser(), ["train", "--mode", "all_in_one", "--train-dir", "."])))
    assert recipe.data.train_list == "datasets/train/train_all_in_one.csv"


def test_epochs_crops_and_noise_of_dsrir(elsewhere, capsys):
    run("python utils/get_epoch_chg.py")
    assert "--epoch-chg 135 238 314 347" in capsys.readouterr().out
    image("FOLDER/a.png", side=27)
    run("python utils/crop2even.py")
    assert read_image("OUT/a.png").shape == (24, 24, 3)


def test_files_are_found_where_the_programs_keep_them(elsewhere):
    def argv(line):
        return explain(line, OWN).argv

    Path("vgg19_ImageNet.ckpt").touch()
    vgg = "loss.terms.contrastive.vgg_weights=vgg19_ImageNet.ckpt"
    assert vgg in argv("python train.py --dir_data /data --lr 1e-4")
    assert vgg in argv("mindrestore train --recipe aecrnet/zoo_its --dir_data /data")  # as the launchers have it
    assert vgg not in argv("mindrestore train --recipe quickstart --dir_data /data")
    Path("vgg19-dcbb9e9d.pth").touch()
    assert "loss.terms.pocl.vgg_weights=vgg19-dcbb9e9d.pth" in argv("python train.py --mode rain --train-dir /d")
    Path("vgg16-397923af.pth").touch()
    assert "model.encoder_weights=vgg16-397923af.pth" in argv("python main.py --data_path /d --data_name NTIRE21")
    weights = Path("save_models/nid/scaleupdehazing.pth")
    weights.parent.mkdir(parents=True)
    weights.touch()
    assert str(weights) in argv("python test.py --model scaleupdehazing --dataset NID --exp nid")
    with pytest.raises(PublishedError, match=r"no weights at saved_models/rsid/scaleupdehazing\.pth, and no"):
        parse(build_parser(), ["eval", "--exp", "rsid"])


def test_a_card_is_chosen_by_its_number(elsewhere, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    args = parse(build_parser(), ["eval", "--model", "dsrir", "--weights", "w", "--device", "1"])
    assert (args.device, os.environ["CUDA_VISIBLE_DEVICES"]) == ("auto", "6")
    monkeypatch.setenv("ASCEND_RT_VISIBLE_DEVICES", "")
    with pytest.raises(MindRestoreError, match=r"--device 3: 1 GPU card\(s\) are visible here; count from 0"):
        parse(build_parser(), ["eval", "--model", "dsrir", "--weights", "w", "--device", "3"])
