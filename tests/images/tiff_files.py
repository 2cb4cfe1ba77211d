"""Write TIFF files of any bits, colour space and layout, straight from the specification."""

from __future__ import annotations

import struct
import zlib

import numpy as np


def pack(values, bits, order):
    """Pack integers (rows, N) into bytes (rows, M), the highest bit first."""
    if bits in (8, 16, 32):
        return np.ascontiguousarray(values.astype(f"{order}u{bits // 8}")).view(np.uint8).reshape(len(values), -1)
    places = np.arange(bits - 1, -1, -1)
    return np.packbits(
        (values[..., None].astype(np.uint32) >> places & 1).astype(np.uint8).reshape(len(values), -1), axis=1
    )


def tiff_bytes(
    values, bits, photometric, *, tags=None, planar=False, tile=None, rows=None, predictor=1, deflate=False, order="<"
):
    """Return a file that holds integers (H, W, N) as they are."""
    height, width, samples = values.shape
    planes = [values[..., place : place + 1] for place in range(samples)] if planar else [values]
    parts = []
    for plane in planes:
        if tile:
            filled = np.pad(plane, [(0, -height % tile), (0, -width % tile), (0, 0)])
            blocks = [
                filled[top : top + tile, left : left + tile]
                for top in range(0, height, tile)
                for left in range(0, width, tile)
            ]
        else:
            blocks = [plane[top : top + (rows or height)] for top in range(0, height, rows or height)]
        for block in blocks:
            if predictor == 2:
                block = np.concatenate((block[:, :1], np.diff(block.astype(np.int64), axis=1)), axis=1) % (1 << bits)
            data = pack(block.reshape(len(block), -1), bits, order).tobytes()
            parts.append(zlib.compress(data) if deflate else data)
    offsets = np.cumsum([8, *map(len, parts)])[:-1].tolist()
    described = {
        256: width,
        257: height,
        258: (bits,) * samples,
        259: 8 if deflate else 1,
        262: photometric,
        277: samples,
        284: 2 if planar else 1,
        317: predictor,
        324 if tile else 273: offsets,
        325 if tile else 279: [len(part) for part in parts],
        **({322: tile, 323: tile} if tile else {278: rows or height}),
        **(tags or {}),
    }
    return with_directory(b"".join(parts), described, order)


def with_directory(body, described, order="<"):
    """Return a file of data that begin at byte 8 and a directory behind them; values are numbers or lists of them."""
    place = 8 + len(body) + len(body) % 2
    entries, extra, behind = b"", b"", place + 2 + 12 * len(described) + 4
    for tag in sorted(described):
        values = np.atleast_1d(described[tag]).tolist()
        kind = "I" if max(values) > 65535 or tag in (273, 279, 324, 325) else "H"
        content = struct.pack(f"{order}{len(values)}{kind}", *values)
        if len(content) > 4:
            content, extra = struct.pack(f"{order}I", behind + len(extra)), extra + content + b"\0" * (len(content) % 2)
        entries += struct.pack(f"{order}HHI", tag, 4 if kind == "I" else 3, len(values)) + content.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", place)
    directory = struct.pack(f"{order}H", len(described)) + entries + struct.pack(f"{order}I", 0) + extra
    return head + body + b"\0" * (len(body) % 2) + directory
