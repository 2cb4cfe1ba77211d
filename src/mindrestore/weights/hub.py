"""Published weight files: where they are, what is known about them, and how to get one. Nothing loads by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mindrestore.errors import did_you_mean
from mindrestore.files import cache_folder
from mindrestore.weights.download import fetch, is_address
from mindrestore.weights.errors import WeightError
from mindrestore.weights.files import read_weights
from mindrestore.weights.sections import unwrapped, weights_of
from mindrestore.weights.shipped import list_shipped


@dataclass(frozen=True)
class Published:
    """Describe a published weight file.

    Attributes:
        name: what `mindrestore weights get` calls it.
        system: the publication it belongs to.
        file: its published name.
        page: official page, or folder, where it is offered.
        licence: what is known about it.
        network: what it is converted to.
        tensors: number of tensors of the network in it; more are others' (a classifier).
        key: name of one of them that no other network has.
        url: direct address; None when it has to be fetched by hand.
        sha256: checksum or its first digits; None when it is not known.
    """

    name: str
    system: str
    file: str
    page: str
    licence: str
    network: str
    tensors: int
    key: str
    url: str | None = None
    sha256: str | None = None


def _published() -> Iterator[Published]:
    research, mit, apache = "no licence stated, research use", "MIT (repository)", "Apache-2.0 (repository)"
    for name, file in (("its", "ITS_train.pk"), ("dense-haze", "DH_train.pk"), ("nh-haze", "NH_train.pk")):
        page = "https://github.com/GlassyWu/AECR-Net"
        yield Published(f"aecrnet-{name}", "AECR-Net", file, page, research, "aecrnet", 34, "dcn_block.dcn.weight")
    for task in ("deblurring", "denoising", "deraining"):
        page = f"https://github.com/swz30/MPRNet/tree/main/{task.capitalize()}"
        network, key, academic = f"mprnet_{task}", "stage3_orsnet.conv_enc1.weight", "academic, non-commercial use"
        yield Published(f"mprnet-{task}", "MPRNet", f"model_{task}.pth", page, academic, network, 316, key)
        file = f"MPR_{task.capitalize()}.pdparams"
        url = f"https://paddlegan.bj.bcebos.com/models/{file}"
        page = "https://github.com/PaddlePaddle/PaddleGAN"
        yield Published(f"mprnet-{task}-paddlegan", "PaddleGAN", file, page, apache, network, 262, key, url)
    for mode in ("all-in-one", "noise", "rain", "haze"):
        page = "https://github.com/xfwang23/DSRIR"
        yield Published(f"dsrir-{mode}", "DSRIR", "model_best.pth", page, research, "dsrir", 316, "ebd.weight")
    sizes = {"t": 258, "s": 496, "b": 972, "d": 1924, "m": 710, "l": 1004}
    for data, trained in (("indoor", "tsbdml"), ("outdoor", "tsbm"), ("reside6k", "tsbm"), ("rshaze", "tsbm")):
        for size in trained:
            page = "https://github.com/IDKiro/DehazeFormer"
            file, network, key = f"dehazeformer-{size}.pth", f"dehazeformer_{size}", "patch_unembed.proj.0.weight"
            name = f"dehazeformer-{size}-{data}"
            yield Published(name, "DehazeFormer", file, page, mit, network, sizes[size], key)
    for depth, tensors, digest in ((16, 26, "397923af"), (19, 32, "dcbb9e9d")):
        file, page = f"vgg{depth}-{digest}.pth", f"https://pytorch.org/vision/stable/models/vgg.html#vgg{depth}"
        url, licence = f"https://download.pytorch.org/models/{file}", "BSD-3-Clause; ImageNet's terms for the data"
        key = "features.28.weight"
        yield Published(f"vgg{depth}", "torchvision", file, page, licence, f"vgg{depth}", tensors, key, url, digest)


_TABLE = {entry.name: entry for entry in _published()}


def list_published() -> list[Published]:
    """List the published files in the order of the systems."""
    return list(_TABLE.values())


def find_published(name: str) -> Published:
    """Find a published file by the name of the list.

    Raises:
        WeightError: there is none; the message names the closest one.
    """
    if name in {card.name for card in list_shipped()}:
        raise WeightError(f"weights {name} come with MindRestore and need no download; use --weights {name}")
    if name not in _TABLE:
        raise WeightError(f"unknown published weights {name!r}; {did_you_mean(name, _TABLE)}")
    return _TABLE[name]


def cached(entry: Published, folder: str | os.PathLike[str] | None = None) -> Path:
    """Return the place of a published file in the cache, which keeps files of one name apart."""
    return Path(folder or cache_folder()) / entry.name / entry.file


def get_published(
    name: str, source: str | os.PathLike[str] | None = None, folder: str | os.PathLike[str] | None = None
) -> Path:
    """Return a published file as a verified local one.

    Args:
        name: a name of `list_published()`.
        source: where it is: a file, a folder that holds it, or an address. By default the cache, else the official
            address.
        folder: cache for downloads; by default `cache_folder()`.

    Returns:
        The file.

    Raises:
        WeightError: the name is unknown, the file has to be fetched by hand from its page, or is not what it should be.
    """
    entry = find_published(name)
    place = cached(entry, folder)
    if source is None and not place.is_file() and entry.url is None:
        raise WeightError(
            f"{entry.file} has no direct address: get it from {entry.page} ({entry.licence}), then run "
            f"mindrestore weights get {entry.name} --from FILE, or put it at {place}"
        )
    source = source or (place if place.is_file() else entry.url)
    if not is_address(source) and Path(source).is_dir():
        source = Path(source) / entry.file
    path = fetch(source, place.parent, entry.sha256)
    _check_content(path, entry)
    return path


def _check_content(path: Path, entry: Published) -> None:
    """Find the tensors that the file should have."""
    entries = weights_of(read_weights(path))
    arrays = [name for name, value in entries.items() if hasattr(value, "shape")]
    if not any(entry.key in names for names in unwrapped(arrays)) or len(arrays) < entry.tensors:
        raise WeightError(
            f"{path}: {len(arrays)} tensors, not the {entry.tensors} of {entry.network} with {entry.key}; this is not "
            f"{entry.file} of {entry.page}"
        )
