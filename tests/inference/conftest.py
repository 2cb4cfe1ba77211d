"""A model spec for the small networks of these tests."""

from __future__ import annotations

import dataclasses

import pytest

from mindrestore.models.spec import ModelSpec

_BLANK = {"tasks": ("dehazing",), "value_range": (0.0, 1.0), "parameters": 0, "paper": "", "licence": ""}


@pytest.fixture(scope="session")
def spec_of():
    """Return a function that makes the spec of a network with sizes in multiples of 4, from 8 on."""

    def make(**changes):
        required = {
            field.name
            for field in dataclasses.fields(ModelSpec)
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        }
        blank = {name: value for name, value in _BLANK.items() if name in required}
        return ModelSpec(**{**blank, "name": "toy", "size_multiple": 4, "min_size": 8, "tiling": "exact", **changes})

    return make
