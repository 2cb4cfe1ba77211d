"""Commands of the pages in `docs/` that no README has: each runs here, or a line says where else, or why not."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from playground import ROOT, image, write_images, write_weights
from test_commands import PAGES, README, Example, commands_of, found, run_ours, text_of

from mindrestore.weights.convert import save_weights
from small import SMALL, small

HERE = [
    line for line in dict.fromkeys(line for page in PAGES for line in commands_of(text_of(page))) if line not in README
]
AGAIN = ("--overwrite", "--no-report")
EXPORT = ("export runs/mine --format onnx",)
RUN = {
    r"mindrestore recipes (dsrir/all_in_one|mprnet/deraining)": Example(prints="patch_size"),
    r"restore photo.jpg --task dehaze$": Example("--overwrite", writes=("restored/photo.jpg",)),
    r"restore photo.jpg --task dehaze --full-size": Example(*AGAIN, writes=("restored/photo.jpg",)),
    r"restore photos --task derain,denoise --out clean": Example(*AGAIN, writes=("clean/a.png",)),
    r"restore photos/ --weights runs/mine/model.onnx": Example(*AGAIN, before=EXPORT, writes=("clean/a.png",)),
    r"restore photos/ (--task (dehaze|derain,denoise) )?--weights": Example(*AGAIN, writes=("clean/a.png",)),
    r"restore photos --task derain --weights": Example("--overwrite", writes=("clean/report/index.html",)),
    r"restore photos --model mprnet_deraining --weights model_deraining.pth": Example(*AGAIN, writes=("clean/b.png",)),
    r"restore photos --weights runs/(dsrir_all_in_one|mprnet_deraining) --out clean": Example(
        *AGAIN, writes=("clean/a.png",)
    ),
    r"restore photos --weights runs/dsrir_all_in_one .*--stages": Example("--overwrite", writes=("stages/a",)),
    r"restore drive.mp4": Example(*AGAIN, writes=("clean/drive.mp4",)),
    r"mindrestore eval runs/mine$": Example(writes=("runs/mine/report/sheet.jpg",)),
    r"eval --model dehazeformer_t --weights dehaze_free --data pairs --working-size": Example(
        prints="protocol dehazeformer+working-size"
    ),
    r"eval.py runs/dsrir_all_in_one --mode all_in_one": Example("--max-images", "1", prints="BSD68-50"),
    r"eval.py --model mprnet_deraining --weights rain.ckpt": Example(prints="Rain100H"),
    r"compare runs/mine runs/other --out": Example(
        before=("eval runs/mine", "eval runs/other"), writes=("comparison/index.html",)
    ),
    r"mindrestore weights list": Example(prints="dehaze_free"),
    r"haze_data.py epoch-chg": Example(prints="epoch_chg"),
    r"haze_data.py transfer": Example(writes=("RSID_as_NID/train/hazy/a.png",)),
    r"data duplicates": Example(writes=("duplicates.json",)),
    r"export.py runs/mine --uint8": Example(writes=("photos.onnx",)),
    r"export.py --model aecrnet --weights x.ckpt --out tile.mindir": Example(
        "--size", "32x32", writes=("tile.mindir",)
    ),
    r"export.py runs/mine --size 512x512": Example("--size", "32x32", writes=("runs/mine/model.mindir",)),
    r"export.py runs/mine --out tile.mindir": Example("--size", "32x32", writes=("tile.mindir",)),
    r"export.py runs/mine --key-file": Example(writes=("runs/mine/model.mindir",)),
    r"export --model dehazeformer_t --weights dehaze_free": Example(writes=("haze.onnx",)),
    r"restore photos/ .*model.mindir --key-file": Example(
        *AGAIN, before=("export runs/mine --key-file model.key",), writes=("clean/a.png",)
    ),
}
# Pattern -> the test file that runs such a command, or why none does
ELSEWHERE = {
    r"weights get (aecrnet-nh-haze|dsrir-rain) --from": "weights/test_hub.py",
    r"mindrestore weights pack": "weights/test_shipped.py",
    r"restore \*.jpg photos/ --task dehaze": "cli/test_restore_inputs.py",  # a shell hands over the names
    r"mindrestore convert": "cli/test_convert_command.py",
    r"mindrestore copy": "cloud/test_copying.py",
    r"run_distribute_train|mindrestore launch": "scripts/test_launchers.py",
    r"rebuild_graphs.py": "exporting/test_graphs.py",
    r"lite_restore.py": "deploy/test_lite_restore.py",
    r"verify_card.sh": "scripts/test_verify_card.py",
    r"python -m mindrestore.launch.cuda": "launch/test_cuda_wheels.py",
    r"mindrestore serve --weights": "cli/test_serve_command.py",
    r"curl -F": "serve/test_service.py",
    r"release_data.py": "scripts/test_release_data.py",
    r"benchmarks/quality.py": "scripts/test_quality.py",
    r"(denoise|derain|transfer|research)_real.sh": "scripts/test_denoise_real.py",
    r"conv_rate.py": "scripts/test_conv_rate.py",
    r"train.py --(model|config-json) ": "published/test_crossdehaze_programs.py",
    r"eval.py (--model dehazeformer-b --dataset|--mode noise)": "published/test_programs.py",
    r"train.py|eval.py|export.py runs/mpilnet": "docs/test_commands.py",
    r"restore photos --weights runs/(crossdehaze|mpilnet)": "docs/test_commands.py",
}
NOT_RUN = {
    r"weights get vgg": "downloads half a gigabyte",
    r"pip install": "the release script installs every extra",
    r"openssl|converter_lite": "programs of others",
    r"benchmarks/(speed|versions|photo|memory|export_table|tiling|model_zoo_times).py": "measures for minutes",
    r"benchmarks/(working_size|wide_streaks|window_grid|curves).py": "measures what is not here: photos, long runs",
    r"cross_real.sh": "trains for hours",
    r"noise2/bsds": "lists photographs of BSDS500, which are not here",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    write_images(folder)
    write_weights(folder)
    for name in ("photo.jpg", "RSID/train/hazy/a.png", "train/clear/a.png", "NH-HAZE/test/clear/c.png"):
        image(folder / name)
    for name in ("SOTS/indoor/clear/b.png", "pairs/hazy/1.png", "pairs/clear/1.png"):
        image(folder / name)
    shutil.copytree(folder / "data" / "Synthetic_Rain_Datasets", folder / "Synthetic_Rain_Datasets")
    for name, source in (("haze", "runs/mine"), ("rain", "runs/mprnet_deraining"), ("best", "runs/dsrir_all_in_one")):
        shutil.copy(folder / source / "best.ckpt", folder / f"{name}.ckpt")
    write_small_denoiser(folder / "noise.ckpt")
    write_video(folder / "drive.mp4")
    (folder / "model.key").write_text("0123456789abcdef" * 2)
    return folder


def write_small_denoiser(path: Path) -> None:
    """Write weights with the record that `convert` puts beside them, which names the network."""
    save_weights(small("dsrir"), path)
    record = {"network": "dsrir", "differing": SMALL["dsrir"]}
    path.with_name(f"{path.name}.json").write_text(json.dumps(record))


def write_video(path: Path) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (48, 32))
    for value in (60, 90):
        writer.write(np.full((32, 48, 3), value, np.uint8))
    writer.release()


def test_every_command_runs_somewhere_or_says_why_not():
    assert [line for line in HERE if not any(found(line, table) for table in (RUN, ELSEWHERE, NOT_RUN))] == []
    for table in (RUN, ELSEWHERE, NOT_RUN):
        assert [pattern for pattern in table if not any(re.search(pattern, line) for line in HERE)] == []
    assert [file for file in ELSEWHERE.values() if not (ROOT / "tests" / file).is_file()] == []


@pytest.mark.slow
@pytest.mark.parametrize("command", [line for line in HERE if found(line, RUN)])
def test_a_command_of_a_page(folder, command, monkeypatch, capsys):
    run_ours(folder, command, found(command, RUN), monkeypatch, capsys)
