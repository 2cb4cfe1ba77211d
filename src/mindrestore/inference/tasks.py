"""Tasks by the words people use for them: which network does one, and where its published weights lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mindrestore.errors import MindRestoreError
from mindrestore.models.registry import list_models, model_spec
from mindrestore.weights.files import READABLE, PathLike
from mindrestore.weights.shipped import DEFAULT, Card, has_default, list_shipped, requested

# What the model specs call a task -> what published programs call it
PUBLISHED_WORDS = {"deblur": "Deblurring", "denoise": "Denoising", "derain": "Deraining", "dehaze": "Dehazing"}
# Those of the published MPRNet programs, which keep weights in a folder named after the task
MPRNET_TASKS = ("Deblurring", "Denoising", "Deraining")


class TaskError(MindRestoreError, ValueError):
    """Report a task that is not known, or whose weights were not found."""


def task_of(word: str) -> str:
    """Read a task in either spelling, in upper or lower case.

    Args:
        word: `derain`, `Deraining`, ...

    Returns:
        The task as model specs name it.

    Raises:
        TaskError: No registered network does it; the message lists the tasks that are known.
    """
    return _task_among(word, known_tasks())


def known_tasks() -> dict[str, tuple[str, ...]]:
    """List the tasks of the registered networks.

    Returns:
        Task in the word of the model specs -> networks, the one that does the least else first.
    """
    tasks = {name: model_spec(name).tasks for name in list_models()}
    names = sorted(tasks, key=lambda name: len(tasks[name]))  # stable: those that do as much stay in alphabetical order
    return {task: tuple(name for name in names if task in tasks[name]) for own in tasks.values() for task in own}


def published_word(word: str | None) -> str:
    """Read a task of the published MPRNet programs, in either spelling, and give it as they spell it.

    Args:
        word: `derain`, `Deraining`, ...

    Returns:
        One of `MPRNET_TASKS`.

    Raises:
        TaskError: It is none of them.
    """
    for published in MPRNET_TASKS:
        if word is not None and published == PUBLISHED_WORDS.get(word.lower(), word.capitalize()):
            return published
    raise TaskError(f"task {word!r} is not one of {', '.join(MPRNET_TASKS)}")


def network_for(word: str) -> str:
    """Choose the network for a task: the one that does nothing else, else the one that does the least else.

    Args:
        word: A task in either spelling.

    Returns:
        Registered name.

    Raises:
        TaskError: No registered network does it.
    """
    known = known_tasks()
    return known[_task_among(word, known)][0]


def split_tasks(words: str, weights: str | None) -> list[tuple[str, str | None]]:
    """Read tasks that are to be done one after the other, and the weights of each.

    Args:
        words: One task, or several with commas between them.
        weights: As many weight files, with commas between them; None: found for each task.

    Returns:
        Task and weight file, in turn.

    Raises:
        TaskError: One is missing, or there are more or fewer weight files than tasks.
    """
    tasks = [word.strip() for word in words.split(",")]
    if len(tasks) == 1:
        return [(words, weights)]
    if "" in tasks:
        raise TaskError(f"--task {words}: a task is missing beside a comma; use tasks such as derain,denoise")
    files = [None] * len(tasks) if weights is None else [name.strip() for name in weights.split(",")]
    if "" in files or len(files) != len(tasks):
        raise TaskError(
            f"{len(tasks)} tasks ({words}) need a weight file each, with commas between them; got {weights}"
        )
    return list(zip(tasks, files))


def require_task(model: str, word: str) -> None:
    """Refuse a network that does not do a task, neither by its paper nor with included weights.

    Args:
        model: Registered name.
        word: A task in either spelling.

    Raises:
        TaskError: It does other tasks; the message names them.
    """
    _require_task(model, task_of(word))


def published_weights(word: str) -> Path | None:
    """Find weights where the published program of a task keeps them, below the working directory.

    Args:
        word: A task in either spelling.

    Returns:
        `Deraining/pretrained_models/model_deraining.ckpt`, `.pth` and the like: the first that is there; None when none
        is.
    """
    return _published_file(PUBLISHED_WORDS[task_of(word)])


def _published_file(published: str) -> Path | None:
    stem = Path(published, "pretrained_models", f"model_{published.lower()}")
    places = map(stem.with_suffix, READABLE) if published in MPRNET_TASKS else ()
    return next((path for path in places if path.is_file()), None)


def is_published_word(word: str) -> bool:
    """Return whether a task is spelt as the published programs of MPRNet do, which asks for their weights first."""
    return word.capitalize() in MPRNET_TASKS


class Source(NamedTuple):
    """What does a task: registered name, weights, the card of included weights, and the task in the specs' word."""

    model: str
    weights: PathLike
    card: Card | None
    task: str


