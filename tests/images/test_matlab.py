"""MATLAB files: blocks as images, both file versions, DND in and out; what does not fit is named with its shape."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from scipy.io import loadmat

from mindrestore.data.catalog import DatasetError, find_pairs, find_sets
from mindrestore.data.check import check_folder
from mindrestore.data.dnd import Box, cut_boxes, find_dnd, read_boxes, read_photograph, write_result
from mindrestore.data.sidd import restore_blocks
from mindrestore.data.source import read_pair
from mindrestore.images import matlab
from mindrestore.images.errors import ImageError
from mindrestore.images.matlab import MatlabError, block_paths, read_block, read_variables, write_variables
from mindrestore.images.read import read_image

SHAPE = (2, 3, 8, 10, 3)


@pytest.fixture
def values():
    return np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)


@pytest.fixture
def noisy(tmp_path, values):
    path = tmp_path / "ValidationNoisyBlocksSrgb.mat"
    write_variables(path, {"ValidationNoisyBlocksSrgb": values})
    return path


def test_a_block_is_an_image(noisy, values):
    paths = block_paths(noisy)
    assert [path.name for path in paths] == ["0001_01", "0001_02", "0001_03", "0002_01", "0002_02", "0002_03"]
    for path, expected in zip(paths, values.reshape(-1, *SHAPE[2:])):
        block = read_image(path)
        assert np.array_equal(block, expected)
        assert block.dtype == np.uint8
        assert block.flags.c_contiguous


def test_pairs_of_blocks_are_read_and_checked(noisy, values):
    write_variables(noisy.with_name("ValidationGtBlocksSrgb.mat"), {"ValidationGtBlocksSrgb": values // 2})
    pair = find_pairs("auto", noisy.parent, "test")[4]
    image, target = read_pair(pair)
    assert np.array_equal(image, values[1, 1])
    assert np.array_equal(target, values[1, 1] // 2)
    report = check_folder(noisy.parent)
    assert report.clean
    assert report.sections[0].startswith("SIDD (val/test): 6 pairs, 6 clear images")
    assert "published are 1280 degraded and 1280 clear" in report.notes[0]
    assert "published are 1280" in check_folder(noisy.parent, "sidd").problems[0]


def test_the_file_is_read_once_and_again_when_replaced(noisy, values, monkeypatch):
    reads = []
    original = matlab.read_variables
    monkeypatch.setattr(matlab, "read_variables", lambda path: reads.append(path) or original(path))
    for path in block_paths(noisy):
        read_block(path)
    assert len(reads) == 1
    write_variables(noisy, {"other": values[:1] + 1, "version": 3.0})
    assert np.array_equal(read_block(noisy / "0001_03"), values[0, 2] + 1)
    assert len(reads) == 2


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"a": np.zeros((4, 8, 8, 3), np.uint8)}, r"a \(4, 8, 8, 3\) uint8"),
        ({"a": np.zeros((2, 2, 8, 8, 4), np.uint8)}, r"a \(2, 2, 8, 8, 4\) uint8"),
        ({"a": np.zeros((2, 2, 8, 8, 3))}, r"a \(2, 2, 8, 8, 3\) float64"),
        ({name: np.zeros((1, 1, 8, 8, 3), np.uint8) for name in "ab"}, r"a \(1, 1, 8, 8, 3\) uint8, b"),
        ({}, "no array"),
    ],
    ids=["rank", "channels", "type", "two", "none"],
)
def test_wrong_content_is_described(tmp_path, variables, found):
    path = tmp_path / "x.mat"
    write_variables(path, variables)
    with pytest.raises(MatlabError, match=rf"x\.mat: holds {found}.*expected one uint8 .*\(40, 32, 256, 256, 3\)"):
        block_paths(path)


def test_check_names_a_block_file_of_the_wrong_shape(noisy):
    gt = noisy.with_name("ValidationGtBlocksSrgb.mat")
    write_variables(gt, {"ValidationGtBlocksSrgb": np.zeros((6, 8, 10, 3), np.uint8)})
    report = check_folder(noisy.parent)
    assert len(report.problems) == 1
    assert "ValidationGtBlocksSrgb.mat: holds ValidationGtBlocksSrgb (6, 8, 10, 3) uint8" in report.problems[0]


@pytest.mark.parametrize("name", ["0003_01", "0001_04", "0000_01", "7_3", "a.png"])
def test_blocks_that_do_not_exist(noisy, name):
    with pytest.raises(ImageError, match=rf"Noisy.*has no block '{name}'; use 0001_01 to 0002_03"):
        read_image(noisy / name)


def test_missing_damaged_and_foreign_files(noisy, tmp_path):
    with pytest.raises(MatlabError, match=r"absent\.mat: cannot be read \(No such file"):
        read_image(tmp_path / "absent.mat" / "0001_01")
    whole = noisy.read_bytes()
    for size in (0, 60, 200, len(whole) // 2):
        noisy.write_bytes(whole[:size])
        with pytest.raises(MatlabError, match=r"damaged MATLAB file|holds no array"):
            block_paths(noisy)
    noisy.write_bytes(b"no MATLAB file at all" * 40)
    with pytest.raises(MatlabError, match="damaged MATLAB file"):
        block_paths(noisy)


def test_restored_blocks_have_the_published_form(noisy, values, tmp_path):
    done = [path.name for path in restore_blocks(lambda image: 1.5 * image, noisy, tmp_path / "out/Idenoised.mat")]
    assert done[-1] == "0002_03"
    written = loadmat(tmp_path / "out/Idenoised.mat")["Idenoised"]
    assert (written.shape, written.dtype) == (SHAPE, np.float32)
    np.testing.assert_allclose(written, np.minimum(values / 255 * 1.5, 1), atol=1e-6)


# --- DND ---


@pytest.fixture
def photographs():
    rng = np.random.default_rng(1)
    return [rng.random((20, 30, 3), np.float32), rng.random((24, 18, 3), np.float32)]


BOXES = [[[1, 1, 8, 8], [13, 23, 20, 30]], [[2, 3, 9, 10], [17, 11, 24, 18]]]


@pytest.fixture
def dnd(tmp_path, photographs):
    """Write two photographs with two boxes each, in the older file version."""
    cells = np.empty((2, 1), object)
    for number, image in enumerate(photographs, 1):
        cells[number - 1, 0] = np.float64(BOXES[number - 1])
        write_variables(tmp_path / f"DND/images_srgb/{number:04d}.mat", {"InoisySRGB": image})
    write_variables(tmp_path / "DND/info.mat", {"info": {"boundingboxes": cells, "camera": "x"}})
    return tmp_path / "DND"


def write_v73(folder, photographs, h5py):
    """Write the same as MATLAB 7.3 does: HDF5 behind 512 bytes of header, axes reversed, cells as references."""

    def create(name):
        path = folder / name
        path.unlink()
        file = h5py.File(path, "w", userblock_size=512)
        return file

    with create("info.mat") as file:
        references = []
        for number, boxes in enumerate(BOXES):
            data = file.create_dataset(f"#refs#/{number}", data=np.float64(boxes).T)
            references.append(data.ref)
        file.create_group("info").create_dataset("boundingboxes", data=[references], dtype=h5py.ref_dtype)
    for number, image in enumerate(photographs, 1):
        with create(f"images_srgb/{number:04d}.mat") as file:
            file.create_dataset("InoisySRGB", data=image.T)


def check_dnd_content(folder, photographs):
    assert find_dnd(folder) == find_dnd(folder.parent) == folder
    boxes = read_boxes(folder)
    assert boxes[0] == [Box(0, 0, 8, 8), Box(12, 22, 20, 30)]
    for number, image in enumerate(photographs, 1):
        assert np.array_equal(read_photograph(folder, number), image)
    crops = cut_boxes(photographs[0], boxes[0], "x")
    assert np.array_equal(crops[1], photographs[0][12:20, 22:30])


def test_dnd(dnd, photographs):
    check_dnd_content(dnd, photographs)


def test_dnd_in_the_published_file_version(dnd, photographs):
    h5py = pytest.importorskip("h5py", reason="MATLAB 7.3 files need h5py: pip install 'mindrestore[dnd]'")
    write_v73(dnd, photographs, h5py)
    check_dnd_content(dnd, photographs)
    (dnd / "info.mat").write_bytes((dnd / "info.mat").read_bytes()[:2000])
    with pytest.raises(MatlabError, match=r"info\.mat: damaged MATLAB file"):
        read_boxes(dnd)


def test_without_h5py_the_message_says_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "info.mat"
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n" + bytes(100))
    original = builtins.__import__

    def refuse(name, *rest, **more):
        if name == "h5py":
            raise ImportError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MatlabError, match=r"info\.mat: a MATLAB 7\.3 file, which needs h5py; pip install"):
        read_variables(path)


def test_dnd_has_no_pairs(dnd):
    for name in ("auto", "dnd"):
        with pytest.raises(DatasetError, match="DND publishes no clear images"):
            find_pairs(name, dnd, "test")
    assert find_sets(dnd.parent) == find_sets(dnd) == {}


def test_dnd_results_have_the_form_of_the_server(dnd, photographs, tmp_path):
    crops = cut_boxes(read_photograph(dnd, 2), read_boxes(dnd)[1], "0002.mat")
    write_result(tmp_path / "results/0002.mat", [crop.astype(np.float64) / 2 for crop in crops])
    result = loadmat(tmp_path / "results/0002.mat")
    assert result["Idenoised"].shape == (1, 2)
    crop = result["Idenoised"][0, 1]
    assert crop.dtype == np.float32
    np.testing.assert_allclose(crop, photographs[1][16:24, 10:18] / 2)
    assert not result["israw"].item()
    assert result["eval_version"].item() == "1.0"


def test_check_of_dnd(dnd):
    report = check_folder(dnd)
    assert report.clean
    assert report.sections == [f"DND (test): 2 photographs, 4 boxes, no clear images, {dnd}"]
    assert report.notes == [f"{dnd}: published are 50 photographs with 20 boxes each"]
    write_variables(dnd / "images_srgb/0001.mat", {"InoisySRGB": np.zeros((19, 30, 3), np.float32)})
    write_variables(dnd / "images_srgb/0002.mat", {"InoisySRGB": np.zeros((24, 18), np.float32)})
    problems = check_folder(dnd, "dnd").problems
    assert "0001.mat: is 30x19, but Box(top=12, left=22, bottom=20, right=30) reaches beyond it" in problems[0]
    assert "0002.mat: InoisySRGB is (24, 18) float32, expected (height, width, 3) single" in problems[1]
    assert "published are 50" in problems[2]
    write_variables(dnd / "images_srgb/0002.mat", {"InoisySRGB": np.full((24, 18, 3), 200.0, np.float32)})
    assert "0002.mat: InoisySRGB reaches from 200 to 200, expected 0 to 1" in check_folder(dnd).problems[1]
    write_variables(dnd / "images_srgb/0002.mat", {"Inoisy": np.zeros((24, 18, 3), np.float32)})
    assert "0002.mat: holds no InoisySRGB" in check_folder(dnd).problems[1]
    write_variables(dnd / "info.mat", {"info": 3.0})
    assert "info.mat: holds no info.boundingboxes" in check_folder(dnd).problems[0]
