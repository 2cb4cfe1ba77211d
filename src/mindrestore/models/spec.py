"""What callers need to know about a network; nobody asks for its name to decide what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable


def rounded_up(side: int, multiple: int) -> int:
    """Return the smallest multiple from `side` on; graphs compile it for sizes that are not known before they run."""
    return (side + multiple - 1) // multiple * multiple


def fitting_side(side: int, multiple: int, least: int = 1) -> int:
    """Return the smallest height or width, from `side` and `least` on, that is a multiple: the size rule."""
    return rounded_up(max(side, least, 1), multiple)


@dataclass(frozen=True)
class ModelSpec:
    """Describe a registered network to everything outside its own file.

    Attributes:
        name: registered name, such as `aecrnet`.
        tasks: what it removes: `dehaze`, `derain`, `deblur`, `denoise`.
        size_multiple: height and width of the input must be multiples of it (pixels).
        min_size: smallest height and width after padding (pixels).
        parameters: learnt values with the published hyper-parameters, those included that no output depends on.
        paper: title, venue and year.
        licence: what is known about published weights.
        title: what papers call it, such as AECR-Net.
        value_range: the network's own image range; callers always use [0, 1].
        output_index: which output is the restored image; a tuple leads into nested ones; None: the only output.
        stages: images among the outputs, the final one first; losses on images measure each of them.
        hyper: every keyword of the constructor with its published value.
        training_only: those of them that only initial weights or training depend on.
        tiling: `exact` when a tile gives the same pixels as the whole image (beyond the network's reach), `statistics`
            when the network pools over the whole image, so that tiles differ a little.
        pixel_bytes: memory that the network takes per pixel on onnxruntime (bytes); says which images fit a budget.
        cell_bytes: the same of the network compiled by MindSpore on CPU.
        aliases: parameter names found in published files -> the name used here.
        recognise: function that reads the hyper-parameters off a file: parameter name -> shape in, hyper-parameter ->
            value out. It may index names freely: a KeyError or IndexError says that the file holds another network.
            None: `convert` has to be told.
    """

    name: str
    tasks: tuple[str, ...]
    size_multiple: int
    min_size: int
    parameters: int
    paper: str
    licence: str
    title: str = ""
    value_range: tuple[float, float] = (0.0, 1.0)
    output_index: int | tuple[int, ...] | None = None
    stages: int = 1
    hyper: Mapping[str, Any] = field(default_factory=dict)
    training_only: tuple[str, ...] = ()
    tiling: str = "statistics"
    pixel_bytes: int = 8000
    cell_bytes: int = 8000
    aliases: Mapping[str, str] = field(default_factory=dict)
    recognise: Callable[[Mapping[str, tuple[int, ...]]], dict[str, Any]] | None = None

    def fitting_side(self, side: int = 1) -> int:
        """Return the smallest height or width, from `side` on, that the network takes."""
        return fitting_side(side, self.size_multiple, self.min_size)
