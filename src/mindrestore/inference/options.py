"""How images go through a network: one frozen object that every caller passes on as it is."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Union

from mindrestore.errors import did_you_mean
from mindrestore.inference.pixels import RestoreError

Tile = Union[int, str, None]


@dataclass(frozen=True)
class Options:
    """Options of how images go through a network.

    Attributes:
        device: "auto", "CPU", "GPU" or "Ascend"; a network that the caller made stays where it is.
        engine: "onnx" runs on onnxruntime, "mindspore" and "mindir" (a file of `export`) with MindSpore. None: by the
            suffix of an exported file; else MindSpore where there is a card, and onnxruntime elsewhere.
        key: Of an encrypted MINDIR.
        compiled: Whether MindSpore compiles a network that the caller made (seconds at the first image, faster after
            it) or runs it operator by operator; None: it compiles on CPU.
        tile: "auto" takes images whole that fit into `memory` and cuts others into overlapping tiles; a number is the
            side of the tiles in pixels; None takes every image whole.
        memory: Gigabytes that the network may take for an image or a batch of tiles; None: 1, or half of what is free
            where that is less. The same number makes the same tiles on every machine.
        batch: Images of one size, or tiles, that go through the network together.
        ensemble: Restore the eight flips and turns of an image and average them: eight times as long.
        full_size: Against haze, run the network on large images as they are. Otherwise it sees them at a working size,
            and what it changes is carried to full size (`working_size.py`).

    Example:
        >>> Options(tile=512).with_(memory=2).tile
        512
    """

    device: str = "auto"
    engine: str | None = None
    key: bytes | None = None
    compiled: bool | None = None
    tile: Tile = "auto"
    memory: float | None = None
    batch: int = 1
    ensemble: bool = False
    full_size: bool = False

    def __post_init__(self) -> None:
        if self.tile not in (None, "auto") and not isinstance(self.tile, int):
            raise RestoreError(f"tile {self.tile!r}: use a side in pixels, such as 512, or auto")
        if self.memory is not None and not self.memory > 0:
            raise RestoreError(f"memory {self.memory}: use gigabytes, such as 2")
        if not isinstance(self.batch, int) or self.batch < 1:
            raise RestoreError(f"batch {self.batch}: use the number of images that go through together, 1 or more")

    def with_(self, **changes: Any) -> Options:
        """Return these options with some changed.

        Raises:
            RestoreError: There is no such option, or a value cannot be used.
        """
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                raise RestoreError(f"unknown option {name!r}; {did_you_mean(name, known)}")
        return replace(self, **changes)

    def shown(self) -> dict[str, Any]:
        """Return what may be written down: the options that differ from the usual ones, without the key."""
        usual = Options()
        differing = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "key"}
        return {name: value for name, value in differing.items() if value != getattr(usual, name)}


PUBLISHED = Options(tile=None, full_size=True)  # the whole image at its size, as papers measure
