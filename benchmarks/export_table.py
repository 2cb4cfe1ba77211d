"""Export registered networks in every form, reload each file, and write the table of docs/export.md.

    python benchmarks/export_table.py --out table.md
    python benchmarks/export_table.py --models aecrnet mpilnet --forms mindir onnx --size 512x512

Each file is written, loaded again and compared with the network at sizes that its row names; weights are initial ones
(seed 0) of the published hyper-parameters. A form that cannot be written gets its reason in the table. Each network
runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

FORMS = {  # name -> format, whether the size is fixed, whether it takes 8-bit photographs
    "mindir": ("MINDIR", False, False),
    "mindir-fixed": ("MINDIR", True, False),
    "mindir-uint8": ("MINDIR", False, True),
    "onnx": ("ONNX", False, False),
    "onnx-fixed": ("ONNX", True, False),
    "onnx-uint8": ("ONNX", False, True),
}
HEADS = {
    "mindir": "MINDIR, any size",
    "mindir-fixed": "MINDIR, {size}",
    "mindir-uint8": "MINDIR, 8-bit photographs",
    "onnx": "ONNX, any size",
    "onnx-fixed": "ONNX, {size}",
    "onnx-uint8": "ONNX, 8-bit photographs",
}


def export(model: str, form: str, size: tuple[int, int], folder: Path) -> dict:
    """Write one file and measure it."""
    import mindspore as ms

    from mindrestore.engine import context
    from mindrestore.errors import MindRestoreError
    from mindrestore.exporting.exporter import export_model
    from mindrestore.exporting.form import FORMATS, Form, size_text

    context.setup("CPU")
    ms.set_seed(0)
    kind, fixed, uint8 = FORMS[form]
    start = time.perf_counter()
    try:
        report = export_model(
            model, None, folder / f"{model}{FORMATS[kind]}", form=Form(kind, size=size if fixed else None, uint8=uint8)
        )
    except MindRestoreError as error:
        return {"error": str(error), "seconds": time.perf_counter() - start}
    return {
        "difference": report.difference,
        "sizes": [size_text(at) for at in report.differences],
        "megabytes": report.megabytes,
        "seconds": report.seconds,
    }


def cell(result: dict, form: str) -> str:
    """Return one result in a few words."""
    if "error" in result:
        return f"no: {result['error']}"
    if FORMS[form][2]:
        return f"{round(result['difference'] * 255)} level"
    return f"{result['difference']:.1e}"


def table(rows: dict[str, dict[str, dict]], forms: list[str], size: str) -> str:
    """Lay the results out as Markdown."""
    heads = [HEADS[form].format(size=size) for form in forms]
    lines = ["| network | " + " | ".join([*heads, "file", "compared at"]) + " |", "|---" * (len(forms) + 3) + "|"]
    for model, results in rows.items():
        first = next((result for result in results.values() if "sizes" in result), {"megabytes": 0, "sizes": []})
        cells = [cell(results[form], form) for form in forms]
        lines.append(f"| `{model}` | {' | '.join(cells)} | {first['megabytes']:.0f} MB | {', '.join(first['sizes'])} |")
    return "\n".join(lines)


def main() -> None:
    """Parse the command line, export, print and write."""
    from mindrestore.models.registry import list_models

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list_models())
    parser.add_argument("--forms", nargs="+", choices=[*FORMS], default=[*FORMS])
    parser.add_argument("--size", default="64x96", help="of the fixed forms")
    parser.add_argument("--out", type=Path, help="Markdown file to write; a JSON file of all numbers goes beside it")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # in this process: its last line is JSON
    args = parser.parse_args()
    rows: dict[str, dict[str, dict]] = {}
    for model in args.models:
        if args.here:
            size = tuple(int(side) for side in args.size.split("x"))
            with tempfile.TemporaryDirectory() as folder:
                print(json.dumps({form: export(model, form, size, Path(folder)) for form in args.forms}))
            return
        command = [sys.executable, __file__, "--models", model, "--forms", *args.forms, "--size", args.size, "--here"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{model}: ended with {done.returncode}, see its messages above")
        rows[model] = json.loads(done.stdout.splitlines()[-1])
        print(table({model: rows[model]}, args.forms, args.size).splitlines()[-1], flush=True)
        if args.out:
            args.out.write_text(table(rows, args.forms, args.size) + "\n")
            args.out.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
