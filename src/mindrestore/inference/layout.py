"""How an image is padded, shrunken and cut to what an engine takes and to what fits into memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mindrestore.exporting.session import free_memory
from mindrestore.inference.engines import Engine, EngineError
from mindrestore.inference.options import Options, Tile
from mindrestore.inference.pixels import Restore, pad_to, to_float, to_type
from mindrestore.inference.progress import ImageProgress
from mindrestore.inference.tiles import Tiling, run_tiled
from mindrestore.inference.working_size import WORKING_PIXELS, working_size
from mindrestore.models.spec import ModelSpec, fitting_side

_USUAL_MEMORY = 1e9  # bytes; larger tiles are hardly faster per pixel
_LEAST_WORKING = 128**2  # pixels of a working image where memory allows fewer

Size = tuple[int, int]


@dataclass(frozen=True)
class ImageLayout:
    """Pad, shrink and cut images for an engine.

    Attributes:
        multiple: Height and width that the network takes are multiples of it (pixels).
        least: The smallest height and width.
        tile: Side of the tiles, "auto" or None, as in `Options`.
        pixels: Most pixels that go through together, of whole images or of tiles.
        batch: Images or tiles that go through together.
        fixed: Height and width of the only images that the engine takes, where they differ; None: any.
    """

    multiple: int
    least: int
    tile: Tile
    pixels: float
    batch: int = 1
    fixed: Size | None = None

    @classmethod
    def of(cls, spec: ModelSpec, engine: Engine, options: Options) -> ImageLayout:
        """Lay out what an engine takes; a file for squares of one size makes them its tiles.

        Raises:
            EngineError: The options ask for tiles that the engine does not take.
        """
        tile, least, fixed = options.tile, spec.min_size, None
        if engine.size is not None:
            height, width = engine.size
            fixed = None if height == width else engine.size
            if tile not in (None, "auto", height) or (fixed and tile not in (None, "auto")):
                raise EngineError(f"the file takes {height}x{width} pixels; tiles of {tile} are not possible")
            tile, least = (None, spec.min_size) if fixed else (height, height)
        layout = cls(spec.size_multiple, least, tile, _pixels(options, engine), options.batch, fixed)
        layout.tiling(1 << 20, 1 << 20)  # a tile that is too small for the network is refused now
        return layout

    def padded(self, height: int, width: int) -> Size:
        """Return the size to which an image is extended.

        Raises:
            EngineError: The engine takes one size, and the image is larger.
        """
        if self.fixed is None:
            return fitting_side(height, self.multiple, self.least), fitting_side(width, self.multiple, self.least)
        if height > self.fixed[0] or width > self.fixed[1]:
            raise EngineError(
                f"the file takes {self.fixed[0]}x{self.fixed[1]} pixels, the image has {height}x{width}; export it for "
                "free sizes, or for a square to be used as a tile"
            )
        return self.fixed

    def tiling(self, height: int, width: int) -> Tiling | None:
        """Return how an extended image is cut; None where it goes through whole."""
        if self.tile is None or (self.tile == "auto" and height * width <= self.pixels):
            return None
        if self.tile == "auto":
            tiling = Tiling.within(self.pixels / self.batch, self.multiple, self.least)
        else:
            tiling = Tiling.of(self.tile, self.multiple, self.least)
        return None if max(height, width) <= tiling.size else tiling

    def goes_together(self, height: int, width: int) -> bool:
        """Return whether a batch of extended images of this size goes through whole."""
        fits = self.tile != "auto" or self.batch * height * width <= self.pixels
        return self.batch > 1 and fits and self.tiling(height, width) is None

    def working(self, height: int, width: int) -> Size:
        """Return the size at which a network against haze sees an image: no tiles, therefore no seams."""
        pixels = min(WORKING_PIXELS, max(self.pixels, _LEAST_WORKING)) if self.tile == "auto" else WORKING_PIXELS
        if self.fixed:
            scale = min(self.fixed[0] / height, self.fixed[1] / width, 1)
            pixels = min(pixels, height * width * scale**2)
        return working_size(height, width, pixels)


def tiled(engine: Engine, layout: ImageLayout, progress: ImageProgress) -> Restore:
    """Let an engine take images of any size: extended at the bottom and right, and in tiles where they are large.

    Args:
        engine: Maps (N, 3, h, w) float32 in [0,1] to the same.
        layout: What the engine takes.
        progress: Told after every batch of tiles.

    Returns:
        A function from (H, W, 3) to the same type and size.
    """

    def run(tiles: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        if len(tiles) in (1, layout.batch):
            return run_batch(engine, tiles)
        return [restored for tile in tiles for restored in run_batch(engine, [tile])]  # a batch of another size: no

    def restored(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        padded = pad_to(image, *layout.padded(height, width))
        tiling = layout.tiling(*padded.shape[:2])
        if tiling is None:
            result = to_type(run_batch(engine, [padded])[0], image.dtype)
            progress.tell(1, 1)
        else:
            result = run_tiled(run, padded, tiling, batch=layout.batch, progress=progress)
        return result[:height, :width]

    return restored


def run_batch(engine: Engine, images: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """Run an engine on images (h, w, 3) of one size, of any pixel type; the results are float32."""
    batch = np.stack([to_float(image) for image in images]).transpose(0, 3, 1, 2)  # (N, 3, h, w)
    return engine(np.ascontiguousarray(batch)).transpose(0, 2, 3, 1)


def _pixels(options: Options, engine: Engine) -> float:
    if options.memory is not None:
        return options.memory * 1e9 / engine.pixel_bytes
    return min(_USUAL_MEMORY, free_memory() / 2) / engine.pixel_bytes
