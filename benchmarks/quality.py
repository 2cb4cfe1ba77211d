"""Measure the included weights, or given ones, beside the degraded images and small published networks.

    python benchmarks/quality.py --data DATA --peers PEER_WEIGHTS --out quality --update-docs docs/weights.md
    python benchmarks/quality.py --data DATA --out q --task dehaze --weights dehaze=runs/haze --limit 4
    python benchmarks/quality.py --data DATA --out q --task dehaze --as-used    # at the working size, as `restore` does

DATA holds the folders named in `quality_sets.py`. OUT gets quality.json, quality.md, a sheet of pictures per task, and
the scores of inputs and peers, which a second run takes from there.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import numpy as np
from quality_report import PictureSheet, markdown, update_docs
from quality_sets import REAL_HAZE, TestSet, test_sets

from mindrestore.inference.options import PUBLISHED, Options
from mindrestore.inference.packing import OURS, scores_of
from mindrestore.inference.restorer import Restorer
from mindrestore.inference.trained import Trained
from mindrestore.weights.files import sha256_of
from mindrestore.weights.shipped import has_default, write_card

TASKS = ("dehaze", "derain", "denoise", "deblur")
INPUT = "input"
Restore = Callable[[np.ndarray], np.ndarray]


@dataclass
class Method:
    """Something that restores images.

    Attributes:
        name: Its name in tables.
        make: Builds it when it is first needed.
        identity: What its stored scores depend on; None: they are not stored.
        label: Name of the weights.
    """

    name: str
    make: Callable[[], Restore]
    identity: str | None = None
    label: str = ""
    built: Restore | None = field(default=None, repr=False)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        self.built = self.built or self.make()
        return self.built(image)


def peers(task: str, folder: Path | None, name: str) -> list[Method]:
    """Return the published networks for a test set."""
    from peers.aodnet import AODNet
    from peers.gcanet import GCANet
    from peers.prenet import PReNet

    rain = f"prenet_{name}.npz"
    known = {"dehaze": [(AODNet, "aodnet_dehaze.npz"), (GCANet, "gcanet_dehaze.npz")], "derain": [(PReNet, rain)]}
    titles = {AODNet: "AOD-Net", GCANet: "GCANet", PReNet: "PReNet"}
    files = [(kind, folder / file) for kind, file in known.get(task, ()) if folder] if folder else []
    return [
        Method(titles[kind], lambda kind=kind, file=file: kind(file), sha256_of(file), file.name)
        for kind, file in files
        if file.is_file()
    ]


def ours(task: str, given: Mapping[str, str], options: Options) -> tuple[Method, Trained] | None:
    """Return the network whose weights were given as a run folder, file or name, else that of the default weights."""
    source = given.get(task, "default" if has_default(task) else None)
    if source is None:
        print(f"{task}: no weights ship and none were given; only inputs and peers are measured")
        return None
    trained = Trained.of_run(source) if Path(source).is_dir() else Trained.of_task(task, source)
    label = trained.card.name if trained.card else Path(source).name
    return Method(OURS, lambda: Restorer(trained, options=options, device="CPU").restore_float, label=label), trained


class Store:
    """Keep scores per image in a JSON file, as long as they are of the same weights."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def scores(self, method: Method, test: TestSet, name: str, measure: Callable[[], dict]) -> dict[str, Any]:
        """Return the stored scores of an image, else measure and store them."""
        if method.identity is None:
            return measure()
        path = self.folder / method.name / f"{test.name.replace(' ', '_')}.json"
        known = json.loads(path.read_text()) if path.is_file() else {}
        if known.get("identity") != method.identity:
            known = {"identity": method.identity, "scores": {}}
        if name not in known["scores"]:
            known["scores"][name] = measure()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(known))
        return known["scores"][name]


def measure_set(test: TestSet, methods: list[Method], store: Store, limit: int | None) -> list[dict[str, Any]]:
    """Return one row per method and protocol, with means over the images."""
    found: dict[str, list[dict[str, Any]]] = {method.name: [] for method in methods}
    for name in test.names(limit):
        degraded, clear = test.load(name)
        for method in methods:
            score = store.scores(method, test, name, lambda m=method, d=degraded, c=clear: _score(test, m, d, c))
            found[method.name].append(score)
        print(test.name, name, *(f"{key} {scores[-1]['rgb']['psnr']:.2f}" for key, scores in found.items()), flush=True)
    rows = []
    for method in methods[1:]:
        for protocol in test.protocols:
            own, before = (_means(found[key], protocol) for key in (method.name, INPUT))
            seconds = round(float(np.median([entry["seconds"] for entry in found[method.name]])), 3)
            facts = {"task": test.task, "set": test.name, "method": method.name, "weights": method.label}
            rows.append(
                {**facts, "images": len(found[INPUT]), "protocol": protocol, **own, "input": before, "seconds": seconds}
            )
    return rows


