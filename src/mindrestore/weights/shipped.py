"""The weights that come with MindRestore: what their cards say, and which of them does what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from mindrestore.errors import closest, did_you_mean
from mindrestore.files import parse_yaml, read_text, write_bytes
from mindrestore.weights.errors import WeightError, WeightFileError
from mindrestore.weights.files import PathLike, sha256_of

FOLDER = Path(__file__).parent / "files"
LARGEST = 12_000_000  # bytes of a weight file: the package stays quick to install
DEFAULT = "default"  # what stands for the free weights of a network or a task wherever weights are asked for
VARIANTS = ("free", "research")


@dataclass(frozen=True)
class Card:
    """What a weight file is: what it does, what it was made of, and how good it is.

    Attributes:
        name: What `weights=` and `--weights` call it; file and card are named after it.
        tasks: What it removes, in the words of the model specs.
        network: Registered name.
        variant: `free` for any use, or `research` when the training data allow no other.
        licence: Licence of the weights.
        sha256: Checksum of the file.
        hyper: Hyper-parameters that differ from the published ones.
        preferred: Whether it is the default where several free ones do the same.
        terms: What has to be known before use; research weights have to say it.
        data: Training data, each with `name` and `licence`.
        training: Recipe, steps, seed, command, hours and versions.
        scores: One mapping per test set: `set`, `images`, `protocol`, and metric -> value, `input` the same of the
            degraded images.
        folder: Where card and file lie.
    """

    name: str
    tasks: tuple[str, ...]
    network: str
    variant: str
    licence: str
    sha256: str
    hyper: Mapping[str, Any] = field(default_factory=dict)
    preferred: bool = False
    terms: str = ""
    data: tuple[Mapping[str, Any], ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    scores: tuple[Mapping[str, Any], ...] = ()
    folder: Path = FOLDER

    @property
    def path(self) -> Path:
        """The weight file."""
        return self.folder / f"{self.name}.safetensors"

    @property
    def size(self) -> str:
        """Size of the file in megabytes, as text."""
        return f"{self.path.stat().st_size / 1e6:.1f} MB" if self.path.is_file() else "file missing"

    @property
    def note(self) -> str:
        """Name, network, size, licence and terms in one line."""
        line = f"weights: {self.name} ({self.network}, {self.size}, {self.licence})"
        return f"{line}; terms: {self.terms}" if self.terms else line

    @property
    def score(self) -> str:
        """The first test set with its PSNR, as text; `-` when nothing was measured."""
        if not self.scores:
            return "-"
        first = self.scores[0]
        return f"{first['set']} {first['psnr']:.2f} dB ({first['protocol']})"

    def checked_path(self) -> Path:
        """Return the weight file after comparing its checksum.

        Raises:
            WeightFileError: It is absent or altered.
        """
        if not self.path.is_file():
            raise WeightFileError(f"{self.path}: no such file, though its card is there; install MindRestore again")
        if sha256_of(self.path) != self.sha256:
            raise WeightFileError(f"{self.path}: not the file that its card describes; install MindRestore again")
        return self.path


def read_card(path: PathLike) -> Card:
    """Read a card.

    Args:
        path: YAML file beside the weights.

    Raises:
        WeightFileError: It cannot be read, or lacks something; the message names it.
    """
    path = Path(path)
    try:
        facts = parse_yaml(read_text(path))
        card = Card(**{**facts, "folder": path.parent})
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as error:
        raise _no_card(path, " ".join(str(error).split())) from error
    card = Card(**{**vars(card), "tasks": tuple(card.tasks), "data": tuple(card.data), "scores": tuple(card.scores)})
    _check(card, path)
    return card


def write_card(card: Card) -> Path:
    """Write a card beside its weights, in one step.

    Raises:
        WeightFileError: It lacks something; the message names it.
    """
    path = card.folder / f"{card.name}.yaml"
    _check(card, path)
    facts = {key: value for key, value in asdict(card).items() if key != "folder"}
    for name in ("tasks", "data", "scores"):
        facts[name] = list(facts[name])
    write_bytes(path, yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, width=120).encode())
    return path


def list_shipped(folder: Path | None = None) -> list[Card]:
    """List the cards of the included weights, by name.

    Args:
        folder: Where they lie; None: in the package.
    """
    paths = sorted((folder or FOLDER).glob("*.yaml"))
    return [_read_once(path, path.stat().st_mtime_ns, path.stat().st_size) for path in paths]


@lru_cache(maxsize=256)
def _read_once(path: Path, changed: int, size: int) -> Card:
    return read_card(path)


def find_shipped(name: str) -> Card:
    """Find the weights of a name.

    Raises:
        WeightError: None are called so; the message names the closest.
    """
    cards = {card.name: card for card in list_shipped()}
    if name not in cards:
        raise WeightError(f"no weights called {name!r} come with MindRestore; {did_you_mean(name, cards)}")
    return cards[name]


def default_of(network: str | None = None, task: str | None = None) -> Card:
    """Choose the free weights of a network, of a task, or of both.

    Args:
        network: Registered name; None: any.
        task: In the word of the model specs, such as `dehaze`; None: any.

    Raises:
        WeightError: None are free, or several are and none is preferred; the message names what there is.
    """
    cards = list_shipped()
    able = [card for card in cards if network in (None, card.network) and (task is None or task in card.tasks)]
    free = [card for card in able if card.variant == "free"]
    chosen = [card for card in free if card.preferred] if len(free) > 1 else free
    if len(chosen) == 1:
        return chosen[0]
    what = " and ".join(filter(None, (network, task)))
    if free:
        raise WeightError(f"several weights for {what} come with MindRestore; name one of {_names(able)}")
    if able:
        raise WeightError(f"no free weights for {what} come with MindRestore; to use others, name {_names(able)}")
    offered = sorted({name for card in cards for name in ((card.network,) if network else card.tasks)})
    kind = "networks" if network else "tasks"
    raise WeightError(
        f"no weights for {what} come with MindRestore; {kind} that have some: {_names(offered)}; use a weight file"
    )


def has_default(task: str) -> bool:
    """Return whether weights for a task ship that need not be named."""
    return any(task in card.tasks and card.variant == "free" for card in list_shipped())


def requested(weights: Any, network: str | None = None, task: str | None = None) -> Card | None:
    """Find the shipped weights that somebody asks for: by the word `default`, or by their name.

    Args:
        weights: What was given as weights.
        network: The network they are for; None: any.
        task: The task they are for; None: any.

    Returns:
        The card; None when a file or something else was given.

    Raises:
        WeightError: There is no default, or the weights of this name are for another network or task.
    """
    word = str(weights) if isinstance(weights, (str, Path)) else ""
    if word == DEFAULT:
        return default_of(network, task)
    cards = {card.name: card for card in list_shipped()} if word.isidentifier() and not Path(word).exists() else {}
    if closest(word, cards) is None:
        return None
    card = find_shipped(word)
    if network not in (None, card.network):
        raise WeightError(f"weights {card.name} are for {card.network}, not {network}; name that network, or none")
    if task is not None and task not in card.tasks:
        raise WeightError(f"weights {card.name} do {_names(card.tasks)}, not {task}; name others, or that task")
    return card


def _check(card: Card, path: Path) -> None:
    texts = {key.name: getattr(card, key.name) for key in fields(card) if key.type == "str"}
    wrong = next((key for key, value in texts.items() if not isinstance(value, str)), None)
    if wrong:
        reason = f"{wrong} is {texts[wrong]!r} instead of text"
    elif not card.name.isidentifier() or card.name in (DEFAULT, "none") or path.stem != card.name:
        reason = f"name {card.name!r} is not the file's, or not made of letters, digits and underscores"
    elif card.variant not in VARIANTS:
        reason = f"variant {card.variant!r} is none of {', '.join(VARIANTS)}"
    elif card.variant == "research" and not card.terms:
        reason = "research weights need terms"
    elif not (card.tasks and card.licence):
        reason = "tasks or licence are missing"
    else:
        return
    raise _no_card(path, reason)


def _no_card(path: Path, reason: str) -> WeightFileError:
    return WeightFileError(f"{path}: no card of weights ({reason}); write it with `mindrestore weights pack`")


def _names(names: Iterable[str] | Iterable[Card]) -> str:
    return ", ".join(getattr(name, "name", name) for name in names) or "none"
