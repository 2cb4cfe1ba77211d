"""Which networks are offered for which task: of the weights that were given, and of those that come by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindrestore.errors import MindRestoreError
from mindrestore.inference.tasks import known_tasks, require_task, task_of
from mindrestore.inference.trained import Trained
from mindrestore.serve.limits import ServeError


@dataclass(frozen=True)
class Offer:
    """A network that is offered for a task.

    Attributes:
        key: What clients call it, such as `dehaze/aecrnet`.
        task: `dehaze`, `derain`, `deblur` or `denoise`.
        trained: The network and its weights.
    """

    key: str
    task: str
    trained: Trained

    def public(self) -> dict[str, Any]:
        """Return what clients may know, in words that people understand: of the files of this machine nothing but the
        name of a run.

        Returns:
            `key`; `title`, such as DehazeFormer-T; `origin` of the weights: `shipped`, `research` (they ship, but not
            for every use), `run` or `own`; and `name` of the run.
        """
        trained = self.trained
        origin = "run" if trained.folder else "own"
        if trained.card:
            origin = "research" if trained.card.terms else "shipped"
        run = trained.folder and trained.folder.name
        return {"key": self.key, "title": trained.title, "origin": origin, "name": run}


def all_tasks() -> list[str]:
    """List the tasks of all registered networks."""
    return sorted(known_tasks())


def find_offers(weights: Sequence[str]) -> list[Offer]:
    """Collect the networks that can be offered.

    Args:
        weights: Run folders, or `TASK=FILE` or `NETWORK=FILE` for weight files; a network serves all its tasks.
            For tasks that are not among them, the weights are taken that `Trained.of_task` finds by itself.

    Returns:
        The networks, task by task, those given first.

    Raises:
        MindRestoreError: A word, task, network or file cannot be used, or there are no weights at all.
    """
    pairs = [pair for word in weights for pair in _given(word)]
    for task in all_tasks():
        if task not in [given for given, _ in pairs]:
            pairs += _found(task)
    if not pairs:
        raise ServeError("no weights for any task; use some, such as --weights dehaze=runs/mine/best.ckpt")
    offers: dict[str, Offer] = {}
    for task, trained in sorted(pairs, key=lambda pair: pair[0]):
        same = sum(offer.task == task and offer.trained.model == trained.model for offer in offers.values())
        key = f"{task}/{trained.model}" + (f"/{same + 1}" if same else "")
        offers[key] = Offer(key, task, trained)
    return list(offers.values())


def _given(word: str) -> Iterator[tuple[str, Trained]]:
    if (Path(word) / "recipe.yaml").is_file():  # a run folder says itself what it removes
        trained = Trained.of_run(word)
        yield from ((task, trained) for task in trained.made_for or _tasks_of(trained.model))
        return
    name, equals, file = word.partition("=")
    if not (name and equals and file):
        raise ServeError(
            f"--weights {word}: not a run folder of `mindrestore train`; use one, or TASK=FILE or NETWORK=FILE, such "
            "as dehaze=haze.ckpt"
        )
    own = _tasks_of(name)
    tasks = own or [task_of(name)]
    if own:
        trained = Trained.of_file(name, file)
    elif Path(file).is_dir():
        trained = Trained.of_run(file)
        if tuple(tasks) != trained.made_for:
            require_task(trained.model, name)
    else:
        trained = Trained.of_task(name, file)
    if not Path(trained.weights).is_file():  # say so now, not at the first image
        raise ServeError(f"--weights {word}: no such file; check the path")
    yield from ((task, trained) for task in tasks)


def _tasks_of(network: str) -> list[str]:
    return [task for task, networks in known_tasks().items() if network in networks]


def _found(task: str) -> list[tuple[str, Trained]]:
    try:
        return [(task, Trained.of_task(task))]
    except MindRestoreError:  # none lie where they are looked for: the page says so for this task
        return []
