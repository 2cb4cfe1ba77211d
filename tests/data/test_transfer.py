"""Tone curves per colour: the published tables, other types of images, folders that stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

from mindrestore.data.transfer import RSID_TO_NID, TransferError, tone_table, transfer_channels, transfer_folder
from mindrestore.images.read import read_image
from mindrestore.images.write import write_image


@pytest.fixture(scope="module")
def golden(golden_dir):
    with np.load(golden_dir / "crossdehaze.npz") as file:
        return {key: file[key] for key in file.files if key.startswith("gamma.")}


def test_golden_tables(golden):
    assert len(golden["gamma.lut_gammas"]) == 3
    for gamma, table in zip(golden["gamma.lut_gammas"], golden["gamma.luts"]):
        np.testing.assert_array_equal(tone_table(float(gamma)), table)


def test_golden_image(golden):
    before, after = (golden[f"gamma.bgr_{which}"][..., ::-1] for which in ("in", "out"))
    assert tuple(golden["gamma.bgr_gammas"][::-1]) == RSID_TO_NID
    kept = before.copy()
    np.testing.assert_array_equal(transfer_channels(before, RSID_TO_NID), after)
    np.testing.assert_array_equal(before, kept)


def test_other_types_follow_the_same_curve():
    levels = np.linspace(0, 1, 25).reshape(5, 5, 1).repeat(3, 2)
    expected = levels ** (1 / np.array([2.0, 1.0, 0.5]))
    floats = transfer_channels(levels.astype(np.float32), (2.0, 1.0, 0.5))
    assert floats.dtype == np.float32
    np.testing.assert_allclose(floats, expected, atol=1e-6)
    deep = transfer_channels(np.rint(levels * 65535).astype(np.uint16), (2.0, 1.0, 0.5))
    assert deep.dtype == np.uint16
    assert np.abs(deep / 65535 - expected).max() < 2e-4  # steep near black


def test_an_exponent_of_one_changes_nothing():
    image = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    assert np.abs(transfer_channels(image, (1, 1, 1)).astype(int) - image).max() == 0


@pytest.mark.parametrize("gamma", [(1.9, 1.9), (1.9, 0, 1.9), (1, 1, float("nan")), (1, -1, 1)])
def test_exponents_that_make_no_curve_are_refused(gamma):
    with pytest.raises(TransferError, match="use three numbers above 0"):
        transfer_channels(np.zeros((2, 2, 3), np.uint8), gamma)


def test_a_folder_is_written_to_another_and_never_over_anything(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (6, 7, 3), np.uint8)
    for name in ("2.png", "10.png"):
        write_image(tmp_path / "hazy" / name, image)
    written = list(transfer_folder(tmp_path / "hazy", tmp_path / "out" / "hazy", (1.5, 2.0, 2.5)))
    assert [path.name for path in written] == ["2.png", "10.png"]
    np.testing.assert_array_equal(read_image(written[1]), transfer_channels(image, (1.5, 2.0, 2.5)))
    np.testing.assert_array_equal(read_image(tmp_path / "hazy" / "2.png"), image)
    for out in (tmp_path / "out" / "hazy", tmp_path / "hazy"):
        with pytest.raises(TransferError, match=r"2\.png exists already \(2 such\)"):
            list(transfer_folder(tmp_path / "hazy", out))
    (tmp_path / "empty").mkdir()
    with pytest.raises(TransferError, match="no images"):
        list(transfer_folder(tmp_path / "empty", tmp_path / "other"))
