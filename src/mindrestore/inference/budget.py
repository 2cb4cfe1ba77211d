"""How much of an image a network may take at once, and whether as a compiled graph or operator by operator."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from mindrestore.inference.pixels import RestoreError
from mindrestore.models.spec import ModelSpec

_LEAST_TILE = 128**2  # pixels


@dataclass(frozen=True)
class Budget:
    """What fits into memory. A compiled graph is faster, and holds more of its intermediate results at once.

    Attributes:
        compiled: pixels of whole images that the compiled graph may take at once.
        eager: pixels of whole images that fit operator by operator; 0: the network always runs as a graph.
        tile: pixels of all tiles of a batch.
        tiles_compiled: whether tiles run as a compiled graph.
    """

    compiled: float
    eager: float
    tile: float
    tiles_compiled: bool

    @classmethod
    def of(cls, spec: ModelSpec, memory: float | None, *, compiled: bool | None, graph_only: bool = False) -> Budget:
        """Work it out from what the network was measured to take.

        Args:
            spec: The network.
            memory: Gigabytes that it may take; None: half of what is free now.
            compiled: Always compile (True), never (False), or as memory allows (None).
            graph_only: The network is a file that cannot run operator by operator.

        Returns:
            The budget; tiles that would leave the graph less than 128x128 pixels run operator by operator.

        Raises:
            RestoreError: The memory is not a positive number.
        """
        if memory is not None and memory <= 0:
            raise RestoreError(f"memory {memory}: give gigabytes, such as 2")
        total = psutil.virtual_memory().available / 2 if memory is None else memory * 1e9
        left = max(total - spec.graph_bytes, 0)
        eager = 0.0 if compiled or graph_only else total / (spec.eager_bytes or spec.pixel_bytes)
        if compiled is False:
            return cls(0.0, eager, eager, tiles_compiled=False)
        tile = left / (spec.tile_bytes or spec.pixel_bytes)
        tiles_compiled = eager == 0 or tile >= _LEAST_TILE or spec.graph_bytes == 0
        return cls(left / spec.pixel_bytes, eager, tile if tiles_compiled else eager, tiles_compiled)

    def fits(self, pixels: int) -> bool:
        """Return whether so many pixels of whole images go through at once, one way or the other."""
        return pixels <= max(self.compiled, self.eager)

    def compiles(self, pixels: int, *, tile: bool = False) -> bool:
        """Return whether so many pixels, of whole images or of tiles, run as a compiled graph; they need not fit."""
        if self.eager == 0:
            return True
        return pixels <= (self.tile if tile else self.compiled) and (self.tiles_compiled or not tile)
