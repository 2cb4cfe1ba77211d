"""Say what is measured: the pairs of one data set, or several named sets that make one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mindrestore.data.pairing import Pair
from mindrestore.evaluation.protocol import Protocol


@dataclass(frozen=True)
class NamedSet:
    """Name the pairs of one test set and how they are measured.

    Args:
        name: Name in the table, and of the folder of its report.
        pairs: Pairs in the order of the report; none when the set belongs to the table but is not there.
        protocol: A protocol or its name.

    Example:
        >>> table = [NamedSet("Rain100L", find_pairs("auto", "Rain100L", "test"), "mpr-derain")]
    """

    name: str
    pairs: Sequence[Pair]
    protocol: str | Protocol