def source_for(
    word: str, weights: PathLike | None = None, model: str | None = None, *, made_for: str | None = None
) -> Source:
    """Choose network and weights for a task.

    Without weights those are taken that come with MindRestore. A published word such as `Deraining` looks first where
    the published program keeps its weights; other words never take a file of the working directory.

    Args:
        word: A task in either spelling.
        weights: Weight file, `default`, or the name of included weights.
        model: Registered name; by default that of the shipped weights, else the network that specialises in the task.
        made_for: The task that the weights were trained for, whatever the network was published for.

    Returns:
        Network, weight file or name of included weights, and their card.

    Raises:
        TaskError: The task is unknown, the model does another one, or no weights were found.
        WeightError: Included weights were asked for, and there are none.
    """
    known = known_tasks()
    task = _task_among(word, known)
    usual = known[task][0]
    if model is not None and task != made_for:
        _require_task(model, task)
    if weights is None:
        weights = _usual_weights(word, task, usual) if model in (None, usual) else DEFAULT
    card = requested(weights, network=model, task=task)
    return Source(card.network, card.name, card, task) if card else Source(model or usual, weights, None, task)


def _task_among(word: str, known: Mapping[str, Sequence[str]]) -> str:
    words = {task: PUBLISHED_WORDS.get(task, task) for task in known}
    for task, published in words.items():
        if word.lower() in (task, published.lower()):
            return task
    listed = ", ".join(f"{task} ({published})" for task, published in sorted(words.items()))
    raise TaskError(f"unknown task {word!r}; known: {listed}")


def networks_for(word: str) -> tuple[str, ...]:
    """List the networks that do a task, by their paper or with weights that ship, in the order of `known_tasks`.

    Args:
        word: A task in either spelling.

    Raises:
        TaskError: No registered network does it.
    """
    known = known_tasks()
    task = _task_among(word, known)
    return (*known[task], *(name for name in list_models() if name not in known[task] and task in _tasks_of(name)))


def _tasks_of(model: str) -> dict[str, None]:
    shipped = [own for card in list_shipped() if card.network == model for own in card.tasks]
    return dict.fromkeys((*model_spec(model).tasks, *shipped))


def _require_task(model: str, task: str) -> None:
    tasks = _tasks_of(model)
    if task not in tasks:
        raise TaskError(f"model {model} does {', '.join(tasks)}, not {task}; leave the model out to have it chosen")


def _usual_weights(word: str, task: str, usual: str) -> PathLike:
    found = _published_file(PUBLISHED_WORDS[task]) if is_published_word(word) else None
    if found or has_default(task):
        return found or DEFAULT
    published = PUBLISHED_WORDS[task]
    hint = f", or train {usual}"
    if published in MPRNET_TASKS:
        file = f"{published}/pretrained_models/model_{published.lower()}.pth"
        asks = "put one at" if is_published_word(word) else f"--task {published} takes"
        hint = f"; {asks} {file}, where its program keeps it"
    raise TaskError(
        f"no weights for {word}: none come with MindRestore; use a weight file{hint}; see `mindrestore weights list`"
    )