def _score(test: TestSet, method: Method, degraded: np.ndarray, clear: np.ndarray) -> dict[str, Any]:
    began = time.perf_counter()
    restored = method(degraded)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, **{each.name: each.measure(restored, clear) for each in test.measures}}


def _means(scores: list[dict[str, Any]], protocol: str) -> dict[str, float]:
    return {key: round(float(np.mean([score[protocol][key] for score in scores])), 4) for key in ("psnr", "ssim")}


def real_haze_means(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Average the means of the sets of real haze, each counting once: method -> PSNR and SSIM."""
    means = {}
    chosen = [row for row in rows if row["set"] in REAL_HAZE]
    if {row["set"] for row in chosen} != set(REAL_HAZE):
        return means
    for method in dict.fromkeys(row["method"] for row in chosen):
        own = [row for row in chosen if row["method"] == method]
        means[method] = {key: round(float(np.mean([row[key] for row in own])), 4) for key in ("psnr", "ssim")}
    first = [row for row in chosen if row["method"] == chosen[0]["method"]]
    means[INPUT] = {key: round(float(np.mean([row["input"][key] for row in first])), 4) for key in ("psnr", "ssim")}
    return means


def measure_task(task: str, args: argparse.Namespace, given: Mapping[str, str]) -> tuple[list[dict], Trained | None]:
    """Measure all sets of a task, and draw its sheets."""
    own = ours(task, given, Options() if args.as_used else PUBLISHED)
    before, rows, sheets = Method(INPUT, lambda: lambda image: image, identity="-"), [], {}
    for test in test_sets(args.data, task):
        if not test.inputs.is_dir():
            print(f"{test.name}: {test.inputs} is no folder; left out")
            continue
        others = peers(task, args.peers, test.name)
        methods = [before, *([own[0]] if own else []), *others]
        title = task if test.targets else test.name
        sheet = sheets.setdefault(title, PictureSheet(args.out / f"{title}.jpg"))
        for name in test.names(1 if test.targets else 4):
            sheet.add(test, name, [own[0] if own else None, *others])
        if test.targets:
            rows += measure_set(test, methods, Store(args.out / "cache"), args.limit)
    for sheet in sheets.values():
        sheet.write()
    return rows, own[1] if own else None


def main() -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the test sets")
    parser.add_argument("--peers", type=Path, help="folder with weights of AOD-Net, GCANet and PReNet (.npz)")
    parser.add_argument("--out", type=Path, default=Path("quality"), help="default: quality")
    parser.add_argument("--task", action="append", choices=TASKS, help="only this one; may be given several times")
    parser.add_argument(
        "--weights", action="append", default=[], metavar="TASK=SOURCE", help="run folder, file or name"
    )
    parser.add_argument("--as-used", action="store_true", help="restore as the command does, not as papers measure")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images of every set")
    parser.add_argument("--update-docs", type=Path, metavar="FILE", help="put the tables between the markers of a page")
    parser.add_argument("--update-cards", action="store_true", help="put the scores into the cards of shipped weights")
    args = parser.parse_args()
    given = dict(text.split("=", 1) for text in args.weights)
    args.out.mkdir(parents=True, exist_ok=True)
    rows, measured = [], []
    for task in args.task or TASKS:
        found, trained = measure_task(task, args, given)
        rows, measured = rows + found, [*measured, (task, trained)]
    path = args.out / "quality.json"
    path.write_text(json.dumps({"rows": rows, "real_haze_means": real_haze_means(rows)}, indent=1))
    text = markdown(rows, real_haze_means(rows))
    (args.out / "quality.md").write_text(text, encoding="utf-8")
    print(f"\n{text}")
    if args.update_docs:
        update_docs(args.update_docs, text)
    for task, trained in measured if args.update_cards else ():
        if trained and trained.card:
            print(write_card(replace(trained.card, scores=tuple(scores_of(path, [task])))))


if __name__ == "__main__":
    main()
