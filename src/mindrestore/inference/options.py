"""How images go through a network: one frozen object that every caller passes on as it is."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Union

from mindrestore.errors import did_you_mean
from mindrestore.inference.pixels import RestoreError

Tile = Union[int, str, None]


@dataclass(frozen=True)
class Options:
    """How images are processed: device, engine, tiles, memory.

    Attributes:
        device: "auto", "CPU", "GPU" or "Ascend"; a network passed as `net` stays where it is.
        engine: "onnx" runs on onnxruntime, "mindspore" and "mindir" (a file of `export`) with MindSpore. None: by the
            suffix of an exported file; else MindSpore where there is a card, and onnxruntime elsewhere.
        key: The key of an encrypted MINDIR.
        compiled: Whether MindSpore compiles a network passed as `net` (seconds for the first image, faster afterwards)
            or runs it operator by operator; None: it is compiled on CPU.
        tile: "auto" restores images whole if they fit into `memory`, otherwise in overlapping tiles; a number is the
            side of the tiles in pixels; None restores every image whole.
        memory: Memory limit of the network in GB, for an image or a batch of tiles; None: 1, or half of the free memory
            if that is less. The same limit gives the same tiles on every machine.
        batch: Images of one size, or tiles, that are processed together.
        ensemble: Average over the eight flips and rotations of an image; takes eight times as long.
        full_size: Dehazing: run the network at full resolution. By default large images are downscaled for it, and the
            change is applied at full resolution (`working_size.py`). Deraining: run it at full resolution only. By
            default it also sees large images downscaled, which removes wide streaks (`coarse_to_fine.py`).

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
        if self.memory is not None and not (isinstance(self.memory, (int, float)) and self.memory > 0):
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
