"""The process that holds the networks: JSON lines in, images restored, JSON lines out.

It is a process of its own because one image can take all memory, a graph takes seconds to compile, and a network cannot
be stopped in its middle: the server stays reachable, and breaking off means ending this process.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

from mindrestore.errors import MindRestoreError, first_line, ran_out
from mindrestore.files import WriteError
from mindrestore.images.photos import read_photo, write_photo
from mindrestore.inference.files import restore_each
from mindrestore.inference.pixels import RestoreError
from mindrestore.inference.restorer import InTurn, Restorer
from mindrestore.serve.limits import MemoryShortError, StorageError, UnrestoredError, storage_error
from mindrestore.serve.networks import Offer, all_tasks, find_offers
from mindrestore.serve.previews import THUMBNAIL_SIDE, write_preview

Tell = Callable[[Mapping[str, Any]], None]


class Networks:
    """Load networks when they are first asked for, and restore files with them.

    Args:
        offers: The networks on offer.
        options: Keywords of `Restorer`: device, tile, memory, ...
        tell: Takes what the server should know.
    """

    def __init__(self, offers: list[Offer], options: Mapping[str, Any], tell: Tell) -> None:
        self._offers = {offer.key: offer for offer in offers}
        self._options, self._tell = options, tell
        self._loaded: dict[str, Restorer] = {}

    def restore(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Restore one file.

        Args:
            request: `networks` (keys of offers, in the order of their work), `source` and `target` (paths), `name` (of
                the image, for messages).

        Returns:
            `{"done": facts}`, or `{"failed": line, "status": HTTP status}`.

        Raises:
            MindRestoreError: The weights cannot be used.
        """
        restorers = [self._restorer(key) for key in request["networks"]]
        restorer = restorers[0] if len(restorers) == 1 else InTurn(restorers)
        source, target = Path(request["source"]), Path(request["target"])
        facts: dict[str, Any] = {}
        raised: list[BaseException] = []

        def restore_one(source: Path, target: Path) -> None:
            with _noting(raised):
                facts.update(self._restore_file(restorer, source, target))

        failed: tuple[str, ...] = ("nothing could be written",)
        with suppress(RestoreError), _noting(raised):
            failed = restore_each([(source, target)], restore_one, target.parent, overwrite=True, progress=False).failed
        written = [error.__cause__ for error in raised if isinstance(error, (WriteError, RestoreError))]
        storage = [storage_error(cause) for cause in written if isinstance(cause, OSError)]
        if failed and not source.is_file():
            storage.append(StorageError("the image is gone from the temporary folder of the server; send it again"))
        if storage:
            return {"failed": str(storage[-1]), "status": storage[-1].status}
        if failed:
            named = failed[0]
            for path in (source, target):
                named = named.replace(str(path), request["name"])
            return {"failed": named, "status": (MemoryShortError if _short(*raised) else UnrestoredError).status}
        return {"done": facts}

    def _restorer(self, key: str) -> Restorer:
        trained = self._offers[key].trained
        identity = f"{trained.model} {trained.weights} {trained.task}"  # one network may serve several tasks
        if identity not in self._loaded:
            self._tell({"phase": "loading"})
            self._loaded[identity] = Restorer(trained, **self._options)
        return self._loaded[identity]

    def _restore_file(self, restorer: Restorer | InTurn, source: Path, target: Path) -> dict[str, Any]:
        self._tell({"phase": "reading"})
        photo = read_photo(source)
        write_preview(target.with_name("thumbnail"), photo, THUMBNAIL_SIDE)
        before = write_preview(target.with_name("before"), photo)
        self._tell({"phase": "restoring"})
        restorer.progress = lambda share: self._tell({"phase": "restoring", "share": round(share, 4)})
        began = time.perf_counter()
        restored = replace(photo, pixels=restorer(photo.pixels))
        seconds = time.perf_counter() - began
        self._tell({"phase": "writing"})
        write_photo(target, restored)
        after = write_preview(target.with_name("after"), restored)
        write_preview(target.with_name("thumbnail"), restored, THUMBNAIL_SIDE)
        height, width = photo.pixels.shape[:2]
        facts = {"width": width, "height": height, "bits": 8 * photo.pixels.itemsize, "bytes": target.stat().st_size}
        return {**facts, "seconds": round(seconds, 3), "before": before.name, "after": after.name}


@contextmanager
def _noting(raised: list[BaseException]) -> Iterator[None]:
    """Note what goes wrong, for which there is only a line afterwards."""
    try:
        yield
    except Exception as error:
        raised.append(error)
        raise


def main() -> int:
    """Serve requests until the input ends: first the settings, then one line for every image."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes of a terminal; the server ends this one
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not come between the answers

    def tell(message: Mapping[str, Any]) -> None:
        answers.write(f"{json.dumps(message)}\n")
        answers.flush()

    settings = json.loads(sys.stdin.readline())
    try:
        offers = find_offers(settings["weights"])
    except MindRestoreError as error:
        tell({"failed": str(error)})
        return 2
    listed = [{"task": task, "networks": [o.public() for o in offers if o.task == task]} for task in all_tasks()]
    tell({"done": {"tasks": listed}})
    networks = Networks(offers, settings["options"], tell)
    for line in sys.stdin:
        tell(_answer(networks, json.loads(line)))
    return 0


def _short(*errors: BaseException) -> bool:
    """Return whether memory ran out, as the errors or what caused them say."""
    return any(ran_out(each) for error in errors for each in (error, error.__cause__) if each)


def _answer(networks: Networks, request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return networks.restore(request)
    except Exception as error:
        if _short(error):
            line = f"there is not enough memory to load the network ({first_line(error)}); close other programs"
            return {"failed": line, "status": MemoryShortError.status}
        if isinstance(error, MindRestoreError):
            return {"failed": str(error)}
        # a defect: its traceback belongs into the terminal, one line to the client
        traceback.print_exc()
        return {"failed": f"an internal error ({type(error).__name__}); the terminal of the server shows it"}


if __name__ == "__main__":
    sys.exit(main())
