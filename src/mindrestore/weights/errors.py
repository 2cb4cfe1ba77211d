"""What can be wrong with weights."""

from __future__ import annotations

from mindrestore.errors import MindRestoreError


class WeightError(MindRestoreError):
    """Report a weight file that cannot be read or written, or that does not fit the network."""


class WeightFileError(WeightError):
    """Report a weight file that is absent, damaged, of an unknown kind, or that asks for more than data."""
