"""Train with data and results in object storage: data in, the last checkpoint back, results out all the while."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mindrestore.cloud.address import Address, CloudError, Remote, parse_address
from mindrestore.cloud.trees import FETCHED, Mirror, Store, fetch_tree, local_copy, open_store
from mindrestore.engine.context import rank_and_world
from mindrestore.engine.state import LAST, CheckpointError, State, has_state, load_state, read_state
from mindrestore.errors import MindRestoreError
from mindrestore.recipes.schema import Recipe
from mindrestore.recipes.values import is_address

SYNC_SECONDS = 60.0
_STAGES = ("", "_stage2")  # endings of the run folders of one recipe


@contextmanager
def in_the_cloud(recipe: Recipe) -> Iterator[Recipe]:
    """Let a recipe whose `data.root` or `output.root` is an `obs://` address be trained on this machine.

    Before the block the data is brought here, once per machine, and the last checkpoint of the run, if the store has
    one. During the block rank 0 sends results every MINDRESTORE_SYNC_SECONDS (default 60), and once more when it ends,
    however it ends. Paths stay as they are.

    Args:
        recipe: The recipe.

    Yields:
        The recipe with local folders.

    Raises:
        CloudError: Something cannot be copied. During training that is a warning; at the end it is an error.
    """
    data, output = recipe.data, recipe.output
    store = open_store() if any(map(is_address, (data.root, data.val_root, output.root))) else None
    for key in ("root", "val_root"):
        if is_address(getattr(data, key)):
            data = replace(data, **{key: str(_bring_data(store, parse_address(getattr(data, key))))})
    if not is_address(output.root):
        yield replace(recipe, data=data)
        return
    address, name = parse_address(output.root), recipe.output.name or recipe.name.replace("/", "_")
    root = local_copy(address, "output")
    for ending in _STAGES:
        _bring_run(store, address.child(name + ending), root / (name + ending))
    local = replace(recipe, data=data, output=replace(output, root=str(root)))
    if rank_and_world()[0] != 0:
        yield local
        return
    with _Sync([Mirror(store, root / (name + e), address.child(name + e)) for e in _STAGES], address.child(name)):
        yield local


def _bring_data(store: Store, address: Address) -> Path:
    folder = local_copy(address, "data")
    with _one_per_machine(folder):
        copied = fetch_tree(store, address, folder)
    if copied.names:
        _say(f"data from {address} to {folder}: {copied}")
    return folder


def _bring_run(store: Store, address: Address, folder: Path) -> None:
    """Fetch what an earlier start of this job left in the store, unless what is here is further."""
    with _one_per_machine(folder):
        remotes = [remote for remote in store.list(address) if "/" not in remote.name]
        last = next((remote for remote in remotes if remote.name == LAST), None)
        if last is None or not _is_ahead(store, last, folder):
            return
        for remote in sorted(remotes, key=lambda remote: remote.name == LAST):  # last, so that the rest is there, too
            store.fetch(remote, folder / remote.name)
        _say(f"continuing from {address}/{LAST}, fetched to {folder}")


def _is_ahead(store: Store, last: Remote, folder: Path) -> bool:
    """Return whether the store's state is to be taken instead of the one here."""
    if not has_state(folder) or _machines() > 1:
        return True  # all machines have to begin at the same step: that of the store
    fetched = folder / FETCHED
    try:
        store.fetch(last, fetched)
        return _step_of(lambda: read_state(fetched)) > _step_of(lambda: load_state(folder, _say))
    finally:
        fetched.unlink(missing_ok=True)


def _step_of(read: Callable[[], State]) -> int:
    """Return the step of a state; -1 for one that cannot be used."""
    try:
        return read().facts["step"]
    except CheckpointError as error:
        _say(f"warning: {error}")
        return -1


def _machines() -> int:
    """Count the machines of the job, as the launcher or ModelArts says."""
    return max(int(os.environ.get(name) or 1) for name in ("NODE_NUM", "MA_NUM_HOSTS"))


@contextmanager
def _one_per_machine(folder: Path) -> Iterator[None]:
    """Let one process after the other in; the lock of a process that dies is free at once."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        file = folder.with_name(f"{folder.name}.lock").open("w")
    except OSError as error:
        raise CloudError(
            f"{folder}: cannot be created ({error.strerror}); set MINDRESTORE_CLOUD_CACHE to another folder"
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class _Sync:
    """Send results while a block runs, and once more when it ends."""

    def __init__(self, mirrors: list[Mirror], address: Address) -> None:
        self.mirrors, self.address = mirrors, address
        self.seconds = float(os.environ.get("MINDRESTORE_SYNC_SECONDS") or SYNC_SECONDS)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cloud sync", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        former = _ignore_sigterm()  # a cluster that stops a job sends it again; this is what it has to wait for
        try:
            self._over.set()
            self._thread.join()
            self._push()
            _say(f"results are in {self.address}")
        except (MindRestoreError, OSError) as lost:
            if error is None:
                raise
            _say(f"warning: results did not reach the store: {lost}")
        finally:
            if former is not None:
                signal.signal(signal.SIGTERM, former)

    def _run(self) -> None:
        while not self._over.wait(self.seconds):
            try:
                self._push()
            except (MindRestoreError, OSError) as error:
                _say(f"warning: {error}; training continues, and the next copy tries again")

    def _push(self) -> None:
        for mirror in self.mirrors:
            if mirror.folder.is_dir():
                mirror.push()


def _ignore_sigterm() -> object:
    if threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
