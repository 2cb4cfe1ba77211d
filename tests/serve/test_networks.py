"""Which networks are on offer, and the process that holds them."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mindrestore.errors import MindRestoreError
from mindrestore.images.photos import read_photo
from mindrestore.inference.trained import Trained
from mindrestore.models.registry import list_models, model_spec
from mindrestore.serve.jobs import Job
from mindrestore.serve.limits import MemoryShortError, ServeError, UnrestoredError, WorkerError
from mindrestore.serve.networks import Offer, all_tasks, find_offers
from mindrestore.serve.previews import write_preview
from mindrestore.serve.worker import NetworkProcess
from served import encode, picture, upload_of, wait_until


@pytest.fixture
def here(tmp_path, monkeypatch, weights_folder):
    """Work in a folder with weight files that are only names."""
    monkeypatch.chdir(tmp_path)
    for name in ("haze.npz", "all.npz", "secret/deep.npz"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    return tmp_path


def keys(weights):
    return {offer.key: str(offer.trained.weights) for offer in find_offers(weights)}


def test_weights_are_given_by_task_or_by_network(here):
    assert all_tasks() == ["deblur", "dehaze", "denoise", "derain"]
    assert keys(["Dehazing=haze.npz"]) == {"dehaze/aecrnet": "haze.npz"}
    assert keys(["dehaze=haze.npz", "dsrir=all.npz"]) == {
        "dehaze/aecrnet": "haze.npz",
        "dehaze/dsrir": "all.npz",
        "denoise/dsrir": "all.npz",
        "derain/dsrir": "all.npz",
    }


def test_several_files_for_one_network(here):
    assert keys(["dehaze=haze.npz", "dehaze=all.npz"]) == {"dehaze/aecrnet": "haze.npz", "dehaze/aecrnet/2": "all.npz"}


def test_a_record_beside_the_weights_names_the_network(here):
    Path("haze.npz.json").write_text(json.dumps({"network": "dehazeformer_t", "differing": {"widths": [8, 8, 8]}}))
    (offer,) = find_offers(["dehaze=haze.npz"])
    assert offer.key == "dehaze/dehazeformer_t"
    assert offer.trained.hyper == {"widths": [8, 8, 8]}


def test_a_run_folder_is_enough(here):
    for name, model in (("rain", "name: aecrnet, task: derain"), ("all", "name: dsrir")):
        Path(name).mkdir()
        Path(name, "recipe.yaml").write_text(f"model: {{{model}}}\ntrain: {{max_steps: 1}}\n")
        Path(name, "best.ckpt").touch()
    assert keys(["rain"]) == keys(["derain=rain"]) == {"derain/aecrnet": "rain/best.ckpt"}
    assert list(keys(["all"])) == ["dehaze/dsrir", "denoise/dsrir", "derain/dsrir"]


def test_weights_that_are_found_by_themselves_are_offered(here, monkeypatch):
    """Those of the published demo, or whatever `Trained.of_task` comes to find; the user's own come in their place."""

    def of_task(task, weights=None, **options):
        if task == "deblur":
            raise MindRestoreError("none")
        return Trained("dsrir", f"shipped-{task}.npz" if weights in (None, "default") else weights)

    Path("shipped-dehaze.npz").touch()
    monkeypatch.setattr(Trained, "of_task", of_task)
    others = {"denoise/dsrir": "shipped-denoise.npz", "derain/dsrir": "shipped-derain.npz"}
    assert keys(["dehaze=haze.npz"]) == {"dehaze/dsrir": "haze.npz", **others}
    assert keys(["dehaze=default"]) == {"dehaze/dsrir": "shipped-dehaze.npz", **others}


def test_clients_see_no_folder_of_the_machine(here):
    (offer,) = find_offers([f"dehaze={here / 'secret' / 'deep.npz'}"])
    assert offer.public() == {"key": "dehaze/aecrnet", "title": "AECR-Net", "origin": "own", "name": None}
    run = Offer("dehaze/dsrir", "dehaze", Trained("dsrir", here / "mine" / "best.ckpt", folder=here / "mine"))
    assert run.public() == {"key": "dehaze/dsrir", "title": "DSRIR", "origin": "run", "name": "mine"}


def test_weights_that_ship_are_called_so():
    told = {offer.key: offer.public() for offer in find_offers([])}
    assert {key: (entry["title"], entry["origin"]) for key, entry in told.items()} == {
        "dehaze/dehazeformer_t": ("DehazeFormer-T", "shipped"),
        "denoise/dehazeformer_t": ("DehazeFormer-T", "shipped"),
        "derain/dehazeformer_t": ("DehazeFormer-T", "shipped"),
    }


