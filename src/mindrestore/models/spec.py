"""What callers need to know about a network; nobody asks for its name to decide what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable


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
        value_range: the network's own image range; callers always use [0, 1].
        output_index: which output is the restored image; a tuple leads into nested ones; None: the only output.
        stages: images among the outputs, the final one first; losses on images measure each of them.
        hyper: every keyword of the constructor with its published value.
        training_only: those of them that only initial weights or training depend on.
        tiling: `exact` when a tile gives the same pixels as the whole image (beyond the network's reach), `statistics`
            when the network pools over the whole image, so that tiles differ a little.
        pixel_bytes: memory that the compiled network takes per pixel on CPU (bytes); says which images fit a budget.
        tile_bytes: the same for tiles, whose graph is compiled for one size; None: as `pixel_bytes`.
        eager_bytes: the same for images that run operator by operator, without a graph; None: as `pixel_bytes`.
        graph_bytes: memory of the compiled graph itself (bytes); 0: not measured.
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
    value_range: tuple[float, float] = (0.0, 1.0)
    output_index: int | tuple[int, ...] | None = None
    stages: int = 1
    hyper: Mapping[str, Any] = field(default_factory=dict)
    training_only: tuple[str, ...] = ()
    tiling: str = "statistics"
    pixel_bytes: int = 8000
    tile_bytes: int | None = None
    eager_bytes: int | None = None
    graph_bytes: int = 0
    aliases: Mapping[str, str] = field(default_factory=dict)
    recognise: Callable[[Mapping[str, tuple[int, ...]]], dict[str, Any]] | None = None
