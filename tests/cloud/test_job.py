"""A training whose data and results live in a real object store: in, out, stopped, moved to another machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mindrestore.cli.main import build_parser, main, parse
from mindrestore.cli.train import choose_recipe
from mindrestore.cloud import job, trees
from mindrestore.cloud.address import Address, CloudError
from mindrestore.cloud.job import in_the_cloud
from mindrestore.cloud.obs import ObsStore
from mindrestore.cloud.trees import CheckedStore, Mirror
from mindrestore.errors import MindRestoreError
from mindrestore.recipes.load import load_recipe
from object_store import KEY, SECRET, client, set_environment

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300  # seconds for a training that shares its cores


@pytest.fixture
def store(credentials):
    return CheckedStore(ObsStore(client(credentials.server), patience=(0.05, 0.1)))


@pytest.fixture(scope="module")
def data_in_store(weed, tiny_data):
    """Return the address of a small data set in the store."""
    Mirror(CheckedStore(ObsStore(client(weed.server))), tiny_data, Address("data", "tiny")).push()
    return "obs://data/tiny"


def words_of(data, out, name, overrides, *more):
    flags = ["--modelarts_mode", "--data_url", data, "--train_url", out]
    return ["train", "--recipe", "quickstart", "--device", "CPU", *flags, f"output.name={name}", *overrides, *more]


def names_in(store, key):
    return {remote.name: remote for remote in store.list(Address("data", key))}


def recipe_of(*words):
    return load_recipe(*choose_recipe(parse(build_parser(), ["train", *words])))


def test_a_job_is_stopped_and_goes_on_on_another_machine(
    weed, store, data_in_store, tiny_overrides, tmp_path, monkeypatch, capsys
):
    """Data in; SIGTERM, as clusters send it, saves and synchronises; elsewhere the job goes on; results out."""
    overrides = [*tiny_overrides, "train.max_steps=100000", "train.val_every=0", "train.checkpoint_every=0"]
    words = words_of(data_in_store, "obs://data/out", "job", [*overrides, "train.mode=pynative"])
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "MINDRESTORE_SYNC_SECONDS": "0.2"}
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen([sys.executable, "train.py", *words[1:]], cwd=ROOT, env=environment, stderr=said)
    deadline = time.monotonic() + PATIENCE
    while not (records := names_in(store, "out/job").get("metrics.jsonl")) or not records.size:
        assert time.monotonic() < deadline  # results arrive while it trains
        assert process.poll() is None, (tmp_path / "said").read_text()
        time.sleep(0.1)
    assert "last.ckpt" not in names_in(store, "out/job")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 130
    text = (tmp_path / "said").read_text()
    assert "data from obs://data/tiny" in text
    assert "everything is saved" in text
    assert "results are in obs://data/out/job" in text
    assert store.same(names_in(store, "out/job")["last.ckpt"], tmp_path / "cache/output/data/out/job/last.ckpt")
    stopped = json.loads((tmp_path / "cache/output/data/out/job/metrics.jsonl").read_text().splitlines()[-1])["step"]

    set_environment(monkeypatch, weed.server, tmp_path / "another")
    assert main([*words, f"train.max_steps={stopped + 2}"]) == 0
    said = capsys.readouterr()
    assert "continuing from obs://data/out/job/last.ckpt" in said.err
    there, run = names_in(store, "out/job"), tmp_path / "another/output/data/out/job"
    assert {"last.ckpt", "metrics.jsonl", "log.txt", "recipe.yaml", "env.json"} <= set(there)
    assert all(store.same(remote, run / name) for name, remote in there.items())
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    assert [record["step"] for record in records if record["kind"] == "train"] == list(range(1, stopped + 3))
    shown = [text.encode(), said.err.encode(), said.out.encode()]
    shown += [path.read_bytes() for path in (*run.rglob("*"), *(tmp_path / "cache").rglob("*")) if path.is_file()]
    assert not any(word.encode() in content for content in shown for word in (KEY, SECRET))


def cloud_recipe(*words):
    return load_recipe("quickstart", ["data.root=/data", "output.root=obs://data/out", *words])


def test_folders_of_this_machine_are_left_alone(monkeypatch):
    monkeypatch.setattr(job, "open_store", None)  # must not be asked for
    recipe = load_recipe("quickstart", ["data.root=/inputs/data", "output.root=/outputs/result"])
    with in_the_cloud(recipe) as local:
        assert local == recipe


def test_data_is_copied_once_for_all_processes_of_a_machine(store, data_in_store, tmp_path, monkeypatch, capsys):
    copies, copy = [], trees.CheckedStore.fetch
    monkeypatch.setattr(trees.CheckedStore, "fetch", lambda self, *words: (copies.append(1), copy(self, *words))[1])
    recipe = load_recipe("quickstart", [f"data.root={data_in_store}"])
    roots = []

    def process():
        with in_the_cloud(recipe) as local:
            roots.append(local.data.root)

    threads = [threading.Thread(target=process) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(copies) == 16  # 6 training pairs and 2 test pairs
    assert set(roots) == {str(tmp_path / "cache/data/data/tiny")}
    assert len(roots) == 4
    assert capsys.readouterr().err.count("data from") == 1


def test_results_travel_while_the_block_runs_and_other_ranks_send_nothing(store, tmp_path, monkeypatch):
    monkeypatch.setenv("MINDRESTORE_SYNC_SECONDS", "0.05")
    with in_the_cloud(cloud_recipe("output.name=travel")) as local:
        run = Path(local.output.root) / "travel"
        run.mkdir(parents=True)
        (run / "log.txt").write_text("one")
        deadline = time.monotonic() + 20
        while "log.txt" not in names_in(store, "out/travel") and time.monotonic() < deadline:
            time.sleep(0.05)
        assert names_in(store, "out/travel")["log.txt"].size == 3
        (run / "log.txt").write_text("one two")
        (run / "last.new.ckpt").write_text("half")
        (run / "last.prev.ckpt").write_text("former")
        second = Path(local.output.root) / "travel_stage2"
        second.mkdir()
        (second / "log.txt").write_text("second stage")
    assert {name: remote.size for name, remote in names_in(store, "out/travel").items()} == {"log.txt": 7}
    assert names_in(store, "out/travel_stage2")["log.txt"].size == 12

    monkeypatch.setenv("RANK_ID", "1")
    monkeypatch.setenv("RANK_SIZE", "2")
    with in_the_cloud(cloud_recipe("output.name=other")) as local:
        (Path(local.output.root) / "other").mkdir()
        (Path(local.output.root) / "other/log.txt").write_text("rank 1")
    assert names_in(store, "out/other") == {}


def test_a_store_that_fails_does_not_stop_the_training_but_its_end(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MINDRESTORE_SYNC_SECONDS", "0.02")

    def refuse(*_):
        raise CloudError("obs://data/out: no permission")

    monkeypatch.setattr(trees.CheckedStore, "send", refuse)

    def train():
        with in_the_cloud(cloud_recipe("output.name=failing")) as local:
            run = Path(local.output.root) / "failing"
            run.mkdir(parents=True, exist_ok=True)
            (run / "log.txt").write_text("x")
            time.sleep(0.5)

    with pytest.raises(CloudError, match="no permission"):
        train()
    assert "no permission; training continues" in capsys.readouterr().err

    def fail():
        with in_the_cloud(cloud_recipe("output.name=failing")):
            raise MindRestoreError("losses are not finite")

    with pytest.raises(MindRestoreError, match="losses are not finite"):  # not hidden by what happens after it
        fail()
    assert "warning: results did not reach the store" in capsys.readouterr().err


def save(folder, step):
    """Write a training state of a step."""
    import mindspore as ms
    import numpy as np

    from mindrestore.engine.state import save_state

    folder.mkdir(parents=True, exist_ok=True)
    save_state(folder, {"net.w": ms.Parameter(np.float32([step]), name="w")}, {"step": step})
    (folder / "best.ckpt").write_text(f"best of {step}")


@pytest.mark.parametrize(
    ("here", "there", "machines", "expected"),
    [(None, 4, 1, 4), (6, 4, 1, 6), (2, 4, 1, 4), (6, 4, 2, 4), ("damaged", 4, 1, 4), (6, None, 1, 6)],
)
def test_the_state_that_is_further_is_taken(store, tmp_path, monkeypatch, here, there, machines, expected):
    """With several machines it is the store's: they have to begin at one step, and one of them alone is further."""
    from mindrestore.engine.state import read_state

    name = f"further-{here}-{there}-{machines}"
    run = tmp_path / "cache/output/data/out" / name
    if there:
        save(tmp_path / "elsewhere", there)
        Mirror(store, tmp_path / "elsewhere", Address("data", f"out/{name}")).push()
    if here:
        save(run, 6 if here == "damaged" else here)
    if here == "damaged":
        (run / "last.ckpt").write_bytes(b"")
    monkeypatch.setenv("MA_NUM_HOSTS", str(machines))
    with in_the_cloud(cloud_recipe(f"output.name={name}")):
        assert read_state(run / "last.ckpt").facts["step"] == expected
        assert (run / "best.ckpt").read_text() == f"best of {expected}"
        assert [path.name for path in run.iterdir() if path.name.startswith(".")] == []


