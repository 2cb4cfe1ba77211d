"""Files of results in the form that published test programs write, beside the project's own reports."""

from __future__ import annotations

from pathlib import Path

from mindrestore.evaluation.results import Evaluation
from mindrestore.files import PathLike, write_text


def write_published(evaluation: Evaluation, folder: PathLike) -> Path | None:
    """Write the file of results that the published program of a protocol writes.

    For `dehazeformer` that is a CSV file without a header, one line `name,PSNR,SSIM` per image with 2 and 3 decimals.
    Its name holds the means with 2 and 4 decimals, `22.81_0.9644.csv`; the published one has ` | ` in place of `_`.

    Args:
        evaluation: Result of `evaluate_pairs`.
        folder: Folder to write to.

    Returns:
        The file; None for protocols whose programs write none.

    Raises:
        ImageError: The folder or the disk does not allow it.
    """
    if evaluation.protocol.name != "dehazeformer":
        return None
    lines = [f"{row.name},{row.restored['psnr']:.2f},{row.restored['ssim']:.3f}\n" for row in evaluation.rows]
    path = Path(folder) / f"{evaluation.mean['psnr']:.2f}_{evaluation.mean['ssim']:.4f}.csv"
    write_text(path, "".join(lines))
    return path
