"""Read and write parameter values as numpy arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from mindspore import Parameter, Tensor, ops


def read_values(params: Iterable[Parameter]) -> list[np.ndarray]:
    """Copy parameter values to the host.

    Args:
        params: any parameters.

    Returns:
        One array per parameter, independent of it.
    """
    return [param.asnumpy().copy() for param in params]


def write_values(params: Sequence[Parameter], values: Sequence[np.ndarray]) -> None:
    """Write values into parameters, in place.

    `Parameter.set_data` gives a parameter new storage, which a graph compiled earlier does not see: it goes on with
    the old values. `ops.assign` writes into the storage that all graphs share.

    Args:
        params: any parameters.
        values: arrays of the same shapes and types, in order.
    """
    for param, value in zip(params, values):
        ops.assign(param, Tensor(value))
