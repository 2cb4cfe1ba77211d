"""Find the weights inside a checkpoint: in which section they lie, and what stands before every name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# Names that checkpoints give to the section with the weights; averaged ones before those of the last step
_AVERAGED = (
    *("params_ema", "model_ema", "state_dict_ema", "ema_state_dict"),
    *("ema_model", "net_ema", "generator_ema", "ema"),
)
_PLAIN = ("state_dict", "model_state_dict", "generator", "model", "params", "net", "network", "weights")
_KNOWN = {name: place for place, name in enumerate((*_AVERAGED, *_PLAIN))}
_NOT_WEIGHTS = re.compile("optim(?!al)|sched|scaler|discrim|callback|^loops|config|args|(^|_|net)d$", re.IGNORECASE)
_DEPTH = 4  # sections in each other
_STATE_FACTS, _STATE_NET = "facts", "net."  # last.ckpt of a run: one JSON text beside the arrays, the network's first
_PREFIX_PARTS = 6  # wrappers in each other
_LEAST_SHARE = 0.25  # of the tensors that a wrapper holds; a loss network beside it holds the others
# What torch.compile, sharded and checkpointed training put into names, at any depth
_INSIDE = re.compile(r"(^|\.)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)(?=\.)")


@dataclass(frozen=True)
class Section:
    """Part of a checkpoint.

    Attributes:
        name: dotted path in the file; empty: the file itself.
        entries: name -> value.
    """

    name: str
    entries: Mapping[str, Any]


def sections_of(entries: Mapping[str, Any]) -> list[Section]:
    """List the parts of a checkpoint that may hold a network's weights, the likeliest first.

    Args:
        entries: What a weight file holds.

    Returns:
        Sections with tensors: averaged weights, sections of usual names, then others and the file itself by their size.
    """
    if isinstance(entries.get(_STATE_FACTS), str):
        net = {name[len(_STATE_NET) :]: value for name, value in entries.items() if name.startswith(_STATE_NET)}
        return [Section("", net)]
    found = list(_nested(entries, "", {id(entries)}))
    if not found or has_tensors(entries):
        found.append(Section("", {str(name): value for name, value in entries.items()}))
    return sorted(found, key=_likelihood)


def weights_of(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Take the weights out of a training state or a nested checkpoint.

    Args:
        entries: What a weight file holds.

    Returns:
        Name -> value of the likeliest section, or of the whole when there is none.
    """
    return dict(sections_of(entries)[0].entries)


def without_wrappers(name: str) -> str:
    """Take out of a name what torch.compile and sharded or checkpointed training put into it."""
    return _INSIDE.sub("", name).lstrip(".")


def unwrapped(names: Iterable[str]) -> Iterator[dict[str, str]]:
    """Return names as they are, then without each prefix that many of them share.

    Args:
        names: Names in a file.

    Yields:
        Short name -> name in the file, of those names that have the prefix.
    """
    plain = {name: without_wrappers(name) for name in names}
    counts = Counter(prefix for name in plain.values() for prefix in prefixes_of(name))
    least = max(1, _LEAST_SHARE * len(plain))
    for prefix in sorted((prefix for prefix, count in counts.items() if count >= least), key=len):
        yield {short[len(prefix) :]: name for name, short in plain.items() if short.startswith(prefix)}


def prefixes_of(name: str) -> list[str]:
    """List the beginnings of a name that wrappers may have put there: none, the first part, the first two, ..."""
    ends = [0, *(match.end() for match in re.finditer(r"\.", name[:200]))]
    return [name[:end] for end in ends[: _PREFIX_PARTS + 1]]


def is_averaged(name: str) -> bool:
    """Return whether a section or a prefix says that it holds averaged weights."""
    return "ema" in re.split(r"[._]", name.lower())


def has_tensors(entries: Mapping[str, Any]) -> bool:
    """Return whether some value is a tensor of numbers, which single numbers beside a section are not."""
    return any(is_tensor(value) and np.ndim(value) > 0 for value in entries.values())


def is_tensor(value: Any) -> bool:
    """Return whether a value is an array of numbers, of NumPy or a framework."""
    return hasattr(value, "shape") and getattr(getattr(value, "dtype", None), "kind", "f") in "fiubc"


def _nested(entries: Mapping[str, Any], path: str, seen: set[int]) -> Iterator[Section]:
    """Return the sections with tensors below a dict; those of optimizers are left out."""
    for key, value in entries.items():
        name = f"{path}.{key}" if path else str(key)
        if not isinstance(value, Mapping) or id(value) in seen or name.count(".") >= _DEPTH:
            continue
        seen.add(id(value))  # a dict may hold itself
        if "param_groups" in value or _NOT_WEIGHTS.search(str(key)):
            continue
        if has_tensors(value):
            yield Section(name, {str(inner): entry for inner, entry in value.items()})
        else:
            yield from _nested(value, name, seen)


def _likelihood(section: Section) -> tuple[int, int]:
    parts = section.name.lower().split(".")
    known = min(_KNOWN.get(part, len(_KNOWN)) for part in parts)
    size = sum(int(np.prod(value.shape)) for value in section.entries.values() if is_tensor(value))
    return min(known, len(_AVERAGED) - 1 if is_averaged(section.name) else known), -size
