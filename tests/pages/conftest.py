"""Reports of small images with names that need escaping."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from parsed import NAMES

from mindrestore.data.pairing import Pair
from mindrestore.evaluation.evaluator import evaluate_pairs
from mindrestore.evaluation.report import write_csv, write_json
from mindrestore.evaluation.results import Evaluation
from mindrestore.images.write import write_image
from mindrestore.pages.evaluation import write_evaluation_page


@pytest.fixture(scope="session")
def pairs(tmp_path_factory) -> list[Pair]:
    """Return four pairs of 40x24 images: clear ones, and the same darker, each by another factor."""
    root = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    found = []
    for place, name in enumerate(NAMES):
        clear = np.repeat(np.repeat(0.2 + 0.6 * rng.random((6, 10, 3)), 4, 0), 4, 1)
        write_image(root / "clear" / name, clear)
        write_image(root / "hazy" / name, clear * (0.5 + 0.1 * place))
        found.append(Pair(Path(name).stem, root / "hazy" / name, root / "clear" / name))
    return found


@pytest.fixture(scope="session")
def write_report(pairs):
    """Return a function that evaluates a brightening by a factor and writes the report."""

    def write(folder: Path, factor: float, run: Path | None = None, chosen=pairs, protocol="rgb") -> Evaluation:
        result = evaluate_pairs(
            lambda image: np.clip(image * factor, 0, 1), chosen, protocol, save_dir=folder / "pictures", progress=False
        )
        write_csv(result, folder / "scores.csv")
        write_json(result, folder / "scores.json", {"model": "toy <b>", "data": str(Path(chosen[0].input).parent)})
        write_evaluation_page(folder, run)
        return result

    return write


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    """Return a run folder with six logged intervals, a validation, and the half line of a killed process."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    folder.mkdir()
    records = [
        {
            "kind": "train",
            "step": 10 * i,
            "lr": 0.001 * i,
            "scale": 1024.0 * i,
            "loss": None if i == 3 else 1 / i,  # every update of that interval was skipped
            "terms": {"l1": 0.5 / i, "edge_2": 0.2 / i, "edge_1": 0.1 / i},
            "grad_norm": 2.0 / i,
        }
        for i in range(1, 7)
    ]
    lines = [json.dumps(record) + "\n" for record in records]
    lines.insert(3, '{"kind": "validation", "step": 30, "scores": {"psnr": 21.5, "ssim": 0.8}, "best": true}\n')
    lines.append('{"kind": "validation", "step": 60, "scores": {"psnr": 23.25, "ssim": 0.85}, "best": true}\n')
    (folder / "metrics.jsonl").write_text("".join(lines) + '{"kind": "train", "st')
    (folder / "recipe.yaml").write_text("model: {name: toy}  # a < b\n")
    return folder
