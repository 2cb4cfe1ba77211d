"""Named measuring protocols: one restored image scores differently under each, so the name goes with the number."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Callable

import numpy as np

from mindrestore.data.transforms import centre_crop
from mindrestore.errors import MindRestoreError, did_you_mean
from mindrestore.evaluation import metrics
from mindrestore.evaluation.alignment import align

_COLOURS = MappingProxyType(
    {
        "rgb": ("RGB", None),
        # ITU-R BT.601 luma as MATLAB's rgb2ycbcr gives it: 16..235 for 8-bit images
        "y": ("luma Y of BT.601 (16..235)", (65.481 / 255, 128.553 / 255, 24.966 / 255)),
        # the same luma with the weights of a 0..256 range: they sum to 0.859 and lift PSNR by about 1.3 dB
        "y-256": ("luma with the weights (65.738, 129.057, 25.064)/256", (65.738 / 256, 129.057 / 256, 25.064 / 256)),
    }
)
_ROUNDINGS = MappingProxyType(
    {
        "none": "no rounding",
        "image": "both images rounded to 8 bits",
        "image+luma": "both images rounded to 8 bits, luma rounded to integers",
        "restored": "restored image rounded to 8 bits",
    }
)
_WINDOWS = MappingProxyType(
    {
        "gaussian": "Gaussian 11x11, sigma 1.5, window inside the image",
        "gaussian-zero-padded": "Gaussian 11x11, sigma 1.5, zeros beyond the border",
        "gaussian-volume": "Gaussian 11x11x11, sigma 1.5, image taken as a volume, border replicated",
        "uniform": "uniform 7x7, sample covariance, window inside the image",
        "uniform-columns": "uniform, 7 pixels of each column (a one-dimensional SSIM), sample covariance",
    }
)


class ProtocolError(MindRestoreError):
    """Report an unknown protocol or images that a protocol cannot compare."""


@dataclass(frozen=True)
class Protocol:
    """Fix every choice that moves a score.

    Args:
        name: The name that stands beside each number.
        used_by: Who measures like this.
        colour: "rgb", "y" (BT.601 luma) or "y-256".
        rounding: "none", "image", "image+luma" or "restored".
        centre_crop: Cut input and target to a centre of at most this many pixels a side before restoring.
        crop_multiple: Then centre-crop both to this multiple.
        aligned: Align the restored image to its target (see `mindrestore.evaluation.alignment`) and measure PSNR and
            SSIM where it covers the target; elsewhere both images are black.
        border: Pixels left out on every side before measuring.
        window: SSIM window, a name of `metrics.SSIM_WINDOWS`.
        ssim_pooling: Average both images down to a short side of about 256 pixels before SSIM.
        equal_psnr: PSNR of equal images, in decibels.
        names: Metrics in the order of the table.
        noise_seed: Seed of the noise where the test adds it to clear images.
        restoring: How images were restored, where that is not what is published.
    """

    name: str
    used_by: str
    colour: str = "rgb"
    rounding: str = "none"
    centre_crop: int | None = None
    crop_multiple: int = 1
    aligned: bool = False
    border: int = 0
    window: str = "gaussian"
    ssim_pooling: bool = False
    equal_psnr: float = math.inf
    names: tuple[str, ...] = ("psnr", "ssim")
    noise_seed: int = 1234
    restoring: str = ""

    def __post_init__(self) -> None:
        if self.aligned and not set(self.names) <= {"psnr", "ssim"}:
            raise ValueError(f"protocol {self.name}: only PSNR and SSIM can leave pixels out, not {self.names}")

    @property
    def description(self) -> str:
        """Colour space, crop, rounding, alignment, SSIM window and down-sampling in one line."""
        pooling = "averaged down to a short side of about 256 pixels" if self.ssim_pooling else "no down-sampling"
        parts = [_COLOURS[self.colour][0], self._region, _ROUNDINGS[self.rounding]]
        if self.aligned:
            parts.append("restored image scaled and warped onto its target (ECC), measured where it covers the target")
        parts.append(f"SSIM: {_WINDOWS[self.window]}, {pooling}")
        if not math.isinf(self.equal_psnr):
            parts.append(f"PSNR of equal images: {self.equal_psnr:g}")
        return "; ".join([*parts, *filter(None, [self.restoring])])

    def marked(self, mark: str, restoring: str) -> Protocol:
        """Return this protocol for images that were restored in another way than published.

        Args:
            mark: Follows the name, after a plus sign.
            restoring: Says in the description how they were restored.
        """
        return replace(self, name=f"{self.name}+{mark}", restoring=restoring)

    @property
    def _region(self) -> str:
        crops = []
        if self.centre_crop:
            crops.append(f"centre crop of at most {self.centre_crop}x{self.centre_crop}")
        if self.crop_multiple > 1:
            crops.append(f"centre crop to multiples of {self.crop_multiple}")
        border = f", {self.border} border pixel{'s' if self.border > 1 else ''} left out" if self.border else ""
        return (", ".join(crops) or "whole image") + border

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """Crop an input or target to the part that this protocol restores and measures.

        Args:
            image: HWC array.

        Returns:
            The centre of the image, a view; the whole image for most protocols.

        Raises:
            ProtocolError: Nothing would be left.
        """
        if self.centre_crop:
            image = centre_crop(image, *(min(side, self.centre_crop) for side in image.shape[:2]))
        height, width = image.shape[:2]
        rest_h, rest_w = height % self.crop_multiple, width % self.crop_multiple
        if rest_h == height or rest_w == width:
            raise ProtocolError(
                f"protocol {self.name} crops to multiples of {self.crop_multiple} and nothing of this "
                f"{height}x{width} image would be left; leave the image out or choose another protocol"
            )
        top, left = rest_h // 2, rest_w // 2
        return image[top : top + height - rest_h, left : left + width - rest_w]

    def measure(self, pred: np.ndarray, target: np.ndarray) -> dict[str, float]:
        """Score a restored image against its target.

        Args:
            pred: Restored image (H, W, 3), RGB float; values outside [0,1] are clipped.
            target: Clean image of the same shape, RGB float in [0,1].

        Returns:
            Metric name -> value, in table order. NaN where a metric is undefined for the size.

        Raises:
            ProtocolError: The images differ in size, are not RGB, or are smaller than the border left out.
            AlignmentError: The protocol aligns the images and they cannot be aligned.
        """
        self._check(pred, target)
        pred = self._round_image(np.clip(np.asarray(pred, np.float64), 0, 1), restored=True)
        target = self._round_image(np.clip(np.asarray(target, np.float64), 0, 1), restored=False)
        mask = None
        if self.aligned:
            pred, mask = align(pred, target)
            pred, target, mask = pred * mask[..., None], target * mask[..., None], self._trim(mask)
        pred, target = self._trim(self._convert(pred)), self._trim(self._convert(target))
        return {name: _METRICS[name](self, pred, target, mask) for name in self.names}

    def _check(self, pred: np.ndarray, target: np.ndarray) -> None:
        if pred.shape != target.shape:
            raise ProtocolError(
                f"the restored image is {_size(pred)} and its target {_size(target)}; they must have one size"
            )
        if pred.ndim != 3 or pred.shape[2] != 3:
            raise ProtocolError(f"a protocol measures RGB images of shape (H, W, 3), not {pred.shape}")
        if min(pred.shape[:2]) <= 2 * self.border:
            raise ProtocolError(
                f"protocol {self.name} leaves out {self.border} border pixels; {_size(pred)} is too small"
            )

    def _round_image(self, image: np.ndarray, restored: bool) -> np.ndarray:
        wanted = self.rounding.startswith("image") or (self.rounding == "restored" and restored)
        return np.rint(image * 255) / 255 if wanted else image

    def _convert(self, image: np.ndarray) -> np.ndarray:
        weights = _COLOURS[self.colour][1]
        if weights is None:
            return image
        luma = image @ np.array(weights) + 16 / 255  # (H, W)
        return np.rint(luma * 255) / 255 if self.rounding == "image+luma" else luma

    def _trim(self, image: np.ndarray) -> np.ndarray:
        return image[self.border : image.shape[0] - self.border, self.border : image.shape[1] - self.border]

    def _psnr(self, pred: np.ndarray, target: np.ndarray, mask: np.ndarray | None) -> float:
        value = metrics.psnr(pred, target, mask=mask)
        return self.equal_psnr if math.isinf(value) else value

    def _ssim(self, pred: np.ndarray, target: np.ndarray, mask: np.ndarray | None) -> float:
        if self.ssim_pooling:
            factor = max(1, round(min(pred.shape[:2]) / 256))  # round() goes half to even, as the original does
            size = pred.shape[0] // factor, pred.shape[1] // factor
            pred, target = adaptive_average_pool(pred, size), adaptive_average_pool(target, size)
        return metrics.ssim(pred, target, window=self.window, mask=mask)


def adaptive_average_pool(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Average an image over size[0] x size[1] cells that cover it, overlapping where the division is not exact.

    Cell i of n along a side of length L reaches from floor(i L / n) to ceil((i + 1) L / n).

    Args:
        image: Array (H, W) or (H, W, C).
        size: Rows and columns of the result.

    Returns:
        float64 array (size[0], size[1]) or (size[0], size[1], C).
    """
    pooled = np.asarray(image, np.float64)
    for axis, cells in enumerate(size):
        length = pooled.shape[axis]
        if cells == length:
            continue
        index = np.arange(cells)
        start, stop = index * length // cells, -((-(index + 1) * length) // cells)
        sums = np.concatenate((np.zeros_like(pooled.take([0], axis)), np.cumsum(pooled, axis)), axis)
        counts = (stop - start).reshape([-1 if k == axis else 1 for k in range(pooled.ndim)])
        pooled = (sums.take(stop, axis) - sums.take(start, axis)) / counts
    return pooled


