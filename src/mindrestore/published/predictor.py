"""PaddleGAN's predictor for MPRNet, with the arguments of its tutorial."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mindrestore.files import PathLike
from mindrestore.images.read import read_image
from mindrestore.images.write import write_image
from mindrestore.inference.files import RestoreSummary, restore_each
from mindrestore.inference.pixels import RestoreError
from mindrestore.inference.planning import matching_photos
from mindrestore.inference.restorer import Restorer
from mindrestore.inference.tasks import published_word, source_for

PATTERNS = ("*.jpeg", "*.jpg", "*.JPG", "*.png", "*.PNG")


class PartlyRestoredError(RestoreError):
    """Report the photographs of a folder that could not be restored; the others are done."""

    exit_code = 1
    several_lines = True


class MPRPredictor:
    """Remove blur, noise or rain with MPRNet, called as in PaddleGAN's tutorial.

    The published predictor shrinks photographs to 640 pixels and truncates grey levels; here that has to be asked for.

    Args:
        output_path: Folder for the results.
        weight_path: Weight file; None looks for `<task>/pretrained_models/model_<task>` as the authors' demo does, then
            takes the weights that come with MindRestore.
        seed: Taken for the sake of the tutorial's calls; nothing is drawn at random.
        task: "Deblurring", "Denoising" or "Deraining".
        max_side: Shrink photographs whose longer side has more pixels, 640 as published; None keeps their size.
        truncate: Cut grey levels down to whole numbers, as published, instead of rounding them.
        device: "auto", "CPU", "GPU" or "Ascend".
        tile: Side of overlapping tiles in pixels, for large photographs; None takes them whole.
        hyper: Hyper-parameters of the network when the weights are not those of a published variant.

    Raises:
        TaskError: The task is none of the three (also a ValueError), or no weights were found for it.
        MindRestoreError: The weights or the device cannot be used.

    Examples:
        >>> predictor = MPRPredictor(output_path="output_dir", weight_path="rain.npz", task="Deraining")
        >>> predictor.run("photos").written
        (PosixPath('output_dir/Deraining/a_restoration.png'), PosixPath('output_dir/Deraining/b_restoration.jpg'))
    """

    def __init__(
        self,
        output_path: PathLike = "output_dir",
        weight_path: PathLike | None = None,
        seed: int | None = None,
        task: str | None = None,
        *,
        max_side: int | None = None,
        truncate: bool = False,
        device: str = "auto",
        tile: int | None = None,
        hyper: Mapping[str, Any] | None = None,
    ) -> None:
        task = published_word(task)
        if max_side is not None and max_side < 1:
            raise RestoreError(f"max_side {max_side}: use a number of pixels, such as 640, or None")
        self.folder = Path(output_path) / task
        self.max_side, self.truncate = max_side, truncate
        source = source_for(task, weight_path)
        self.restorer = Restorer(source.model, weights=source.weights, device=device, tile=tile, hyper=hyper)

    def run(self, images_path: PathLike) -> RestoreSummary:
        """Restore a photograph, or those of a folder without its sub-folders; earlier results are replaced.

        Results are `<output_path>/<task>/<name>_restoration.<suffix>`, in RGB with 8 bits. A photograph that `max_side`
        makes smaller is kept in its new size as `<output_path>/<task>/<name>.<suffix>`, to compare.

        Args:
            images_path: File, or folder of .jpeg, .jpg, .JPG, .png and .PNG files.

        Returns:
            What was written.

        Raises:
            RestoreError: There is nothing to restore, or the results cannot be written.
            PartlyRestoredError: Some photographs could not be restored; the message says which and why.

        Examples:
            >>> MPRPredictor(weight_path="rain.npz", task="Deraining").run("photos/a.png").written
            (PosixPath('output_dir/Deraining/a_restoration.png'),)
        """
        path = Path(images_path)
        photos = [path] if path.is_file() else matching_photos(path, PATTERNS)
        jobs = [(photo, self.folder / f"{photo.stem}_restoration{photo.suffix}") for photo in photos]
        summary = restore_each(jobs, self._restore_one, self.folder, overwrite=True, restorer=self.restorer)
        if summary.failed:
            done = f"{len(summary.written)} of {len(photos)} photographs are restored into {self.folder}"
            raise PartlyRestoredError("\n".join((*summary.failed, done)))
        return summary

    def _restore_one(self, source: Path, target: Path) -> None:
        photo = _to_8_bits(read_image(source))
        if self.max_side is not None and max(photo.shape[:2]) > self.max_side:
            photo = _shrink(photo, self.max_side)
            beside = self.folder / source.name
            if beside.resolve() == source.resolve():
                raise RestoreError(f"{source}: its smaller copy would replace it; choose another output_path")
            write_image(beside, photo)
        restored = self.restorer.restore_float(photo.astype(np.float32) / np.float32(255))
        scaled = np.clip(restored, 0, 1) * 255
        write_image(target, (scaled if self.truncate else np.rint(scaled)).astype(np.uint8))


def _to_8_bits(photo: np.ndarray) -> np.ndarray:
    return np.rint(photo / 257).astype(np.uint8) if photo.dtype == np.uint16 else photo


def _shrink(photo: np.ndarray, side: int) -> np.ndarray:
    longest = max(photo.shape[:2])
    height, width = (max(length * side // longest, 1) for length in photo.shape[:2])
    return np.asarray(Image.fromarray(photo).resize((width, height), Image.BICUBIC))
