"""Write the page of an evaluation: means, a table that sorts, sliders, error maps, histograms, curves, settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from mindrestore.evaluation.metrics import LOWER_IS_BETTER, TITLES
from mindrestore.evaluation.report import format_score
from mindrestore.files import PathLike
from mindrestore.pages.charts import histogram
from mindrestore.pages.files import write_page
from mindrestore.pages.html import Cell, Choice, Layer, escape, facts, render_page, table
from mindrestore.pages.parts import (
    COPIES,
    KEYS,
    MEASURED,
    choices_for_all,
    error_scale,
    headed,
    navigation,
    not_measured,
    picture,
)
from mindrestore.pages.scores import ImageScores, Report, SetScores, read_report
from mindrestore.pages.training import draw_curves, read_curves


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
    training = _training(Path(run)) if run else {}
    if report.summary is None:
        return write_page(report.folder, _set_page(report.sets[0], report.label, training))
    for entry in report.sets:
        write_page(entry.folder, _set_page(entry, entry.name, {}))
    return write_page(report.folder, _index_page(report, training))


def score_cells(metric: str, before: float, after: float) -> list[Cell]:
    """Return the cells of a metric: the input's score, the restored one, and what was gained."""
    gain = after - before
    known = math.isfinite(gain)
    return [
        *(score_cell(metric, value) for value in (before, after)),
        Cell(f"{'+' if gain >= 0 else ''}{format_score(metric, gain)}" if known else "n/a", gain if known else ""),
    ]


def score_cell(metric: str, value: float, best: bool = False) -> Cell:
    """Return the cell of one score; it sorts by the number that stands in scores.csv."""
    return Cell(format_score(metric, value), "" if math.isnan(value) else f"{value:.6f}", best=best)


def score_note(entry: SetScores, image: ImageScores) -> str:
    """Write the scores of an image in one line."""
    parts = (
        f"{TITLES[metric]} {format_score(metric, image.input[metric])} → "
        f"<strong>{format_score(metric, image.restored[metric])}</strong>"
        for metric in entry.metrics
    )
    return f"{', '.join(parts)}; {image.width} x {image.height} pixels"


def _set_page(entry: SetScores, label: str, training: Mapping[str, str]) -> str:
    settings = entry.document["settings"]
    title = f"{settings.get('model', 'evaluation')}: {label}"
    numbers = [(place, image, _layers(entry, image)) for place, image in enumerate(entry.images, 1)]
    pictures = "".join(
        picture(f"image-{place}", image.name, [score_note(entry, image)], Choice(layers), image.size)
        for place, image, layers in numbers
    )
    some = next((layers for _, _, layers in numbers if layers), [])
    told = f'<p class="soft">{KEYS} {COPIES} {MEASURED}</p>{error_scale()}{choices_for_all(Choice(some))}'
    sections = {
        "images": ("Images", _image_table(entry)),
        "pictures": ("Before and after", told + pictures),
        "distributions": ("Distributions", _histograms(entry)),
        **_training_sections(training),
        "settings": ("Protocol and settings", _settings(entry, training)),
    }
    back = '<p><a href="../index.html">all sets</a></p>' if entry.name else ""
    count = len(entry.images)
    head = (
        f"{back}<h1>{escape(title)}</h1>"
        f'<p class="soft">{count} image{"s" * (count != 1)}, protocol {escape(entry.protocol["name"])}</p>'
        + not_measured((lost["image"], lost["reason"]) for lost in entry.document.get("not_measured", ()))
        + _means_table(entry)
    )
    return render_page(title, head + _put_together(sections))


def _index_page(report: Report, training: Mapping[str, str]) -> str:
    summary = report.summary or {}
    settings = summary.get("settings", {})
    title = f"{settings.get('model', 'evaluation')}: {report.label}"
    metrics = tuple(summary["average"]["restored"])
    head = ["set", "protocol", "images", *_headings(metrics), "seconds"]
    rows = [_set_row(entry, metrics) for entry in report.sets]
    table_of_sets = table("Means per set", head, rows, sortable=True, last=_average_row(summary, metrics))
    missing = [(name, "missing") for name in summary.get("missing", ())]
    lost = [(entry["name"], entry["reason"]) for entry in summary.get("not_measured", ())]
    sections = {
        "sets": ("Sets", f'<p class="soft">Every set has a page of its own with its images.</p>{table_of_sets}'),
        **_training_sections(training),
        "settings": ("Settings", facts({**settings, **summary.get("versions", {})}) + training.get("recipe", "")),
    }
    return render_page(title, f"<h1>{escape(title)}</h1>" + not_measured(missing + lost) + _put_together(sections))


