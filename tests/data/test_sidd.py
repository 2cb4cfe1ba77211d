"""Patches of SIDD-Medium: the right places, reproducible, complete, and never over existing files."""

from __future__ import annotations

import argparse

import numpy as np
import pytest

from mindrestore.cli import data as command
from mindrestore.data.catalog import DatasetError, find_pairs
from mindrestore.data.pairing import PairingError
from mindrestore.data.sidd import PatchOptions, cut_patches
from mindrestore.images.errors import ImageError
from mindrestore.images.read import read_image
from mindrestore.images.write import write_image

SCENES = ("0001_001_S6_00100_00060_3200_L", "0002_001_S6_00100_00020_3200_N")


@pytest.fixture
def medium(tmp_path):
    """Write four pairs in which every pixel tells its own place."""
    root = tmp_path / "SIDD_Medium_Srgb"
    rows, columns = np.mgrid[:40, :50]
    for number, scene in enumerate(SCENES):
        for shot in (10, 11):
            image = np.stack([rows, columns, np.full_like(rows, 10 * number + shot)], 2).astype(np.uint8)
            folder = root / "Data" / scene
            write_image(folder / f"{scene[:4]}_NOISY_SRGB_0{shot}.png", image)
            write_image(folder / f"{scene[:4]}_GT_SRGB_0{shot}.png", image + 100)
            for path in folder.glob("*.png"):
                path.rename(path.with_suffix(".PNG"))
    return root


def run(*words):
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    args = parser.parse_args(["data", *map(str, words)])
    return args.run(args)


def test_patches_by_command(medium, tmp_path, capsys):
    out = tmp_path / "SIDD" / "train"
    words = ("sidd-patches", medium, out, "--patch", 16, "--per-image", 5)
    assert run(*words) == 0
    output = capsys.readouterr()
    assert output.out == f"20 patches in {out / 'input'} and {out / 'target'}\n"
    assert output.err == ""  # no bar outside a terminal
    pairs = find_pairs("sidd", tmp_path, "train")
    assert [pair.key for pair in pairs[:6]] == [f"0001_010-00{k}" for k in range(1, 6)] + ["0001_011-001"]
    corners = []
    for pair in pairs:
        image, target = read_image(pair.input), read_image(pair.target)
        assert image.shape == (16, 16, 3)
        assert np.array_equal(target, image + 100)
        top, left, source = (int(value) for value in image[0, 0])
        assert np.array_equal(image[..., 0], np.broadcast_to(np.arange(top, top + 16)[:, None], (16, 16)))
        assert np.array_equal(image[..., 1], np.broadcast_to(np.arange(left, left + 16), (16, 16)))
        assert source == int(pair.key[5:8]) + 10 * (int(pair.key[:4]) - 1)
        corners.append((top, left))
    assert len(set(corners)) > 15
    with pytest.raises(DatasetError, match=r"0001_010-001\.png exists already \(40 such\).*--overwrite"):
        run(*words)
    assert run(*words, "--seed", 1, "--overwrite") == 0
    assert [tuple(read_image(pair.input)[0, 0, :2]) for pair in pairs] != corners


def test_seed_decides(medium, tmp_path):
    pairs = find_pairs("sidd_medium", medium, "train")
    first, again, other = (
        [
            read_image(path).tobytes()
            for path in sorted((list(cut_patches(pairs, out, options)), *(out / "input").iterdir())[1:])
        ]
        for out, options in (
            (tmp_path / "a", PatchOptions(16, 3, seed=7)),
            (tmp_path / "b", PatchOptions(16, 3, seed=7)),
            (tmp_path / "c", PatchOptions(16, 3, seed=8)),
        )
    )
    assert first == again
    assert first != other


def test_every_place_is_reachable(medium, tmp_path):
    pairs = find_pairs("sidd_medium", medium, "train")[:1]
    list(cut_patches(pairs, tmp_path / "out", PatchOptions(38, 200)))
    corners = {tuple(read_image(path)[0, 0, :2]) for path in (tmp_path / "out/input").iterdir()}
    assert corners == {(top, left) for top in range(3) for left in range(13)}


def test_errors_name_the_files(medium, tmp_path):
    pairs = find_pairs("sidd_medium", medium, "train")
    with pytest.raises(ImageError, match=r"0001_NOISY_SRGB_010\.PNG: 50x40 is smaller than a patch of 41x41"):
        list(cut_patches(pairs, tmp_path / "out", PatchOptions(41)))
    write_image(tmp_path / "other.png", np.zeros((40, 49, 3), np.uint8))
    (tmp_path / "other.png").rename(pairs[2].target)
    with pytest.raises(ImageError, match=r"0002_NOISY_SRGB_010\.PNG is 50x40 but .*49x40"):
        list(cut_patches(pairs, tmp_path / "out", PatchOptions(16, 1)))
    pairs[3].target.unlink()
    with pytest.raises(PairingError, match=r"0002_NOISY_SRGB_011\.PNG"):
        run("sidd-patches", medium, tmp_path / "out2")
    with pytest.raises(DatasetError, match="no SIDD-Medium for the split 'train'; expected SIDD_Medium_Srgb/Data"):
        run("sidd-patches", tmp_path / "out", tmp_path / "out3")
