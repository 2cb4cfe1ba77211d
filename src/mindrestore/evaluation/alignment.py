"""Bring a restored photograph to the exposure and position of its target, as scores on RealBlur are taken.

RealBlur's blurred and sharp photographs come from two cameras behind one lens. They differ a little in exposure and
viewpoint, which a deblurring network neither can nor should mend.
"""

from __future__ import annotations

import cv2
import numpy as np

from mindrestore.errors import MindRestoreError

_ITERATIONS = 100
_BLUR = 5  # side of the Gaussian that ECC applies to both images, in pixels


class AlignmentError(MindRestoreError):
    """Report two images that show too different things to be aligned."""


def align(image: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale and warp an image onto its target.

    The image z is multiplied by sum(x z) / sum(z^2), x being the target: the factor with the least squared error.
    A homography is then found on grey images by maximising the enhanced correlation coefficient (Evangelidis and
    Psarakis 2008), 100 iterations from the identity, and applied with bicubic interpolation and reflected borders.

    Args:
        image: Restored image (H, W, 3), RGB in [0,1].
        target: Clean image of the same shape.

    Returns:
        The aligned image (H, W, 3), float32, not clipped; and the mask (H, W), bool, of the pixels of the target that
        the restored image really covers: elsewhere the aligned image only mirrors its border.

    Raises:
        AlignmentError: An image is black or flat, or the iteration does not converge.
    """
    image, target = np.asarray(image, np.float32), np.asarray(target, np.float32)
    energy = np.sum(np.square(image, dtype=np.float64))
    if energy == 0:
        raise AlignmentError("the image is black all over and cannot be aligned to its target")
    scaled = image * np.float32(np.sum(np.multiply(target, image, dtype=np.float64)) / energy)
    homography = _find_homography(scaled, target)
    size, inverse = target.shape[1::-1], cv2.WARP_INVERSE_MAP
    aligned = cv2.warpPerspective(
        scaled, homography, size, flags=cv2.INTER_CUBIC | inverse, borderMode=cv2.BORDER_REFLECT
    )
    inside = np.ones(target.shape[:2], np.uint8)
    mask = cv2.warpPerspective(inside, homography, size, flags=cv2.INTER_NEAREST | inverse) > 0
    if not mask.any():
        raise AlignmentError("the alignment moved the image beyond its target: they do not show the same scene")
    return aligned, mask


def _find_homography(image: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Find the homography that takes positions of the target to positions of the image."""
    grey_target, grey_image = (cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) for rgb in (target, image))
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ITERATIONS, 0.0)
    start = np.eye(3, dtype=np.float32)
    try:
        _, homography = cv2.findTransformECC(
            grey_target, grey_image, start, cv2.MOTION_HOMOGRAPHY, criteria, None, _BLUR
        )
    except cv2.error as error:
        raise AlignmentError(f"the alignment to the target (ECC) did not converge: {error.err}") from error
    if not np.isfinite(homography).all():
        raise AlignmentError("the alignment to the target (ECC) did not converge: its homography is not finite")
    return homography
