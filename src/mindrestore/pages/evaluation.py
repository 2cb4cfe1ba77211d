"""Write the page of an evaluation: means, a table that sorts, sliders, error maps, histograms, curves, settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mindrestore.evaluation.metrics import LOWER_IS_BETTER, TITLES
from mindrestore.evaluation.pictures import copy_size
from mindrestore.evaluation.report import format_score
from mindrestore.evaluation.results import Measurement
from mindrestore.files import PathLike, read_text
from mindrestore.pages.charts import histogram
from mindrestore.pages.render import Cell, Layer, Picture, render, write_page
from mindrestore.pages.scores import SetScores, WrittenReport, read_report
from mindrestore.pages.sheet import draw_sheet, worst_and_best
from mindrestore.pages.training import draw_curves, read_curves
from mindrestore.pages.words import Text, say

_LAYERS = {"target": "ground_truth", "error": "error_map", "input": "input", "restored": "restored"}
_PROTOCOL = {"protocol": "name", "how": "description", "used_by": "used_by", "noise": "noise"}


def write_evaluation_page(folder: PathLike, run: PathLike | None = None) -> Path:
    """Write index.html for a report that lies there as JSON and pictures, and one for each of several sets.

    Args:
        folder: Folder of the report.
        run: Run folder whose training curves and recipe are shown.

    Returns:
        Path of the page.

    Raises:
        ReportError: There is no report in the folder.
        WriteError: The folder or the disk does not allow it.
    """
    report = read_report(folder)
    training = _training(Path(run) if run else None)
    if report.summary is None:
        return write_page(report.folder, _set_page(report.sets[0], report.label, training))
    for entry in report.sets:
        write_page(entry.folder, _set_page(entry, entry.name, _training(None)))
    return write_page(report.folder, _index_page(report, training))


def score_cells(metric: str, before: float, after: float) -> list[Cell]:
    """Return the cells of a metric: the input's score, the restored one, and what was gained."""
    gain = after - before
    known = math.isfinite(gain)
    return [
        *(score_cell(metric, value) for value in (before, after)),
        Cell(
            f"{'+' if gain >= 0 else ''}{format_score(metric, gain)}" if known else say("not_known"),
            gain if known else "",
        ),
    ]


def score_cell(metric: str, value: float, best: bool = False) -> Cell:
    """Return the cell of one score; it sorts by the number that stands in scores.csv."""
    if math.isnan(value):
        return Cell(say("not_known"), "", best=best)
    return Cell(format_score(metric, value), f"{value:.6f}", best=best)


def score_note(entry: SetScores, image: Measurement) -> Text:
    """Write the scores of an image in one line."""
    parts = (
        f"{TITLES[metric]} {format_score(metric, image.input[metric])} → {format_score(metric, image.restored[metric])}"
        for metric in entry.metrics
    )
    return say("score_note", scores=", ".join(parts), width=image.width, height=image.height)


def titled(metric: str) -> str | Text:
    """Return the title of a metric, and which way it counts where less is better."""
    return say("lower_is_better", metric=TITLES[metric]) if metric in LOWER_IS_BETTER else TITLES[metric]


def _set_page(entry: SetScores, label: str, training: Mapping[str, Any]) -> str:
    settings, protocol = entry.document["settings"], entry.protocol
    before, after = entry.means("input"), entry.means("restored")
    pictures = [_picture(entry, place, image) for place, image in enumerate(entry.images, 1)]
    metric = entry.metrics[0]
    worst, best, others = worst_and_best([image.restored[metric] for image in entry.images], metric in LOWER_IS_BETTER)
    histograms = _histograms(entry)
    sections = {
        "images": say("section_images"),
        "pictures": say("before_and_after"),
        "distributions": say("distributions") if histograms else "",
        "training": say("training") if training["curves"] else "",
        "settings": say("protocol_and_settings"),
    }
    return render(
        "evaluation.html",
        title=f"{settings.get('model', 'evaluation')}: {label}",
        entry=entry,
        lost=[(lost["image"], lost["reason"]) for lost in entry.document.get("not_measured", ())],
        means=_means(entry),
        sections={name: title for name, title in sections.items() if title},
        headings=[say("image"), say("size"), *_headings(entry.metrics), say("seconds")],
        rows=_image_rows(entry),
        last=[
            Cell(say("mean_of", count=len(entry.images))),
            Cell(""),
            *_gains(entry.metrics, before, after),
            _seconds(entry),
        ],
        metric=TITLES[metric],
        sheet=draw_sheet(entry.folder, [pictures[place] for place in (*worst, *best)]),
        choices=next((picture.layers for picture in pictures if picture.layers), ()),
        groups=_groups(TITLES[metric], pictures, worst, best, others),
        histograms=histograms,
        settings={
            **{say(title): protocol.get(key, "") for title, key in _PROTOCOL.items()},
            **settings,
            **entry.document.get("versions", {}),
        },
        **training,
    )


