"""What a loss term may depend on beside the images of a batch: the time in training, and draws of its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class BatchContext(NamedTuple):
    """Name one batch of a training.

    Attributes:
        epoch: epoch of the batch, from 0.
        epochs: epochs of the whole training.
        height: rows of the batch's images.
        width: columns of the batch's images.
        rng: source of draws; the same batch of a resumed training has an equal one.
    """

    epoch: int
    epochs: int
    height: int
    width: int
    rng: np.random.Generator
