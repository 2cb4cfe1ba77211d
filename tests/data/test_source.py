"""The image cache stays within its bytes and never decodes what it holds."""

from __future__ import annotations

import numpy as np

from mindrestore.data import source
from mindrestore.data.source import ImageCache
from mindrestore.images.write import write_image


def test_cache_drops_the_image_used_longest_ago(tmp_path, monkeypatch):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path in paths:
        write_image(path, np.zeros((10, 10, 3), np.uint8))
    decoded = []
    original = source.read_image
    monkeypatch.setattr(source, "read_image", lambda path: decoded.append(path.name) or original(path))
    read = ImageCache(600)  # two images of 300 bytes
    for i in (0, 1, 0, 2, 0, 1):
        read(paths[i])
        assert read.bytes <= 600
    assert decoded == ["0.png", "1.png", "2.png", "1.png"]
    nothing = ImageCache(0)
    nothing(paths[0])
    assert nothing.bytes == 0
