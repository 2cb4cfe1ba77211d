"""The caches of decoded images stay within their bytes and never decode what they hold."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from mindrestore.data import cache
from mindrestore.data.cache import DiskCache, ImageCache, open_cache
from mindrestore.data.source import planar
from mindrestore.images.errors import ImageError
from mindrestore.images.pixels import to_float
from mindrestore.images.read import read_image
from mindrestore.images.write import write_image
from mindrestore.recipes.schema import DataConfig


def test_cache_drops_the_image_used_longest_ago(tmp_path, monkeypatch):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path in paths:
        write_image(path, np.zeros((10, 10, 3), np.uint8))
    decoded = []
    original = cache.read_image
    monkeypatch.setattr(cache, "read_image", lambda path: decoded.append(path.name) or original(path))
    read = ImageCache(600)  # two images of 300 bytes
    for i in (0, 1, 0, 2, 0, 1):
        read(paths[i])
        assert read.bytes <= 600
    assert decoded == ["0.png", "1.png", "2.png", "1.png"]
    nothing = ImageCache(0)
    nothing(paths[0])
    assert nothing.bytes == 0


SIZE = 64 + 300  # of a cache file: header and 10 x 10 pixels


@pytest.fixture
def pictures(tmp_path):
    """Return paths of 5 images of 10 x 10 pixels, whose values are their numbers."""
    paths = [tmp_path / "pictures" / f"{i}.png" for i in range(5)]
    for i, path in enumerate(paths):
        write_image(path, np.full((10, 10, 3), i, np.uint8))
    return paths


class Counting:
    """Read images, and note which."""

    def __init__(self):
        self.names = []

    def __call__(self, path):
        self.names.append(path.name)
        return read_image(path)


def kept(folder):
    return sorted(folder.glob("??/*.raw"))


def test_disk_keeps_images_for_later_epochs_and_other_processes(pictures, tmp_path):
    read = Counting()
    first, second = (DiskCache(tmp_path / "kept", 10 * SIZE, read) for _ in range(2))
    for cache_ in (first, first, second):
        for i, path in enumerate(pictures):
            image = cache_(path)
            assert image.dtype == np.uint8
            assert image.shape == (10, 10, 3)
            assert (image == i).all()
            assert not image.flags.writeable
    assert read.names == [path.name for path in pictures]
    assert [path.stat().st_size for path in kept(tmp_path / "kept")] == [SIZE] * 5
    assert not list((tmp_path / "kept").rglob("*.tmp"))


def test_sixteen_bits_stay_and_stored_pixels_are_those_of_the_file(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 2**16, (7, 9, 3), dtype=np.uint16)
    write_image(tmp_path / "deep.png", pixels)
    read = DiskCache(tmp_path / "kept", 10**6)
    for _ in range(2):
        np.testing.assert_array_equal(read(tmp_path / "deep.png"), pixels)


def test_a_changed_image_is_decoded_anew_and_its_former_file_goes(pictures, tmp_path):
    DiskCache(tmp_path / "kept", 10 * SIZE)(pictures[0])
    write_image(pictures[0], np.full((10, 10, 3), 200, np.uint8))
    os.utime(pictures[0], ns=(1, 1))  # of the same size perhaps, but of another time
    assert (DiskCache(tmp_path / "kept", 10 * SIZE)(pictures[0]) == 200).all()
    assert len(kept(tmp_path / "kept")) == 1


def test_a_file_stays_mapped_as_long_as_it_is_what_it_was(pictures, tmp_path, monkeypatch):
    mapped = []
    monkeypatch.setattr(cache, "_mapped", lambda path, own=cache._mapped: mapped.append(path.name) or own(path))
    read = DiskCache(tmp_path / "kept", 10 * SIZE)
    for path in (*pictures, *pictures):
        read(path)
    assert len(mapped) == len(pictures)
    os.utime(kept(tmp_path / "kept")[0])  # in use elsewhere
    for path in pictures:
        read(path)
    assert len(mapped) == len(pictures) + 1
    for file in kept(tmp_path / "kept"):
        file.unlink()
    assert [int(read(path)[0, 0, 0]) for path in pictures] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * SIZE])
def test_a_damaged_file_is_made_again(pictures, tmp_path, damage):
    read = DiskCache(tmp_path / "kept", 10 * SIZE)
    read(pictures[3])
    kept(tmp_path / "kept")[0].write_bytes(damage)
    assert (read(pictures[3]) == 3).all()
    assert kept(tmp_path / "kept")[0].stat().st_size == SIZE


def test_what_does_not_fit_is_decoded_each_time_and_earlier_runs_make_room(pictures, tmp_path):
    folder, read = tmp_path / "kept", Counting()
    first = DiskCache(folder, 3 * SIZE, read)
    for path in (*pictures, *pictures):
        assert (first(path) == int(path.stem)).all()
    assert read.names == [f"{i}.png" for i in (0, 1, 2, 3, 4, 3, 4)]
    assert len(kept(folder)) == 3
    for path in kept(folder):  # used last by a training of a minute ago
        os.utime(path, (time.time() - 60,) * 2)
    later = DiskCache(folder, 3 * SIZE, read)
    later(pictures[0])  # is in use again
    for path in pictures[3:]:
        later(path)
    assert len(kept(folder)) == 3
    read.names.clear()
    for i in (0, 3, 4, 1):
        later(pictures[i])
    assert read.names == ["1.png"]


def test_a_folder_that_cannot_be_written_costs_the_cache_alone(pictures, tmp_path):
    (tmp_path / "file").write_text("in the way")
    read = DiskCache(tmp_path / "file", 10 * SIZE)
    assert (read(pictures[2]) == 2).all()
    with pytest.raises(ImageError, match=r"absent\.png"):
        read(tmp_path / "absent.png")


def test_recipes_choose_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINDRESTORE_CACHE", str(tmp_path))
    assert open_cache(DataConfig()).max_bytes == 512 << 20
    assert open_cache(DataConfig(cache_gb=0.25)).max_bytes == 256 << 20
    assert open_cache(DataConfig(cache="none")) is read_image
    disk = open_cache(DataConfig(cache="disk"))
    assert (disk.folder, disk.max_bytes) == (tmp_path / "images", 32 << 30)
    assert open_cache(DataConfig(cache="disk", cache_dir="/fast")).folder.as_posix() == "/fast"


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32, np.float64])
def test_planes_of_every_view_equal_those_that_numpy_copies(kind):
    image = (np.random.default_rng(0).random((12, 17, 3)) * 250).astype(kind)
    crop = image[2:10, 3:14]
    views = [crop, crop[::-1], crop[:, ::-1], crop[::-1, ::-1]]
    views += [view.transpose(1, 0, 2) for view in views]
    views += [np.rot90(view, k) for view in views for k in range(4)]
    views += [crop[:1], crop[:, :1], crop[::2, ::3], image[..., ::-1]]
    for view in views:
        planes = planar(view)
        assert planes.flags.c_contiguous
        assert planes.dtype == kind
        np.testing.assert_array_equal(planes, view.transpose(2, 0, 1))
        np.testing.assert_array_equal(to_float(planes, np.empty(planes.shape, np.float32)), to_float(planes))