def _groups(
    metric: str, pictures: Sequence[Picture], worst: Sequence[int], best: Sequence[int], others: Sequence[int]
) -> list[tuple[Text | str, list[Picture]]]:
    """Return the headings of a page and the pictures below each."""
    parts = ((say("worst", metric=metric), worst), (say("best", metric=metric), best))
    parts += ((say("all_others") if worst else "", others),)
    return [(heading, [pictures[place] for place in places]) for heading, places in parts]


def _index_page(report: WrittenReport, training: Mapping[str, Any]) -> str:
    summary = report.summary or {}
    settings = summary.get("settings", {})
    metrics = tuple(summary["average"]["restored"])
    sections = {
        "sets": say("sets"),
        "training": say("training") if training["curves"] else "",
        "settings": say("settings"),
    }
    missing = [(name, say("missing_set")) for name in summary.get("missing", ())]
    return render(
        "sets.html",
        title=f"{settings.get('model', 'evaluation')}: {report.label}",
        lost=missing + [(entry["name"], entry["reason"]) for entry in summary.get("not_measured", ())],
        sections={name: title for name, title in sections.items() if title},
        headings=[say("set"), say("protocol"), say("images"), *_headings(metrics), say("seconds")],
        rows=[_set_row(entry, metrics) for entry in report.sets],
        last=_average_row(summary, metrics),
        settings={**settings, **summary.get("versions", {})},
        **training,
    )


def _picture(entry: SetScores, place: int, image: Measurement) -> Picture:
    layers = [
        Layer(say(_LAYERS[layer]) if layer in _LAYERS else layer, path) for layer, path in entry.layers(image).items()
    ]
    size = copy_size(image.height, image.width)[::-1]
    return Picture(f"image-{place}", image.name, [score_note(entry, image)], layers, size)


def _headings(metrics: Sequence[str]) -> list[Text]:
    return [say(f"metric_{part}", metric=TITLES[name]) for name in metrics for part in ("input", "restored", "gain")]


def _gains(metrics: Sequence[str], before: Mapping[str, float], after: Mapping[str, float]) -> list[Cell]:
    return [cell for name in metrics for cell in score_cells(name, before[name], after[name])]


def _seconds(entry: SetScores) -> Cell:
    return Cell(f"{entry.seconds:.2f}")


def _set_row(entry: SetScores, metrics: Sequence[str]) -> list[Cell]:
    start = [Cell(entry.name, link=f"{entry.name}/index.html"), Cell(entry.protocol["name"])]
    scores = _gains(metrics, entry.means("input"), entry.means("restored"))
    return [*start, Cell(str(len(entry.images))), *scores, _seconds(entry)]


def _average_row(summary: Mapping[str, Any], metrics: Sequence[str]) -> list[Cell]:
    before, after = (
        {name: math.nan if value is None else float(value) for name, value in summary["average"][side].items()}
        for side in ("input", "restored")
    )
    return [Cell(say("average_of_sets")), Cell(""), Cell(""), *_gains(metrics, before, after), Cell("")]


def _means(entry: SetScores) -> list[list[Cell]]:
    before, after = entry.means("input"), entry.means("restored")
    counts = entry.document["means"].get("images", {})
    return [
        [Cell(titled(name)), *_gains([name], before, after), Cell(str(counts.get(name, len(entry.images))))]
        for name in entry.metrics
    ]


def _image_rows(entry: SetScores) -> list[list[Cell]]:
    return [
        [
            Cell(image.name, link=f"#image-{place}"),
            Cell(f"{image.width} x {image.height}", str(image.width * image.height)),
            *_gains(entry.metrics, image.input, image.restored),
            Cell(f"{image.seconds:.2f}", f"{image.seconds:.4f}"),
        ]
        for place, image in enumerate(entry.images, 1)
    ]


def _histograms(entry: SetScores) -> list[str]:
    charts = (
        histogram(
            say("number_of_images", metric=TITLES[name]),
            [(say(side), [getattr(image, side)[name] for image in entry.images]) for side in ("restored", "input")],
        )
        for name in entry.metrics
    )
    return [chart for chart in charts if chart]


def _training(run: Path | None) -> dict[str, Any]:
    """Draw the curves of a run, and read its recipe."""
    recipe = run / "recipe.yaml" if run else Path()
    text = read_text(recipe) if recipe.is_file() else ""
    return {"curves": draw_curves(read_curves(run)) if run else None, "recipe": text}
