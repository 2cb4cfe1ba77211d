"""Put several reports side by side in one page: means, a table per image, and sliders between any two pictures."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindrestore.evaluation.metrics import LOWER_IS_BETTER, TITLES
from mindrestore.evaluation.pictures import copy_size
from mindrestore.evaluation.report import format_score
from mindrestore.evaluation.results import Measurement
from mindrestore.files import PathLike, replacing
from mindrestore.pages.evaluation import score_cell, titled
from mindrestore.pages.render import Cell, Layer, Picture, render, write_page
from mindrestore.pages.scores import ReportError, SetScores, WrittenReport, read_report
from mindrestore.pages.sheet import draw_sheet
from mindrestore.pages.words import Text, say

_SAME = 1e-3  # scores of one input that differ by more were not measured on the same image


@dataclass(frozen=True)
class _Compared:
    """One set as the reports measured it: label of the report -> its scores."""

    name: str
    runs: Mapping[str, SetScores]

    @property
    def metrics(self) -> list[str]:
        """Metrics that every report has."""
        first, *others = self.runs.values()
        return [name for name in first.metrics if all(name in entry.metrics for entry in others)]

    @property
    def images(self) -> dict[str, dict[str, Measurement]]:
        """Name of an image -> label -> scores, in the order of the reports."""
        found: dict[str, dict[str, Measurement]] = {}
        for label, entry in self.runs.items():
            for image in entry.images:
                found.setdefault(image.name, {}).setdefault(label, image)
        return found


def write_comparison(folders: Sequence[PathLike], out: PathLike) -> Path:
    """Write one page that compares reports, with copies of their pictures beside it.

    Args:
        folders: Run folders or folders of reports, two or more. Sets are matched by name, images by file name.
        out: Folder to write to.

    Returns:
        Path of index.html.

    Raises:
        ReportError: There are fewer than two reports, one cannot be read, they have no set in common, or the page would
            replace one of them.
        WriteError: The folder or the disk does not allow it.
    """
    out = Path(out)
    if len(folders) < 2:
        raise ReportError("one report cannot be compared; name two run folders or more")
    reports = [read_report(folder) for folder in folders]
    for report in reports:
        if report.folder.resolve() == out.resolve():
            raise ReportError(f"{out}: the comparison would replace this report; choose another folder with --out")
    labels = _labels(reports)
    compared = _match(reports, labels)
    numbers = iter(range(1, 1 + sum(len(entry.images) for entry in compared)))
    sets = [_set_section(f"set-{place}", entry, out, numbers) for place, entry in enumerate(compared, 1)]
    pictures = [picture for section in sets for picture in section["pictures"]]
    page = render(
        "comparison.html",
        title=say("comparison_of", reports=", ".join(labels)),
        sections={section["id"]: section["name"] for section in sets},
        sets=sets,
        choices=next((picture.layers for picture in pictures if picture.layers), ()),
        settings=[(label, _settings(report)) for label, report in zip(labels, reports)],
    )
    return write_page(out, page)


def _set_section(name: str, entry: _Compared, out: Path, numbers: Iterator[int]) -> dict[str, Any]:
    """Return what the template says about one set; the pictures of its images are copied."""
    pictures = _pictures(entry, name, out, numbers)
    metric = entry.metrics[0]
    headings: list[str | Text] = [say("image")]
    for each in entry.metrics:
        lower = "_lower" if each in LOWER_IS_BETTER else ""
        headings += [
            say(f"metric_input{lower}", metric=TITLES[each]),
            *(f"{TITLES[each]} {label}" for label in entry.runs),
        ]
    apart = sorted(pictures, key=lambda image: _apart(entry, image, metric), reverse=True)
    return {
        "id": name,
        "name": entry.name,
        "metric": TITLES[metric],
        "warnings": _warnings(entry),
        "mean_headings": [say("report"), say("protocol"), say("images"), *map(titled, entry.metrics), say("seconds")],
        "means": _means(entry),
        "headings": headings,
        "rows": _image_rows(entry, name),
        "pictures": list(pictures.values()),
        "sheet": draw_sheet(out, [pictures[image] for image in apart], f"{name}.jpg"),
    }


def _apart(entry: _Compared, image: str, metric: str) -> float:
    """Return how far the reports are apart on an image; 0 where fewer than two have a finite score of it."""
    scores = [one.restored[metric] for one in entry.images[image].values() if math.isfinite(one.restored[metric])]
    return max(scores) - min(scores) if scores else 0.0


def _labels(reports: Sequence[WrittenReport]) -> list[str]:
    """Name the reports, each differently: by run, and by number where two runs have one name."""
    labels: list[str] = []
    for report in reports:
        label, number = report.label, 1
        while label in labels:
            number += 1
            label = f"{report.label} ({number})"
        labels.append(label)
    return labels


def _match(reports: Sequence[WrittenReport], labels: Sequence[str]) -> list[_Compared]:
    """Find the sets that at least two reports have; reports of a single set are compared whatever its name."""
    if all(report.summary is None for report in reports):
        return [_Compared("", {label: report.sets[0] for label, report in zip(labels, reports)})]
    names = list(dict.fromkeys(entry.name for report in reports for entry in report.sets))
    found = []
    for name in names:
        runs = {label: entry for label, report in zip(labels, reports) for entry in report.sets if entry.name == name}
        if len(runs) > 1:
            found.append(_Compared(name, runs))
    if not found:
        sets = "; ".join(
            f"{label}: {', '.join(entry.name or 'one set without a name' for entry in report.sets)}"
            for label, report in zip(labels, reports)
        )
        raise ReportError(f"the reports have no set in common ({sets}); evaluate them on the same data")
    return found


def _warnings(entry: _Compared) -> list[Text]:
    """Return what makes the numbers incomparable."""
    notes = []
    protocols = {label: scores.protocol["name"] for label, scores in entry.runs.items()}
    if len(set(protocols.values())) > 1:
        listed = ", ".join(f"{label}: {name}" for label, name in protocols.items())
        notes.append(say("protocols_differ", protocols=listed))
    partly = [name for name, scores in entry.images.items() if len(scores) < len(entry.runs)]
    if partly:
        notes.append(say("images_differ", count=len(partly), all=len(entry.images)))
    elif len(set(protocols.values())) == 1:
        other = [name for name, scores in entry.images.items() if not _one_input(list(scores.values()), entry.metrics)]
        if other:
            notes.append(say("inputs_differ", count=len(other), image=other[0]))
    return notes


def _one_input(images: Sequence[Measurement], metrics: Sequence[str]) -> bool:
    first = images[0].input
    pairs = ((first[name], image.input[name]) for image in images for name in metrics)
    return all(one == other or not abs(one - other) > _SAME for one, other in pairs)


def _means(entry: _Compared) -> list[list[Cell]]:
    first = next(iter(entry.runs.values()))
    before = first.means("input")
    rows = [
        [Cell(say("input")), Cell(""), Cell(""), *(score_cell(name, before[name]) for name in entry.metrics), Cell("")]
    ]
    means = {label: scores.means("restored") for label, scores in entry.runs.items()}
    best = {name: _best(name, {label: mean[name] for label, mean in means.items()}) for name in entry.metrics}
    for label, scores in entry.runs.items():
        cells = [score_cell(name, means[label][name], label in best[name]) for name in entry.metrics]
        start = [Cell(label), Cell(scores.protocol["name"]), Cell(str(len(scores.images)))]
        rows.append([*start, *cells, Cell(f"{scores.seconds:.2f}")])
    return rows


def _image_rows(entry: _Compared, section: str) -> list[list[Cell]]:
    rows = []
    for place, (image, scores) in enumerate(entry.images.items(), 1):
        row = [Cell(image, link=f"#{section}-image-{place}")]
        before = next(iter(scores.values())).input
        for name in entry.metrics:
            values = {label: scores[label].restored[name] if label in scores else math.nan for label in entry.runs}
            best = _best(name, values)
            row.append(score_cell(name, before[name]))
            row += [score_cell(name, value, label in best) for label, value in values.items()]
        rows.append(row)
    return rows


def _best(metric: str, values: Mapping[str, float]) -> set[str]:
    """Return the labels of the best value as it is printed; none when all are alike."""
    known = {label: value for label, value in values.items() if not math.isnan(value)}
    if len({format_score(metric, value) for value in known.values()}) < 2:
        return set()
    top = format_score(metric, (min if metric in LOWER_IS_BETTER else max)(known.values()))
    return {label for label, value in known.items() if format_score(metric, value) == top}


def _pictures(entry: _Compared, section: str, out: Path, numbers: Iterator[int]) -> dict[str, Picture]:
    """Copy the pictures of every image into the comparison: input, every report, ground truth, error maps."""
    found = {}
    for place, (image, scores) in enumerate(entry.images.items(), 1):
        first = next(iter(scores.values()))
        size = copy_size(first.height, first.width)
        there = {
            label: (entry.runs[label].folder, entry.runs[label].layers(one))
            for label, one in scores.items()
            if copy_size(one.height, one.width) == size  # another crop cannot lie over this one
        }
        layers = [_one_of(there, "input", say("input"))]
        layers += [(label, folder, paths.get("restored")) for label, (folder, paths) in there.items()]
        layers += [_one_of(there, "target", say("ground_truth"))]
        layers += [
            (say("error_of", report=label), folder, paths.get("error")) for label, (folder, paths) in there.items()
        ]
        kept = [(label, folder / path) for label, folder, path in layers if path]
        copies = _copies(kept, out, f"pictures/{next(numbers):04d}")
        # the first two reports, else input and report
        shown = (1, 2) if len(copies) > 2 and len(scores) > 1 else (0, 1)
        notes = _notes(entry, scores, [copy.label for copy in copies])
        found[image] = Picture(f"{section}-image-{place}", image, notes, copies, size[::-1], shown)
    return found


def _copies(sources: Sequence[tuple[str, Path]], out: Path, folder: str) -> list[Layer]:
    copies = [Layer(label, f"{folder}/{number}.jpg") for number, (label, _) in enumerate(sources)]
    for copy, (_, source) in zip(copies, sources):
        with replacing(out / copy.path) as temporary:
            shutil.copyfile(source, temporary)
    return copies


def _one_of(there: Mapping[str, tuple[Path, dict[str, str]]], layer: str, title: Text) -> tuple[Text, Path, str | None]:
    """Take a picture that all reports share from the first that has it."""
    having = [(place, paths[layer]) for place, paths in there.values() if layer in paths]
    return (title, *having[0]) if having else (title, Path(), None)


def _notes(entry: _Compared, scores: Mapping[str, Measurement], shown: Sequence[str]) -> list[str]:
    """Return the scores of an image in every report, and what its slider leaves out."""
    lines = (
        f"{label}: " + ", ".join(f"{TITLES[name]} {format_score(name, one.restored[name])}" for name in entry.metrics)
        for label, one in scores.items()
    )
    absent = say("not_in_slider")
    return ["; ".join(lines), *([] if all(label in shown for label in scores) else [absent])]


def _settings(report: WrittenReport) -> dict[str, Any]:
    document = report.summary or report.sets[0].document
    protocols = {
        say("protocol_named", name=entry.protocol["name"]): entry.protocol["description"] for entry in report.sets
    }
    return {say("report"): report.folder, **document.get("settings", {}), **protocols}
