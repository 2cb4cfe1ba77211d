"""Find test images that occur in the training images: scaled, turned, mirrored, cropped, compressed, or in other light.

Two ways, each for what the other misses. Whole images are compared by a perceptual hash: the signs of the 63 lowest
frequencies of a small grey copy, for its eight flips and turns. Parts are found by ORB keypoints (Rublee et al., ICCV
2011) that one similarity transform brings to each other, in the image and its mirror image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mindrestore.errors import MindRestoreError
from mindrestore.files import PathLike
from mindrestore.images.read import list_images, read_rgb

_SMALL, _LOW = 32, 8  # side of the grey copy, and of the square of frequencies kept (pixels)
_PLAIN = 2.0  # grey levels of deviation below which an image has no structure to compare
_SIDE, _KEYPOINTS = 640, 400  # longest side for keypoints (pixels), and their number
_VOTES, _CHUNK = 8, 256  # keypoints that make a pair worth a look; training images that are matched together
_CORRELATION = 0.8  # of the grey copies, below which equal signs are chance

Progress = Callable[[Sequence[Path]], Iterable[Path]]


@dataclass(frozen=True)
class DuplicateLimits:
    """How alike two images have to be.

    Attributes:
        distance: Most signs of the hash, of 63, that may differ.
        keypoints: Least keypoints that have to fit one transform.
    """

    distance: int = 8
    keypoints: int = 15


@dataclass(frozen=True)
class Duplicate:
    """Name a test image that occurs in a training image.

    Attributes:
        train, test: The files.
        kind: `whole` by the hash, or `part` by keypoints.
        distance: Signs of the hash that differ, 0 to 63; None for `part`.
        keypoints: Keypoints that fit one transform; None for `whole`.
        mirrored: Whether the test image is mirrored.
    """

    train: Path
    test: Path
    kind: str
    distance: int | None
    keypoints: int | None
    mirrored: bool

    def __str__(self) -> str:
        way = f"{self.distance} of 63 signs differ" if self.kind == "whole" else f"{self.keypoints} keypoints fit"
        return f"{self.test}: {self.kind} of {self.train} ({way}{', mirrored' if self.mirrored else ''})"


@dataclass(frozen=True)
class _Look:
    """What is compared of an image: hashes and small copies of its flips and turns, and keypoints."""

    path: Path
    signs: np.ndarray  # (8, 63) bool
    small: np.ndarray  # (8, 32 * 32), mean 0 and length 1
    points: tuple[np.ndarray, ...]  # (K, 2) as it is, and of the mirror image
    descriptors: tuple[np.ndarray, ...]  # (K, 32) uint8 of both


def find_duplicates(
    train: PathLike,
    tests: Sequence[PathLike],
    limits: DuplicateLimits = DuplicateLimits(),
    progress: Progress = lambda paths: paths,
) -> list[Duplicate]:
    """Compare every test image with every training image, sub-folders included.

    Args:
        train: Folder of training images.
        tests: Folders of test images.
        limits: How alike two images have to be.
        progress: Wraps the files while they are read.

    Returns:
        Suspicious pairs, in the order of the test images. Images without structure (a plain wall) match nothing.

    Raises:
        ImageError: A folder holds no images, or one cannot be read.
        MindRestoreError: The same folder is given as training and test images.
    """
    same = next((test for test in tests if Path(test).resolve() == Path(train).resolve()), None)
    if same is not None:
        raise MindRestoreError(f"{same}: given as training and as test images; name two folders")
    files = [path for folder in tests for path in list_images(folder, recursive=True)]
    trained = [_look(path, every=False) for path in progress(list_images(train, recursive=True))]
    chunks = [_Chunk(trained[first : first + _CHUNK]) for first in range(0, len(trained), _CHUNK)]
    found = []
    for path in progress(files):
        look = _look(path, every=True)
        whole = {pair.train: pair for pair in _whole(trained, look, limits)}
        parts = [pair for chunk in chunks for pair in chunk.parts(look, limits) if pair.train not in whole]
        found += [*whole.values(), *parts]
    return found


def _whole(trained: Sequence[_Look], test: _Look, limits: DuplicateLimits) -> Iterator[Duplicate]:
    for look in trained:
        if look.signs.size and test.signs.size:
            distances = (look.signs[:1] != test.signs).sum(1)  # to the eight forms of the test image
            alike = test.small @ look.small[0]
            usable = np.where(alike >= _CORRELATION, distances, 64)
            best = int(usable.argmin())
            if usable[best] <= limits.distance:
                yield Duplicate(look.path, test.path, "whole", int(usable[best]), None, best >= 4)


class _Chunk:
    """Match keypoints of a test image with those of many training images at once."""

    def __init__(self, looks: Sequence[_Look]) -> None:
        self.looks = [look for look in looks if len(look.points[0]) >= _VOTES]
        self.matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
        self.matcher.add([look.descriptors[0] for look in self.looks])

    def parts(self, test: _Look, limits: DuplicateLimits) -> Iterator[Duplicate]:
        best: dict[Path, Duplicate] = {}
        for mirrored, (points, descriptors) in enumerate(zip(test.points, test.descriptors)):
            if not self.looks or len(points) < _VOTES:
                continue
            votes: dict[int, list[cv2.DMatch]] = {}
            for match in self.matcher.match(descriptors):
                votes.setdefault(match.imgIdx, []).append(match)
            for index, matches in votes.items():
                look = self.looks[index]
                fitting = _fitting(points, look.points[0], matches)
                known = best.get(look.path)
                if fitting >= limits.keypoints and (known is None or fitting > known.keypoints):
                    best[look.path] = Duplicate(look.path, test.path, "part", None, fitting, bool(mirrored))
        yield from best.values()


def _fitting(points: np.ndarray, others: np.ndarray, matches: Sequence[cv2.DMatch]) -> int:
    """Count distinct keypoints that one shift, turn and scale brings to each other."""
    if len(matches) < _VOTES:
        return 0
    source = np.float32([points[match.queryIdx] for match in matches])
    target = np.float32([others[match.trainIdx] for match in matches])
    transform, inside = cv2.estimateAffinePartial2D(source, target, ransacReprojThreshold=4)
    if transform is None:
        return 0
    scale = np.hypot(transform[0, 0], transform[1, 0])
    if not 0.1 < scale < 10:  # everything onto one point fits always
        return 0
    kept = inside.ravel().astype(bool)
    # Copies of one spot in several scales of the pyramid count once.
    return min(len(np.unique((part[kept] // 4).astype(int), axis=0)) for part in (source, target))


def _look(path: Path, every: bool) -> _Look:
    """Read an image; `every`: with all flips and turns, which test images need and training images do not."""
    grey = cv2.cvtColor(np.rint(read_rgb(path) * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA).astype(np.float32)
    if small.std() < _PLAIN:
        forms = []
    else:
        forms = [np.rot90(form, turns) for form in (small, small[:, ::-1]) for turns in range(4)] if every else [small]
    flat = np.array([form.ravel() - form.mean() for form in forms]).reshape(len(forms), _SMALL * _SMALL)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    signs = np.array([_signs(form) for form in forms]).reshape(len(forms), _LOW * _LOW - 1)
    sides = (grey, grey[:, ::-1]) if every else (grey,)
    points, descriptors = zip(*(_keypoints(side) for side in sides))
    return _Look(path, signs, flat, points, descriptors)


def _signs(form: np.ndarray) -> np.ndarray:
    """Return which of the low frequencies lie above their median; the mean brightness is left out."""
    low = cv2.dct(np.ascontiguousarray(form))[:_LOW, :_LOW].ravel()[1:]
    return low > np.median(low)


def _keypoints(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find keypoints of an image whose contrast is made even: haze and dark copies have them, too."""
    scale = min(_SIDE / max(grey.shape), 1)
    size = max(round(grey.shape[1] * scale), 1), max(round(grey.shape[0] * scale), 1)
    even = cv2.createCLAHE(2.0, (8, 8)).apply(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))
    points, descriptors = cv2.ORB_create(_KEYPOINTS, fastThreshold=10).detectAndCompute(even, None)
    if descriptors is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, 32), np.uint8)
    return np.float32([point.pt for point in points]), descriptors