def _put_together(sections: Mapping[str, tuple[str, str]]) -> str:
    links = navigation({name: title for name, (title, body) in sections.items() if body})
    return links + "".join(headed(name, title, body) for name, (title, body) in sections.items())


def _headings(metrics: Sequence[str]) -> list[str]:
    return [
        text
        for name in metrics
        for text in (f"{TITLES[name]} input", f"{TITLES[name]} restored", f"{TITLES[name]} gain")
    ]


def _set_row(entry: SetScores, metrics: Sequence[str]) -> list[Cell]:
    before, after = entry.means("input"), entry.means("restored")
    scores = [cell for name in metrics for cell in score_cells(name, before[name], after[name])]
    start = [Cell(entry.name, link=f"{entry.name}/index.html"), Cell(entry.protocol["name"])]
    return [*start, Cell(str(len(entry.images))), *scores, Cell(f"{entry.seconds:.2f}")]


def _average_row(summary: Mapping, metrics: Sequence[str]) -> list[Cell]:
    sides = [summary["average"][side] for side in ("input", "restored")]
    pairs = ([math.nan if side[name] is None else float(side[name]) for side in sides] for name in metrics)
    scores = [cell for name, pair in zip(metrics, pairs) for cell in score_cells(name, *pair)]
    return [Cell("average of the sets"), Cell(""), Cell(""), *scores, Cell("")]


def _means_table(entry: SetScores) -> str:
    before, after = entry.means("input"), entry.means("restored")
    counts = entry.document["means"].get("images", {})
    rows = [
        [
            Cell(TITLES[name] + (" (lower is better)" if name in LOWER_IS_BETTER else "")),
            *score_cells(name, before[name], after[name]),
            Cell(str(counts.get(name, len(entry.images)))),
        ]
        for name in entry.metrics
    ]
    return table("Mean scores", ["mean", "input", "restored", "gain", "images"], rows)


def _image_table(entry: SetScores) -> str:
    head = ["image", "size", *_headings(entry.metrics), "seconds"]
    rows = [
        [
            Cell(image.name, link=f"#image-{place}"),
            Cell(f"{image.width} x {image.height}", str(image.width * image.height)),
            *(cell for name in entry.metrics for cell in score_cells(name, image.input[name], image.restored[name])),
            Cell(f"{image.seconds:.2f}", f"{image.seconds:.4f}"),
        ]
        for place, image in enumerate(entry.images, 1)
    ]
    before, after = entry.means("input"), entry.means("restored")
    means = [cell for name in entry.metrics for cell in score_cells(name, before[name], after[name])]
    last = [Cell(f"mean of {len(rows)}"), Cell(""), *means, Cell(f"{entry.seconds:.2f}")]
    return table("Scores per image", head, rows, sortable=True, last=last)


def _layers(entry: SetScores, image: ImageScores) -> list[Layer]:
    titles = {"target": "ground truth", "error": "error map"}
    return [Layer(titles.get(layer, layer), path) for layer, path in entry.layers(image).items()]


def _histograms(entry: SetScores) -> str:
    charts = "".join(
        histogram(
            f"{TITLES[name]}: number of images",
            [(side, [getattr(image, side)[name] for image in entry.images]) for side in ("restored", "input")],
        )
        for name in entry.metrics
    )
    return f'<div class="charts">{charts}</div>' if charts else ""


def _training(run: Path) -> dict[str, str]:
    """Draw the curves of a run, and quote its recipe."""
    recipe = run / "recipe.yaml"
    text = recipe.read_text(encoding="utf-8") if recipe.is_file() else ""
    quoted = f"<details><summary>recipe.yaml of the run</summary><pre>{escape(text)}</pre></details>" if text else ""
    return {"curves": draw_curves(read_curves(run)), "recipe": quoted}


def _training_sections(training: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    curves = training.get("curves", "")
    note = '<p class="soft">Over the training step, as metrics.jsonl of the run has them.</p>'
    return {"training": ("Training", f'{note}<div class="charts">{curves}</div>' if curves else "")}


def _settings(entry: SetScores, training: Mapping[str, str]) -> str:
    protocol = {
        "protocol": entry.protocol["name"],
        "how": entry.protocol["description"],
        "used by": entry.protocol.get("used_by", ""),
        "noise": entry.protocol.get("noise", ""),
    }
    values = {**protocol, **entry.document["settings"], **entry.document.get("versions", {})}
    return facts(values) + training.get("recipe", "")
