"""Write an evaluation down: text table, CSV and JSON; the protocol's name stands in each."""

from __future__ import annotations

import csv
import io
import json
import math
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mindrestore.errors import shown
from mindrestore.evaluation.metrics import DECIMALS, LOWER_IS_BETTER, TITLES
from mindrestore.evaluation.results import Evaluation, Failure, SetsEvaluation
from mindrestore.files import PathLike, write_text
from mindrestore.version import __version__


def format_table(evaluation: Evaluation, max_rows: int | None = 40) -> str:
    """Lay an evaluation out as aligned text, the input's score beside the restored one.

    Args:
        evaluation: Result of `evaluate_pairs`.
        max_rows: Show at most this many images; None shows all. The means are over all of them.

    Returns:
        Several lines: protocol, one line per image, means, and the names of what was left out.
    """
    body = [["image", "size", *_titles(evaluation.protocol.names), "seconds"]]
    first = evaluation.rows[:max_rows]
    for row in first:
        body.append(
            [shown(row.name), f"{row.height}x{row.width}", *_cells(row.input, row.restored), f"{row.seconds:.2f}"]
        )
    count = f"mean of {len(evaluation.rows)}"
    means = _cells(evaluation.input_mean, evaluation.mean)
    body.append([count, "", *means, f"{evaluation.seconds:.2f}"])

    lines = [f"protocol {evaluation.protocol.name}: {evaluation.protocol.description}"]
    lines += [f"input: {evaluation.noise}", ""] if evaluation.noise else [""]
    aligned = _align(body)
    lines += aligned[:-1]
    if len(evaluation.rows) > len(first):
        lines.append(f"... {len(evaluation.rows) - len(first)} more images")
    lines += ["-" * len(aligned[0]), aligned[-1], *_notes(evaluation)]
    return "\n".join(lines)


def format_sets(result: SetsEvaluation) -> str:
    """Lay several sets out as one table: a line per set, then the unweighted average of the sets.

    Args:
        result: Result of `evaluate_sets`.

    Returns:
        Several lines: the protocols, one line per set, the average, and the names of what was left out.
    """
    body = [["set", "protocol", "images", *_titles(result.names), "seconds"]]
    for name, evaluation in result.sets.items():
        scores = _cells(
            *({key: mean[key] for key in result.names} for mean in (evaluation.input_mean, evaluation.mean))
        )
        count = str(len(evaluation.rows))
        body.append([name, evaluation.protocol.name, count, *scores, f"{evaluation.seconds:.2f}"])
    summary = [(_average_title(result), result.input_mean, result.mean), *_task_rows(result)]
    body += [[title, "", "", *_cells(before, after), ""] for title, before, after in summary]
    protocols = {evaluation.protocol.name: evaluation.protocol for evaluation in result.sets.values()}
    aligned = _align(body)
    lines = [f"protocol {name}: {protocol.description}" for name, protocol in protocols.items()]
    lines += [f"{name}, input: {evaluation.noise}" for name, evaluation in result.sets.items() if evaluation.noise]
    lines += ["", *aligned[: -len(summary)], "-" * len(aligned[0]), *aligned[-len(summary) :]]
    if result.missing:
        lines.append(f"missing: {', '.join(result.missing)}")
    return "\n".join(lines + _failure_notes(result.failures))


def write_csv(evaluation: Evaluation, path: PathLike) -> None:
    """Write one line per image; undefined scores are `n/a`, those of equal images `inf`.

    Args:
        evaluation: Result of `evaluate_pairs`.
        path: File to write.

    Raises:
        ImageError: The folder or the disk does not allow it.
    """
    names = evaluation.protocol.names
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    scores = [column for name in names for column in (name, f"{name}_input")]
    writer.writerow(["protocol", "image", "key", "height", "width", "seconds", *scores])
    for row in evaluation.rows:
        place = [row.name, row.key, row.height, row.width, f"{row.seconds:.4f}"]
        writer.writerow([evaluation.protocol.name, *place, *_csv_scores(names, row.restored, row.input)])
    write_text(path, buffer.getvalue())


def write_json(evaluation: Evaluation, path: PathLike, settings: Mapping[str, Any] | None = None) -> None:
    """Write means, rows, protocol, settings and versions; undefined scores are null, infinite ones "inf".

    Args:
        evaluation: Result of `evaluate_pairs`.
        path: File to write.
        settings: What was evaluated: model, weights, data folder and so on.

    Raises:
        ImageError: The folder or the disk does not allow it.
    """
    document = {
        "protocol": _json_protocol(evaluation),
        "settings": dict(settings or {}),
        "versions": _versions(),
        "means": _json_means(evaluation),
        "images": [
            {
                "image": row.name,
                "key": row.key,
                "height": row.height,
                "width": row.width,
                "seconds": round(row.seconds, 4),
                "restored": _json_scores(row.restored),
                "input": _json_scores(row.input),
                "picture": row.picture,
            }
            for row in evaluation.rows
        ],
        "not_measured": [{"image": failure.name, "reason": failure.reason} for failure in evaluation.failures],
    }
    _write_document(document, path)