def test_every_network_has_a_title():
    assert [name for name in list_models() if not model_spec(name).title] == []


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (
            "haze.npz",
            "haze.npz: not a run folder of `mindrestore train`; use one, or TASK=FILE or NETWORK=FILE",
        ),
        ("dehaze=", "or TASK=FILE"),
        ("dehaze=absent.npz", "--weights dehaze=absent.npz: no such file"),
        ("dsrir=absent.npz", "no such file"),
        ("dream=haze.npz", "unknown task 'dream'"),
        ("dehaze=secret", "no recipe.yaml"),
    ],
)
def test_words_that_name_nothing(here, word, message):
    with pytest.raises(MindRestoreError, match=message):
        find_offers([word])


def test_no_weights_at_all(here):
    with pytest.raises(ServeError, match="no weights for any task; use some, such as --weights dehaze="):
        find_offers([])


# The process: a short program in the place of the real one, which `test_serve_page.py` starts.
PROGRAM = """
import json, os, sys, time
print(json.dumps({"done": {"tasks": json.loads(sys.stdin.readline())["weights"]}}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps({"phase": "restoring", "share": 0.25}), flush=True)
    if request["networks"][0] == "die":
        os._exit(9)
    if request["networks"][0] == "hang":
        time.sleep(60)
    done = {"done": {"pid": os.getpid(), "of": request["source"]}}
    failed = {"fail": {"failed": "no"}, "short": {"failed": "no", "status": 500}}
    print(json.dumps(failed.get(request["networks"][0], done)), flush=True)
"""


@pytest.fixture
def process():
    process = NetworkProcess(["w"], {}, [sys.executable, "-S", "-c", PROGRAM])
    yield process
    process.kill()


def job(network, folder=Path("x")):
    return Job("t", upload_of(encode(picture())), (network,), folder)


def test_the_process_restores_one_after_the_other(process):
    assert process.start() == ["w"]
    one, two = job("a"), job("b")
    first = process.restore(one)
    assert (one.phase, one.share) == ("restoring", 0.25)
    assert first["of"] == str(one.source)
    assert process.restore(two)["pid"] == first["pid"]


@pytest.mark.parametrize(
    ("network", "kind", "status"), [("fail", UnrestoredError, 422), ("short", MemoryShortError, 500)]
)
def test_a_failure_is_the_clients_or_a_lack_of_memory(process, network, kind, status):
    process.start()
    with pytest.raises(kind, match=r"^no$") as failure:
        process.restore(job(network))
    assert failure.value.status == status


def test_a_process_that_died_is_started_again(process):
    process.start()
    first = process.restore(job("a"))["pid"]
    with pytest.raises(WorkerError, match=r"ended with code 9, .*memory.*--tile 512") as failure:
        process.restore(job("die"))
    assert failure.value.status == 500
    second = process.restore(job("a"))["pid"]
    assert second != first
    os.kill(second, signal.SIGKILL)  # between two images: the next one does not notice, even before the system has
    assert process.restore(job("a"))["pid"] != second


def test_killing_breaks_off_at_once(process):
    process.start()
    hanging, failures = job("hang"), []

    def work():
        try:
            process.restore(hanging)
        except WorkerError as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: hanging.share == 0.25)
    process.kill()
    thread.join(5)
    assert len(failures) == 1
    assert process.restore(job("a"))["pid"]


def test_nothing_is_started_for_a_cancelled_job(process):
    cancelled = job("a")
    cancelled.cancelled = True
    with pytest.raises(WorkerError, match="cancelled"):
        process.restore(cancelled)


def test_a_program_that_ends_at_once():
    with pytest.raises(WorkerError, match="ended with code 3"):
        NetworkProcess([], {}, [sys.executable, "-S", "-c", "raise SystemExit(3)"]).start()


def test_weights_that_cannot_be_used_end_the_start():
    program = 'import sys; sys.stdin.readline(); print(\'{"failed": "x.npz: no such file"}\', flush=True)'
    with pytest.raises(ServeError, match=r"^x\.npz: no such file$"):
        NetworkProcess([], {}, [sys.executable, "-S", "-c", program]).start()


@pytest.mark.parametrize(
    ("array", "suffix", "size", "mode"),
    [
        (np.full((30, 60, 3), 200, np.uint8), ".jpg", (40, 20), "RGB"),
        (np.full((30, 60), 200, np.uint8), ".jpg", (40, 20), "L"),
        (np.full((30, 60), 200 * 257, np.uint16), ".jpg", (40, 20), "L"),
        (np.full((20, 10, 4), 200, np.uint8), ".png", (10, 20), "RGBA"),
        (np.full((1, 900, 3), 200, np.uint8), ".jpg", (40, 1), "RGB"),
    ],
)
def test_previews_are_small_and_of_8_bits(tmp_path, array, suffix, size, mode):
    Image.fromarray(array).save(tmp_path / "a.png")
    path = write_preview(tmp_path / "before", read_photo(tmp_path / "a.png"), side=40)
    assert path.name == f"before{suffix}"
    with Image.open(path) as preview:
        assert (preview.size, preview.mode) == (size, mode)
        assert np.abs(np.asarray(preview).astype(int) - 200).max() <= 1
