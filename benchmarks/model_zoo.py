"""Write the table of networks into README.md and README_CN.md, from the registry, the cards and model_zoo.yaml.

python benchmarks/model_zoo.py            # rewrites both tables
python benchmarks/model_zoo.py --check    # leaves with an error when one is out of date
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from mindrestore.models.registry import list_models, model_spec
from mindrestore.weights.shipped import Card, list_shipped

ROOT = Path(__file__).resolve().parents[1]
FACTS = Path(__file__).with_name("model_zoo.yaml")
BEGIN, END = "<!-- model zoo: begin -->", "<!-- model zoo: end -->"
WORDS = {
    "README.md": {
        "heads": (
            "network",
            "removes",
            "parameters",
            "published weights: set, protocol",
            "PSNR / SSIM",
            "licence",
        ),
        "shipped": ("weights", "network", "removes", "file", "set, protocol", "input", "restored", "licence"),
        "none": "none published",
        "tasks": {"dehaze": "haze", "derain": "rain", "denoise": "noise", "deblur": "blur"},
        "join": ", ",
    },
    "README_CN.md": {
        "heads": ("网络", "去除", "参数量", "官方权重的测试集与协议", "PSNR / SSIM", "许可"),
        "shipped": ("权重", "网络", "去除", "文件大小", "测试集、协议", "输入", "复原后", "许可"),
        "none": "未发布",
        "tasks": {"dehaze": "雾", "derain": "雨", "denoise": "噪声", "deblur": "模糊"},
        "join": "、",
    },
}


def tables(words: dict[str, Any], facts: dict[str, Any]) -> str:
    """Return both tables as Markdown: the networks, and the weights that ship."""

    def removes(tasks: tuple[str, ...] | list[str]) -> str:
        return words["join"].join(words["tasks"][task] for task in tasks)

    rows = []
    for entry in facts["networks"]:
        spec = model_spec(entry["name"])
        measured = f"{entry['set']}, `{entry['protocol']}`" if "set" in entry else words["none"]
        rows.append(
            (
                f"[`{entry['name']}`](docs/{entry['page']})",
                removes(spec.tasks),
                f"{spec.parameters / 1e6:.2f} M",
                measured,
                entry.get("published", ""),
                spec.licence.replace("published weights: ", "") if "set" in entry else "",
            )
        )
    cards = {card.name: card for card in list_shipped()}
    shipped = [_shipped_row(cards[name], found, removes) for name, found in facts["weights"].items()]
    return "\n\n".join((_table(words["heads"], rows), _table(words["shipped"], shipped)))


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
    for name, words in WORDS.items():
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        fresh = f"{before}{BEGIN}\n{tables(words, facts)}\n{END}{rest.partition(END)[2]}"
        if args.check and fresh != text:
            sys.exit(f"error: the table of networks in {name} is out of date; run python benchmarks/model_zoo.py")
        if not args.check:
            path.write_text(fresh, encoding="utf-8")


if __name__ == "__main__":
    main()