def write_sets(result: SetsEvaluation, folder: PathLike, settings: Mapping[str, Any] | None = None) -> None:
    """Write SET/scores.csv and SET/scores.json for every set, and summary.txt, summary.csv and summary.json.

    Args:
        result: Result of `evaluate_sets`.
        folder: Folder to write to.
        settings: What was evaluated: model, weights, data folder and so on.

    Raises:
        ImageError: The folder or the disk does not allow it.
    """
    folder = Path(folder)
    for name, evaluation in result.sets.items():
        write_csv(evaluation, folder / name / "scores.csv")
        write_json(evaluation, folder / name / "scores.json", {**(settings or {}), "set": name})
    write_text(folder / "summary.txt", format_sets(result) + "\n")
    write_text(folder / "summary.csv", _sets_csv(result))
    document = {
        "settings": dict(settings or {}),
        "versions": _versions(),
        "sets": [
            {
                "set": name,
                "task": result.tasks.get(name),
                "protocol": _json_protocol(evaluation),
                "means": _json_means(evaluation),
            }
            for name, evaluation in result.sets.items()
        ],
        "average": {
            "restored": _json_scores(result.mean),
            "input": _json_scores(result.input_mean),
            "sets": len(result.sets),
        },
        "tasks": [
            {"task": task, "restored": _json_scores(after), "input": _json_scores(before)}
            for task, (before, after) in result.task_means.items()
        ],
        "missing": list(result.missing),
        "not_measured": [{"name": failure.name, "reason": failure.reason} for failure in result.failures],
    }
    _write_document(document, folder / "summary.json")


def caption(role: str, scores: Mapping[str, float]) -> str:
    """Put PSNR and SSIM behind a word, for the line above a picture."""
    parts = [f"{TITLES[name]} {format_score(name, scores[name])}" for name in ("psnr", "ssim") if name in scores]
    return f"{role}: {', '.join(parts)}"


def _titles(names: Sequence[str]) -> list[str]:
    return [title for name in names for title in (f"{TITLES[name]} input", "restored")]


def _average_title(result: SetsEvaluation) -> str:
    measured = len(result.sets)
    total = measured + len(result.missing) + len(result.unmeasured)
    some = str(measured) if measured == total else f"{measured} of {total}"
    return f"average of {some} set{'s' if total > 1 else ''}"


def _task_rows(result: SetsEvaluation) -> list[tuple[str, dict[str, float], dict[str, float]]]:
    """Return a line per task and their mean, in which every task counts alike; none where that tells nothing new."""
    tasks = result.task_means
    if len(tasks) < 2:
        return []
    rows = [(f"task {task}", before, after) for task, (before, after) in tasks.items()]
    means = [
        {name: sum(scores[side][name] for scores in tasks.values()) / len(tasks) for name in result.names}
        for side in (0, 1)
    ]
    return [*rows, (f"average of {len(tasks)} tasks", *means)]


def _sets_csv(result: SetsEvaluation) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = [column for name in result.names for column in (name, f"{name}_input")]
    writer.writerow(["set", "protocol", "images", "seconds", *columns])
    for name, evaluation in result.sets.items():
        start = [name, evaluation.protocol.name, len(evaluation.rows), f"{evaluation.seconds:.4f}"]
        writer.writerow(start + _csv_scores(result.names, evaluation.mean, evaluation.input_mean))
    for title, before, after in [(_average_title(result), result.input_mean, result.mean), *_task_rows(result)]:
        writer.writerow([title, "", "", "", *_csv_scores(result.names, after, before)])
    return buffer.getvalue()


def _csv_scores(names: Sequence[str], restored: Mapping[str, float], before: Mapping[str, float]) -> list[str]:
    values = [value for name in names for value in (restored[name], before[name])]
    return ["n/a" if math.isnan(value) else f"{value:.6f}" for value in values]


def _cells(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    return [format_score(name, scores[name]) for name in after for scores in (before, after)]


def format_score(name: str, value: float) -> str:
    """Write a score with the decimals of its metric; `n/a` where it is undefined."""
    return "n/a" if math.isnan(value) else f"{value:.{DECIMALS[name]}f}"


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in cells).rstrip()
        for cells in (list(enumerate(zip(row, widths))) for row in rows)
    ]


def _notes(evaluation: Evaluation) -> list[str]:
    notes = []
    falling = [TITLES[name] for name in evaluation.protocol.names if name in LOWER_IS_BETTER]
    if falling:
        notes.append(f"{', '.join(falling)}: lower is better")
    for name, count in evaluation.counts.items():
        if count < len(evaluation.rows):
            notes.append(f"{TITLES[name]} is undefined for small images: mean over {count} of {len(evaluation.rows)}")
    return notes + _failure_notes(evaluation.failures)


def _failure_notes(failures: Sequence[Failure]) -> list[str]:
    if not failures:
        return []
    return [f"not measured ({len(failures)}):", *(shown(f"  {failure.name}: {failure.reason}") for failure in failures)]


def _write_document(document: Mapping[str, Any], path: PathLike) -> None:
    text = json.dumps(document, indent=2, default=str, allow_nan=False, ensure_ascii=False)
    write_text(path, text + "\n")


def _json_protocol(evaluation: Evaluation) -> dict[str, str]:
    protocol = evaluation.protocol
    facts = {"name": protocol.name, "description": protocol.description, "used_by": protocol.used_by}
    return {**facts, "noise": evaluation.noise} if evaluation.noise else facts


def _json_means(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "restored": _json_scores(evaluation.mean),
        "input": _json_scores(evaluation.input_mean),
        "images": evaluation.counts,
    }


def _json_scores(scores: Mapping[str, float]) -> dict[str, Any]:
    # JSON has neither NaN nor infinity
    return {
        name: None if math.isnan(value) else str(value) if math.isinf(value) else round(value, 6)
        for name, value in scores.items()
    }


def _versions() -> dict[str, str]:
    found = {"mindrestore": __version__, "python": platform.python_version()}
    for package in ("mindspore", "numpy", "opencv-python-headless"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # the desktop build of OpenCV goes by another name
            found[package] = "unknown"
    return found
