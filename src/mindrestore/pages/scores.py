"""Read the reports that `eval` has written: one set, or several with their summary."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindrestore.errors import MindRestoreError, first_line
from mindrestore.evaluation.pictures import LAYERS, PARTS
from mindrestore.evaluation.results import Measurement
from mindrestore.files import PathLike, read_json


class ReportError(MindRestoreError):
    """Report a folder that holds no report, or a damaged one."""


@dataclass(frozen=True)
class SetScores:
    """The report of one set.

    Args:
        name: Name of the set; empty where the report has only one.
        folder: Folder of its scores.json and pictures.
        document: What scores.json says.
        images: One per measured image.
    """

    name: str
    folder: Path
    document: Mapping[str, Any]
    images: tuple[Measurement, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, in the order of the protocol."""
        return tuple(self.document["means"]["restored"])

    @property
    def protocol(self) -> Mapping[str, str]:
        """Name, description and source of the protocol."""
        return self.document["protocol"]

    def means(self, side: str) -> dict[str, float]:
        """Return the mean scores of the `restored` or of the `input` images."""
        return _scores(self.document["means"][side])

    @property
    def seconds(self) -> float:
        """Mean wall time of restoring an image."""
        return sum(image.seconds for image in self.images) / len(self.images) if self.images else math.nan

    def layers(self, image: Measurement) -> dict[str, str]:
        """Return the pictures of an image that are there: layer -> path relative to `folder`."""
        if not image.picture:
            return {}
        paths = {layer: f"pictures/{PARTS}/{image.picture}/{layer}.jpg" for layer in LAYERS}
        return {layer: path for layer, path in paths.items() if (self.folder / path).is_file()}


@dataclass(frozen=True)
class WrittenReport:
    """A report of one set or several.

    Args:
        folder: Folder of the report.
        label: Name of the run, else of the folder.
        sets: The sets in the order of the table.
        summary: What summary.json says of several sets; None for a single one.
    """

    folder: Path
    label: str
    sets: tuple[SetScores, ...]
    summary: Mapping[str, Any] | None = None


def read_report(folder: PathLike) -> WrittenReport:
    """Read the report of a run folder, or the folder of a report.

    Args:
        folder: Run folder with `report/`, or a folder with scores.json, or with summary.json and a folder per set;
            where both are, the newer one counts.

    Returns:
        Scores, settings and places of pictures.

    Raises:
        ReportError: There is no report, or it cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ReportError(f"{folder}: no such folder; name a run folder or the report of `mindrestore eval`")
    place = folder / "report" if not _newest(folder) and _newest(folder / "report") else folder
    newest = _newest(place)
    if newest is None:
        raise ReportError(f"{folder}: holds no report; write one with `mindrestore eval {shlex.quote(str(folder))}`")
    label = place.resolve().parent.name if place.resolve().name == "report" else place.resolve().name
    if newest.name == "scores.json":
        return WrittenReport(place, label, (_read_set("", place),))
    summary = _read_json(newest)
    try:
        sets = tuple(_read_set(entry["set"], place / entry["set"]) for entry in summary["sets"])
    except (KeyError, TypeError) as error:
        raise ReportError(f"{newest}: {error} is missing, so this is not a report; evaluate again") from error
    return WrittenReport(place, label, sets, summary)


def _newest(folder: Path) -> Path | None:
    found = [folder / name for name in ("scores.json", "summary.json") if (folder / name).is_file()]
    return max(found, key=lambda path: path.stat().st_mtime_ns, default=None)


def _read_set(name: str, folder: Path) -> SetScores:
    path = folder / "scores.json"
    document = _read_json(path)
    try:
        images = tuple(
            Measurement(
                entry["image"],
                entry.get("key", ""),
                entry["height"],
                entry["width"],
                entry["seconds"],
                _scores(entry["restored"]),
                _scores(entry["input"]),
                entry.get("picture", ""),  # reports of earlier versions have no copies
            )
            for entry in document["images"]
        )
        found = SetScores(name, folder, document, images)
        _ = found.metrics, found.means("input"), found.protocol["name"]
    except KeyError as error:
        raise ReportError(f"{path}: {error} is missing, so this is not a report; evaluate again") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ReportError(
            f"{path}: not what `mindrestore eval` writes ({first_line(error)}); evaluate again"
        ) from error
    return found


def _read_json(path: Path) -> Any:
    try:
        return read_json(path)
    except OSError as error:
        raise ReportError(f"{path}: cannot be read ({error.strerror}); evaluate again") from error
    except ValueError as error:
        raise ReportError(f"{path}: damaged report ({error}); evaluate again") from error


def _scores(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: math.nan if value is None else float(value) for name, value in values.items()}
