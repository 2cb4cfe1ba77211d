"""What can be wrong with weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mindrestore.errors import MindRestoreError


class WeightError(MindRestoreError):
    """Report a weight file that cannot be read or written, or that does not fit the network."""


class WeightFileError(WeightError):
    """Report a weight file that is absent, damaged, of an unknown kind, or that asks for more than data."""


class MisfitError(WeightError):
    """Report weights that do not fit a network.

    Args:
        message: all about it.
        missing: names that the network needs.
        extra: names that it does not have.
        misshapen: name -> both shapes, where they differ.
        origin: what the weights probably are instead; empty when there is nothing to suppose.
    """

    def __init__(
        self,
        message: str,
        *,
        missing: Sequence[str],
        extra: Sequence[str],
        misshapen: Mapping[str, str],
        origin: str = "",
    ) -> None:
        super().__init__(message)
        self.missing, self.extra, self.misshapen, self.origin = missing, extra, misshapen, origin
