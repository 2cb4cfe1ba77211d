"""The file of a graph without weights.

A graph is an ONNX model whose parameters have names and shapes and no values; whoever opens a session gives these. It
takes and returns one image in [0, 1]. Its file is a zip archive: `graph.onnx`, and in `layout.json` what the network's
parameters are called in weight files.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass

from mindrestore.weights.layout import WeightLayout

FORMAT = 2  # of the files and of the operators in them; another number makes all graphs in caches anew

_MODEL, _LAYOUT = "graph.onnx", "layout.json"
_DATE = (1980, 1, 1, 0, 0, 0)  # the same content gives the same file


@dataclass(frozen=True)
class NetworkGraph:
    """A network as ONNX, without the values of its parameters.

    Attributes:
        model: ONNX; takes (1, 3, H, W) float32 in [0, 1] and returns the same.
        layout: What weight files have to hold.
        reads: The parameters that the model reads; some stand in weight files only.
    """

    model: bytes
    layout: WeightLayout
    reads: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """Return the content of its file."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
            archive.writestr(_entry(_MODEL), self.model)
            archive.writestr(_entry(_LAYOUT), self._facts())
        return buffer.getvalue()

    @property
    def digest(self) -> str:
        """SHA-256 of the content, whatever compressed it."""
        return hashlib.sha256(self.model + self._facts().encode()).hexdigest()

    def _facts(self) -> str:
        return json.dumps({"format": FORMAT, "layout": self.layout.facts(), "reads": self.reads}, sort_keys=True)

    @classmethod
    def of_bytes(cls, data: bytes) -> NetworkGraph:
        """Read what `to_bytes` returned.

        Raises:
            ValueError: It is something else, or damaged.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                facts = json.loads(archive.read(_LAYOUT))
                return cls(archive.read(_MODEL), WeightLayout.of_facts(facts["layout"]), tuple(facts["reads"]))
        except Exception as error:  # zipfile and lzma raise half a dozen kinds on damaged archives
            raise ValueError(f"damaged, or not a graph ({type(error).__name__})") from error


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.compress_type = zipfile.ZIP_LZMA
    return entry
