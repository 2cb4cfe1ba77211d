"""Show what a network of several stages thinks on the way: the image of every stage, and maps of its uncertainty."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from mindrestore.files import PathLike
from mindrestore.images.read import read_rgb
from mindrestore.images.write import write_image
from mindrestore.inference.files import RestoreSummary, restore_each
from mindrestore.inference.pixels import RestoreError, pad_to
from mindrestore.inference.planning import plan_jobs
from mindrestore.inference.restorer import Restorer

# Luma of an image with values 0 to 255 as DSRIR's programs compute it, for a map that has no such range
_MAP_LUMA = np.array([65.738, 129.057, 25.064]) / 256


class StageImages(NamedTuple):
    """The outputs of all stages, the final one first.

    Attributes:
        images: Images (H, W, 3), float32, clipped to [0, 1].
        maps: Uncertainty maps (H, W, 3), float32, not limited to any range; none for a network without them.
    """

    images: tuple[np.ndarray, ...]
    maps: tuple[np.ndarray, ...]


def restore_stages(restorer: Restorer, image: np.ndarray) -> StageImages:
    """Run a network and keep the output of every stage.

    Args:
        restorer: Holds a network of several stages, such as `dsrir` or `mprnet_deraining`, that MindSpore runs
            (`engine="mindspore"`). Tiles are not used.
        image: (H, W, 3), float32 RGB in [0, 1].

    Returns:
        Images and uncertainty maps in the size of the input.

    Raises:
        RestoreError: The network has one stage only, or another engine runs it.
    """
    net = restorer.net
    if net is None:
        raise RestoreError("only engine mindspore shows stages, and only of weights; other engines return the result")
    import mindspore as ms

    from mindrestore.inference.cell_engine import inferring

    if restorer.spec.stages < 2:
        raise RestoreError(f"{restorer.spec.name} has one stage; its only image is what `restore` gives anyway")
    height, width = image.shape[:2]
    padded = pad_to(image, *restorer.layout.padded(height, width))
    with inferring(net):
        output = net(ms.Tensor(np.ascontiguousarray(padded.transpose(2, 0, 1)[None], np.float32)))
    images, maps = output if isinstance(output[0], tuple) else (output, ())
    pictures, shown = (
        tuple(tensor.asnumpy()[0].transpose(1, 2, 0)[:height, :width] for tensor in part) for part in (images, maps)
    )
    return StageImages(tuple(np.clip(picture, 0, 1) for picture in pictures), shown)


def uncertainty_grey(uncertainty: np.ndarray) -> np.ndarray:
    """Bring an uncertainty map to grey levels: its luma, stretched from its least to its greatest value.

    Args:
        uncertainty: (H, W, 3), any range.

    Returns:
        (H, W) uint8; fractions are cut off as in DSRIR's program.
    """
    luma = uncertainty.astype(np.float64) @ _MAP_LUMA
    return (255 * (luma - luma.min()) / (luma.max() - luma.min() + 1e-6)).astype(np.uint8)


def uncertainty_picture(uncertainty: np.ndarray) -> np.ndarray:
    """Colour an uncertainty map from blue (certain) to red (uncertain).

    Args:
        uncertainty: (H, W, 3), any range.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    return cv2.cvtColor(cv2.applyColorMap(uncertainty_grey(uncertainty), cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB)


def restore_stage_files(
    restorer: Restorer, source: PathLike, out: PathLike, *, overwrite: bool = False
) -> RestoreSummary:
    """Restore photographs into a folder each: `restored_0.png` (the final stage), ... and `vars_0.png`, ...

    Args:
        restorer: As for `restore_stages`.
        source: Photograph, or folder with sub-folders; grey and transparent ones are taken as RGB.
        out: Folder for the folders, which are called after the photographs.
        overwrite: Replace pictures that are there; otherwise such a photograph is left out.

    Returns:
        The first picture of every photograph, written or kept, and the messages of the photographs that failed.

    Raises:
        RestoreError: There is nothing to restore, or the folder cannot be written.
    """

    def restore_one(photo: Path, first: Path) -> None:
        stages = restore_stages(restorer, read_rgb(photo))
        pictures = {f"restored_{number}.png": image for number, image in enumerate(stages.images)}
        pictures.update((f"vars_{number}.png", uncertainty_picture(shown)) for number, shown in enumerate(stages.maps))
        for name in reversed(pictures):  # the first one last: it says that all are there
            write_image(first.with_name(name), pictures[name])

    jobs = plan_jobs(Path(source), Path(out), lambda path: f"{path.stem}/restored_0.png")
    return restore_each(jobs, restore_one, Path(out), overwrite=overwrite)
