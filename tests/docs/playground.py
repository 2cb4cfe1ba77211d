"""A folder in which the commands of the documentation run as they stand: tiny images and untrained weights under every
name that they use."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from mindrestore.images.write import write_image

ROOT = Path(__file__).resolve().parents[2]
RAIN_SETS = ("Test100", "Rain100H", "Rain100L", "Test2800", "Test1200")
# Weight file or run folder -> network; files of PyTorch are written as such
WEIGHTS = {
    "x.ckpt": "aecrnet",
    "model_deraining.pth": "mprnet_deraining",
    "runs/mine": "aecrnet",
    "runs/other": "aecrnet",
    "runs/first": "aecrnet",
    "runs/mprnet_deraining": "mprnet_deraining",
    "runs/dsrir_all_in_one": "dsrir",
}


def image(path, side=48):
    """Write an image that depends on nothing but its name."""
    rng = np.random.default_rng(sum(str(path).encode()))
    write_image(path, rng.integers(0, 256, (side, side, 3), np.uint8))


def write_images(root):
    """Write photographs and data sets; the sample photograph is a smaller one."""
    (root / "samples").mkdir()
    Image.open(ROOT / "samples" / "mountains.jpg").reduce(8).save(root / "samples" / "mountains.jpg")
    pairs = [f"my_data/{split}/{{}}/{number}.png" for split in ("train", "test") for number in (1, 2)]
    pairs += [f"data/Synthetic_Rain_Datasets/test/{name}/{{}}/1.png" for name in RAIN_SETS]
    pairs += ["data/Synthetic_Rain_Datasets/train/{}/1.png"]
    pairs = [pair.format(kind) for pair in pairs for kind in ("input", "target")]
    pairs += [f"data/Dense-Haze/{kind}/{number}_{kind}.png" for number in range(46, 56) for kind in ("hazy", "GT")]
    pairs += [f"data/Dense/{kind}/51_{kind}.png" for kind in ("hazy", "GT")]
    pairs += [f"data/NH-HAZE/{number:02d}_{kind}.png" for number in range(41, 56) for kind in ("hazy", "GT")]
    for place in ("data/RESIDE/ITS", "data/ITS"):
        pairs += [f"{place}/train/hazy/1_1_0.9.png", f"{place}/train/clear/1.png"]
    pairs += [f"data/RESIDE/SOTS/indoor/{name}" for name in ("hazy/1400_1.png", "clear/1400.png")]
    lists = ["BSD400/a.png", "WED/gt/b.png", "Rain100L/train/gt/norain-1.png", "Rain100L/train/rainy/rain-1.png"]
    lists += ["Reside/train/gt/0025.png", "Reside/train/hazy/0025_0.8_0.1.png", "BSD68/c.png"]
    tests = ["Rain100L/test/gt/norain-1.png", "Rain100L/test/rainy/rain-1.png"]
    tests += [f"SOTS/outdoor/{name}" for name in ("hazy/0001_0.8_0.2.png", "clear/0001.png")]
    tests += [f"RESIDE_beta/{name}" for name in tests[2:]] + ["BSD68/c.png"]
    for name in ("photos/a.png", "photos/b.png", *pairs, *(f"data/{name}" for name in (*lists, *tests)), *tests):
        image(root / name)


def write_published(root):
    """Write what published programs look for: settings of a network, and a name of weights."""
    for name, content in (
        ("configs/nid/scaleupdehazing.json", '{"lr": 1e-4}'),
        ("saved_models/indoor/dehazeformer-b.pth", ""),
    ):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(content)


def write_weights(root):
    """Write untrained weights, and run folders that hold them."""
    import mindspore as ms

    from mindrestore.models.registry import create_model
    from mindrestore.weights.convert import save_weights
    from mindrestore.weights.torch_writer import write_torch_file

    made = {}
    for name, network in WEIGHTS.items():
        ms.set_seed(0)
        net = made.setdefault(network, create_model(network))
        if name.endswith(".pth"):
            write_torch_file(root / name, {key: p.asnumpy() for key, p in net.parameters_and_names()})
        elif name.endswith(".ckpt"):
            save_weights(net, root / name)
        else:
            (root / name).mkdir(parents=True)
            save_weights(net, root / name / "best.ckpt")
            recipe = {"name": Path(name).name, "model": {"name": network}, "data": {"root": str(root / "my_data")}}
            recipe["train"] = {"max_steps": 1}
            (root / name / "recipe.yaml").write_text(json.dumps(recipe))


def write_vgg(root):
    """Write untrained files of VGG, that of the encoder narrow."""
    from mindrestore.models.specs.vgg import last_tap
    from mindrestore.models.vgg import VGGFeatures

    for layout, width in (("vgg19", 64), ("vgg16", 8)):
        net = VGGFeatures(layout, (last_tap(layout),), width=width)
        np.savez(root / f"{layout}.npz", **{name: p.asnumpy() for name, p in net.parameters_and_names()})
