"""What a network is exported as, and what was found out about the file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mindrestore.errors import MindRestoreError
from mindrestore.files import PathLike, read_text
from mindrestore.models.spec import ModelSpec, fitting_side

FORMATS = {"MINDIR": ".mindir", "ONNX": ".onnx", "AIR": ".air"}
# Where a MINDIR runs best -> the form of its layers. Never `ascend`: only MindSpore itself runs its newer operators.
TARGETS = {"ascend": "gpu", "gpu": "gpu", "cpu": "plain"}
KEY_VARIABLE = "MINDRESTORE_KEY"

Size = tuple[int, int]


class ExportError(MindRestoreError):
    """Report a network that cannot be exported, or whose file computes something else."""


@dataclass(frozen=True)
class Form:
    """What an exported file is like.

    Args:
        format: "MINDIR", "ONNX" or "AIR".
        size: (height, width) in pixels that it takes; None leaves both free.
        uint8: It takes and gives photographs (1, H, W, 3) uint8 of any size, instead of (1, 3, H, W) in [0,1].
        key: 16, 24 or 32 bytes that a MINDIR is encrypted with; None leaves it plain.
        target: One of `TARGETS`, the device that a MINDIR is made for; it runs on the others as well. None is "ascend".

    Raises:
        ExportError: There is no such format or target, or the format cannot be encrypted or made for a device.
    """

    format: str = "MINDIR"
    size: Size | None = None
    uint8: bool = False
    key: bytes | None = None
    target: str | None = None

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ExportError(f"format {self.format!r} is not one of {', '.join(FORMATS)}")
        if self.key is not None and self.format != "MINDIR":
            raise ExportError(f"{self.format} files cannot be encrypted; only MINDIR can")
        if self.format == "AIR" and self.size is None:
            raise ExportError("AIR holds one image size only; set it, such as size 480x640")
        if self.target is not None and self.target not in TARGETS:
            raise ExportError(f"target {self.target!r} is not one of {', '.join(TARGETS)}")
        if self.target is not None and self.format != "MINDIR":
            raise ExportError(f"{self.format} files are the same for every device; only MINDIR takes a target")

    @property
    def layers(self) -> str:
        """The form of the network's layers that the file holds, see `models/layers/form.py`."""
        return {"MINDIR": TARGETS[self.target or "ascend"], "ONNX": TARGETS["cpu"], "AIR": TARGETS["ascend"]}[
            self.format
        ]

    def __repr__(self) -> str:
        """Leave the key out, wherever this is printed or logged."""
        hidden = "" if self.key is None else ", key=..."
        made_for = "" if self.target is None else f", target={self.target!r}"
        return f"Form({self.format!r}, size={self.size}, uint8={self.uint8}{made_for}{hidden})"

    def file(self, out: PathLike) -> Path:
        """Return the file to write, in a folder that exists now.

        Raises:
            ExportError: It has another suffix, or the folder cannot be made.
        """
        path, suffix = Path(out), FORMATS[self.format]
        if path.suffix != suffix:
            raise ExportError(f"{path}: {self.format} files have the suffix {suffix}; name it {path.stem}{suffix}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ExportError(f"{path.parent}: cannot be created ({error.strerror}); choose another folder") from error
        return path

    def check_size(self, spec: ModelSpec) -> None:
        """Refuse sizes that the network does not take; what takes photographs fills them up by itself.

        Raises:
            ExportError: The message names the nearest possible size.
        """
        if self.size is None:
            return
        multiple, least = (1, 1) if self.uint8 else (spec.size_multiple, max(spec.min_size, 1))
        for side, name in zip(self.size, ("height", "width")):
            nearest = fitting_side(side, multiple, least)
            if side != nearest:
                raise ExportError(
                    f"{name} {side} is not possible: {spec.name} takes multiples of {multiple} from {least} on; "
                    f"use {nearest}"
                )


@dataclass(frozen=True)
class ExportReport:
    """What was written and how far it is from the network.

    Args:
        path: The file.
        form: What it is like.
        multiple: Heights and widths must be multiples of this.
        differences: Compared size -> largest absolute difference between file and network, images in [0,1]; none for
            AIR, which only another program can run.
        megabytes: Size of the file.
        seconds: Time for exporting, loading and comparing.
        notes: What else somebody should know who runs the file.
    """

    path: Path
    form: Form
    multiple: int
    differences: Mapping[Size, float]
    megabytes: float
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> Size | None:
        """(height, width) in pixels that the file takes; None for any."""
        return self.form.size

    @property
    def difference(self) -> float:
        """Largest difference at any compared size."""
        return max(self.differences.values())

    def __str__(self) -> str:
        step = "" if self.form.uint8 or self.multiple == 1 else f" that are multiples of {self.multiple}"
        taken = size_text(self.size) if self.size else f"any height and width{step}"
        pixels = (
            "8-bit RGB photographs (1, H, W, 3)" if self.form.uint8 else "RGB images in [0,1] of shape (1, 3, H, W)"
        )
        encrypted = ", encrypted" if self.form.key else ""
        made_for = f", made for {self.form.target or 'ascend'}" if self.form.format == "MINDIR" else ""
        lines = [f"{self.path}: {self.megabytes:.1f} MB{encrypted}{made_for}, {pixels}, {taken}"]
        lines += [f"  {note}" for note in self.notes]
        if not self.differences:
            lines.append("  not compared: only Ascend's converter reads AIR")
        for size, difference in self.differences.items():
            found = f"{round(difference * 255)} of 255 levels" if self.form.uint8 else f"{difference:.1e}"
            lines.append(f"  reloaded and compared at {size_text(size)}: largest difference {found}")
        return "\n".join(lines)


def format_of(out: PathLike | None) -> str:
    """Return the format that the suffix of a file stands for; MINDIR for others, and where there is no file."""
    suffix = "" if out is None else Path(out).suffix
    return next((name for name, own in FORMATS.items() if own == suffix), "MINDIR")


def read_key(file: PathLike | None = None) -> bytes | None:
    """Read the key of encrypted files from a file, else from the environment variable MINDRESTORE_KEY.

    Args:
        file: Text file of 32, 48 or 64 hexadecimal digits.

    Returns:
        16, 24 or 32 bytes; None where neither is given.

    Raises:
        ExportError: The file cannot be read, or holds something else; the message does not show it.
    """
    if file is not None:
        try:
            text, where = read_text(file, "ascii"), str(file)
        except (OSError, UnicodeDecodeError) as error:
            raise ExportError(f"{file}: no key can be read there; use a text file of hexadecimal digits") from error
    else:
        text, where = os.environ.get(KEY_VARIABLE, ""), KEY_VARIABLE
        if not text:
            return None
    if not re.fullmatch(r"([0-9a-fA-F]{16}){2,4}", text.strip()):
        raise ExportError(f"{where}: a key has 32, 48 or 64 hexadecimal digits, as of `openssl rand -hex 16`")
    return bytes.fromhex(text.strip())


def size_text(size: Size) -> str:
    """Write a size as 480x640."""
    return f"{size[0]}x{size[1]}"
