"""Settings and paths that every test shares."""

from __future__ import annotations

import ctypes
import fcntl
import gc
import json
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest

# Before the first operator: the reference convolutions of oneDNN are 40 times slower on AVX-512 machines.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")

# Equal examples in every run, however long one takes on a busy machine.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")

pytest_plugins = ["browser"]  # fixtures `chromium` and `browser`

ROOT = Path(__file__).resolve().parents[1]
_BLANK = {"tasks": ("dehazing",), "value_range": (0.0, 1.0), "parameters": 0, "paper": "", "licence": ""}
SHARED = Path(os.environ.get("MINDRESTORE_SHARED", ROOT.parent / "shared"))


def seed_all() -> None:
    """Start every generator afresh, so that what a test draws depends neither on the run nor on the tests before it."""
    random.seed(0)
    np.random.seed(0)
    if "mindspore" in sys.modules:
        sys.modules["mindspore"].set_seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup() -> None:
    seed_all()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    seed_all()


def resident_bytes() -> int:
    import psutil

    return psutil.Process().memory_info().rss


@pytest.fixture(autouse=True, scope="module")
def bounded_memory():
    """Free the graphs that a file compiled: MindSpore keeps all of them, which were 13 GB by the end of the suite."""
    if "mindspore" in sys.modules:  # tests that build cells by hand run operators as quickly as networks do
        from mindrestore.models.cpu import prepare_cpu

        prepare_cpu()
    before = resident_bytes()
    yield
    if resident_bytes() - before < 100e6:  # freeing takes a second or two, and most files compile nothing
        return
    gc.collect()
    if "mindspore" in sys.modules:
        sys.modules["mindspore"].ms_memory_recycle()
    if sys.platform == "linux":
        getattr(ctypes.CDLL(None), "malloc_trim", int)(0)  # glibc keeps what is freed


@pytest.fixture(scope="session", autouse=True)
def graph_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep graphs that tests make for the whole run and all its processes, and apart from those of the user."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINDRESTORE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real images and weights beside the checkout, or skip."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent: real images and weights are not part of the project")
    return SHARED


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Return the folder of golden files: the one beside the checkout, else the project's own copies."""
    beside = SHARED / "golden"
    return beside if beside.is_dir() else ROOT / "tests" / "golden"


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with 6 training pairs and 2 test pairs of smooth 48x48 images, hazy and clear."""
    import cv2

    from mindrestore.images.write import write_image

    root = tmp_path_factory.mktemp("tiny")
    rng = np.random.default_rng(1)
    for split, count in (("train", 6), ("test", 2)):
        for folder in ("hazy", "clear"):
            (root / split / folder).mkdir(parents=True)
        for i in range(count):
            clear = cv2.resize(rng.random((6, 6, 3), np.float32), (48, 48))
            transmission = cv2.resize(0.3 + 0.4 * rng.random((3, 3), np.float32), (48, 48))[..., None]
            write_image(root / split / "clear" / f"{i}.png", clear)
            write_image(root / split / "hazy" / f"{i}.png", clear * transmission + 0.9 * (1 - transmission))
    return root


@pytest.fixture(scope="session")
def tiny_overrides() -> list[str]:
    """Return overrides that shrink the recipe `quickstart` to three steps of two 32x32 patches.

    The network compiles sooner without its deformable layer, which `tests/inference/test_registered.py` covers.
    """
    small = ["data.patch_size=32", "train.batch_size=2", "model.hyper.deform_layers=0"]
    return [*small, "train.max_steps=3", "train.log_every=1", "data.workers=1"]


@pytest.fixture(scope="session")
def quickstart_run(graph_cache, tiny_data, tiny_overrides) -> Path:
    """Train three steps of `quickstart`, compiled, once for all processes; whoever writes into the folder copies it."""
    from mindrestore.cli.main import main

    folder = graph_cache.parent / "tiny"
    words = ["--recipe", "quickstart", f"data.root={tiny_data}", *tiny_overrides, "train.seed=5", "--device", "CPU"]
    with (graph_cache.parent / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "best.ckpt").exists():
            assert main(["train", *words, "--run-dir", str(folder)]) == 0
    return folder


@pytest.fixture
def uncompiled(monkeypatch) -> None:
    """Let MindSpore's engine run networks operator by operator: compiling takes longer than a test's few images."""
    monkeypatch.setattr("mindrestore.inference.cell_engine.on_cpu", lambda: False)


@pytest.fixture
def weights_folder(tmp_path, monkeypatch) -> Path:
    """Return an empty folder in place of the one whose weights ship."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    monkeypatch.setattr("mindrestore.weights.shipped.FOLDER", folder)
    return folder


@pytest.fixture
def ship(weights_folder):
    """Return a function that puts a small network with random weights and its card into that folder."""
    from mindrestore.models.registry import model_spec
    from mindrestore.weights.convert import save_weights
    from mindrestore.weights.files import sha256_of
    from mindrestore.weights.shipped import Card, write_card
    from small import SMALL, small

    def make(name: str, network: str, variant: str = "free", **facts):
        path = weights_folder / f"{name}.safetensors"
        save_weights(small(network), path)
        facts = {
            "tasks": model_spec(network).tasks,
            "licence": "Apache-2.0",
            "hyper": json.loads(json.dumps(SMALL[network])),
            **facts,
        }
        card = Card(name, network=network, variant=variant, sha256=sha256_of(path), folder=weights_folder, **facts)
        write_card(card)
        return card

    return make


@pytest.fixture(scope="session")
def spec_of():
    """Return a function that makes the spec of a network with sizes in multiples of 4, from 8 on."""

    import dataclasses

    from mindrestore.models.spec import ModelSpec

    def make(**changes):
        required = {
            field.name
            for field in dataclasses.fields(ModelSpec)
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        }
        blank = {name: value for name, value in _BLANK.items() if name in required}
        return ModelSpec(**{**blank, "name": "toy", "size_multiple": 4, "min_size": 8, "tiling": "exact", **changes})

    return make


@pytest.fixture
def heard():
    """Let SIGINT and SIGHUP reach this process, also where the tests run in the background or under nohup."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    former = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)
