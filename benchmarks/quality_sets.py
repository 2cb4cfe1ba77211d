"""The test images of `quality.py`: which sets, how they are paired, and under which protocols they are measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mindrestore.data.noise import add_noise, noise_rng
from mindrestore.evaluation.protocol import Protocol, get_protocol
from mindrestore.images.pixels import to_float
from mindrestore.images.read import list_images, read_rgb

SIGMAS = (15, 25, 50)
NOISE_SEED = 1234
REAL_HAZE = ("ihaze_small", "nh_haze_half", "ntire26_night_half")
_HAZE = ("sots_indoor", "sots_outdoor", "reside6k_outdoor", *REAL_HAZE)
_RAIN = ("rain100l", "rain100h")
_NOISE = ("cbsd68", "kodak24")
_BLUR = ("gopro",)


@dataclass(frozen=True)
class TestSet:
    """Describe one test set.

    Attributes:
        name: Folder of the data, with the noise level behind it.
        task: What has to be removed.
        inputs, targets: Folders of degraded and clear images; no targets: pictures to look at.
        protocols: Names of the protocols.
        multiple: Images are cut at the right and bottom to multiples of it.
        sigma: Standard deviation of the noise to add to the targets; None: the inputs are degraded.
    """

    __test__ = False  # pytest: this is no test
    name: str
    task: str
    inputs: Path
    targets: Path | None
    protocols: tuple[str, ...] = ("rgb",)
    multiple: int = 1
    sigma: int | None = None

    @property
    def measures(self) -> list[Protocol]:
        """The protocols, with PSNR and SSIM alone."""
        return [replace(get_protocol(name), names=("psnr", "ssim")) for name in self.protocols]

    def names(self, limit: int | None = None) -> list[str]:
        """List the file names of the degraded images."""
        return [path.name for path in list_images(self.inputs)][:limit]

    def load(self, name: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Read a degraded image and its clear partner, (H, W, 3) float32 in [0, 1]."""
        image = read_rgb(self.inputs / name)
        if self.sigma is not None:
            return to_float(add_noise(image, self.sigma, noise_rng(NOISE_SEED, self.sigma, name))), to_float(image)
        clear = None if self.targets is None else self._cut(to_float(read_rgb(self._partner(name))))
        return self._cut(to_float(image)), clear

    def _partner(self, name: str) -> Path:
        same = self.targets / name
        return same if same.is_file() else next(self.targets.glob(f"{Path(name).stem}.*"))

    def _cut(self, image: np.ndarray) -> np.ndarray:
        height, width = (side - side % self.multiple for side in image.shape[:2])
        return image[:height, :width]


def test_sets(data: Path, task: str) -> Iterator[TestSet]:
    """Return the sets of a task that lie below `data`; `real_hazy` is last and has no targets."""
    if task == "dehaze":
        for name in _HAZE:
            yield TestSet(name, task, data / name / "hazy", data / name / "clear", multiple=4)
        yield TestSet("real_hazy", task, data / "real_hazy" / "hazy", None, multiple=4)
    elif task == "derain":
        for name in _RAIN:
            yield TestSet(name, task, data / name / "input", data / name / "target", ("rgb", "y-matlab"))
    elif task == "deblur":
        for name in _BLUR:
            yield TestSet(name, task, data / name / "input", data / name / "target")
    else:
        for name in _NOISE:
            folder = data / name / "target"
            for sigma in SIGMAS:
                yield TestSet(f"{name} sigma {sigma}", task, folder, folder, sigma=sigma)
