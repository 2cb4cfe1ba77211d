"""`mindrestore models`: list the networks with their size rules and parameter counts."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("models", help="list the networks", description=__doc__)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print one line per registered network."""
    from mindrestore.models.registry import list_models, model_spec
    from mindrestore.weights.shipped import list_shipped

    rows, shipped = [("name", "tasks", "parameters", "image sizes", "published weights", "paper")], list_shipped()
    included = []
    for name in list_models():
        spec, cards = model_spec(name), [card for card in shipped if card.network == name]
        extra = dict.fromkeys(task for card in cards for task in card.tasks if task not in spec.tasks)
        tasks = ", ".join([*spec.tasks, *(f"{task} (included weights)" for task in extra)])
        padded = f"padded to multiples of {spec.size_multiple}, " if spec.size_multiple > 1 else ""
        size, licence = f"any; {padded}at least {spec.min_size}", spec.licence.replace("published weights: ", "")
        rows.append((name, tasks, f"{spec.parameters:,}", size, licence, spec.paper))
        if cards:
            included.append(f"{name}: {', '.join(f'{card.name} ({card.size})' for card in cards)}")
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    print("\nincluded weights of", "; ".join(included))
    return 0