def test_the_flags_of_modelarts_work_with_every_program():
    places = ["--data_url", "obs://b/data", "--train_url", "obs://b/out"]
    zoo = recipe_of("--modelArts_mode", "True", *places)
    assert (zoo.name, zoo.data.root, zoo.output.root) == ("aecrnet/zoo_its", "obs://b/data", "obs://b/out")
    other = recipe_of("--model", "dehazeformer-t", "--exp", "indoor", "--modelarts_mode", *places)
    assert (other.model.name, other.data.root, other.output.root) == ("dehazeformer_t", "obs://b/data", "obs://b/out")
    named = recipe_of("--recipe", "quickstart", "--modelarts_mode=true", *places, "output.root=elsewhere")
    assert (named.name, named.output.root) == ("quickstart", "elsewhere")
    for words in (["--modelarts_mode"], ["--modelarts_mode", "--data_url", "/data"]):
        with pytest.raises(MindRestoreError, match="--modelarts_mode needs --data_url and --train_url"):
            recipe_of(*words)
    with pytest.raises(MindRestoreError, match="--modelarts_mode maybe: use true or false"):
        recipe_of("--modelarts_mode=maybe")


def test_a_run_folder_beside_the_store_is_refused(capsys):
    words = ["train", "--recipe", "quickstart", "data.root=obs://b/d", "--run-dir", "runs/x"]
    assert main(words) == 2
    assert "a run in object storage has no --run-dir" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_job_goes_on_from_the_store(weed, store, data_in_store, tiny_overrides, tmp_path, monkeypatch, capsys):
    """SIGKILL leaves no time to save: the last checkpoint that was synchronised counts."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "MINDRESTORE_SYNC_SECONDS": "0.2"}
    overrides = [*tiny_overrides, "train.max_steps=100000", "train.val_every=0", "train.checkpoint_unit=step"]
    overrides += ["train.checkpoint_every=5", "train.mode=pynative"]
    words = words_of(data_in_store, "obs://data/out", "killed", overrides)
    process = subprocess.Popen([sys.executable, "train.py", *words[1:]], cwd=ROOT, env=environment)
    deadline = time.monotonic() + PATIENCE
    while "last.ckpt" not in names_in(store, "out/killed") and time.monotonic() < deadline:
        time.sleep(0.1)
    process.kill()
    process.wait()
    set_environment(monkeypatch, weed.server, tmp_path / "another")
    last = names_in(store, "out/killed")["last.ckpt"]
    store.fetch(last, tmp_path / "seen.ckpt")
    from mindrestore.engine.state import read_state

    step = read_state(tmp_path / "seen.ckpt").facts["step"]
    assert step >= 5
    assert step % 5 == 0
    assert main([*words, f"train.max_steps={step + 1}"]) == 0
    assert f"resuming after step {step} from" in capsys.readouterr().out
