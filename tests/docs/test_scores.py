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


def test_the_last_generation():
    """The table of generations ends with what the cards say against rain and noise."""
    page = (DOCS / "weights.md").read_text(encoding="utf-8")
    cards = {
        (score["set"], score["protocol"]): f"{score['psnr']:.2f}"
        for card in list_shipped()
        if card.variant == "free"
        for score in card.scores
    }
    rows = {f"{name}, luma": [(name, "y-matlab")] for name in ("rain100l", "rain100h")}
    for name in ("cbsd68", "kodak24"):
        rows[f"{name}, sigma 15, 25, 50"] = [(f"{name} sigma {sigma}", "rgb") for sigma in (15, 25, 50)]
    for label, keys in rows.items():
        [row] = re.findall(rf"^\| {label} \|.*", page, re.MULTILINE)
        generations = [cell.strip(" *") for cell in row.split("|")[3:9]]
        last = next(cell for cell in reversed(generations) if not cell.startswith("the "))  # "the third" stayed
        assert last.split(", ") == [cards[key] for key in keys]
