"""How much of an image a network may take at once."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from mindrestore.inference.pixels import RestoreError


@dataclass(frozen=True)
class Budget:
    """What fits into memory.

    Attributes:
        pixels: of all images or tiles that run together.
    """

    pixels: float

    @classmethod
    def of(cls, pixel_bytes: int, memory: float | None) -> Budget:
        """Work it out from what the engine was measured to take.

        Args:
            pixel_bytes: memory of one pixel (bytes).
            memory: gigabytes that the network may take; None: half of what is free now.

        Returns:
            The budget.

        Raises:
            RestoreError: The memory is not a positive number.
        """
        if memory is not None and memory <= 0:
            raise RestoreError(f"memory {memory}: give gigabytes, such as 2")
        total = psutil.virtual_memory().available / 2 if memory is None else memory * 1e9
        return cls(total / pixel_bytes)

    def fits(self, pixels: int) -> bool:
        """Return whether so many pixels go through at once."""
        return pixels <= self.pixels
