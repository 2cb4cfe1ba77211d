"""What `quality.py` shows: tables in Markdown, and sheets of pictures."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from quality_sets import TestSet

BEGIN, END = "<!-- scores of the included weights: begin -->", "<!-- scores of the included weights: end -->"
LARGEST_SHEET = 400_000  # bytes
_TITLES = {"dehaze": "Haze", "derain": "Rain", "denoise": "Noise", "deblur": "Blur"}
_WIDTH, _LINE = 300, 18  # pixels


def markdown(rows: Sequence[Mapping[str, Any]], haze_means: Mapping[str, Mapping[str, float]]) -> str:
    """Write a table per task: PSNR in dB / SSIM of inputs, ours and peers, set by set."""
    parts = []
    for task in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == task]
        methods = list(dict.fromkeys(row["method"] for row in own))
        labels = {row["method"]: row["weights"] for row in own}
        heads = [f"{name} (`{labels[name]}`)" if name == "MindRestore" else name for name in methods]
        lines = [_line(["set (images)", "protocol", "input", *heads]), _line(["---"] * (3 + len(heads)))]
        for key in dict.fromkeys((row["set"], row["protocol"]) for row in own):
            of_set = {row["method"]: row for row in own if (row["set"], row["protocol"]) == key}
            first = next(iter(of_set.values()))
            cells = [_score(of_set[name]) if name in of_set else "" for name in methods]
            lines.append(_line([f"{key[0]} ({first['images']})", f"`{key[1]}`", _score(first["input"]), *cells]))
        if task == "dehaze" and haze_means:
            cells = [_score(haze_means[name]) for name in ("input", *methods)]
            lines.append(_line(["mean of the three sets of real haze", "`rgb`", *cells]))
        parts.append(f"**{_TITLES[task]}**\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def update_docs(page: Path, text: str) -> None:
    """Put tables between the two markers of a page.

    Raises:
        SystemExit: The page has no markers.
    """
    old = page.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not pattern.search(old):
        raise SystemExit(f"{page}: has no lines {BEGIN} and {END}; put them where the tables belong")
    page.write_text(pattern.sub(lambda _: f"{BEGIN}\n{text}{END}", old), encoding="utf-8")


class PictureSheet:
    """Collect rows of pictures: input, restored, peers, truth; the peer's are kept in files beside the sheet.

    Args:
        path: JPEG file.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.rows = path, []

    def add(self, test: TestSet, name: str, methods: Sequence[Callable[[np.ndarray], np.ndarray] | None]) -> None:
        """Restore an image with every method, and add the pictures as a row."""
        degraded, clear = test.load(name)
        panels = [(f"{test.name}: {name}", degraded)]
        for method in methods:
            if method is not None:
                panels.append((method.name, self._picture(test, name, method, degraded)))
        self.rows.append(panels + ([("truth", clear)] if clear is not None else []))

    def write(self) -> None:
        """Write the sheet with the highest quality that stays below the limit."""
        columns = max(map(len, self.rows))
        canvas = np.concatenate([_row(panels, columns) for panels in self.rows])
        for quality in range(90, 10, -5):
            data = cv2.imencode(".jpg", canvas[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            if len(data) < LARGEST_SHEET:
                break
        self.path.write_bytes(data.tobytes())

    def _picture(self, test: TestSet, name: str, method: Any, degraded: np.ndarray) -> np.ndarray:
        kept = self.path.parent / "cache" / method.name / f"{test.name.replace(' ', '_')}_{Path(name).stem}.png"
        if method.identity is not None and kept.is_file():
            return cv2.imread(str(kept))[..., ::-1] / np.float32(255)
        restored = np.clip(method(degraded), 0, 1)
        if method.identity is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(kept), np.rint(restored[..., ::-1] * 255).astype(np.uint8))
        return restored


def _row(panels: Sequence[tuple[str, np.ndarray]], columns: int) -> np.ndarray:
    height = round(_WIDTH * panels[0][1].shape[0] / panels[0][1].shape[1])
    row = np.full((height + _LINE, (_WIDTH + 4) * columns, 3), 255, np.uint8)
    for number, (title, image) in enumerate(panels):
        left = number * (_WIDTH + 4)
        small = cv2.resize(image, (_WIDTH, height), interpolation=cv2.INTER_AREA)
        row[_LINE:, left : left + _WIDTH] = np.rint(np.clip(small, 0, 1) * 255)
        cv2.putText(row, title, (left + 2, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return row


def _score(scores: Mapping[str, float]) -> str:
    return f"{scores['psnr']:.2f} / {scores['ssim']:.4f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
