"""The scores of the included weights in the documentation are those of their cards."""

import re
from pathlib import Path

import pytest

from mindrestore.weights.shipped import list_shipped

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def scores():
    """Return (PSNR, SSIM, number of images, protocol) of every score of every free card, as pages write them."""
    return {
        (f"{score['psnr']:.2f}", f"{score['ssim']:.4f}", str(score["images"]), score["protocol"])
        for card in list_shipped()
        if card.variant == "free"
        for score in card.scores
    }


def test_beside_published_numbers(scores):
    page = (DOCS / "published.md").read_text(encoding="utf-8")
    said = re.findall(r"\| (\d+\.\d+) / (0\.\d+) \((\d+) images[^|]*\) \| `([a-z-]+)` \|", page)
    assert len(said) == 8
    assert [entry for entry in said if entry not in scores] == []


def test_in_the_tables_of_scores(scores):
    page = (DOCS / "weights.md").read_text(encoding="utf-8")
    said = re.findall(r"^\| [^|]*\((\d+)\) \| `([a-z-]+)` \| [^|]* \| (\d+\.\d+) / (0\.\d+) \|", page, re.MULTILINE)
    entries = [(psnr, ssim, images, protocol) for images, protocol, psnr, ssim in said]
    assert len(entries) == len(scores)
    assert set(entries) == scores


@pytest.mark.parametrize("sigma", [15, 25, 50])
def test_the_last_generation(sigma):
    """The table of generations ends with what the cards say, for noise of every strength."""
    page = (DOCS / "weights.md").read_text(encoding="utf-8")
    [card] = [card for card in list_shipped() if card.name == "denoise_free"]
    for name in ("cbsd68", "kodak24"):
        [row] = re.findall(rf"^\| {name}, sigma 15, 25, 50 \|.*", page, re.MULTILINE)
        last = re.findall(r"\*\*([\d., ]+)\*\*", row)[-1].split(", ")
        [score] = [score for score in card.scores if score["set"] == f"{name} sigma {sigma}"]
        assert last[(15, 25, 50).index(sigma)] == f"{score['psnr']:.2f}"