_METRICS: dict[str, Callable[[Protocol, np.ndarray, np.ndarray, np.ndarray | None], float]] = {
    "psnr": Protocol._psnr,
    "ssim": Protocol._ssim,
    "ms_ssim": lambda protocol, pred, target, mask: metrics.ms_ssim(pred, target),
    "mae": lambda protocol, pred, target, mask: metrics.mae(pred, target),
    "ciede2000": lambda protocol, pred, target, mask: metrics.ciede2000(pred, target),
}

_EVERY = ("psnr", "ssim", "ms_ssim", "mae", "ciede2000")
_LUMA = ("psnr", "ssim", "ms_ssim")

_PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("rgb", "general use; floating point, nothing lost before measuring", names=_EVERY),
        Protocol("rgb8", "scores of saved 8-bit files", rounding="image", names=_EVERY),
        Protocol("y-matlab", "luma scores of saved 8-bit files", colour="y", rounding="image", names=_LUMA),
        Protocol("aecr", "AECR-Net, official code and paper", window="gaussian-zero-padded", equal_psnr=100.0),
        Protocol("aecr-zoo", "AECR-Net, MindSpore model zoo", colour="y-256", rounding="restored", border=1),
        Protocol("dehazeformer", "DehazeFormer and CrossDehaze", ssim_pooling=True),
        Protocol("dsrir-rgb", "DSRIR, noise and haze", window="uniform", crop_multiple=8),
        Protocol("dsrir-y", "DSRIR, rain, with a two-dimensional SSIM", colour="y", window="uniform", crop_multiple=8),
        Protocol(
            "dsrir-y-columns",
            "DSRIR, rain, as published: its SSIM runs along image columns only",
            colour="y",
            window="uniform-columns",
            crop_multiple=8,
        ),
        Protocol("mpr-derain", "MPRNet, deraining (MATLAB)", colour="y", rounding="image+luma"),
        Protocol("mpr-gopro", "MPRNet, GoPro and HIDE (MATLAB)", rounding="image", window="gaussian-volume"),
        Protocol("mpr-sidd", "MPRNet, SIDD (MATLAB), floating-point prediction", window="gaussian-volume"),
        Protocol("mpr-realblur", "MPRNet and others, RealBlur-R and RealBlur-J", rounding="image", aligned=True),
        Protocol("paddlegan-rgb", "PaddleGAN, metrics on RGB", rounding="image", border=4),
        Protocol("paddlegan-y", "PaddleGAN, metrics on luma", colour="y", rounding="image", border=4),
        Protocol("paddlegan-gopro", "PaddleGAN, MPRNet on GoPro", rounding="image", centre_crop=256, border=4),
    )
}


def list_protocols() -> list[str]:
    """List the names of all protocols.

    Returns:
        Names in the order of the documentation.
    """
    return list(_PROTOCOLS)


def get_protocol(name: str | Protocol) -> Protocol:
    """Look a protocol up by name.

    Args:
        name: One of `list_protocols()`; a protocol is returned as it is.

    Returns:
        The protocol.

    Raises:
        ProtocolError: No protocol has this name; the message gives the closest one.
    """
    if isinstance(name, Protocol):
        return name
    if name not in _PROTOCOLS:
        raise ProtocolError(f"unknown protocol {name!r}; {did_you_mean(name, _PROTOCOLS)}")
    return _PROTOCOLS[name]


def _size(image: np.ndarray) -> str:
    return "x".join(str(side) for side in image.shape[:2])
