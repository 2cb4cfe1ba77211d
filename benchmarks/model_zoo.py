"""Write the tables of networks into both READMEs and the first pages of the site.

python benchmarks/model_zoo.py            # rewrites both tables
python benchmarks/model_zoo.py --check    # leaves with an error when one is out of date

They come from the registry, the cards of the weights, model_zoo.yaml, and the times of model_zoo_times.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from mindrestore.models.registry import list_models, model_spec
from mindrestore.weights.shipped import Card, list_shipped

ROOT = Path(__file__).resolve().parents[1]
FACTS = Path(__file__).with_name("model_zoo.yaml")
TIMES = Path(__file__).with_name("model_zoo_times.json")
BEGIN, END = "<!-- model zoo: begin -->", "<!-- model zoo: end -->"


def tables(words: dict[str, Any], facts: dict[str, Any], times: dict[str, Any], pages: str) -> str:
    """Return both tables as Markdown: the networks, with a sentence on their times, and the included weights.

    `pages` is where the pages of the documentation lie: `docs/`, or nothing on one of them.
    """

    def removes(tasks: tuple[str, ...] | list[str]) -> str:
        return words["join"].join(words["tasks"][task] for task in tasks)

    def said(text: str) -> str:
        return words["words"].get(text, text)

    rows = []
    for entry in facts["networks"]:
        spec = model_spec(entry["name"])
        measured = f"{said(entry['set'])}, `{entry['protocol']}`" if "set" in entry else words["none"]
        rows.append(
            (
                f"[`{entry['name']}`]({pages}{entry['page']})",
                removes(spec.tasks),
                f"{spec.parameters / 1e6:.2f} M",
                measured,
                entry.get("published", ""),
                f"{times['factors'][entry['name']]:g}",
                said(spec.licence.replace("published weights: ", "")) if "set" in entry else "",
            )
        )
    cards = {card.name: card for card in list_shipped()}
    shipped = [_shipped_row(cards[name], found, removes) for name, found in facts["weights"].items()]
    sentence = words["times"].format(pages=pages, **times)
    return "\n\n".join((_table(words["heads"], rows), sentence, _table(words["shipped"], shipped)))


def _shipped_row(card: Card, wanted: str, removes: Any) -> tuple[str, ...]:
    score = next(entry for entry in card.scores if f"{entry['set']} {entry['protocol']}" == wanted)
    pair = [f"{entry['psnr']:.2f} / {entry['ssim']:.4f}" for entry in (score["input"], score)]
    size = f"{card.path.stat().st_size / 1e6:.1f} MB"
    measured = f"{score['set']} ({score['images']}), `{score['protocol']}`"
    return (f"`{card.name}`", f"`{card.network}`", removes(card.tasks), size, measured, *pair, card.licence)


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Rewrite or check the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a table is out of date")
    args = parser.parse_args()
    facts = yaml.safe_load(FACTS.read_text(encoding="utf-8"))
    listed = {entry["name"] for entry in facts["networks"]} | set(facts["left_out"])
    if listed != set(list_models()):
        sys.exit(
            f"error: {FACTS.name} and the registry differ in {', '.join(listed ^ set(list_models()))}; mend {FACTS}"
        )
    times = json.loads(TIMES.read_text(encoding="utf-8"))
    for name, words in facts["words"].items():
        path, pages = ROOT / name, "" if name.startswith("docs/") else "docs/"
        text = path.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        fresh = f"{before}{BEGIN}\n{tables(words, facts, times, pages)}\n{END}{rest.partition(END)[2]}"
        if args.check and fresh != text:
            sys.exit(f"error: the table of networks in {name} is out of date; run python benchmarks/model_zoo.py")
        if not args.check:
            path.write_text(fresh, encoding="utf-8")


if __name__ == "__main__":
    main()
