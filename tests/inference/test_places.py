"""Places of results: none replaces another file unasked, and what stands in the way is named."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest

from mindrestore.images.read import read_image
from mindrestore.images.write import write_image
from mindrestore.inference.files import restore_files
from mindrestore.inference.pixels import RestoreError
from mindrestore.inference.planning import require_writable

GOOD = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)


def negative(photo):
    return 255 - photo


@pytest.fixture
def photos(tmp_path):
    for name in ("a.png", "a1.png"):
        write_image(tmp_path / "photos" / name, GOOD)
    return tmp_path / "photos"


def test_no_result_replaces_another_photograph_of_the_run(photos):
    both = [photos / "a.png", photos / "a1.png"]
    summary = restore_files(negative, both, photos, name_suffix="1", overwrite=True, progress=False)
    line = f"{both[0]}: its result would replace {both[1]}, which is to be restored; choose another folder"
    assert summary.failed == (line,)
    assert summary.written == (photos / "a11.png",)
    np.testing.assert_array_equal(read_image(photos / "a1.png"), GOOD)


def test_a_photograph_that_is_named_twice_is_restored_once(photos, tmp_path):
    summary = restore_files(negative, [photos, photos / "a.png"], tmp_path / "out", progress=False)
    assert summary.failed == ()
    assert sorted(path.name for path in summary.written) == ["a.png", "a1.png"]


@pytest.mark.parametrize("suffix", ["/x", "../x", "a\0b"])
def test_a_suffix_of_names_leads_into_no_folder(photos, tmp_path, suffix):
    with pytest.raises(RestoreError, match=re.escape(f"{suffix!r} cannot be part of a file name; leave out")):
        restore_files(negative, photos, tmp_path / "out", name_suffix=suffix)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_in_the_place_of_a_result_is_no_result(photos, tmp_path, overwrite):
    place = tmp_path / "out" / "a.png"
    place.mkdir(parents=True)
    summary = restore_files(negative, photos, tmp_path / "out", overwrite=overwrite, progress=False)
    assert summary.kept == ()
    line = f"{photos / 'a.png'}: {place} is a folder, where its result belongs; remove it or choose another folder"
    assert summary.failed == (f"{line} for results",)


def test_what_is_no_folder_says_so(tmp_path):
    (tmp_path / "text").write_text("x")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(RestoreError, match=r"\(File exists\); \S*text is not a folder; choose another name$"):
        require_writable(tmp_path / "text")
    with pytest.raises(RestoreError, match=r"\(Not a directory\); \S*text is not a folder; choose another name$"):
        require_writable(tmp_path / "text" / "deeper" / "still")
    with pytest.raises(RestoreError, match=r"\(File exists\); \S*link is a link that leads nowhere, or in a circle"):
        require_writable(tmp_path / "link")


def test_results_of_another_run_are_not_photographs(photos, tmp_path):
    write_image(photos / "restored" / "a.png", GOOD)
    (photos / "restored" / "report").mkdir()
    (photos / "restored" / "report" / ".mindrestore-report").touch()
    summary = restore_files(negative, photos, tmp_path / "out", progress=False)
    assert [path.parent.name for path in summary.written] == ["out", "out"]
    line = f"{photos / 'restored'}: results of another run, left out; name this folder to restore them again"
    assert summary.notes == (line,)
    assert len(restore_files(negative, photos / "restored", tmp_path / "named", progress=False).written) == 1
    for name in ("a.png", "a1.png"):
        (photos / name).unlink()
    with pytest.raises(RestoreError, match=re.escape(line)):
        restore_files(negative, photos, tmp_path / "none", progress=False)


def test_a_pipe_with_the_name_of_a_picture_is_named(photos, tmp_path):
    os.mkfifo(photos / "pipe.png")
    os.mkfifo(photos / "notes.txt")
    summary = restore_files(negative, photos, tmp_path / "out", progress=False)
    assert summary.failed == (f"{photos / 'pipe.png'}: neither a file nor a folder; it was left out",)
    assert len(summary.written) == 2
