"""The page of `mindrestore restore`: before and after without ground truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from parsed import Page

from mindrestore.cli.main import main
from mindrestore.images.read import read_image, read_rgb
from mindrestore.images.write import write_image
from mindrestore.inference.files import restore_files
from mindrestore.inference.planning import plan_jobs
from mindrestore.pages.restored import write_restored_page

STRANGE = 'sub/a "b" <i>&amp; #1 50%é.png'


class Negative:
    """Stand in for a restorer: turn images into their negatives."""

    batch = 2

    def __init__(self, *arguments, **options):
        self.options = options

    def __call__(self, photo):
        return np.iinfo(photo.dtype).max - photo

    def restore_batch(self, photos):
        return [self(photo) for photo in photos]


@pytest.fixture
def photos(tmp_path) -> Path:
    """Return a folder with four photographs, one of them large and one with 16 bits, and a damaged one."""
    rng = np.random.default_rng(0)
    for name, shape in (
        ("a.png", (30, 40, 3)),
        ("b.png", (30, 40, 3)),
        (STRANGE, (8, 9, 3)),
        ("wide.jpg", (50, 4000, 3)),
    ):
        write_image(tmp_path / "photos" / name, rng.integers(0, 256, shape, np.uint8))
    write_image(tmp_path / "photos" / "deep.png", np.full((6, 7, 3), 0x4000, np.uint16))
    (tmp_path / "photos" / "bad.png").write_text("no image")
    return tmp_path / "photos"


def test_before_after_sizes_and_times(photos, tmp_path):
    out = tmp_path / "clean"
    summary = restore_files(Negative(), photos, out, progress=False)
    assert [entry.target for entry in summary.files] == list(summary.written)
    assert [entry.source.name for entry in summary.files] == [
        "a.png",
        "b.png",
        "deep.png",
        Path(STRANGE).name,
        "wide.jpg",
    ]
    page = Page.read(write_restored_page(summary, out / "report", {"model": "toy"}))
    rows = page.table("Restored files")
    assert [row["file"] for row in rows] == ["a.png", "b.png", "deep.png", STRANGE, "wide.jpg"]
    assert [(row["width"], row["height"]) for row in rows][-2:] == [("9", "8"), ("4000", "50")]
    for row, entry in zip(rows, summary.files):
        assert int(row["bytes before"]) == entry.source.stat().st_size
        assert int(row["bytes after"]) == entry.target.stat().st_size
        assert float(row["seconds"]) == pytest.approx(entry.seconds, abs=1e-4)
        assert entry.seconds > 0
    assert all(path.is_file() for path in page.files(out / "report"))  # the links to the files too
    assert "bad.png: not an image" in page.text
    before, after = (read_image(out / "report/pictures/0003" / f"{side}.jpg") for side in ("before", "after"))
    assert (before[0, 0, 0], after[0, 0, 0]) == pytest.approx((64, 191), abs=2)  # 16 bits shown with 8
    assert read_image(out / "report/pictures/0005/after.jpg").shape == (20, 1600, 3)


def test_a_second_run_shows_what_was_kept_and_takes_no_picture_for_a_photograph(photos, tmp_path):
    out = photos / "clean"  # inside the photographs
    for _ in range(2):
        summary = restore_files(Negative(), photos, out, progress=False)
        page = write_restored_page(summary, out / "report")
    assert summary.written == ()
    rows = Page.read(page).tables["Restored files"]
    assert [row[5][0] for row in rows[1:]] == ["kept"] * 5
    assert Page.read(page).text.count("kept") == 5
    jobs = plan_jobs(out, tmp_path / "again", lambda path: path.name).jobs  # the results, restored once more
    assert sorted(source.relative_to(out).as_posix() for source, _ in jobs) == [
        "a.png",
        "b.png",
        "deep.png",
        STRANGE,
        "wide.jpg",
    ]
    pictures = plan_jobs(out / "report", tmp_path / "again", lambda path: path.name).jobs
    assert len(pictures) == 10 + 1  # whoever names the report itself gets it


def test_results_that_disappear_lose_their_picture_only(photos, tmp_path):
    summary = restore_files(Negative(), photos, tmp_path / "clean", progress=False)
    summary.files[0].target.write_bytes(b"damaged")
    page = Page.read(write_restored_page(summary, tmp_path / "report"))
    assert "a.png: no picture: " in page.text
    assert len(page.table("Restored files")) == 5


def test_nothing_restored_has_a_page(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "bad.png").write_text("no image")
    summary = restore_files(Negative(), tmp_path / "photos", tmp_path / "clean", progress=False)
    page = Page.read(write_restored_page(summary, tmp_path / "report"))
    assert "Restored files: 0" in page.text
    assert "bad.png" in page.text


@pytest.fixture
def command(monkeypatch, photos, tmp_path) -> list[str]:
    monkeypatch.setattr("mindrestore.api.Restorer", Negative)
    (tmp_path / "rain.npz").touch()
    monkeypatch.setattr("mindrestore.inference.trained.recorded_settings", lambda weights: (None, {}))
    words = ["restore", str(photos), "--task", "derain", "--weights", str(tmp_path / "rain.npz")]
    return [*words, "--out", str(tmp_path / "out")]


def test_the_command_writes_it_unless_told_not_to(command, tmp_path, capsys):
    assert main([*command, "--no-report"]) == 1  # bad.png
    assert not (tmp_path / "out" / "report").exists()
    assert "in a browser" not in capsys.readouterr().out
    assert main([*command, "--overwrite"]) == 1
    assert f"in a browser: {tmp_path / 'out' / 'report' / 'index.html'}" in capsys.readouterr().out
    page = Page.read(tmp_path / "out" / "report" / "index.html")
    assert len(page.table("Restored files")) == 5
    assert "mprnet_deraining" in page.text
    assert "…/rain.npz" in page.text
    assert str(tmp_path) not in page.text


@pytest.mark.parametrize("side", ["photos", "results"])
def test_a_folder_report_of_the_photographs_stays_theirs_unless_the_page_is_asked_for(command, photos, tmp_path, side):
    own = (photos if side == "photos" else tmp_path / "out") / "report" / "mine.png"
    write_image(own, np.full((8, 8, 3), 9, np.uint8))
    assert main(command) == 1
    assert not (tmp_path / "out" / "report" / "index.html").exists()
    assert (read_rgb(own) == np.float32(9 / 255)).all()
    assert main([*command, "--report"]) == 1
    assert (tmp_path / "out" / "report" / "index.html").is_file()


def test_reports_that_cannot_be_are_refused(command, tmp_path, capsys):
    assert main([*command, "--report", "--stages"]) == 2
    assert "--stages shows one network, without a report" in capsys.readouterr().err
    blocks = tmp_path / "ValidationNoisyBlocksSrgb.mat"
    blocks.touch()
    command[1] = str(blocks)
    assert main([*command, "--report"]) == 2
    assert "a report shows photographs, not SIDD's and DND's files" in capsys.readouterr().err
